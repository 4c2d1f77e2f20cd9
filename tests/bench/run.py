#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the figures of docs/figures.md: for each program <name>_bench its <name>_bench.py makes tables of what it measured. A program without
one prints them itself."""
import argparse
import importlib
import importlib.util
import os
import subprocess
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
        name = os.path.basename(program)
        try:
            if importlib.util.find_spec(name) is not None:
                importlib.import_module(name).report(program, options.build)
            else:
                subprocess.run([program], check=True)
        except Exception as error:  # the other figures are still worth having
            print(f"error: {name}: {error}", file=sys.stderr)
            failed = True
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
