#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The VMM for long: starts in a row, a guest under load that is saved and resumed again and again, hostile guests of many seeds.

Each nested host comes up once; a guest that fails ends the run. The last line counts.
"""
import argparse
import os
import sys
import time

from figures import expect, lines_with
from host import Host
from test_vmm_hostile import attack
from test_vmm_snapshot import load_both_ways

ATTACKS = ("hypercalls", "messages", "lists", "signals", "rings")


def say(text):
    print(f"host: {text}", flush=True)


def one_start(host):
    """From the VMM's start to the guest's first line, and to its end: seconds."""
    began = time.monotonic()
    with host.start_vmm(os.path.join(host.build, "guests", "echo.elf"), append="rounds=5", memory_mib=64, trace=False) as guest:
        guest.console.wait_for("kernel: Barebus")
        first = time.monotonic() - began
        expect(guest.wait() == 0, "it failed", guest)
    expect(lines_with(guest, "echo: done rounds=5"), "it did not exchange packets", guest)
    return first, time.monotonic() - began


def starts(options, count):
    """Guests in a row on one host; then the host with each of a tenth as many, which is what a user waits for."""
    with Host(deps=options.deps, build=options.build, say=say) as host:
        times = sorted(one_start(host) for _ in range(count))
    first = [time_to_first for time_to_first, _ in times]
    print(f"{count} starts of the VMM: the guest's first line after {first[0]:.2f} s at best, {first[count // 2]:.2f} s usually, "
          f"{first[-1]:.2f} s at worst", flush=True)
    whole = []
    for _ in range(count // 10):
        began = time.monotonic()
        with Host(deps=options.deps, build=options.build) as host:
            up = time.monotonic() - began
            whole.append((up + one_start(host)[0], up, host.restarts))
    whole.sort()
    if whole:
        usual = whole[len(whole) // 2]
        print(f"{len(whole)} starts with the host: first line after {whole[0][0]:.1f} s at best, {usual[0]:.1f} s usually (the host "
              f"{usual[1]:.1f} s of it), {whole[-1][0]:.1f} s at worst; hosts that did not come up at once: "
              f"{sum(restarts for _, _, restarts in whole)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--deps", default="build/deps")
    parser.add_argument("--starts", type=int, default=200)
    parser.add_argument("--saves", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=20, help="of each attack")
    options = parser.parse_args()

    if options.starts:
        starts(options, options.starts)
    with Host(deps=options.deps, build=options.build, say=say) as host:
        done = 0
        while done < options.saves:
            rounds = min(20, options.saves - done)
            under_way = load_both_ways(host, rounds, seed=done)
            done += rounds
            print(f"{done} saves and resumes, {under_way} packets of the host under way in the last {rounds}", flush=True)
        for seed in range(1, options.seeds + 1):
            for scenario in ATTACKS:
                attack(host, scenario, seed, processors=1 + seed % 2)
        print(f"{options.seeds} seeds of {len(ATTACKS)} attacks", flush=True)
    print("soak passed")


if __name__ == "__main__":
    sys.exit(main())
