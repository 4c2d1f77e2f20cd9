#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packets through real interrupts: our guest on our VMM, which echoes them (apps/load, tests/host/load.c): a table for docs/figures.md.

The guest sends bursts, each when all of the last have come back, and measures by its own clock; exits are KVM's own counters, from
before the device is offered until the guest has printed its two lines, which are among them.
"""
import argparse
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from guest import GuestEnded, GuestTimeout, HostError  # noqa: E402
from host import Host, VmmError  # noqa: E402

SIZES = (64, 1500)
BURSTS = (1, 8, 64)
SECONDS = 4  # of each run


def exits(guest):
    """Exits of the guest's processor so far; None if KVM does not tell."""
    try:
        return guest.figures("exits 0").get("exits")
    except VmmError:
        return None


def measure(host, size, burst):
    """Figures of one run, by name."""
    with host.start_vmm(os.path.join(host.build, "load.elf"), append=f"sizes={size} bursts={burst} seconds={SECONDS} report=0 stay=60",
                        devices=("load",), trace=False) as guest:
        guest.command("rescind load")
        time.sleep(1)  # it has begun, and waits for the device
        before = exits(guest)
        guest.command("offer load")
        guest.console.wait_for("load: done bursts=", 30)
        after = exits(guest)
        text = guest.console.text()
        guest.command("quit")
    figures = {key: int(value) for line in re.findall(r"load: done (.*)", text) for key, value in re.findall(r"(\w+)=(\d+)", line)}
    if figures["lost"] or figures["wrong"]:
        raise GuestEnded(f"packets were lost, or came back wrong: {figures}")
    figures["exits"] = (after - before) / figures["bursts"] if None not in (before, after) else None
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--deps", default="build/deps")
    options = parser.parse_args()
    failed = False
    with Host(deps=options.deps, build=options.build) as host:
        print(f"\n### Packets through real interrupts ({host.kind})\n")
        print(f"Our guest on our VMM, which echoes each packet; bursts of B, {SECONDS} s each. us: from the first send of a burst to its last")
        print("completion, mean (least). Signals, interrupts and exits of the guest's processor: of one burst.\n")
        print("| P, bytes | B | packets/s | us a burst | signals | interrupts | exits |")
        print("|--:|--:|--:|--:|--:|--:|--:|")
        for size in SIZES:
            for burst in BURSTS:
                try:
                    figures = measure(host, size, burst)
                except (HostError, GuestTimeout, GuestEnded) as error:
                    print(f"error: size {size}, burst {burst}: {error}", file=sys.stderr)
                    failed = True
                    continue
                bursts = figures["bursts"]
                exits = "-" if figures["exits"] is None else f"{figures['exits']:.2f}"
                print(f"| {size} | {burst} | {figures['packets_per_second']} | {figures['burst_ns'] / 1000:.0f} "
                      f"({figures['shortest_ns'] / 1000:.0f}) | {figures['signals'] / bursts:.2f} | {figures['interrupts'] / bursts:.2f} | "
                      f"{exits} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
