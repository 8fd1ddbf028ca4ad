-- Median and tail of each stage, day by day and suite by suite.
WITH counts AS (
  SELECT date, suite, stage, bucket, value_ns, SUM(count) AS spans
  FROM sketch
  WHERE kind = 'stage'
  GROUP BY date, suite, stage, bucket, value_ns
),
running AS (
  SELECT date, suite, stage, value_ns,
    SUM(spans) OVER (PARTITION BY date, suite, stage ORDER BY bucket ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS up_to,
    SUM(spans) OVER (PARTITION BY date, suite, stage) AS total
  FROM counts
)
SELECT date, suite, stage, MAX(total) AS spans,
  MIN(CASE WHEN up_to * 1000 >= total * 500 THEN value_ns END) AS p50_ns,
  MIN(CASE WHEN up_to * 1000 >= total * 990 THEN value_ns END) AS p99_ns
FROM running
GROUP BY date, suite, stage
ORDER BY date, suite, stage;
