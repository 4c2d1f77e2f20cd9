# SPDX-License-Identifier: MIT
"""A guest connects to a VMBus host nobody here wrote, finds its device, works it, and leaves in order."""
import os
import re
import signal
import subprocess
import time

import run
from figures import expect, image, lines_with, wait_for_figures

# Channel messages, as QEMU's trace numbers them.
CLOSE_CHANNEL, GPADL_TEARDOWN, UNLOAD = 7, 11, 16


def test_connects_at_4_0_negotiates_and_leaves_with_unload(host):
    devices = ("vmbus-bridge", "hv-balloon,id=balloon,status-report=on")
    with host.start(image(host), append="run=3", devices=devices, extra_args=("-trace", "vmbus_*")) as guest:
        guest.console.wait_for(r'hv: "Microsoft Hv"')
        guest.console.wait_for(r"vmbus: connected, version 4\.0")
        guest.console.wait_for(r"vmbus: .*dynamic memory .* open")
        guest.console.wait_for(r"balloon: state: idle")
        start = wait_for_figures(guest, "start")
        end = wait_for_figures(guest, "end")
        status = guest.wait()
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(lines_with(guest, r"balloon: dynamic memory 2\.0"), "the balloon did not negotiate 2.0", guest)
    expect(not lines_with(guest, "warning:|panic:|exception:"), "the guest warned of something", guest)
    expect(start["free"] == end["free"], f"{start['free']} pages were free at first, {end['free']} at the end", guest)
    expect(end["available"] > 0 and end["committed"] > 0, "no status report left the guest", guest)

    # What QEMU saw of it.
    contacts = re.findall(r"vmbus_initiate_contact version (\d+\.\d+)", guest.errors)
    expect(contacts and contacts[-1] == "4.0", f"QEMU was asked for the versions {contacts}", guest)
    messages = [int(number) for number in re.findall(r"vmbus_recv_message type (\d+)", guest.errors)]
    expect(messages[-3:] == [CLOSE_CHANNEL, GPADL_TEARDOWN, UNLOAD], f"the last messages to QEMU were {messages[-3:]}", guest)
    expect(not re.search(r"warn|error|fail", guest.errors), "QEMU complained", guest)


@run.limit(1200)
def test_50_boots_in_a_row_are_good(host):
    times = []
    for number in range(1, 51):
        with host.start(image(host), append="run=0") as guest:
            status = guest.wait()
        expect(status == 0, f"boot {number} left with status {status}", guest)
        expect(lines_with(guest, "balloon: state: idle"), f"boot {number} has no balloon", guest)
        expect(not lines_with(guest, "warning:|panic:"), f"boot {number} warned of something", guest)
        times.append(guest.console.times[-1])
    times.sort()
    print(f"50 boots from entry to exit: {times[0]:.2f} s at best, {times[25]:.2f} s usually, {times[-1]:.2f} s at worst")


def test_make_run_shows_the_guest_soon(host):
    """The goal is 10 s nested on two idle processors; this machine may be busy, so the test's limit is only against a hang."""
    command = ["make", "--no-print-directory", "run", f"BUILD={host.build}", "APPEND=run=1"]
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    began = time.monotonic()
    first = None
    output = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, errors="replace",
                          start_new_session=True) as process:
        try:
            for line in process.stdout:
                output.append(line)
                if first is None and re.search(r"kernel: Barebus", line):
                    first = time.monotonic() - began
            process.wait()
        except run.OutOfTime as late:
            raise AssertionError(f"it did not end:\n{''.join(output)}") from late
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    print(f"make run on a built tree: the guest's first line after {first or -1:.1f} s, all over after {time.monotonic() - began:.1f} s")
    assert process.returncode == 0 and first is not None, "".join(output)
