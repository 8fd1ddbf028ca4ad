#!/usr/bin/env python3
"""Prints the licences of all crates that are linked into tracer: their notices have to come with the program.

usage: notices.py ROOT
"""

import json
import pathlib
import subprocess
import sys

PLATFORM = "x86_64-unknown-linux-gnu"
# How files with licences are called.
BEGINS = ("license", "licence", "copying", "notice", "unlicense")


def main(root):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", PLATFORM]
    metadata = json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    edges = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}
    ours = set(metadata["workspace_members"])
    # What is linked in: without what only tests and build scripts use.
    linked, new = set(), [next(id for id in ours if packages[id]["name"] == "tracer")]
    while new:
        id = new.pop()
        if id not in linked:
            linked.add(id)
            new += [dep["pkg"] for dep in edges[id] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    for package in sorted((packages[id] for id in linked - ours), key=lambda it: (it["name"], it["version"])):
        print(f"== {package['name']} {package['version']}: {package['license'] or 'see below'}\n")
        folder = pathlib.Path(package["manifest_path"]).parent
        for file in sorted(folder.iterdir()):
            if file.is_file() and file.name.lower().startswith(BEGINS):
                print(f"-- {file.name}\n\n{file.read_text(errors='replace').strip()}\n")


main(*sys.argv[1:])
