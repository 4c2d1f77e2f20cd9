# SPDX-License-Identifier: MIT
"""The lines for programs that hello prints (apps/hello/main.c), as dictionaries of numbers."""
import os
import re

PAGE = 4096
MIB = 1 << 20


def image(host, name="hello"):
    return os.path.join(host.build, f"{name}.elf")


def numbers(text):
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)}


def wait_for_figures(guest, moment, timeout=30):
    """The next figures of that moment: start, now or end. Pages and balloon in one dictionary."""
    pages = guest.console.wait_for(rf"hello: pages at={moment} (.*)", timeout)
    balloon = guest.console.wait_for(rf"hello: balloon at={moment} (.*)", timeout)
    return {**numbers(pages.group(1)), **numbers(balloon.group(1))}


def lines_with(guest, pattern):
    return [line for line in guest.console.text().splitlines() if re.search(pattern, line)]


def expect(condition, what, guest):
    """Fails with the guest's last lines, which tell more than a line of Python."""
    if not condition:
        tail = "\n".join("  | " + line for line in guest.console.lines[-20:])
        raise AssertionError(f"{what}\nthe guest's last lines:\n{tail}\nQEMU said: {guest.errors.strip() or 'nothing'}")
