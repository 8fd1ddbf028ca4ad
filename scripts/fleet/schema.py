"""Compares the columns of every file of a dataset, as pyarrow sees them, with format-spec/dataset.json.

usage: schema.py DATASET      exit code 1 and a line for each difference
"""

import json
import pathlib
import sys

import pyarrow.parquet

SCHEMA = pathlib.Path(__file__).parent.parent.parent / "format-spec" / "dataset.json"
NAMES = {"timestamp[us, tz=UTC]": "timestamp(us, UTC)", "list<element: int64>": "list<int64>", "list<element: string>": "list<string>"}


def columns(file):
    for field in pyarrow.parquet.read_schema(file):
        yield field.name, NAMES.get(str(field.type), str(field.type)), field.nullable


def main():
    schema = json.loads(SCHEMA.read_text())
    problems, files = [], 0
    for table, expected in schema["tables"].items():
        expected = [(column["name"], column["type"], column["null"]) for column in expected]
        for file in sorted(pathlib.Path(sys.argv[1], table).rglob("*.parquet")):
            files += 1
            problems += [
                f"{file}: {found}, expected {wanted}" for found, wanted in zip(columns(file), expected) if found != wanted
            ]
            if len(list(columns(file))) != len(expected):
                problems.append(f"{file}: {len(list(columns(file)))} columns, expected {len(expected)}")
            partitions = [part.split("=")[0] for part in file.relative_to(sys.argv[1]).parts[1:-1]]
            if partitions != [partition["name"] for partition in schema["partitions"]]:
                problems.append(f"{file}: it is in {partitions}")
    print(f"{files} files have the columns of format-spec/dataset.json")
    print("\n".join(problems[:20]), file=sys.stderr)
    sys.exit(bool(problems) or not files)


main()
