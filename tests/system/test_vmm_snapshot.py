# SPDX-License-Identifier: MIT
"""A running guest is written to a file, the VMM ends, another one goes on with the file: nothing is lost or comes twice."""
import os
import re

from figures import expect, lines_with
from host import NO_STATUS, HostError

# On the machine that the VMM runs on, which may be a nested one.
FILE = "/tmp/barebus-snapshot"
ROUNDS = 5


def wait_for_rounds(guest, count, timeout=30):
    """Waits until the guest has reported so many exchanges; it compares each answer with what it sent."""
    def look():
        reported = [int(found) for found in re.findall(r"echo: rounds=(\d+)", guest.console.text())]
        return reported[-1] if reported and reported[-1] >= count else None

    return guest.wait_until(look, timeout, f"{count} exchanges")


def save_and_leave(guest):
    guest.command(f"save {FILE}", timeout=60)
    guest.command("quit")
    expect(guest.wait(20) == NO_STATUS, "it did not quit", guest)


def test_a_guest_under_load_is_saved_and_resumed_by_another_process(host):
    image = os.path.join(host.build, "guests", "echo.elf")
    total, step, done = 1000 * (ROUNDS + 1), 100, 0
    lines = []
    with host.start_vmm(image, append=f"rounds={total} report={step}", memory_mib=32, trace=False) as guest:
        done = wait_for_rounds(guest, done + step)
        save_and_leave(guest)
        lines += guest.console.text().splitlines()
    for number in range(1, ROUNDS + 1):
        with host.start_vmm(None, trace=False, arguments=("--resume", FILE)) as guest:
            done = wait_for_rounds(guest, done + step)
            if number == ROUNDS:
                status = guest.wait(120)
            else:
                save_and_leave(guest)
            lines += guest.console.text().splitlines()
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(lines_with(guest, f"echo: done rounds={total}"), "not all exchanges were made", guest)
    expect(not lines_with(guest, "warning:|panic:"), "the guest warned of something", guest)
    reported = [int(found) for found in re.findall(r"echo: rounds=(\d+)", "\n".join(lines))]
    expect(reported == list(range(step, total + 1, step)), f"reports are missing or come twice: {reported}", guest)


def test_a_save_can_be_gone_on_from_and_a_bad_file_is_refused(host):
    image = os.path.join(host.build, "guests", "echo.elf")
    with host.start_vmm(image, append="rounds=600 report=100", memory_mib=32, processors=2, trace=False) as guest:
        wait_for_rounds(guest, 100)
        guest.command(f"save {FILE}", timeout=60)
        guest.command("continue")
        expect(guest.wait(60) == 0, "the guest did not go on", guest)
    for arguments, names in ((("--resume", "/nowhere"), "--resume"), (("--resume", "/dev/null"), "--resume"),
                             (("--resume", FILE, "--kernel", "/x"), "--kernel"),
                             (("--resume", image), "--resume")):
        with host.start_vmm(None, devices=(), arguments=arguments) as guest:
            try:
                guest.wait(20)
                expect(False, f"{arguments} are taken", guest)
            except HostError:
                pass
        expect(names in guest.errors, f"{arguments}: {guest.errors}", guest)
