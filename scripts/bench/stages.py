"""The stages and hand-offs of the demo pipeline in an exported table of events, as DuckDB finds them: what tracer analyze is compared with.

usage: stages.py EVENTS.parquet [THREADS]
"""
import sys

import duckdb

STEPS = {
    "global": ("beg_global", "end_global"),
    "awe": ("beg_awe", "end_awe"),
    "writing": ("beg_writing", "end_writing"),
    "global begin -> awe": ("beg_global", "beg_awe"),
    "awe -> writing": ("end_awe", "beg_writing"),
    "writing -> global end": ("end_writing", "end_global"),
}


def main(file, threads="0"):
    if int(threads):
        duckdb.execute(f"set threads = {int(threads)}")
    probes = sorted({probe for pair in STEPS.values() for probe in pair})
    times = ", ".join(f"min(ts_ns) filter (probe = '{probe}') as {probe}" for probe in probes)
    figures = ", ".join(
        f"count({end} - {begin}), min({end} - {begin}), avg({end} - {begin}), max({end} - {begin}), "
        f"quantile_disc({end} - {begin}, [0.5, 0.9, 0.99, 0.999])"
        for begin, end in STEPS.values()
    )
    query = f"with buffers as (select {times} from read_parquet(?) group by seq) select {figures} from buffers"
    row = duckdb.execute(query, [file]).fetchone()
    for at, name in enumerate(STEPS):
        print(name, *row[5 * at : 5 * at + 5])


if __name__ == "__main__":
    main(*sys.argv[1:])
