#!/usr/bin/python3
"""Compares what babeltrace2 finds in a CTF export with what tracer replays: times, names, contexts, fields, lost events.

usage: check_ctf.py TRACER TRACE...     needs Debian's python3-bt2; exit code 1 and one line per difference
"""

import collections
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

import bt2

# Of a line of the log: the probe.
PROBE = re.compile(r"\[ *\d+\] \[PID: *\d+\] .*? (\S+:\S+) +\| Seq: ")


def run(*command):
    """Standard output of a command; exit code 3 (done, but events were lost) is fine."""
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    if done.returncode not in (0, 3):
        sys.exit(f"{command}: exit code {done.returncode}: {done.stderr.decode()}")
    return done.stdout.decode()


def replayed(tracer, trace):
    """What tracer replays: events, losses (end and count), wall time of the first event in us."""
    names = [found[1] for line in run(tracer, "replay", trace).splitlines() if (found := PROBE.match(line))]
    info = json.loads(run(tracer, "info", trace, "--format", "json"))
    keys = {(probe["provider"], probe["probe"]): probe["key_argument"] for probe in info["probes"]}
    events, losses, first = collections.Counter(), collections.Counter(), None
    lines = [json.loads(line) for line in run(tracer, "replay", trace, "--format", "jsonl").splitlines()]
    names = iter(names)
    for line in lines:
        if "lost" in line:
            losses[line["to_ns"], line["lost"]] += 1
            continue
        key = keys[line["provider"], line["probe"]] if line["seq"] is not None else None
        args = {"seq" if at == key else f"arg{at}": plain(arg) for at, arg in enumerate(line["args"]) if arg is not None}
        host = line["host"] or "?" if len(info["hosts"]) > 1 else None
        first = first or (line["time_ns"], line["time"])
        thread = (line["cpu"], host, line["pid"], line["tid"], plain(line["program"]))
        events[line["time_ns"], next(names), *thread, *sorted(args.items())] += 1
    return events, losses, first


def plain(value):
    """A NUL ends a string in CTF."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def value_of(field):
    if isinstance(field, bt2._StringFieldConst):
        return str(field)
    return float(field) if isinstance(field, bt2._RealFieldConst) else int(field)


def found_in(folder):
    """The same as babeltrace2 finds it; wall times by time."""
    events, losses, walls = collections.Counter(), collections.Counter(), {}
    for message in bt2.TraceCollectionMessageIterator(str(folder)):
        if isinstance(message, bt2._DiscardedEventsMessageConst):
            losses[message.end_default_clock_snapshot.value, message.count] += 1
        if not isinstance(message, bt2._EventMessageConst):
            continue
        event, time = message.event, message.default_clock_snapshot
        packet, common = event.packet.context_field, event.common_context_field
        host = str(packet["host"]) if "host" in packet else None
        thread = (int(packet["cpu_id"]), host, int(common["vpid"]), int(common["vtid"]), str(common["procname"]))
        fields = {name: value_of(field) for name, field in event.payload_field.items()}
        # JSON has no such numbers.
        args = {name: it for name, it in fields.items() if not isinstance(it, float) or math.isfinite(it)}
        events[time.value, event.name, *thread, *sorted(args.items())] += 1
        walls[time.value] = time.ns_from_origin
    return events, losses, walls


def check(tracer, trace, folder):
    """All differences for one trace, as texts."""
    run(tracer, "export", trace, "--format", "ctf", "-o", folder)
    (events, losses, first), (found, found_losses, walls) = replayed(tracer, trace), found_in(folder)
    differences = []
    for what, left, right in ("event", events, found), ("loss", losses, found_losses):
        differences += [f"{what} {it} is not in the CTF trace" for it in (left - right)]
        differences += [f"{what} {it} is only in the CTF trace" for it in (right - left)]
    if first and first[1] and walls.get(first[0]):
        micros = walls[first[0]] // 1000 % 1_000_000
        if f".{micros:06}Z" not in first[1]:
            differences.append(f"the first event is at {walls[first[0]]} ns, tracer says {first[1]}")
    done = subprocess.run(["babeltrace2", folder], capture_output=True, check=False)
    lines = sum(line.startswith(b"[") for line in done.stdout.splitlines())
    complaints = [line for line in done.stderr.splitlines() if b"Tracer discarded" not in line]
    if done.returncode or lines != events.total() or complaints:
        differences.append(f"babeltrace2: exit code {done.returncode}, {lines} events, {complaints[:3]}")
    if not events:
        differences.append("has no events, nothing would be compared")
    if not differences:
        lost = sum(count * times for (_, count), times in losses.items())
        print(f"note: CTF of {pathlib.Path(trace).name}: {events.total()} events, {lost} lost;")
    return differences


def main(tracer, *traces):
    failed = not traces
    for trace in traces:
        with tempfile.TemporaryDirectory() as folder:
            for difference in check(tracer, trace, pathlib.Path(folder) / "ctf"):
                failed = True
                print(f"{trace}: {difference}")
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
