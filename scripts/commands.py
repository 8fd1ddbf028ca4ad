#!/usr/bin/env python3
"""Checks the commands in the project's documents: code blocks of a shell, and words between backticks.

A command of tracer is given to it, with --help behind its options, so that they are looked at and nothing is done. A
script has to be there and know its options, a test or example of cargo has to exist, and a variable has to be read
somewhere. Words in capitals stand for something else.

usage: scripts/commands.py TRACER
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:sudo )?(?:tracer |cargo |(?:\./)?scripts/)\S")


def commands(text):
    """Each command of a document, with its line."""
    kind = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            kind = line[3:].strip() if kind is None else None
        elif kind == "sh" or (kind == "console" and line.startswith("$ ")):
            yield number, line.removeprefix("$ ")
        elif kind is None:
            spans = re.findall(r"`([^`]+)`", line)
            yield from ((number, span) for span in spans if COMMAND.match(span))


def words_of(command):
    """The words, without a comment and the brackets around what may be left out."""
    words = shlex.split(command, comments=True)
    return [bare for word in words if (bare := word.strip("[]").removesuffix("...").strip("[]"))]


class Check:
    def __init__(self, tracer):
        self.tracer = tracer
        self.sources = "\n".join(
            path.read_text()
            for folder, end in [("src", "rs"), ("tests", "rs"), ("scripts", "sh"), ("recorder/tests", "rs"), ("format-spec/fuzz", "sh")]
            for path in sorted((ROOT / folder).rglob(f"*.{end}"))
        )
        metadata = ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"]
        packages = json.loads(subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True).stdout)["packages"]
        self.targets = {
            (kind, target["name"]) for package in packages for target in package["targets"] for kind in target["kind"]
        } | {("package", package["name"]) for package in packages}

    def problem(self, words):
        """What is wrong with a command, or None."""
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            variable = words.pop(0).split("=")[0]
            if variable not in self.sources:
                return f"nothing reads the variable {variable}"
        if words and words[0] == "sudo":
            words = words[1:]
        program, words = words[0], words[1:]
        if program == "tracer":
            return self.problem_of_tracer(words)
        if program == "cargo":
            return self.problem_of_cargo(words)
        if "scripts/" in program:
            return self.problem_of_script(ROOT / program, words)
        return None

    def problem_of_tracer(self, words):
        if words[0].isupper():
            return None
        words = words[: words.index("--")] if "--" in words else words
        run = subprocess.run([self.tracer, *words, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return run.stderr.splitlines()[0] if run.returncode else None

    def problem_of_cargo(self, words):
        kinds = {"--test": "test", "--example": "example", "-p": "package", "--package": "package", "--bin": "bin"}
        for option, name in zip(words, words[1:]):
            if option in kinds and not name.isupper() and (kinds[option], name) not in self.targets:
                return f"there is no {kinds[option]} {name}"
        return None

    def problem_of_script(self, script, words):
        if script.is_dir() or script.suffix == ".txt":
            return None
        if not script.is_file() or not script.stat().st_mode & 0o111:
            return f"{script.relative_to(ROOT)} is no program"
        unknown = [word for word in words if word.startswith("--") and word not in script.read_text()]
        return f"{script.relative_to(ROOT)} does not know {unknown[0]}" if unknown else None


def main():
    check, count, problems = Check(sys.argv[1]), 0, []
    for document in sorted(DOCUMENTS):
        for number, command in commands(document.read_text()):
            for part in command.split(" | "):
                if COMMAND.match(part):
                    count += 1
                    if problem := check.problem(words_of(part)):
                        problems.append(f"{document.relative_to(ROOT)}:{number}: {part}: {problem}")
    print("\n".join(problems), file=sys.stderr)
    print(f"note: {count} commands")
    sys.exit(bool(problems) or count == 0)


if __name__ == "__main__":
    main()
