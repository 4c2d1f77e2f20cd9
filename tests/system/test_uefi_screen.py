# SPDX-License-Identifier: MIT
"""The console on the screen that firmware left on, read from its pixels."""
import re
import time

import screen
from figures import expect
from firmware import folder, start

LIMIT = 120


def console(guest):
    """What the serial port was told since the guest's first line, in lines as long as the screen's."""
    text = guest.console.text()
    return text[text.index("[    0.000000] kernel: Barebus"):].splitlines()


def shown(guest, wanted):
    """The screen's lines, once `wanted` is among them. Before that it shows firmware's, in its own letters."""
    limit = time.monotonic() + LIMIT
    while True:
        try:
            lines = [line for line in screen.dump(guest).lines() if line]
            if any(re.search(wanted, line) for line in lines):
                return lines
            found = "but:\n" + "\n".join("  | " + line for line in lines)
        except screen.NoText as error:
            found = f"but {error}"
        expect(time.monotonic() < limit, f"no line like {wanted!r} on the screen, {found}", guest)
        time.sleep(0.2)


def wrapped(lines, columns):
    return [line[at:at + columns].rstrip() for line in lines for at in range(0, max(len(line), 1), columns)]




def test_the_screen_shows_what_the_serial_port_says(host):
    for troubles in ((), ("masks",)):
        with folder(host, "guests/executive", "test=stay", troubles) as disk, start(*disk, screen=True) as guest:
            lines = shown(guest, "test: staying")
            columns = screen.dump(guest).columns
        expect(lines == wrapped(console(guest), columns), f"the screen shows {lines}", guest)


def test_without_a_serial_port_the_screen_has_it_all(host):
    with folder(host, "guests/executive", "test=stay") as disk, start(*disk, screen=True, serial=False) as guest:
        lines = shown(guest, "test: staying")
    expect(re.search("kernel: Barebus, started by UEFI", lines[0]), f"the screen begins with {lines[0]!r}", guest)
    expect(guest.console.text() == "", "a serial port that is not there said something", guest)


def test_a_panic_is_on_the_screen(host):
    # The machine would be reset, and the screen cleared.
    with folder(host, "guests/executive", "test=null_pointer") as disk, \
            start(*disk, screen=True, serial=False, extra=("-no-shutdown",)) as guest:
        lines = shown(guest, "panic: page fault at 0x")
    for pattern in (r"write at 0x0+8: no page is there \(null pointer\)", r"rip [0-9a-f]{16} rsp", r"possible caller: "):
        expect(any(re.search(pattern, line) for line in lines), f"no line like {pattern!r} on the screen: {lines}", guest)


def many_lines(host):
    """Returns how many milliseconds a thousand lines took."""
    with folder(host, "guests/executive", "test=many_lines") as disk, start(*disk, screen=True) as guest:
        match = guest.console.wait_for(r"test: 1000 lines took (\d+) ms", LIMIT)
        lines = shown(guest, "test: 1000 lines took")
    said = console(guest)
    expect(lines[:-1] == said[-len(lines):-1], f"the screen shows {lines}", guest)
    expect(len(lines) > 10, "the screen is nearly empty", guest)
    print(f"1000 lines on serial port and screen: {match[1]} ms under emulation")
    return int(match[1])


def test_many_lines_scroll_and_cost_little(host):
    """Two seconds are usual. A machine that has other work too may be slow once; what is slow by itself is so each time."""
    assert any(many_lines(host) < 20000 for _ in range(3)), "scrolling is slow"
