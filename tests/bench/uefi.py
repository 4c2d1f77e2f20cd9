#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the application for UEFI weighs, and how long it takes from firmware's hand-over to VMBus: a table for docs/figures.md."""
import argparse
import os
import re
import statistics
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))

from guest import GuestEnded, GuestTimeout, HostError  # noqa: E402
from host import Host  # noqa: E402

FIRMWARE = "/usr/share/ovmf/OVMF.fd"
STARTS = 5


def size_in_memory(application):
    """SizeOfImage of the PE header."""
    with open(application, "rb") as file:
        data = file.read(4096)
    header, = struct.unpack_from("<I", data, 0x3C)
    return struct.unpack_from("<I", data, header + 4 + 20 + 56)[0]


def connected(host, application):
    """Seconds from the application's first instruction to the bus, by the guest's own clock."""
    with host.start_vmm(application, append="run=0", trace=False, firmware=FIRMWARE) as guest:
        status = guest.wait(60)
    match = re.search(r"hello: vmbus connected_us=(\d+)", guest.console.text())
    if status != 0 or not match:
        raise GuestEnded(f"hello left with status {status}; its last line: {guest.console.last_line()}")
    return int(match[1]) / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--deps", default="build/deps")
    options = parser.parse_args()
    application = os.path.join(options.build, "hello.efi")
    with Host(deps=options.deps, build=options.build, say=lambda text: print(f"host: {text}", file=sys.stderr, flush=True)) as host:
        times = [connected(host, application) for _ in range(STARTS)]
    print("\n### Started by UEFI (`hello.efi`, x86-64)\n")
    print("| What | |")
    print("|---|--:|")
    print(f"| bytes of the file | {os.path.getsize(application)} |")
    print(f"| KiB in memory, a stack of 64 KiB and the log's last 64 KiB among them | {size_in_memory(application) >> 10} |")
    print(f"| firmware's hand-over to VMBus connected, on our VMM with OVMF, {STARTS} starts: median (least to most) | "
          f"{statistics.median(times):.3f} s ({min(times):.3f} to {max(times):.3f}) |")


if __name__ == "__main__":
    try:
        main()
    except (HostError, GuestEnded, GuestTimeout, OSError) as error:
        sys.exit(f"uefi.py: error: {error}")
