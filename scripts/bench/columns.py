"""Writes the events of a Parquet file of `tracer export` in the plainest columns that peers have, and prints their bytes.

usage: columns.py EVENTS.parquet FOLDER        needs pyarrow

Columns: ts (ns), pid, tid, cpu, seq; with "probe" also provider:probe, and the string argument where there is one, which is
all that a trace says of each event. Prints lines "NAME: BYTES".
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

# Rows of a batch, as many as a trace has in a block; of a row group, what writers take by default.
BATCH_ROWS, GROUP_ROWS = 1 << 16, 1 << 20


def plain(events, probe):
    columns = {
        "ts": events["ts_ns"].cast(pa.int64()),
        "pid": events["pid"].cast(pa.int32()),
        "tid": events["tid"].cast(pa.int32()),
        "cpu": events["cpu"].cast(pa.uint16()),
        "seq": events["seq"].cast(pa.int64()),
    }
    if probe:
        text = pa.string()
        names = pc.binary_join_element_wise(events["provider"].cast(text), events["probe"].cast(text), ":")
        columns["probe"] = names.dictionary_encode().combine_chunks()
        strings = pc.list_flatten(events["strings"]).drop_null()
        if len(strings) == events.num_rows:
            columns["name"] = strings.cast(text).dictionary_encode().combine_chunks()
    return pa.table(columns)


def main():
    source, folder = sys.argv[1], Path(sys.argv[2])
    events = pq.read_table(source)
    both = {"ts, pid, tid, cpu, seq": plain(events, False), "the same, probe, string": plain(events, True)}
    sizes = []
    for columns, table in both.items():
        path = folder / "plain"
        options = {"compression": "zstd", "row_group_size": GROUP_ROWS, "write_statistics": False}
        pq.write_table(table, path, **options)
        sizes.append((f"Parquet, zstd, default encodings: {columns}", path.stat().st_size))
        few = [name for name in table.column_names if name not in ("ts", "seq")]
        deltas = {"ts": "DELTA_BINARY_PACKED", "seq": "DELTA_BINARY_PACKED"}
        pq.write_table(table, path, use_dictionary=few, column_encoding=deltas, **options)
        sizes.append((f"Parquet, zstd, ts and seq as deltas: {columns}", path.stat().st_size))
        with ipc.new_file(path, table.schema, options=ipc.IpcWriteOptions(compression="zstd")) as file:
            file.write_table(table.unify_dictionaries(), max_chunksize=BATCH_ROWS)
        sizes.append((f"Arrow IPC, zstd: {columns}", path.stat().st_size))
    for name, size in sizes:
        print(f"{name}: {size}")


main()
