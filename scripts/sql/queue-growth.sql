-- Where work piles up: the mean wait before a stage in the first and in the last quarter of a trace, where it grew most. A key waits
-- from the end of the stage before it on the path, or from its begin if that goes on, to the begin of this one.
WITH steps AS (
  SELECT trace, suite, stage, begin_ns,
    LAG(begin_ns) OVER (PARTITION BY trace, key, lap ORDER BY path_position) AS before_begin_ns,
    LAG(end_ns) OVER (PARTITION BY trace, key, lap ORDER BY path_position) AS before_end_ns
  FROM spans
  WHERE class = 'complete' AND path_position IS NOT NULL AND lap IS NOT NULL
),
waits AS (
  SELECT trace, suite, stage, begin_ns,
    begin_ns - CASE WHEN before_end_ns <= begin_ns THEN before_end_ns ELSE before_begin_ns END AS wait_ns
  FROM steps
  WHERE before_begin_ns IS NOT NULL
),
traces AS (
  SELECT DISTINCT trace, host, begin_ns AS first_ns, end_ns AS last_ns FROM runs
),
quarters AS (
  SELECT w.trace, t.host, w.suite, w.stage, w.wait_ns,
    CASE WHEN 4 * (w.begin_ns - t.first_ns) < t.last_ns - t.first_ns THEN 'first'
      WHEN 4 * (t.last_ns - w.begin_ns) < t.last_ns - t.first_ns THEN 'last' END AS quarter
  FROM waits w
  JOIN traces t ON w.trace = t.trace
),
means AS (
  SELECT trace, host, suite, stage,
    CAST(SUM(CASE WHEN quarter = 'first' THEN wait_ns END) AS DOUBLE) / COUNT(CASE WHEN quarter = 'first' THEN 1 END) AS first_wait_ns,
    CAST(SUM(CASE WHEN quarter = 'last' THEN wait_ns END) AS DOUBLE) / COUNT(CASE WHEN quarter = 'last' THEN 1 END) AS last_wait_ns
  FROM quarters
  WHERE quarter IS NOT NULL
  GROUP BY trace, host, suite, stage
  HAVING COUNT(CASE WHEN quarter = 'first' THEN 1 END) >= 30 AND COUNT(CASE WHEN quarter = 'last' THEN 1 END) >= 30
)
SELECT trace, host, suite, stage, ROUND(first_wait_ns) AS first_wait_ns, ROUND(last_wait_ns) AS last_wait_ns,
  ROUND(last_wait_ns - first_wait_ns) AS grew_ns
FROM means
ORDER BY grew_ns DESC, trace, stage
LIMIT 20;
