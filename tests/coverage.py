#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs unit tests that were compiled with --coverage and tells what of the product they reach.

Prints a table by module, and writes what was not reached to a file: one line for each source line that never ran, and one for
each that has a branch never taken. Not counted are the failing side of an ASSERT(), which a defect of ours alone reaches, and
the files that run in whole guests only (WHOLE_GUESTS).
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys

LIMIT_SECONDS = 300  # a program; the longest takes some seconds
# What starts and stops a guest: a test program has its own start, and its own panic(). tests/system runs them.
WHOLE_GUESTS = ("kernel/start.c", "kernel/panic.c", "vmbus/start.c")


class Line:
    def __init__(self):
        self.count = 0
        self.branches = []

    def add(self, count, branches):
        """The same line, out of another object (a function of a header) or copy of it."""
        self.count += count
        if len(self.branches) < len(branches):
            self.branches += [0] * (len(branches) - len(self.branches))
        for number, taken in enumerate(branches):
            self.branches[number] += taken


def run(build, tests):
    for old in build.rglob("*.gcda"):
        old.unlink()
    for test in tests:
        try:
            done = subprocess.run([build / test], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                  timeout=LIMIT_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            sys.exit(f"coverage: error: {test} is not done after {LIMIT_SECONDS} s")
        if done.returncode != 0:
            print(done.stdout.decode(errors="replace"), file=sys.stderr)
            print(f"coverage: warning: {test} failed; what it reached is counted", file=sys.stderr)


def read(build):
    """{source: {line number: Line}} of the product's own files. An object that no test ran counts with zeros."""
    sources = collections.defaultdict(lambda: collections.defaultdict(Line))
    notes = sorted(build.rglob("*.gcno"))  # of tests too: functions of the product's headers are in them
    done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", *notes], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=True)
    for text in done.stdout.splitlines():
        for file in json.loads(text)["files"]:
            if file["file"].startswith(("/", "tests/")) or file["file"] in WHOLE_GUESTS:
                continue
            for line in file["lines"]:
                sources[file["file"]][line["line_number"]].add(line["count"], [b["count"] for b in line["branches"]])
    return sources


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("tests", nargs="+")
    options = parser.parse_args()
    run(options.build, options.tests)
    sources = read(options.build)

    missed_file = options.build / "uncovered"
    rows = {module: [0, 0, 0, 0] for module in sorted({os.path.dirname(name) for name in sources})}
    with open(missed_file, "w", encoding="utf-8") as missed:
        for name, lines in sorted(sources.items()):
            text = pathlib.Path(name).read_text(encoding="utf-8").splitlines()
            row = rows[os.path.dirname(name)]
            for number, line in sorted(lines.items()):
                source = text[number - 1].strip()
                row[0] += 1
                row[1] += line.count != 0
                if line.count == 0:
                    print(f"{name}:{number}: never runs: {source}", file=missed)
                if "ASSERT(" in source:
                    continue
                taken = sum(count != 0 for count in line.branches)
                row[2] += len(line.branches)
                row[3] += taken
                if line.count != 0 and taken != len(line.branches):
                    print(f"{name}:{number}: {taken} of {len(line.branches)} branches: {source}", file=missed)

    print(f"{'module':<18}{'lines':>8}{'run':>8}{'%':>8}{'branches':>10}{'taken':>8}{'%':>8}")
    rows["all"] = [sum(row[column] for row in rows.values()) for column in range(4)]
    for name, (lines, hit, branches, taken) in rows.items():
        print(f"{name:<18}{lines:>8}{hit:>8}{100 * hit / max(lines, 1):>8.1f}"
              f"{branches:>10}{taken:>8}{100 * taken / max(branches, 1):>8.1f}")
    print(f"what was not reached: {missed_file}")


if __name__ == "__main__":
    main()
