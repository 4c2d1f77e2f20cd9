#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Figures of an ARM64 guest on the host at EL2, by the counter of an emulated machine on which each instruction takes a nanosecond:
instructions of guest and host together, the same in every run. No caches, no pipeline: counts, not times.

usage: arm64.py --build FOLDER
"""
import argparse
import os
import re
import sys
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import el2  # noqa: E402

ROUNDS = 1000


def fail(ended, what):
    sys.exit(f"arm64.py: error: {what}\n{ended}")


def connected(host):
    ended = el2.run(host, f"{host.build}/aarch64/hello.Image", "run=0")
    match = re.search(r"vmbus connected_us=(\d+)", ended.console)
    if ended.status != 0 or not match:
        fail(ended, "the guest did not connect")
    return int(match[1]) * 1000


def echo(host, delivery):
    """Instructions of one exchange, from the second thousand of them."""
    ended = el2.run(host, f"{host.build}/aarch64/guests/echo.Image", f"rounds={2 * ROUNDS} report={ROUNDS}", devices=["echo-sample"],
                    delivery=delivery)
    lines = re.findall(r"\[ *(\d+)\.(\d+)\] echo: rounds=", ended.console)
    if ended.status != 0 or len(lines) != 2:
        fail(ended, f"the echoes did not come back, delivery {delivery}")
    first, second = (int(seconds) * 1000000 + int(micros) for seconds, micros in lines)
    return (second - first) * 1000 // ROUNDS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    host = types.SimpleNamespace(build=parser.parse_args().build)
    print("\n### ARM64: instructions, on the host at EL2\n")
    print("Guest and host together, one processor, `-icount shift=0`; the same in every run.\n")
    print("| What | Instructions |")
    print("|---|--:|")
    print(f"| `hello`: entry to VMBus connected | {connected(host)} |")
    for delivery, how in (("at-once", "within the guest's hypercall"), ("at-wait", "when the guest waits")):
        print(f"| a request echoed and completed through KMCL, the host working {how} | {echo(host, delivery)} |")


if __name__ == "__main__":
    main()
