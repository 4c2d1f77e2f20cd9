#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Time from a guest's entry to VMBus connected, for our image and for a stock Debian Linux on the same host: a table for docs/figures.md.

Both are timed by QEMU, with QEMU's clock: entry is the firmware's last access to fw_cfg, the kernel's entry address, behind which it
jumps; connected is REQUESTOFFERS, which a guest sends as soon as it has the host's yes to a version. Neither needs a word of the
guest. Beside that each guest's own clock.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))

import nested_image  # noqa: E402
from guest import GuestEnded, GuestTimeout, HostError  # noqa: E402
from host import Host  # noqa: E402

TRACE = ("-msg", "timestamp=on", "-trace", "fw_cfg_select", "-trace", "vmbus_recv_message")
REQUEST_OFFERS = 3
MODULES = ("hv_vmbus.ko", "hv_balloon.ko")
LIMIT = 90    # seconds a guest may take; Linux takes about ten nested
FAILURES = 2  # of a guest, before its line is given up; each is said


def linux_files(deps, folder):
    """The kernel as Debian ships it, the same unpacked, and an initial file system with nothing but our init and the modules."""
    os.makedirs(folder, exist_ok=True)
    packed = os.path.join(deps, "kernel", "vmlinuz")
    unpacked, initrd, init = (os.path.join(folder, name) for name in ("vmlinux", "initrd.cpio", "init"))
    with open(unpacked, "wb") as file:
        file.write(nested_image.kernel_elf(packed))
    subprocess.run(["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-o", init,
                    os.path.join(HERE, "linux_init.c")], check=True)
    with open(initrd, "wb") as file:
        archive = nested_image.Archive(file)
        archive.device("dev/console", 5, 1)
        archive.device("dev/kmsg", 1, 11)
        archive.add(init, "init")
        for name in MODULES:
            archive.add(os.path.join(deps, "kernel", "modules", name), name)
        archive.end()
    return packed, unpacked, initrd


def moments(trace):
    """Seconds of (entry, connected) on QEMU's clock."""
    event = re.compile(r"@(\d+\.\d+):(fw_cfg_select|vmbus_recv_message) (?:type (\d+))?")
    entry = None
    for when, name, kind in event.findall(trace):
        if name == "fw_cfg_select":
            entry = float(when)
        elif int(kind) == REQUEST_OFFERS and entry:
            return entry, float(when)
    raise GuestEnded("QEMU saw no VMBus connection")


def inside(text):
    """Seconds of the guest's own clock at the connection, by its line about it; None without a console."""
    ours = re.search(r"hello: vmbus connected_us=(\d+)", text)
    linux = re.search(r"kmsg: \d+,\d+,(\d+),.*Vmbus version", text)
    return int((ours or linux).group(1)) / 1e6 if ours or linux else None


def measure_once(host, elf, **options):
    with host.start(elf, extra_args=TRACE, **options) as guest:
        status = guest.wait(LIMIT)
    if status != 0:
        raise GuestEnded(f"status {status}; its last line: {guest.console.last_line()}")
    entry, connected = moments(guest.errors)
    return connected - entry, inside(guest.console.text())


def usual(times):
    """Median and span, in a table's words."""
    digits = 3 if statistics.median(times) < 1 else 1
    return f"{statistics.median(times):.{digits}f} s ({min(times):.{digits}f} to {max(times):.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--deps", default="build/deps")
    parser.add_argument("--runs", type=int, default=7, help="of each guest")
    options = parser.parse_args()
    packed, unpacked, initrd = linux_files(options.deps, os.path.join(options.build, "bench", "linux"))
    with open(os.path.join(options.deps, "kernel", "version"), encoding="ascii") as file:
        version = file.read().strip()

    hello = os.path.join(options.build, "hello.elf")
    linux = {"append": "console=ttyS0 quiet panic=-1", "initrd": initrd}
    guests = {
        "`hello`, as `make run` boots it": (hello, {"append": "run=0"}),
        "`hello`, without a serial port": (hello, {"append": "run=0", "console": False}),
        "Linux, `quiet`, kernel unpacked beforehand": (unpacked, linux),
        "Linux, `quiet`, kernel as shipped": (packed, linux),
    }
    load_before = os.getloadavg()[0]  # by others: the levels of a nested host add one or two
    outside = {name: [] for name in guests}
    own = {name: [] for name in guests}
    failures = dict.fromkeys(guests, 0)
    with Host(deps=options.deps, build=options.build, say=lambda text: print(f"host: {text}", file=sys.stderr, flush=True)) as host:
        kind = host.kind
        # In turn, so that what else this machine does falls on all alike.
        while any(len(outside[name]) < options.runs and failures[name] <= FAILURES for name in guests):
            for name, (elf, settings) in guests.items():
                if len(outside[name]) >= options.runs or failures[name] > FAILURES:
                    continue
                try:
                    seconds, inner = measure_once(host, elf, **settings)
                except (GuestEnded, GuestTimeout) as error:
                    failures[name] += 1
                    print(f"start.py: {name}: {error}", file=sys.stderr, flush=True)
                    continue
                outside[name].append(seconds)
                if inner is not None:
                    own[name].append(inner)
    if not all(outside.values()):
        raise HostError("nothing to compare with: " + ", ".join(name for name in guests if not outside[name]))

    print(f"\n### Guest entry to VMBus connected ({kind})\n")
    print(f"By QEMU's clock, from the firmware's jump to the kernel to the guest's REQUESTOFFERS; {options.runs} starts each, in turn; median (least to most).")
    print(f"One processor, 256 MiB. Linux: Debian's {version}, an initial file system of one static program that loads hv_vmbus and hv_balloon.\n")
    print("| Guest | entry to connected | by the guest's own clock | times `hello` | times `hello` without a serial port |")
    print("|---|--:|--:|--:|--:|")
    plain, silent = (statistics.median(outside[name]) for name in list(guests)[:2])
    for name, times in outside.items():
        median = statistics.median(times)
        clock = usual(own[name]) if own[name] else "-"
        print(f"| {name} | {usual(times)} | {clock} | {median / plain:.1f} | {median / silent:.1f} |")
    failed = [f"{name}: {count}" for name, count in failures.items() if count]
    print("\nEach byte on the console costs an exit to QEMU, which is slow where the host is nested: `hello` writes one line before it connects,")
    print("a quiet Linux none. Linux' own clock starts later than the kernel.")
    print("Starts that failed and were repeated: " + ("; ".join(failed) if failed else "none") + ". "
          f"Load of this machine, which has {os.cpu_count()} processors: {load_before:.1f} before, {os.getloadavg()[0]:.1f} after.")


if __name__ == "__main__":
    try:
        main()
    except (HostError, nested_image.ImageError, subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"start.py: error: {error}")
