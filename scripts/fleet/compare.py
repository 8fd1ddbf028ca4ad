"""Compares what tracer analyze, DuckDB and Spark say of the traces of a fleet, and finds what was planted in them.

usage: compare.py TRACES ANSWERS.json...     TRACES has *.trace and, beside each, *.json as tracer analyze wrote it

Counts must be equal, percentiles of the sketch within 1 % (and 1 ns) of those of analyze, and the answers of all engines the
same. Exit code 1 and a line for each difference.
"""

import hashlib
import json
import math
import pathlib
import sys

CLASSES = ("complete", "open", "orphan_end", "repeated_begin", "repeated_end", "inverted")
PERCENTILES = ("p50", "p90", "p99", "p999")
# Of a fleet so large the planted differences stand out from chance.
LARGE = 100

problems = []


def problem(text):
    problems.append(text)


def analyzed(folder):
    """What analyze says of each trace, by the name that the trace has in the dataset."""
    of_trace = {}
    for file in sorted(pathlib.Path(folder).glob("*.trace")):
        name = hashlib.sha256(file.read_bytes()).hexdigest()[:32]
        of_trace[name] = json.loads(file.with_suffix(".json").read_text())
    return of_trace


def same(one, other):
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def check_sketch(engine, rows, traces):
    """Each stage and hand-off of each trace: as many, and percentiles within 1 %. Gives how many, and the greatest difference."""
    expected = {}
    for trace, analysis in traces.items():
        for kind, counted, items in (("stage", "complete", "stages"), ("hand_off", "count", "hand_offs")):
            for item in analysis[items]:
                if item[counted]:
                    expected[trace, kind, item["name"]] = item["latency_ns"] | {"spans": item[counted]}
    found = {(trace, kind, name): figures for trace, kind, name, *figures in rows}
    if expected.keys() != found.keys():
        problem(f"{engine}: sketch has {len(found)} stages and hand-offs of traces, analyze {len(expected)}")
    worst = 0.0
    for at in expected.keys() & found.keys():
        spans, *values = found[at]
        if spans != expected[at]["spans"]:
            problem(f"{engine}: {at}: {spans} in the sketch, {expected[at]['spans']} in analyze")
        for name, value in zip(PERCENTILES, values):
            off = abs(value - expected[at][name])
            worst = max(worst, off / max(expected[at][name], 1) if off > 1 else 0)
            if off > expected[at][name] * 0.01 + 1:
                problem(f"{engine}: {at}: {name} {value} in the sketch, {expected[at][name]} in analyze")
    return len(expected), worst


def check_classes(engine, rows, traces):
    expected = {
        (trace, stage["name"], kind): stage[kind]
        for trace, analysis in traces.items()
        for stage in analysis["stages"]
        for kind in CLASSES
        if stage[kind]
    }
    found = {(trace, stage, kind): spans for trace, stage, kind, spans in rows}
    for at in sorted(expected.keys() | found.keys()):
        if expected.get(at, 0) != found.get(at, 0):
            problem(f"{engine}: {at}: {found.get(at, 0)} spans, {expected.get(at, 0)} in analyze")


def check_rows(engine, rows, traces):
    events = sum(analysis["events"] for analysis in traces.values())
    spans = sum(stage[kind] for analysis in traces.values() for stage in analysis["stages"] for kind in CLASSES)
    if dict(rows) != {"events": events, "spans": spans}:
        problem(f"{engine}: {dict(rows)} rows, analyze counts {events} events and {spans} spans")


def check_planted(engine, answers, traces):
    """The slower build, the hosts that lose events, the queue that grows, the slowest span."""
    slowest = {}
    for analysis in traces.values():
        for stage in analysis["stages"]:
            if stage["complete"]:
                slowest[stage["name"]] = max(slowest.get(stage["name"], 0), stage["latency_ns"]["max"])
    found = {stage: latency for stage, place, latency, *_ in answers["worst-keys"] if place == 1}
    if found != slowest:
        problem(f"{engine}: worst-keys says {found}, analyze {slowest}")
    grown = answers["queue-growth"][0]
    if (grown[3], 14e6 < grown[6] < 16e6) != ("pack", True):
        problem(f"{engine}: queue-growth begins with {grown}, expected the stage pack, 15 ms")
    lost = sum(analysis["loss"]["lost"] for analysis in traces.values())
    if sum(row[4] for row in answers["loss-by-host"]) != lost:
        problem(f"{engine}: loss-by-host says {answers['loss-by-host']}, expected {lost} in all")
    if len(traces) >= LARGE:
        losing = [row[0] for row in answers["loss-by-host"] if row[4]]
        if losing != ["host03"]:
            problem(f"{engine}: loss-by-host names {losing}, expected host03")
        slower = {(row[1], row[3]) for row in answers["regressions-by-commit"]}
        if ("awe", "commit4") not in slower or any(commit != "commit4" or stage == "writing" for stage, commit in slower):
            problem(f"{engine}: regressions-by-commit names {sorted(slower)}, expected awe of commit4")


def main():
    folder, *files = sys.argv[1:]
    traces = analyzed(folder)
    asked = [json.loads(pathlib.Path(file).read_text()) for file in files]
    for engine in asked:
        name, answers = engine["engine"], engine["answers"]
        stages, worst = check_sketch(name, answers["stages"], traces)
        check_classes(name, answers["classes"], traces)
        check_rows(name, answers["rows"], traces)
        check_planted(name, answers, traces)
        for question, answer in answers.items():
            if not same(answer, asked[0]["answers"][question]):
                problem(f"{name}: another answer to {question} than {asked[0]['engine']}'s")
        print(f"{name}: {stages} stages and hand-offs of {len(traces)} traces as analyze says, percentiles at most {100 * worst:.2f} % off")
    print("\n".join(problems[:20]), file=sys.stderr)
    sys.exit(bool(problems))


main()
