#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the figures of README.md: for each program <name>_bench its <name>_bench.py makes tables of what it measured."""
import argparse
import importlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--build", required=True)
    arguments.add_argument("--deps", required=True)
    arguments.add_argument("programs", nargs="*")
    options = arguments.parse_args()
    failed = False
    for program in options.programs:
        report = importlib.import_module(os.path.basename(program))
        try:
            report.report(program, options.build)
        except Exception as error:  # the other figures are still worth having
            print(f"error: {os.path.basename(program)}: {error}", file=sys.stderr)
            failed = True
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
