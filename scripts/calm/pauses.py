"""Watches for times in which the machine itself stands still: sleeps 2 ms at a time, on one CPU, with a priority above all else,
and prints "FROM_NS TO_NS" (CLOCK_MONOTONIC) of each time in which it was not woken up for 8 ms.
usage: pauses.py CPU"""
import os
import sys
import time

os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(60))
before = time.monotonic_ns()
while True:
    time.sleep(0.002)
    now = time.monotonic_ns()
    if now - before > 8_000_000:
        print(before, now, flush=True)
    before = now
