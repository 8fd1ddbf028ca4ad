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
import pyarrow.ipc
import pyarrow.parquet
from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

# Points of the counters of stages that are not the number of the stage's slices at that moment.
WRONG_COUNTERS = """
    with points as (select replace(substr(track.name, 12), ' buffers', '') as stage, counter.ts, value from counter join track on track.id = track_id
      where track.name like 'in flight: %'),
    compared as (select value, (select count(*) from slice where category = 'stage' and slice.name = stage
      and slice.ts <= points.ts and points.ts < slice.ts + slice.dur) as n from points)
    select sum(value != n) as n, count(*) as points from compared"""
HERE = pathlib.Path(__file__).parent
CLASSES = ("complete", "open", "orphan_end", "repeated_begin", "repeated_end", "inverted")
EVENT = re.compile(r"\[ *\d+\] \[PID: *\d+\] .*? (\S+:\S+) +\| Seq: ")


def run(*command):
    """Standard output of a command; exit code 3 (done, but events were lost) is fine."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def expected(tracer, trace):
    """What tracer counts: events per probe, spans per stage and class, arrows between stages, lost events."""
    lines = run(tracer, "replay", trace).splitlines()
    analysis = json.loads(run(tracer, "analyze", trace, "--worst", "10", "--format", "json"))
    probes = {f"{p['provider']}:{p['probe']}": p["events"] for p in analysis["probes"] if p["events"]}
    replayed = dict(collections.Counter(m[1] for m in map(EVENT.match, lines) if m))
    if replayed != probes:
        sys.exit(f"{trace}: replay shows {replayed}, analyze counts {probes}")
    spans = {(s["name"], c): s[c] for s in analysis["stages"] for c in CLASSES if s[c]}
    # An inverted span has both its ends, each is marked; the others have one.
    points = {f"{name}: {c.replace('_', ' ')}": n * (1 + (c == "inverted")) for (name, c), n in spans.items()}
    return {
        "table": probes,
        "probes": {probe.split(":")[1]: n for probe, n in probes.items()},
        "spans": spans,
        "stages": {name: n for (name, c), n in spans.items() if c == "complete"},
        "irregular": {name: n for name, n in points.items() if not name.endswith(": complete")},
        "arrows": sum(hand_off["count"] for hand_off in analysis["hand_offs"]),
        "lost": analysis["loss"]["lost"],
        "slowest": [slow["latency_ns"] for slow in analysis.get("worst") or []],
    }


def perfetto(file, args="args"):
    """What Perfetto's Trace Processor finds, and what it complains about. It puts `args` before an argument's name."""
    by_name = "select name, count(*) as n from slice where category = '{}' group by name"
    queries = {
        "stages": by_name.format("stage"),
        "probes": by_name.format("probe"),
        "irregular": by_name.format("irregular"),
        "arrows": "select count(*) as n from flow",
        "lost": f"select sum(extract_arg(arg_set_id, '{args}.count')) as n from slice where category = 'loss'",
        "slowest": "select dur from slice where category = 'slowest' order by dur desc",
        "wrong_counters": WRONG_COUNTERS,
        "negative": "select count(*) as n from slice where dur < 0",
        "complaints": "select name, value from stats where severity in ('error', 'data_loss') and value > 0",
    }
    lines = run("node", HERE / "trace_processor.mjs", file, *queries.values()).splitlines()
    rows = dict(zip(queries, (json.loads(line)["rows"] for line in lines), strict=True))
    complaints = [f"{row['name']} = {row['value']}" for row in rows["complaints"]]
    if rows["negative"][0]["n"]:
        complaints.append(f"{rows['negative'][0]['n']} slices without an end")
    if rows["wrong_counters"][0]["n"]:
        complaints.append(f"{rows['wrong_counters'][0]['n']} points of counters are not the slices under way")
    if (rows["wrong_counters"][0]["points"] or 0) == 0 and rows["stages"] and rows["arrows"][0]["n"]:
        complaints.append("no counter has a point")
    found = {key: {row["name"]: row["n"] for row in rows[key]} for key in ("stages", "probes", "irregular")}
    found |= {"slowest": [row["dur"] for row in rows["slowest"]]}
    return found | {key: rows[key][0]["n"] or 0 for key in ("arrows", "lost")}, complaints


def unknown_fields(file):
    """Fields of a Perfetto trace that the published schema does not have."""
    trace = Trace()
    trace.ParseFromString(file.read_bytes())

    def unknown(message):
        yield from (f"{message.DESCRIPTOR.name} field {field.field_number}" for field in UnknownFieldSet(message))
        for field, value in message.ListFields():
            if field.message_type:
                for inner in value if field.is_repeated else [value]:
                    yield from unknown(inner)

    return sorted(set(unknown(trace)))


def same_slices(file, spans):
    """Complaints if the slices of stages are not, to the nanosecond, the complete spans of a Parquet file."""
    sql = "select name, ts, dur, extract_arg(arg_set_id, 'debug.key') as key from slice where category = 'stage'"
    rows = json.loads(run("node", HERE / "trace_processor.mjs", file, sql))["rows"]
    found = sorted((row["name"], str(row["key"]), row["ts"], row["dur"]) for row in rows)
    query = "select stage, key::varchar, begin_ns, latency_ns from read_parquet(?) where class = 'complete' order by all"
    expected = sorted(duckdb.execute(query, [str(spans)]).fetchall())
    return [] if found == expected else [f"slices {found[:3]}... are not the spans {expected[:3]}..."]


def catapult(file, wanted):
    """What the viewer of chrome://tracing finds, and what it complains about."""
    found = json.loads(run("node", HERE / "catapult.mjs", file))
    picked = {
        key: {name: n for name, n in found["slices"].items() if name in wanted[key]}
        for key in ("stages", "probes", "irregular")
    }
    return picked | {"arrows": found["flows"]}, found["importWarnings"] + found["errors"]


def tables(file):
    """Events per probe in a Parquet file, as DuckDB and as pyarrow read it."""
    query = "select provider || ':' || probe, count(*) from read_parquet(?) group by 1"
    duck = dict(duckdb.execute(query, [str(file)]).fetchall())
    rows = pyarrow.parquet.read_table(file, columns=["provider", "probe", "ts_ns"])
    names = zip(rows["provider"].to_pylist(), rows["probe"].to_pylist())
    arrow = collections.Counter(f"{provider}:{probe}" for provider, probe in names)
    times = rows["ts_ns"].to_pylist()
    return duck, dict(arrow), [] if times == sorted(times) else ["ts_ns is not sorted"]


def same_rows(parquet, arrow, csv):
    """What is not the same in the three files of one table, as texts."""
    rows = pyarrow.parquet.read_table(parquet)
    complaints = []
    with pyarrow.ipc.open_file(arrow) as file:
        if file.read_all().to_pylist() != rows.to_pylist():
            complaints.append("the Arrow file has other rows than the Parquet file")
    # Lists and wall time are text in the CSV file, and nothing is the same as an empty text.
    plain = [field.name for field in rows.schema if str(field.type) in ("string", "int32", "int64")]
    plain += [field.name for field in rows.schema if str(field.type).startswith("dictionary")]
    texts = ", ".join(f"coalesce({name}::varchar, '')" for name in plain)
    pick = f"select {texts} from"
    sides = [(f"{pick} read_parquet(?)", str(parquet)), (f"{pick} read_csv(?)", str(csv))]
    for (one, file), (other, other_file) in (sides, sides[::-1]):
        left = duckdb.execute(f"{one} except all {other}", [file, other_file]).fetchall()
        complaints += [f"{file} has {row}, {other_file} has not" for row in left[:3]]
    return complaints


def spans(file):
    """Spans per stage and class in a Parquet file."""
    rows = duckdb.execute("select stage, class, count(*) from read_parquet(?) group by 1, 2", [str(file)])
    return {(stage, kind): n for stage, kind, n in rows.fetchall()}


def check(tracer, trace, folder):
    """All differences for one trace, as texts."""
    wanted = expected(tracer, trace)
    if not wanted["table"]:
        return ["has no events, nothing would be compared"]
    differences = []

    def compare(reader, found, complaints):
        differences.extend(f"{reader} complains: {complaint}" for complaint in complaints)
        for key, value in found.items():
            if value != wanted[key]:
                differences.append(f"{reader} finds {key} {value}, tracer says {wanted[key]}")

    def export(name, *options):
        run(tracer, "export", trace, *options, "-o", folder / name)
        return folder / name

    chrome = export("run.json")
    compare("Perfetto", *perfetto(chrome))
    compare("Catapult", *catapult(chrome, wanted))
    events = [export(f"events.{end}") for end in ("parquet", "arrow", "csv")]
    duck, arrow, complaints = tables(events[0])
    compare("DuckDB", {"table": duck}, same_rows(*events))
    compare("pyarrow", {"table": arrow}, complaints)
    table = [export(f"spans.{end}", "--table", "spans") for end in ("parquet", "arrow", "csv")]
    compare("DuckDB", {"spans": spans(table[0])}, same_rows(*table))
    packets = export("run.pftrace")
    compare("Perfetto, of packets,", *perfetto(packets, "debug"))
    compare("Perfetto, of packets,", {}, same_slices(packets, table[0]))
    compare("Perfetto's schema", {}, unknown_fields(packets))
    if wanted["slowest"]:
        compare("Perfetto, of tracks of buffers,", *perfetto(export("buffers.pftrace", "--by-buffer"), "debug"))
        compare("Perfetto, of JSON with tracks of buffers,", *perfetto(export("buffers.json", "--by-buffer")))
    if not differences:
        count = {key: sum(wanted[key].values()) for key in ("table", "stages")}
        print(f"note: {pathlib.Path(trace).name}: {count['table']} events, {count['stages']} slices, {wanted['arrows']} arrows;")
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
