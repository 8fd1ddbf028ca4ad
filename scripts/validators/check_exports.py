"""Compares what real viewers and table readers find in exported traces with what tracer counts.

usage: check_exports.py TRACER TRACE...     run by check_exports.sh; exit code 1 and one line per difference
"""

import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import duckdb
import pyarrow.parquet

HERE = pathlib.Path(__file__).parent
EVENT = re.compile(r"\[ *\d+\] \[PID: *\d+\] .*? (\S+:\S+) +\| Seq: ")


def run(*command):
    """Standard output of a command; exit code 3 (done, but events were lost) is fine."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def expected(tracer, trace):
    """What tracer counts: events per probe, complete spans per stage, arrows between stages."""
    lines = run(tracer, "replay", trace).splitlines()
    probes = collections.Counter(m[1] for m in map(EVENT.match, lines) if m)
    analysis = json.loads(run(tracer, "analyze", trace, "--format", "json"))
    stages = {stage["name"]: stage["classes"]["complete"] for stage in analysis["stages"]}
    return {
        "probes": dict(probes),
        "stages": {name: count for name, count in stages.items() if count},
        "arrows": analysis["flows"]["arrows"],
    }


def perfetto(file):
    """What Perfetto's Trace Processor finds, and what it complains about."""
    queries = {
        "stages": "select name, count(*) as n from slice where category = 'stage' group by name",
        "probes": "select name, count(*) as n from slice where category = 'probe' group by name",
        "arrows": "select count(*) as n from flow",
        "negative": "select count(*) as n from slice where dur < 0",
        "complaints": "select name, value from stats where severity in ('error', 'data_loss') and value > 0",
    }
    lines = run("node", HERE / "trace_processor.mjs", file, *queries.values()).splitlines()
    rows = dict(zip(queries, (json.loads(line)["rows"] for line in lines), strict=True))
    complaints = [f"{row['name']} = {row['value']}" for row in rows["complaints"]]
    if rows["negative"][0]["n"]:
        complaints.append(f"{rows['negative'][0]['n']} slices without an end")
    found = {key: {row["name"]: row["n"] for row in rows[key]} for key in ("stages", "probes")}
    return found | {"arrows": rows["arrows"][0]["n"]}, complaints


def catapult(file, wanted):
    """What the viewer of chrome://tracing finds, and what it complains about."""
    found = json.loads(run("node", HERE / "catapult.mjs", file))
    pick = lambda names: {name: n for name, n in found["slices"].items() if name in names}
    return {
        "stages": pick(wanted["stages"]),
        "probes": pick(wanted["probes"]),
        "arrows": found["flows"],
    }, found["importWarnings"] + found["errors"]


def tables(file):
    """Events per probe in a Parquet file, as DuckDB and as pyarrow read it."""
    query = "select provider || ':' || probe, count(*) from read_parquet(?) group by 1"
    duck = dict(duckdb.execute(query, [str(file)]).fetchall())
    rows = pyarrow.parquet.read_table(file, columns=["provider", "probe", "ts_ns"])
    arrow = collections.Counter(
        f"{provider}:{probe}" for provider, probe in zip(rows["provider"].to_pylist(), rows["probe"].to_pylist())
    )
    times = rows["ts_ns"].to_pylist()
    return duck, dict(arrow), [] if times == sorted(times) else ["ts_ns is not sorted"]


def check(tracer, trace, folder):
    """All differences for one trace, as texts."""
    wanted = expected(tracer, trace)
    if not wanted["probes"]:
        return ["has no events, nothing would be compared"]
    differences = []

    def compare(reader, found, complaints):
        differences.extend(f"{reader} complains: {complaint}" for complaint in complaints)
        for key, value in found.items():
            if value != wanted[key]:
                differences.append(f"{reader} finds {key} {value}, tracer says {wanted[key]}")

    chrome, parquet = folder / "run.json", folder / "run.parquet"
    for file in (chrome, parquet):
        run(tracer, "export", trace, "--force", "-o", file)
    compare("Perfetto", *perfetto(chrome))
    compare("Catapult", *catapult(chrome, wanted))
    duck, arrow, complaints = tables(parquet)
    compare("DuckDB", {"probes": duck}, [])
    compare("pyarrow", {"probes": arrow}, complaints)
    if not differences:
        events, slices = sum(wanted["probes"].values()), sum(wanted["stages"].values())
        print(f"note: {trace}: {events} events, {slices} slices, {wanted['arrows']} arrows agree")
    return differences


def main(tracer, *traces):
    failed = not traces
    for trace in traces:
        with tempfile.TemporaryDirectory() as folder:
            for difference in check(tracer, trace, pathlib.Path(folder)):
                failed = True
                print(f"{trace}: {difference}")
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
