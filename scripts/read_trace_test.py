#!/usr/bin/env python3
"""Compares the second reader, read_trace.py, with `tracer replay`: on traces as they are, cut off, with a flipped bit,
with zeros or stray blocks in the middle, and one after the other.

usage: read_trace_test.py TRACER TRACE...

Both must print the same bytes. The exit codes agree too, but that read_trace.py, which walks every block, may report
damage (3) where `tracer`, by the index, read all events without passing it (0).
"""
import contextlib
import io
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import read_trace

# Damaged copies are made of traces up to this size, so many of each kind.
MAX_DAMAGED_BYTES = 1 << 20
COPIES = 40
ZEROS = 512


def variants(trace, follower):
    """Yields name and bytes of a trace as it is, behind which `follower` stands, and damaged in many ways."""
    yield "as it is", trace
    yield "with another behind it", trace + follower
    if len(trace) > MAX_DAMAGED_BYTES:
        return
    dice = random.Random(len(trace))
    places = sorted(dice.randrange(1, len(trace)) for _ in range(COPIES))
    ends = range(max(1, len(trace) - 200), len(trace), 7)
    for place in [*places, *ends]:
        yield f"cut off at {place}", trace[:place]
    for place in places:
        flipped = trace[place] ^ 1 << dice.randrange(8)
        yield f"bit flipped at {place}", trace[:place] + bytes([flipped]) + trace[place + 1 :]
        yield f"zeros at {place}", (trace[:place] + bytes(ZEROS) + trace[place + ZEROS :])[: len(trace)]
        yield f"junk at {place}", trace[:place] + dice.randbytes(99) + trace[place:]
    yield from strays(trace, follower, dice)


def block_starts(trace):
    return [found.start() for found in re.finditer(re.escape(read_trace.BLOCK_MAGIC), trace)]


def strays(trace, follower, dice):
    """A header, and a whole block, of this trace or another in front of one of its blocks; with and without its end."""
    places = block_starts(trace)
    for _ in range(COPIES):
        place, cut = dice.choice(places), dice.choice([len(trace), places[-3]])
        source = dice.choice([trace, follower])
        start = dice.choice(block_starts(source))
        behind = [it for it in block_starts(source) if it > start] + [len(source)]
        for name, end in (("header", start + read_trace.BLOCK_HEADER.size), ("block", behind[0])):
            stray = source[start:end]
            yield f"{name} at {place} to {cut}", trace[:place] + stray + trace[place:cut]


def replay(tracer, path):
    """Exit code and output of `tracer replay`."""
    done = subprocess.run([tracer, "replay", path], capture_output=True, check=False)
    return done.returncode, done.stdout


def read(path):
    """The same of read_trace.py."""
    output = io.TextIOWrapper(io.BytesIO())
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
        code = read_trace.run(["read_trace.py", str(path)])
    output.flush()
    return code, output.buffer.getvalue()


def main(tracer, *paths):
    traces = [pathlib.Path(path).read_bytes() for path in paths]
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "copy.trace"
        for place, (path, trace) in enumerate(zip(paths, traces)):
            for name, content in variants(trace, traces[place - 1]):
                copy.write_bytes(content)
                (code, log), (own_code, own_log) = replay(tracer, copy), read(copy)
                same = log == own_log and (code == own_code or (code, own_code) == (0, 3))
                passed, failed = passed + same, failed + (not same)
                if not same:
                    print(f"{path} {name}: tracer replay: exit code {code}, {len(log)} bytes; ", end="")
                    print(f"read_trace.py: {own_code}, {len(own_log)} bytes")
    print(f"{passed} passed, {failed} failed")
    return failed > 0 or passed == 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: read_trace_test.py TRACER TRACE...")
    sys.exit(main(*sys.argv[1:]))
