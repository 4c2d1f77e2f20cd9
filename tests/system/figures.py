# SPDX-License-Identifier: MIT
"""The lines for programs that hello prints (apps/hello/main.c), as dictionaries of numbers."""
import os
import re

from guest import LIMIT

PAGE = 4096
MIB = 1 << 20


def image(host, name="hello"):
    return os.path.join(host.build, f"{name}.elf")


def numbers(text):
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)}


def wait_for_line(guest, pattern, timeout=LIMIT, since=None):
    """A console line that came after line number `since` (the present end if not given); returns the match."""
    expression = re.compile(pattern)
    first = len(guest.console.lines) if since is None else since

    def look():
        return next((match for match in map(expression.search, guest.console.lines[first:]) if match), None)

    return guest.wait_until(look, timeout, f"a console line like {pattern!r}")


def wait_for_figures(guest, moment, timeout=LIMIT, since=0):
    """The figures of that moment: start, now or end. Pages and balloon in one dictionary."""
    pages = wait_for_line(guest, rf"hello: pages at={moment} (.*)", timeout, since)
    balloon = wait_for_line(guest, rf"hello: balloon at={moment} (.*)", timeout, since)
    return {**numbers(pages.group(1)), **numbers(balloon.group(1))}


def lines_with(guest, pattern):
    return [line for line in guest.console.text().splitlines() if re.search(pattern, line)]


def expect(condition, what, guest):
    """Fails with what guest and host said last, which tells more than a line of Python."""
    if not condition:
        raise AssertionError(f"{what}\n{guest.describe()}")
