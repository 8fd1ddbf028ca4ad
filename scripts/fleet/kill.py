"""Kills an exporter again and again, also while it merges files, beside a reader that asks all the time.

usage: kill.py TRACER DATASET TRACE...     exit code 1 and a line for each row that was broken, doubled or missing
"""

import pathlib
import random
import subprocess
import sys
import threading
import time

import duckdb

KILLS = 20
TABLES = ("events", "spans", "sketch", "runs")
# Above a million rows nothing is compared row by row: counts and a sum that no change leaves as it was.
SUMS = {
    "events": "COUNT(*), SUM(HASH(ts_ns, tid, probe, seq)::HUGEINT)",
    "spans": "COUNT(*), SUM(HASH(stage, key, begin_ns, end_ns, class)::HUGEINT)",
    "sketch": "COUNT(*), SUM(HASH(stage, bucket, count)::HUGEINT)",
    "runs": "COUNT(*), SUM(HASH(stage, complete, p50_ns)::HUGEINT)",
}


class Reader(threading.Thread):
    """Asks again and again what each trace has in each table."""

    def __init__(self, dataset, whole):
        super().__init__(daemon=True)
        self.dataset, self.whole = dataset, whole
        self.over = threading.Event()
        self.asked, self.again, self.problems = 0, 0, []

    def run(self):
        while not self.over.is_set():
            # First what is committed, then the rest: a trace that is in runs has all of its rows.
            committed = None
            for table in ("runs", "events", "spans", "sketch"):
                rows = self.rows(table)
                if rows is None:
                    break
                self.check(table, rows, committed)
                committed = set(rows) if table == "runs" else committed

    def rows(self, table):
        """What each trace has, or None if a merge took away a file that was listed."""
        try:
            self.asked += 1
            return read(self.dataset, table)
        except duckdb.IOException as error:
            if "No files found" in str(error):
                return {}
            if "No such file" not in str(error):
                self.problems.append(f"{table}: {error}")
            self.again += 1
            return None
        except duckdb.Error as error:
            self.problems.append(f"{table}: {error}")
            return None

    def check(self, table, rows, committed):
        for trace, found in rows.items():
            if found != self.whole[table][trace]:
                self.problems.append(f"{table}: {trace} has {found}, expected {self.whole[table][trace]}")
        for trace in (committed or set()) - set(rows):
            if trace in self.whole[table]:
                self.problems.append(f"{table}: {trace} is in runs and not here")


def read(dataset, table):
    files = f"{dataset}/{table}/*/*/*.parquet"
    query = f"SELECT trace, {SUMS[table]} FROM read_parquet('{files}', hive_partitioning = true) GROUP BY trace"
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        return {trace: figures for trace, *figures in connection.execute(query).fetchall()}


def export(tracer, dataset, traces):
    command = [tracer, "export", "--dataset", dataset, "--date", "2026-05-01", "--compact", *traces]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def generation(tracer, dataset, traces, whole, chance, seconds):
    """Adds the traces to a new dataset with kills in between, until all are there. Gives the kills and the reader."""
    pathlib.Path(dataset).mkdir()
    reader = Reader(dataset, whole)
    reader.start()
    kills, left = 0, list(traces)
    while left:
        # A few traces at a time, so that kills fall on all parts of the work.
        exporter = export(tracer, dataset, left[:3])
        time.sleep(chance.random() * seconds)
        exporter.kill()
        killed = exporter.wait() < 0
        kills += killed
        if not killed or chance.random() < 0.2:
            # What was left is completed; others come next.
            export(tracer, dataset, left[:3]).wait()
            left = left[3:]
    if export(tracer, dataset, traces).wait() not in (0, 3):
        sys.exit("the exporter failed after the kills")
    # The reader sees the end at least once.
    asked = reader.asked
    while reader.is_alive() and reader.asked < asked + 8:
        time.sleep(0.01)
    reader.over.set()
    reader.join()
    for table in TABLES:
        found = read(dataset, table)
        if found != whole[table]:
            text = f"{table}: {len(found)} traces at the end, expected {len(whole[table])} with the same rows"
            reader.problems.append(text)
    left = [path.name for path in pathlib.Path(dataset, ".tracer").iterdir() if path.name not in ("lock", "version")]
    if left:
        reader.problems.append(f"left over: {left}")
    return kills, reader


def main():
    tracer, dataset, *traces = sys.argv[1:]
    start = time.monotonic()
    if export(tracer, dataset + "-whole", traces).wait() not in (0, 3):
        sys.exit("the exporter failed")
    seconds = 3 * (time.monotonic() - start) / len(traces)
    whole = {table: read(dataset + "-whole", table) for table in TABLES}
    chance = random.Random(1)
    kills = asked = again = number = 0
    problems = []
    while kills < KILLS:
        more, reader = generation(tracer, f"{dataset}-{number}", traces, whole, chance, seconds)
        kills, asked, again = kills + more, asked + reader.asked, again + reader.again
        problems += reader.problems
        number += 1
        if number > KILLS:
            sys.exit(f"only {kills} exporters were still at work when they were killed")
    said = "wrong" if problems else "every row once"
    print(f"{kills} exporters killed, {asked} questions meanwhile, {again} of them asked again as files were merged: {said}")
    print("\n".join(problems[:20]), file=sys.stderr)
    sys.exit(bool(problems))


main()
