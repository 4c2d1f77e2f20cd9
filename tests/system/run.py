#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the system tests: every function test_*(host) of every tests/system/test_*.py, one after the other on one host; tests of a
module that says WITHOUT_HOST = True get the names of folders alone, and no host is started for them.

A test passes if it returns, and fails by any exception (assert will do). It is ended after its limit, which is against a test that
hangs: a busy machine makes everything longer. Give one that takes more than a minute another than the usual with
@run.limit(seconds). A host that broke is replaced for the next test, and the test it broke under has failed, unless it broke by a
bug of its own that is known: then the test begins anew.
"""
import argparse
import importlib
import os
import signal
import sys
import time
import traceback

LIMIT_SECONDS = 300
# How QEMU ends by bugs of its own that a guest can only make rare (CAVEATS.md), and how often a test may meet one.
KNOWN_ENDS = ("gpadl_iter_seek: Assertion", "tcg_handle_interrupt: assertion failed")
ATTEMPTS = 3

if __name__ == "__main__":
    sys.modules["run"] = sys.modules["__main__"]  # one module, whether run or imported


class OutOfTime(BaseException):
    """Not an Exception, so that a test cannot take it for something it expected."""


def limit(seconds):
    """Sets a test's limit."""
    def mark(test):
        test.limit_seconds = seconds
        return test
    return mark


def collect(folder):
    names = sorted(name[:-3] for name in os.listdir(folder) if name.startswith("test_") and name.endswith(".py"))
    for name in names:
        module = importlib.import_module(name)
        for attribute, test in vars(module).items():
            if attribute.startswith("test_") and callable(test) and test.__module__ == name:
                yield f"{name}.{attribute}", test


class Folders:
    """What a test without a host is given in its place."""

    def __init__(self, options):
        self.build, self.deps = options.build, options.deps

    def stop_guest(self):
        pass

    def describe(self):
        return "its guests are gone"


class Runner:
    def __init__(self, options):
        self.options = options
        self.host = None
        self.restarts = 0
        self.known_ends = 0

    def _host(self):
        from host import Host
        if not self.host:
            host = Host(deps=self.options.deps, build=self.options.build, say=lambda text: print(f"host: {text}", flush=True))
            host.__enter__()
            self.host = host
            self.restarts += host.restarts
        return self.host

    def close(self):
        if self.host:
            self.host.close()
            self.host = None

    def run(self, name, test):
        began = time.monotonic()
        print(f"[ RUN    ] {name}", flush=True)
        for attempt in range(1, ATTEMPTS + 1):
            failure = self._attempt(test)
            print(failure, end="", flush=True)
            if failure and self.host and not self.host.usable():
                print("host: it broke, the next test gets another", flush=True)
                self.close()
            if attempt == ATTEMPTS or not any(end in failure for end in KNOWN_ENDS):
                break
            print("host: QEMU ended by a bug of its own that is known, the test begins anew", flush=True)
            self.known_ends += 1
        print(f"[ {'FAILED' if failure else '    OK'} ] {name} ({time.monotonic() - began:.1f} s)", flush=True)
        return not failure

    def _attempt(self, test):
        """Runs a test once; returns how it failed, or nothing."""
        seconds = getattr(test, "limit_seconds", LIMIT_SECONDS)

        def late(*_):
            raise OutOfTime(f"not done after {seconds} s\n{host.describe()}")

        signal.signal(signal.SIGALRM, late)
        try:
            without = getattr(sys.modules[test.__module__], "WITHOUT_HOST", False)
            host = Folders(self.options) if without else self._host()
            signal.alarm(seconds)
            try:
                test(host)
            finally:
                signal.alarm(0)
                host.stop_guest()
            return ""
        except (Exception, OutOfTime):  # pylint: disable=broad-except
            return traceback.format_exc()


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--deps", default="build/deps")
    parser.add_argument("--results", help="file that gets the count, for the sum over all kinds of tests")
    parser.add_argument("--only", help="run tests whose name contains this")
    options = parser.parse_args()

    tests = [(name, test) for name, test in collect(folder) if not options.only or options.only in name]
    if not tests:
        sys.exit("test-system: error: there is no such system test")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    runner = Runner(options)
    try:
        results = {name: runner.run(name, test) for name, test in tests}
    finally:
        runner.close()
    for name, passed in results.items():
        if not passed:
            print(f"failed: {name}")
    if runner.restarts:
        print(f"host: it did not come up at the first attempt {runner.restarts} time(s)")
    if runner.known_ends:
        print(f"host: tests that began anew because QEMU ended by a bug of its own that is known: {runner.known_ends}")
    failed = list(results.values()).count(False)
    count = f"{len(results) - failed} passed, {failed} failed"
    if options.results:
        os.makedirs(os.path.dirname(options.results), exist_ok=True)
        with open(options.results, "w", encoding="ascii") as file:
            print(count, file=file)
    print(count)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
