#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an image weighs and what memory it takes: tables for README.md. Text and data come from the linker's map, memory from the
image's program headers and from the figures that hello prints."""
import argparse
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "system"), os.path.join(HERE, "..", "..", "linker")]

import size_table  # noqa: E402
from guest import GuestEnded, GuestTimeout, HostError  # noqa: E402
from host import Host  # noqa: E402

LOAD, WRITABLE = 1, 2  # of a program header: p_type, p_flags
PAGE_KIB = 4
MEMORY_MIB = {"256 MiB": 256, "64 GiB": 64 << 10}


# The other architecture's image beside: its folder below the build folder, and what its modules are called there.
ARM64 = "aarch64"
SAME = {"arch/aarch64": "arch/x86_64", "boot/aarch64": "boot/x86_64", "kernel/picolibc": "kernel/newlib"}


def print_modules(build):
    modules = size_table.modules_of(os.path.join(build, "hello.map"), os.path.join(build, "x86_64"))
    other = size_table.modules_of(os.path.join(build, ARM64, "hello.map"), os.path.join(build, ARM64))
    other = {SAME.get(name, name): row for name, row in other.items()}
    print("\n### Size of an image (`hello`, -Os)\n")
    print("Bytes by module as linked, from the linker's map; what nothing refers to is not in it. The image for ARM64 moves itself to where it\n"
          "is loaded, and is an application for UEFI as well; on x86-64 that is a file of its own.\n")
    print("| Module | " + " | ".join(f"x86-64: {column}" if column == "text" else column for column in size_table.COLUMNS) + " | "
          + " | ".join(f"ARM64: {column}" if column == "text" else column for column in size_table.COLUMNS) + " |")
    print("|---|" + "--:|" * 2 * len(size_table.COLUMNS))

    def line(name, rows, mark=""):
        cells = [str(row[column]) if row else "" for row in rows for column in size_table.COLUMNS]
        print(f"| {mark}{name}{mark} | " + " | ".join(f"{mark}{cell}{mark}" if cell else "" for cell in cells) + " |")

    for name in sorted(modules | other):
        shown = re.sub("x86_64$", "...", re.sub("newlib$", "...", name))
        line(f"`{shown}`" if "/" in name or (name.islower() and name != "relocations") else name, (modules.get(name), other.get(name)))
    stack = size_table.total(modules, size_table.BUDGET)
    line("hv + vmbus + vmbus/kmcl (client)", (stack, size_table.total(other, size_table.BUDGET)), "**")
    line("all", (size_table.total(modules, modules), size_table.total(other, other)), "**")
    print(f"\nThe goal for the text of hv, vmbus and the KMCL client together is {size_table.TEXT_LIMIT} bytes (24 KiB) on x86-64: "
          f"{stack['text']}, {abs(size_table.TEXT_LIMIT - stack['text'])} {'less' if stack['text'] <= size_table.TEXT_LIMIT else 'MORE'}.")


def static_memory(image):
    """Bytes (in the file's segments, in memory, of it writable), whole pages as they are loaded."""
    with open(image, "rb") as file:
        data = file.read()
    table, = struct.unpack_from("<Q", data, 0x20)
    entry_size, entries = struct.unpack_from("<HH", data, 0x36)
    filed = memory = writable = 0
    for number in range(entries):
        kind, flags, _, _, _, file_size, memory_size, _ = struct.unpack_from("<IIQQQQQQ", data, table + number * entry_size)
        if kind == LOAD:
            filed += file_size
            memory += memory_size
            writable += memory_size if flags & WRITABLE else 0
    return filed, memory, writable


def figures_of(host, image, mib):
    """KiB: given by the map, taken by page tables, by the allocator's tables, by what runs; of a guest of so much memory."""
    with host.start(image, append="run=0", memory_mib=mib) as guest:
        status = guest.wait(60)
    text = guest.console.text()
    given = re.search(r"kernel: .* (\d+) KiB of memory", text)
    pages = re.search(r"hello: pages at=start total=(\d+) free=(\d+) tables=(\d+)", text)
    if status != 0 or not given or not pages:
        raise GuestEnded(f"a guest of {mib} MiB left with status {status}; its last line: {guest.console.last_line()}")
    total, free, tables = (int(number) * PAGE_KIB for number in pages.groups())
    return int(given.group(1)), int(given.group(1)) - total - tables, tables, total - free


def print_memory(host, image):
    filed, memory, writable = static_memory(image)
    figures = {name: figures_of(host, image, mib) for name, mib in MEMORY_MIB.items()}
    print("\n### Memory\n")
    print(f"The image's loaded parts are {filed} bytes in the file and {memory / 1024:.0f} KiB in memory, {writable / 1024:.0f} KiB of them writable "
          "(data, bss, and a stack of 64 KiB with its guard page).")
    print("Taken while running, KiB, by the guest's own count when the balloon channel is open:\n")
    print("| Guest of | " + " | ".join(figures) + " |")
    print("|---|" + "--:|" * len(figures))
    rows = ("memory the boot protocol gives, without the image", "page tables and alignment", "page allocator's tables",
            "held: rings, message and event pages, heap, the balloon driver's bitmap")
    for number, row in enumerate(rows):
        print(f"| {row} | " + " | ".join(str(column[number]) for column in figures.values()) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--deps", default="build/deps")
    options = parser.parse_args()
    image = os.path.join(options.build, "hello.elf")
    print_modules(options.build)
    sys.stdout.flush()
    with Host(deps=options.deps, build=options.build, say=lambda text: print(f"host: {text}", file=sys.stderr, flush=True)) as host:
        print_memory(host, image)


if __name__ == "__main__":
    try:
        main()
    except (HostError, GuestEnded, GuestTimeout, OSError) as error:
        sys.exit(f"sizes.py: error: {error}")
