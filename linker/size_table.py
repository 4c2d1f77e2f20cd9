#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints how many bytes each module has in an image, as linked: read from the linker's map, so what was dropped is not counted.
With --check it prints nothing, but fails if the text of the VMBus stack exceeds its limit, on an architecture that has one.

usage: size_table.py [--check] IMAGE.map OBJECTS_FOLDER
"""
import os
import re
import sys

COLUMNS = ("text", "rodata", "data", "bss")
BUDGET = ("hv", "vmbus", "vmbus/kmcl")  # together they are the VMBus stack, whose text has a limit
TEXT_LIMIT = 24 << 10                   # bytes, on the architecture whose instructions it was set for
TEXT_LIMIT_ARCHITECTURE = "x86_64"


def column_of(section):
    if section.startswith((".text", ".init", ".fini", ".boot", ".entry")) and not section.startswith(".init_"):
        return "text"
    if section.startswith((".bss", "COMMON")):
        return "bss"
    if section.startswith((".data", ".got", ".tdata")) and not section.startswith(".data.rel.ro"):
        return "data"
    return "rodata"


def sections(map_text):
    """Yields (section, size, file) of what is in the image and takes memory."""
    linked = map_text[map_text.index("Linker script and memory map"):]
    # A long section name stands on a line of its own.
    pattern = re.compile(r"^ (\.[\w.$*-]+|COMMON)(?:\n)?\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S+\.o\S*|\S+\.a\(\S+\))$", re.M)
    for section, address, size, file in pattern.findall(linked):
        if int(address, 16) and not section.startswith((".debug", ".comment", ".note.GNU", ".discard")):
            yield section, int(size, 16), file


def module_of(file, folder):
    if not file.startswith(folder + "/"):
        return "C library"
    return file[len(folder) + 1:].rpartition("/")[0]


def modules_of(map_name, folder):
    """{module: {column: bytes}}"""
    with open(map_name, encoding="utf-8") as file:
        text = file.read()
    modules = {}
    for section, size, name in sections(text):
        # The linker counts its list of what it leaves to the start code to the first file.
        module = "relocations" if section.startswith(".rela.") else module_of(name, folder)
        row = modules.setdefault(module, dict.fromkeys(COLUMNS, 0))
        row[column_of(section)] += size
    return modules


def total(modules, names):
    return {column: sum(modules[name][column] for name in names if name in modules) for column in COLUMNS}


def main():
    check, map_name, folder = sys.argv[1] == "--check", *sys.argv[-2:]
    modules = modules_of(map_name, folder)
    stack = total(modules, BUDGET)
    if check:
        if os.path.basename(folder) == TEXT_LIMIT_ARCHITECTURE and stack["text"] > TEXT_LIMIT:
            return f"{map_name}: {' + '.join(BUDGET)} have {stack['text']} bytes of text, the limit is {TEXT_LIMIT}"
        return 0

    def line(name, row):
        print(f"  {name:<22}" + "".join(f"{row[column]:>9}" for column in COLUMNS))

    print(f"  {'bytes by module':<22}" + "".join(f"{column:>9}" for column in COLUMNS))
    for name in sorted(modules):
        line(name, modules[name])
    line("hv + vmbus + kmcl", stack)
    line("all", total(modules, modules))
    return 0


if __name__ == "__main__":
    sys.exit(main())
