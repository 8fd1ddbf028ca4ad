"""Watches for times in which the machine itself stands still: sleeps 2 ms at a time, on one CPU, with a priority above all else,
and prints "FROM_NS TO_NS" (CLOCK_MONOTONIC) of each time in which it was not woken up for 8 ms. Ends with process PID.
usage: pauses.py CPU PID"""
import os
import sys
import time

watched = f"/proc/{int(sys.argv[2])}"
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(60))
before = time.monotonic_ns()
while os.path.exists(watched):
    time.sleep(0.002)
    now = time.monotonic_ns()
    if now - before > 8_000_000:
        # One write for each line: another CPU's watcher writes to the same file.
        os.write(1, f"{before} {now}\n".encode())
    before = now
