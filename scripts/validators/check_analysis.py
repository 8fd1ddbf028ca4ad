"""Asks DuckDB, in plain SQL on exported tables, what `tracer analyze` says: the counts of every stage, class and probe are the same,
and so are least, greatest and mean time; percentiles are as close as analyze states.
usage: check_analysis.py TRACER TRACE..."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb

CLASSES = ("complete", "open", "orphan_end", "repeated_begin", "repeated_end", "inverted")
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
# How far a percentile may be from a value of that rank: a part in 1024.
PRECISION = 1 / 1024
# Of a stage by number: keys that begin once and end once later, from the table of events alone.
PAIRS = """
with begins as (select seq, min(ts_ns) as at, count(*) as n from read_parquet($1) where provider || ':' || probe = $2 group by seq),
     ends as (select seq, min(ts_ns) as at, count(*) as n from read_parquet($1) where provider || ':' || probe = $3 group by seq)
select count(*), sum(ends.at - begins.at) from begins join ends using (seq)
where begins.n = 1 and ends.n = 1 and ends.at >= begins.at"""


def run(*command):
    """Standard output; that some events were lost (exit code 3) is no failure."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout


def latencies(stage, spans):
    """Complaints on the times of a stage."""
    said, name = stage["latency_ns"], stage["name"]
    query = "select count(*), min(latency_ns), max(latency_ns), avg(latency_ns) from read_parquet(?) where class = 'complete' and stage = ?"
    count, least, greatest, mean = duckdb.execute(query, [spans, name]).fetchone()
    if not count:
        return [] if said is None else [f"{name}: {said}, DuckDB has no span"]
    found = []
    if (said["min"], said["max"]) != (least, greatest) or abs(said["mean"] - mean) > 1:
        found.append(f"{name}: {said}, DuckDB says {least}, {greatest}, {mean}")
    for percentile, share in PERCENTILES.items():
        query = "select quantile_disc(latency_ns, ?) from read_parquet(?) where class = 'complete' and stage = ?"
        (value,) = duckdb.execute(query, [share, spans, name]).fetchone()
        if abs(said[percentile] - value) > max(1, abs(value) * PRECISION):
            found.append(f"{name}: {percentile} {said[percentile]}, DuckDB says {value}")
    return found


def check(tracer, trace, folder):
    """Complaints on one trace, and how many stages it has."""
    report = json.loads(run(tracer, "analyze", "--format", "json", trace))
    events, spans = str(folder / "events.parquet"), str(folder / "spans.parquet")
    run(tracer, "export", trace, "--force", "-o", events)
    run(tracer, "export", trace, "--force", "--table", "spans", "-o", spans)
    found = []
    query = "select provider || ':' || probe, count(*) from read_parquet(?) group by 1"
    fired = dict(duckdb.execute(query, [events]).fetchall())
    said = {f"{it['provider']}:{it['probe']}": it["events"] for it in report["probes"] if it["events"]}
    if fired != said:
        found.append(f"events {said}, DuckDB says {fired}")
    query = "select stage, class, count(*) from read_parquet(?) group by all"
    counted = {(stage, kind): n for stage, kind, n in duckdb.execute(query, [spans]).fetchall()}
    stages = [stage for stage in report["stages"] if stage["key"] != "refused"]
    for stage in stages:
        for kind in CLASSES:
            if stage[kind] != counted.get((stage["name"], kind), 0):
                found.append(f"{stage['name']}: {stage[kind]} {kind}, DuckDB says {counted.get((stage['name'], kind), 0)}")
        found += latencies(stage, spans)
        once = stage["repeated_begin"] == stage["repeated_end"] == stage["reordered"] == 0
        if stage["key"] == "seq" and once and "|" not in stage["to"]:
            count, total = duckdb.execute(PAIRS, [events, stage["from"], stage["to"]]).fetchone()
            if count != stage["complete"]:
                found.append(f"{stage['name']}: {stage['complete']} complete, the events alone give {count}")
    return found, len(stages)


def main():
    tracer, *traces = sys.argv[1:]
    failed = checked = 0
    with tempfile.TemporaryDirectory() as folder:
        for trace in traces:
            found, stages = check(tracer, trace, Path(folder))
            checked += stages
            for line in found:
                print(f"{trace}: {line}")
            failed += bool(found)
    print(f"note: DuckDB agrees on {checked} stages of {len(traces)} traces" if not failed else f"{failed} traces differ")
    sys.exit(failed > 0 or checked == 0)


main()
