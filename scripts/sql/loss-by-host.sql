-- Which hosts lose events, and how many of all. A trace has several rows in runs, which say the same of the whole trace.
WITH traces AS (
  SELECT trace, host, MAX(kernel) AS kernel, MAX(events) AS events, MAX(lost) AS lost, MAX(gaps) AS gaps,
    MAX(CASE WHEN whole THEN 0 ELSE 1 END) AS cut_off
  FROM runs
  GROUP BY trace, host
)
SELECT host, MAX(kernel) AS kernel, COUNT(*) AS traces, SUM(events) AS events, SUM(lost) AS lost, SUM(gaps) AS gaps,
  SUM(CASE WHEN lost > 0 THEN 1 ELSE 0 END) AS traces_with_loss, SUM(cut_off) AS cut_off,
  ROUND(100 * CAST(SUM(lost) AS DOUBLE) / NULLIF(SUM(events) + SUM(lost), 0), 3) AS lost_percent
FROM traces
GROUP BY host
ORDER BY lost_percent DESC NULLS LAST, host NULLS LAST;
