"""Runs a command and prints "WALL CPU RSS ANON FILE": seconds, and MiB at the most: resident, of it its own, and of mapped files.

usage: measured.py COMMAND...        standard output and error are the command's; its exit code is passed on

The kernel keeps the peak of the sum only, so the parts are looked at every 10 ms; what is shorter is missed.
The line goes to file descriptor 3.
"""

import os
import sys
import time

begin = time.monotonic()
pid = os.fork()
if pid == 0:
    os.close(3)
    os.execvp(sys.argv[1], sys.argv[1:])
peak = {"RssAnon:": 0, "RssFile:": 0}
while True:
    done, status, usage = os.wait4(pid, os.WNOHANG)
    if done:
        break
    try:
        with open(f"/proc/{pid}/status") as facts:
            for line in facts:
                name, _, rest = line.partition("\t")
                if name in peak:
                    peak[name] = max(peak[name], int(rest.split()[0]))
    except (OSError, ValueError):
        pass
    time.sleep(0.01)
wall, cpu = time.monotonic() - begin, usage.ru_utime + usage.ru_stime
mib = [kib // 1024 for kib in (usage.ru_maxrss, peak["RssAnon:"], peak["RssFile:"])]
os.write(3, f"{wall:.2f} {cpu:.2f} {mib[0]} {mib[1]} {mib[2]}\n".encode())
sys.exit(os.waitstatus_to_exitcode(status))
