#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the unit tests' programs and counts their tests.

A test that was compiled by several compilers counts once, and passes only if it passes under all of them. A program that
crashes, hangs or ends early fails the test it was at and those it did not reach.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys

LIMIT_SECONDS = 120  # a program; sanitized tests take a second or two
EMULATED_FACTOR = 5  # for one that an emulator runs
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def run(program, runner=()):
    """Returns the program's output, and {test: passed}."""
    limit = LIMIT_SECONDS * (EMULATED_FACTOR if runner else 1)
    try:
        done = subprocess.run([*runner, program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit,
                              env={**os.environ, **ENVIRONMENT}, stdin=subprocess.DEVNULL)
        output, status = done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode(errors="replace")
        output += f"\n{program}: not done after {limit} s, ended\n"
        status = -1

    name = os.path.basename(program)
    results = {}
    running = None
    for line in output.splitlines():
        match = re.match(r"\[( RUN      |       OK |  FAILED  |  ERROR   |  SKIPPED )\] (\w+)$", line)
        if not match:
            continue
        mark, test = match.group(1).strip(), f"{name}: {match.group(2)}"
        if mark == "RUN":
            if test in results:
                output += f"\n{program}: two tests are named {match.group(2)}\n"
                results[test + " (again)"] = False
            running = test
            results[test] = False
        elif test == running:
            results[test] = mark == "OK"
            running = None
    announced = sum(int(count) for count in re.findall(r"^\[==========\] Running (\d+) test", output, re.M))
    for number in range(announced - len(results)):
        results[f"{name}: not reached {number + 1}"] = False
    if not results:
        output += f"\n{program}: ran no test\n"
        results[f"{name}: the program"] = False
    elif status != 0 and all(results.values()):
        output += f"\n{program}: ended with status {status}\n"
        results[f"{name}: the program's end"] = False
    return output, results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, help="file that gets the count, for the sum over all kinds of tests")
    parser.add_argument("--runner", default="", help="command that runs a program which is none of this machine")
    parser.add_argument("programs", nargs="*")
    options = parser.parse_args()
    if not options.programs:
        sys.exit("test-unit: error: there is no such unit test")

    total = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for program, (output, results) in zip(
                options.programs, pool.map(lambda program: run(program, options.runner.split()), options.programs)):
            print(f"== {program}\n{output}", flush=True)
            for test, passed in results.items():
                total[test] = total.get(test, True) and passed

    failed = sorted(test for test, passed in total.items() if not passed)
    for test in failed:
        print(f"failed: {test}")
    count = f"{len(total) - len(failed)} passed, {len(failed)} failed"
    os.makedirs(os.path.dirname(options.results), exist_ok=True)
    with open(options.results, "w", encoding="ascii") as file:
        print(count, file=file)
    print(count)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
