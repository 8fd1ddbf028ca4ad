#!/usr/bin/env python3
"""Checks the rooms of each crate: the folders of its source, and which room uses which.

Checks as well that the files and folders that ARCHITECTURE.md names exist.

A room is the first component of a module's path under `src/`; what stands in `lib.rs` or `main.rs` itself is the
door. Edges are read from the source (`use crate::...` and paths that begin with `crate::` or `super::`), tests left
out, and compared with the edges declared in scripts/rooms.txt. Fails on an edge that is not declared, a declared one
that is not used, a circle, a type name that means two things in a crate, and a folder with too many files.

usage: scripts/rooms.py [--print]    --print shows every edge with the lines it comes from
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "scripts" / "rooms.txt"
MOST_FILES = 12
TYPE = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:struct|enum|union|trait|type)\s+([A-Z]\w*)", re.M)


def source_without_comments(text):
    """The text with comments and string literals blanked, lines kept."""
    pattern = re.compile(r"//[^\n]*|/\*.*?\*/|r#\"(?:.|\n)*?\"#|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])'", re.S)
    return pattern.sub(lambda found: "\n" * found.group().count("\n"), text)


def without_tests(text):
    """The text without modules and items behind #[cfg(test)], whose braces are matched."""
    while (found := re.search(r"#\[cfg\(test\)\]\s*", text)) is not None:
        end = found.end()
        depth = 0
        while end < len(text):
            if text[end] == "{":
                depth += 1
            elif text[end] == "}":
                depth -= 1
                if depth == 0:
                    break
            elif text[end] == ";" and depth == 0:
                break
            end += 1
        blank = "\n" * text[found.start() : end + 1].count("\n")
        text = text[: found.start()] + blank + text[end + 1 :]
    return text


def paths_of_use(tree):
    """Splits `a::{b, c::{d, e}}` into a::b, a::c::d, a::c::e."""
    tree = re.sub(r"\s+as\s+\w+", "", tree)
    tree = re.sub(r"\s+", "", tree)
    open_brace = tree.find("{")
    if open_brace < 0:
        return [tree]
    prefix, inner, depth, parts, part = tree[:open_brace], tree[open_brace + 1 : -1], 0, [], ""
    for char in inner:
        if char == "," and depth == 0:
            parts.append(part)
            part = ""
            continue
        depth += {"{": 1, "}": -1}.get(char, 0)
        part += char
    parts.append(part)
    return [path for part in parts if part for path in paths_of_use(prefix + part)]


class Crate:
    """One crate's source: its rooms, edges, type names and folders."""

    def __init__(self, name, folder):
        self.name, self.folder = name, ROOT / folder / "src"
        self.edges, self.types, self.problems = {}, {}, []
        self.files = sorted(
            path for path in self.folder.rglob("*.rs") if "bin" not in path.relative_to(self.folder).parts[:1]
        )
        self.door = self.folder / ("lib.rs" if (self.folder / "lib.rs").exists() else "main.rs")
        self.doors_names = self.reexports()
        for path in self.files:
            self.read(path)
        self.check_types()
        self.check_folders()

    def module(self, path):
        """The module path of a file, without the crate."""
        parts = list(path.relative_to(self.folder).with_suffix("").parts)
        return [] if path == self.door else [part for part in parts if part != "mod"]

    def reexports(self):
        """Names that the door gives out, and the room that each comes from."""
        names = {}
        text = source_without_comments(self.door.read_text())
        for use in re.findall(r"pub(?:\(crate\))? use ([^;]+);", text):
            for path in paths_of_use(use.strip()):
                parts = [part for part in path.split("::") if part not in ("crate", "self")]
                names[parts[-1]] = parts[0]
        return names

    def read(self, path):
        text = source_without_comments(path.read_text())
        text = without_tests(text)
        module = self.module(path)
        for found in TYPE.finditer(text):
            # An associated type is indented inside of an impl or trait, and has its meaning from there.
            if not found.group().lstrip("\n").startswith((" ", "\t")):
                self.types.setdefault(found.group(1), set()).add(path)
        if not module:
            return
        room = module[0]
        self.edges.setdefault(room, {})
        for found in re.finditer(r"\b(crate|super)((?:::\w+)*)(::\{)?", text):
            tail = found.group(2).split("::")[1:]
            base = [] if found.group(1) == "crate" else module[:-1]
            while tail and tail[0] == "super" and base:
                base, tail = base[:-1], tail[1:]
            # pub(crate) and pub(super) are no paths.
            if not tail and not found.group(3):
                continue
            targets = [base + tail]
            if found.group(3):
                end, depth = found.end(), 1
                while depth and end < len(text):
                    depth += {"{": 1, "}": -1}.get(text[end], 0)
                    end += 1
                inner = paths_of_use("{" + text[found.end() : end])
                targets = [base + tail + name.split("::") for name in inner]
            line = text.count("\n", 0, found.start()) + 1
            for target in targets:
                to = self.doors_names.get(target[0], target[0]) if target else None
                if to and to != room and to in self.rooms():
                    place = f"{path.relative_to(ROOT)}:{line}"
                    self.edges[room].setdefault(to, []).append(place)

    def rooms(self):
        return {self.module(path)[0] for path in self.files if self.module(path)}

    def check_types(self):
        for name, paths in sorted(self.types.items()):
            if len(paths) > 1:
                where = ", ".join(str(path.relative_to(ROOT)) for path in sorted(paths))
                self.problems.append(f"{self.name}: the type name {name} means two things: {where}")

    def check_folders(self):
        folders = {}
        for path in self.files:
            folders.setdefault(path.parent, []).append(path)
        self.largest = max(len(files) for files in folders.values())
        for folder, files in sorted(folders.items()):
            if len(files) > MOST_FILES:
                self.problems.append(f"{folder.relative_to(ROOT)}: {len(files)} files, at most {MOST_FILES}")

    def circles(self):
        """Groups of rooms that reach each other (strongly connected components of two rooms and more)."""
        reach = {room: self.reached(room) for room in self.edges}
        groups = {frozenset(to for to in reach[room] if room in reach.get(to, ())) for room in self.edges}
        return sorted(sorted(group) for group in groups if len(group) > 1)

    def reached(self, room):
        seen, waiting = set(), list(self.edges.get(room, ()))
        while waiting:
            to = waiting.pop()
            if to not in seen:
                seen.add(to)
                waiting.extend(self.edges.get(to, ()))
        return seen

    def compare(self, declared):
        for room in sorted(self.edges.keys() | declared.keys()):
            used, allowed = self.edges.get(room, {}), declared.get(room, set())
            if room not in declared:
                self.problems.append(f"{self.name}: the room {room} is not declared in scripts/rooms.txt")
            for to in sorted(used.keys() - allowed):
                self.problems.append(f"{self.name}: {room} -> {to} is not declared: {', '.join(used[to][:3])}")
            for to in sorted(allowed - used.keys()):
                self.problems.append(f"{self.name}: {room} -> {to} is declared but not used")
        for circle in self.circles():
            self.problems.append(f"{self.name}: circle: {' '.join(circle)}")


def declarations():
    """{crate: (folder, {room: set of rooms})} from the table."""
    crates, rooms = {}, None
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        line = line.split("#")[0].rstrip()
        if not line:
            continue
        if line.startswith("["):
            name, folder = line.strip("[]").split()
            rooms = {}
            crates[name] = (folder, rooms)
        elif rooms is not None and "->" in line:
            room, _, to = line.partition("->")
            rooms[room.strip()] = set(to.split())
        else:
            sys.exit(f"{TABLE.name}:{number}: expected [CRATE FOLDER] or ROOM -> ROOM..., found {line!r}")
    return crates


def missing_paths():
    """Paths in ARCHITECTURE.md that are not there: what stands in backticks and has a slash."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    paths = sorted(set(re.findall(r"`([\w.-]+(?:/[\w.-]*)+)(?: [^`]*)?`", text)))
    return [f"ARCHITECTURE.md: there is no {path}" for path in paths if not (ROOT / path).exists()]


def main():
    problems = missing_paths()
    for name, (folder, declared) in declarations().items():
        crate = Crate(name, folder)
        crate.compare(declared)
        problems += crate.problems
        count = sum(len(to) for to in crate.edges.values())
        print(
            f"{name:<16} {len(crate.files):>3} files, largest folder {crate.largest:>2},"
            f" {len(crate.edges):>2} rooms, {count:>3} edges, {len(crate.circles())} circles"
        )
        if "--print" in sys.argv:
            for room, to in sorted(crate.edges.items()):
                print(f"    {room} -> {' '.join(sorted(to))}")
    print("\n".join(problems), file=sys.stderr)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
