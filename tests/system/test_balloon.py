# SPDX-License-Identifier: MIT
"""Memory moves between guest and host, as QMP asks for it; both keep the same books."""
import random
import time

import run
from guest import LIMIT
from figures import MIB, PAGE, expect, image, lines_with, wait_for_figures, wait_for_line

DEVICES = ("vmbus-bridge", "hv-balloon,id=balloon,status-report=on")
# QEMU's hv-balloon sends its first request 50 s after the negotiation.
FIRST_REQUEST_LIMIT = 180
# Seconds without a request after which the guest leaves by itself: more than this test lets pass between two.
IDLE = 20
# How long after a status the next one is far enough, which is to come a second after it.
QUIET = 0.4


def actual_pages(guest):
    return guest.qmp("query-balloon")["actual"] // PAGE


def wait_for_actual(guest, pages, what, timeout=LIMIT):
    """Asks the host until it counts so many pages as the guest's."""
    guest.ask_until(lambda: actual_pages(guest), lambda actual: actual == pages, f"{what}, {pages} pages", timeout)


def wait_for_quiet(guest):
    """Returns while no packet of the guest is on its way to QEMU.

    QEMU 10 looks for packets when it is told of a new target, outside the handler in which it may, and aborts if there is one
    (gpadl_iter_seek: Assertion `iter->active' failed). The driver sends a status every second, so the time behind one is safe.
    """
    guest.events.clear()
    guest.wait_event("HV_BALLOON_STATUS_REPORT")


def set_target(guest, pages, timeout=LIMIT):
    """Has the host change the guest's size, and waits until both are done with it."""
    begin = len(guest.console.lines)
    larger = pages > actual_pages(guest)
    guest.qmp("balloon", value=pages * PAGE)
    wait_for_actual(guest, pages, "the balloon's target", timeout)
    # The host counts pages as the guest's when it returns them; the guest's answer is still to come.
    if larger:
        wait_for_line(guest, r"balloon: got \d+ pages back", since=begin)


def compare_books(guest, total):
    """What the host counts and was told, against the guest's counters, at rest: they come to agree, as soon as a status was sent."""
    def ask():
        figures = wait_for_figures(guest, "now", since=len(guest.console.lines))
        return figures, guest.qmp("query-hv-balloon-status-report"), actual_pages(guest)

    def agree(books):
        figures, told, actual = books
        return (figures["held"] == total - actual and figures["available"] == figures["free"] and
                (told["available"], told["committed"]) == (figures["available"] * PAGE, figures["committed"] * PAGE))

    return guest.ask_until(ask, agree, f"both books to agree (the guest's figures, the host's report in bytes, pages of {total})")[0]


def uneven(total, low, high, rng):
    """Targets from total down to low and back, none even: one or two stops on each way."""
    down = sorted({rng.randrange(low + 1, high) for _ in range(rng.randrange(2))}, reverse=True)
    up = sorted({rng.randrange(low + 1, high) for _ in range(rng.randrange(2))})
    return [*down, low, *up, total]


@run.limit(1800)
def test_256_mib_to_128_and_back_100_times(host):
    total, low = 256 * MIB // PAGE, 128 * MIB // PAGE
    rng = random.Random(100)
    began = time.monotonic()
    with host.start(image(host), append=f"run=1500 idle={IDLE} report=1", memory_mib=256, devices=DEVICES) as guest:
        start = wait_for_figures(guest, "start")
        expect(actual_pages(guest) == total, "the host does not count all pages at first", guest)
        wait_for_quiet(guest)
        set_target(guest, low + 12345, FIRST_REQUEST_LIMIT)
        print(f"the first request was met after {time.monotonic() - began:.1f} s")
        wait_for_quiet(guest)
        set_target(guest, total)

        began = quiet_since = time.monotonic()
        steps = 0
        for trip in range(1, 101):
            for target in uneven(total, low, total, rng):
                if time.monotonic() - quiet_since > QUIET:
                    wait_for_quiet(guest)
                    quiet_since = time.monotonic()
                set_target(guest, target)
                steps += 1
                if trip % 25 == 0 and target in (low, total):
                    compare_books(guest, total)
        took = time.monotonic() - began
        print(f"100 trips in {steps} steps took {took:.1f} s")

        end = wait_for_figures(guest, "end", 2 * LIMIT)
        status = guest.wait()
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(end["held"] == 0 and end["taken"] == end["returned"], "pages stayed with the host", guest)
    expect(end["taken"] >= 100 * (total - low), f"only {end['taken']} pages were moved", guest)
    expect(end["refused"] == 0, "the host returned pages it did not hold", guest)
    for name in ("total", "free", "tables"):
        expect(start[name] == end[name], f"{name}: {start[name]} pages at first, {end[name]} at the end", guest)
    expect(not lines_with(guest, "warning:|panic:"), "the guest warned of something", guest)
    expect("warn" not in guest.errors and "error" not in guest.errors, "QEMU complained", guest)


@run.limit(900)
def test_hot_added_memory_is_used_and_too_large_a_request_is_met_in_part(host):
    """QEMU places added memory at a multiple of 32 GiB, so the address space has to reach there."""
    total, added = 256 * MIB // PAGE, 256 * MIB // PAGE
    devices = ("vmbus-bridge", "hv-balloon,id=balloon,status-report=on,memdev=more")
    arguments = ("-m", "size=256M,slots=2,maxmem=64G", "-object", "memory-backend-ram,id=more,size=256M")
    with host.start(image(host), append=f"run=1500 idle={IDLE} report=1", memory_mib=256, devices=devices,
                    extra_args=arguments) as guest:
        start = wait_for_figures(guest, "start")
        wait_for_quiet(guest)
        guest.qmp("balloon", value=(total + added) * PAGE)
        wait_for_line(guest, rf"balloon: hot added {added} pages at frame", FIRST_REQUEST_LIMIT, since=0)
        wait_for_actual(guest, total + added, "hot add")
        # More than half of all memory, so that added pages are among those given.
        wait_for_quiet(guest)
        set_target(guest, total // 2)
        figures = compare_books(guest, total + added)
        expect(figures["held"] == total // 2 + added, f"the host holds {figures['held']} pages", guest)

        wait_for_quiet(guest)
        begin = len(guest.console.lines)
        guest.qmp("balloon", value=1 * MIB)
        wait_for_line(guest, r"balloon: ballooned 0 pages of \d+ asked", since=begin)
        figures = compare_books(guest, total + added)
        expect(figures["free"] > 0, "there is no reserve left", guest)

        wait_for_quiet(guest)
        set_target(guest, total + added)
        end = wait_for_figures(guest, "end", 2 * LIMIT)
        status = guest.wait()
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(end["added"] == added and end["held"] == 0 and end["refused"] == 0, "the books are wrong at the end", guest)
    expect(end["total"] > start["total"] and end["free"] > start["free"] + added * 9 // 10, "added memory is not in use", guest)
    expect("error" not in guest.errors, "QEMU complained", guest)
