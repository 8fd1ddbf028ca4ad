-- The slowest spans of each stage, with what to look at: tracer replay FILE --seq KEY of the trace with that name.
WITH ranked AS (
  SELECT stage, trace, host, ts, key, lap, latency_ns, near_loss,
    ROW_NUMBER() OVER (PARTITION BY stage ORDER BY latency_ns DESC, trace, key, begin_ns) AS place
  FROM spans
  WHERE class = 'complete'
)
SELECT stage, place, latency_ns, host, ts, trace, key, lap, near_loss
FROM ranked
WHERE place <= 10
ORDER BY stage, place;
