#!/usr/bin/env python3
"""Reads standard input slowly, as a bad link would: slow.py BYTES_PER_SECOND [FROM UNTIL], which reads nothing between these seconds."""
import sys
import time

rate = int(sys.argv[1])
pause = (float(sys.argv[2]), float(sys.argv[3])) if len(sys.argv) > 3 else (0.0, 0.0)
begun, read = None, 0
while chunk := sys.stdin.buffer.read1(min(65536, max(1, rate // 50))):
    begun = begun or time.monotonic()
    read += len(chunk)
    passed = time.monotonic() - begun
    if pause[0] <= passed < pause[1]:
        time.sleep(pause[1] - passed)
    # What was not read in a pause is not caught up with at once.
    time.sleep(max(0.0, len(chunk) / rate - 0.0005))
