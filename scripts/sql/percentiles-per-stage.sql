-- Percentiles of each stage over the month of the newest run, from the sketch alone: buckets add up, percentiles do not.
-- A percentile is that of analyze: the least latency that so many of the spans do not exceed.
WITH newest AS (
  SELECT MAX(date) AS day FROM runs
),
counts AS (
  SELECT stage, bucket, value_ns, SUM(count) AS spans
  FROM sketch
  WHERE kind = 'stage' AND date > (SELECT day - INTERVAL '31' DAY FROM newest)
  GROUP BY stage, bucket, value_ns
),
running AS (
  SELECT stage, value_ns,
    SUM(spans) OVER (PARTITION BY stage ORDER BY bucket ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS up_to,
    SUM(spans) OVER (PARTITION BY stage) AS total
  FROM counts
)
SELECT stage, MAX(total) AS spans,
  MIN(CASE WHEN up_to * 1000 >= total * 500 THEN value_ns END) AS p50_ns,
  MIN(CASE WHEN up_to * 1000 >= total * 900 THEN value_ns END) AS p90_ns,
  MIN(CASE WHEN up_to * 1000 >= total * 990 THEN value_ns END) AS p99_ns,
  MIN(CASE WHEN up_to * 1000 >= total * 999 THEN value_ns END) AS p999_ns
FROM running
GROUP BY stage
ORDER BY stage;
