-- Each commit against the one before it, in the order in which they were first recorded: where the median of a stage grew by 5 % or
-- more, over all runs of both. tracer diff says of two of them how sure that is.
WITH commits AS (
  SELECT suite, commit_id, MIN(ts) AS first_ts, COUNT(DISTINCT trace) AS runs
  FROM runs
  WHERE commit_id IS NOT NULL
  GROUP BY suite, commit_id
),
of_traces AS (
  SELECT DISTINCT suite, trace, commit_id FROM runs WHERE commit_id IS NOT NULL
),
counts AS (
  SELECT s.suite, t.commit_id, s.stage, s.bucket, s.value_ns, SUM(s.count) AS spans
  FROM sketch s
  JOIN of_traces t ON s.suite = t.suite AND s.trace = t.trace
  WHERE s.kind = 'stage'
  GROUP BY s.suite, t.commit_id, s.stage, s.bucket, s.value_ns
),
running AS (
  SELECT suite, commit_id, stage, value_ns,
    SUM(spans) OVER (PARTITION BY suite, commit_id, stage ORDER BY bucket ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS up_to,
    SUM(spans) OVER (PARTITION BY suite, commit_id, stage) AS total
  FROM counts
),
medians AS (
  SELECT suite, commit_id, stage, MAX(total) AS spans,
    MIN(CASE WHEN up_to * 1000 >= total * 500 THEN value_ns END) AS p50_ns
  FROM running
  GROUP BY suite, commit_id, stage
),
in_order AS (
  SELECT m.suite, m.stage, m.commit_id, c.first_ts, c.runs, m.spans, m.p50_ns,
    LAG(m.commit_id) OVER (PARTITION BY m.suite, m.stage ORDER BY c.first_ts, m.commit_id) AS before_id,
    LAG(m.p50_ns) OVER (PARTITION BY m.suite, m.stage ORDER BY c.first_ts, m.commit_id) AS before_p50_ns
  FROM medians m
  JOIN commits c ON m.suite = c.suite AND m.commit_id = c.commit_id
)
SELECT suite, stage, before_id, commit_id, first_ts, runs, spans, before_p50_ns, p50_ns,
  ROUND(100 * CAST(p50_ns - before_p50_ns AS DOUBLE) / before_p50_ns, 1) AS grew_percent
FROM in_order
WHERE p50_ns * 100 >= before_p50_ns * 105
ORDER BY suite, first_ts, stage;
