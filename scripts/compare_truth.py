#!/usr/bin/env python3
"""Compares what `tracer analyze --format json` found in a synthetic trace with what `synth` said is true of it.

usage: compare_truth.py TRUTH ANALYSIS

Counts, least, mean and greatest latency must be equal, percentiles within 0.2 %: both sides count in buckets. Says where
they differ and exits with 1 if they do.
"""

import json
import sys


def read_truth(path):
    """The lines `WORD NAME NUMBER` as {(word, name): number}."""
    truth = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            word, name, number = line.split()
            truth[word, name] = float(number) if "." in number else int(number)
    return truth


def pairs(truth, analysis):
    """What is compared: (what, true, found, tolerance)."""
    events = {f"{probe['provider']}:{probe['probe']}": probe["events"] for probe in analysis["probes"]}
    fired = {name: number for (word, name), number in truth.items() if word == "fired"}
    for name, number in fired.items():
        yield f"events of {name}", number - truth["lost", name], events.get(name, 0), 0
    lost = sum(number for (word, _), number in truth.items() if word == "lost")
    yield "lost events", lost, analysis["loss"]["lost"], 0
    yield "gaps", truth["gaps", "trace"], analysis["loss"]["gaps"], 0
    yield "damaged places", 0, analysis["loss"]["damaged_places"], 0
    stages = {stage["name"]: stage for stage in analysis["stages"]}
    names = [name for (word, name) in truth if word == "spans"]
    yield "stages", len(names), len(stages), 0
    for name in names:
        stage = stages.get(name, {})
        latency = stage.get("latency_ns") or {}
        counts = [("spans", "complete"), ("open", "open"), ("orphan", "orphan_end"), ("reordered", "reordered")]
        for word, member in counts:
            yield f"{word} of {name}", truth[word, name], stage.get(member), 0
        for member in ("repeated_begin", "repeated_end", "inverted", "without_key"):
            yield f"{member} of {name}", 0, stage.get(member), 0
        for word, tolerance in [("min", 0), ("mean", 0), ("max", 0), ("p50", 0.002), ("p90", 0.002),
                                ("p99", 0.002), ("p999", 0.002)]:
            if truth["spans", name]:
                yield f"{word} of {name}", truth[word, name], latency.get(word), tolerance


def main():
    truth = read_truth(sys.argv[1])
    with open(sys.argv[2], encoding="utf-8") as text:
        analysis = json.load(text)
    compared, wrong = 0, 0
    for what, true, found, tolerance in pairs(truth, analysis):
        compared += 1
        if found is None or abs(found - true) > tolerance * true:
            wrong += 1
            print(f"{what}: {true} is true, analyze found {found}")
    print(f"compared with the truth: {compared} figures, {wrong} differ")
    return 1 if wrong else 0


sys.exit(main())
