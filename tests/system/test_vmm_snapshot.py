# SPDX-License-Identifier: MIT
"""A running guest is written to a file, the VMM ends, another one goes on with the file: nothing is lost or comes twice."""
import os
import random
import re
import struct
import tempfile
import time

from figures import expect, image, lines_with, wait_for_figures, wait_for_line
from guest import LIMIT
from host import NO_STATUS

# On the machine that the VMM runs on, which may be a nested one.
FILE = "/tmp/barebus-snapshot"
ROUNDS = 5
STANDSTILL = 6  # seconds


def wait_for_rounds(guest, count):
    """Waits until the guest has reported so many exchanges; it compares each answer with what it sent."""
    def look():
        reported = [int(found) for found in re.findall(r"echo: rounds=(\d+)", guest.console.text())]
        return reported[-1] if reported and reported[-1] >= count else None

    return guest.wait_until(look, LIMIT, f"{count} exchanges")


def save_and_leave(guest):
    guest.command(f"save {FILE}")
    guest.command("quit")
    expect(guest.wait() == NO_STATUS, "it did not quit", guest)


def test_a_guest_under_load_is_saved_and_resumed_by_another_process(host):
    kernel = os.path.join(host.build, "guests", "echo.elf")
    step, done = 100, 0
    lines = []
    with host.start_vmm(kernel, append=f"rounds=0 report={step}", memory_mib=32, trace=False) as guest:
        done = wait_for_rounds(guest, done + step)
        save_and_leave(guest)
        lines += guest.console.text().splitlines()
    for number in range(1, ROUNDS + 1):
        with host.start_vmm(None, trace=False, arguments=("--resume", FILE)) as guest:
            done = wait_for_rounds(guest, done + step)
            if number == ROUNDS:
                guest.command("rescind echo-sample")  # which ends the guest
                status = guest.wait()
            else:
                save_and_leave(guest)
            lines += guest.console.text().splitlines()
    expect(status == 0, f"the guest left with status {status}", guest)
    total = int(wait_for_line(guest, r"echo: done rounds=(\d+)", since=0).group(1))
    expect(not lines_with(guest, "warning:|panic:"), "the guest warned of something", guest)
    reported = [int(found) for found in re.findall(r"echo: rounds=(\d+)", "\n".join(lines))]
    expect(reported == list(range(step, total + 1, step)), f"reports are missing or come twice: {reported}", guest)


def load_both_ways(host, rounds, seed=1):
    """Saves and resumes a guest that sends bursts to the host, which sends others to it, at moments chosen at random.

    Both ends number what they send, compare what comes back, and count what was left out, came twice, or was changed. Returns how
    many packets were under way at the saves, as far as the host sent them.
    """
    rng = random.Random(seed)
    under_way = 0
    devices = ("load", "echo-sample", "shutdown")

    def save():
        """At some moment, which nothing is judged by; the guest's load does not end before the last round."""
        nonlocal under_way
        time.sleep(rng.uniform(0.1, 0.4))
        guest.command(f"save {FILE}")
        under_way += guest.figures("device load status")["outstanding"]
        guest.command("quit")
        expect(guest.wait() == NO_STATUS, "it did not quit", guest)

    with host.start_vmm(image(host, "load"), append="seconds=3600 sizes=200 bursts=16", memory_mib=32, devices=devices,
                        trace=False) as guest:
        guest.wait_figures("device load status", lambda load: load["open"], "the guest to open its channel")
        guest.device("load", "run 0 120 8")
        save()
    for _ in range(rounds - 1):
        with host.start_vmm(None, devices=devices, trace=False, arguments=("--resume", FILE)) as guest:
            save()
    with host.start_vmm(None, devices=devices, trace=False, arguments=("--resume", FILE)) as guest:
        guest.wait_figures("device load status", lambda load: load["received"] > 0 and load["completed"] > 0, "packets each way")
        guest.device("load", "stop")
        ours = guest.wait_figures("device load status", lambda load: not load["running"], "the host's last burst")
        guest.wait_figures("device shutdown status", lambda service: service["state"] == "idle", "the guest to agree on a version")
        guest.device("shutdown", "shutdown")
        status = guest.wait()
    expect(status == 0, f"the guest found a packet lost, changed or repeated: status {status}", guest)
    expect(lines_with(guest, "load: done "), "the guest has no result", guest)
    for what in ("gaps", "repeats", "malformed", "lost", "wrong"):
        expect(ours[what] == 0, f"the host counts {what}: {ours}", guest)
    expect(ours["sent"] == ours["completed"], f"the host counts {ours}", guest)
    return under_way


def test_packets_under_way_both_ways_complete_once(host):
    under_way = load_both_ways(host, ROUNDS)
    print(f"{under_way} packets of the host were under way in {ROUNDS} saves")
    assert under_way > 0


def test_added_and_given_memory_is_so_in_the_next_process(host):
    devices = ("balloon",)
    with host.start_vmm(image(host), append="run=3600 report=1", memory_mib=64, devices=devices, trace=False) as guest:
        guest.console.wait_for("balloon: state: idle")
        guest.device("balloon", "add 128")
        guest.wait_happened("balloon: .*added")
        wait_for_line(guest, "balloon: hot added 32768 pages", since=0)
        guest.device("balloon", "resize 100")
        guest.wait_happened("balloon: .*resized")
        before = wait_for_figures(guest, "now", since=len(guest.console.lines))
        save_and_leave(guest)
    with host.start_vmm(None, devices=devices, trace=False, arguments=("--resume", FILE)) as guest:
        after = wait_for_figures(guest, "now")
        expect(after["total"] == before["total"] and after["held"] == before["held"] > 0, f"{before} became {after}", guest)
        guest.device("balloon", "resize 192")
        guest.wait_happened("balloon: .*resized")
        expect(wait_for_figures(guest, "now", since=len(guest.console.lines))["held"] == 0, "pages stay away", guest)
        guest.command("quit")
        guest.wait()
    expect(not lines_with(guest, "warning:|panic:"), "the guest warned of something", guest)


def test_the_guests_time_stands_still_while_it_is_saved(host):
    """Between two of its lines no more of its time passes than it ran for as we count it, though it lay about for seconds."""
    def moment(line):
        return float(re.search(r"\[ *([0-9.]+)\]", line).group(1))

    devices = ("balloon",)
    with host.start_vmm(image(host), append="run=3600 report=1", memory_mib=32, devices=devices, trace=False) as guest:
        began = time.monotonic()
        wait_for_figures(guest, "now", since=len(guest.console.lines))
        guest.command(f"save {FILE}")
        before, passed = moment(guest.console.lines[-1]), time.monotonic() - began
        guest.command("quit")
        expect(guest.wait() == NO_STATUS, "it did not quit", guest)
    time.sleep(STANDSTILL)
    began = time.monotonic()
    with host.start_vmm(None, devices=devices, trace=False, arguments=("--resume", FILE)) as guest:
        wait_for_figures(guest, "now")
        passed += time.monotonic() - began
        after = moment(guest.console.lines[0])
        guest.command("quit")
        guest.wait()
    # Clocks may differ a little.
    expect(before <= after < before + passed * 1.05 + 0.5, f"its time went from {before} to {after} while {passed:.1f} s passed here", guest)


def test_a_save_can_be_gone_on_from_and_a_bad_file_is_refused(host):
    kernel = os.path.join(host.build, "guests", "echo.elf")
    with host.start_vmm(kernel, append="rounds=0 report=100", memory_mib=32, processors=2, trace=False) as guest:
        wait_for_rounds(guest, 100)
        guest.command(f"save {FILE}")
        done = wait_for_rounds(guest, 100)
        guest.command("continue")
        wait_for_rounds(guest, done + 100)
        guest.command("rescind echo-sample")
        expect(guest.wait() == 0, "the guest did not go on", guest)
    for arguments, names in ((("--resume", "/nowhere"), "--resume"), (("--resume", "/dev/null"), "--resume"),
                             (("--resume", FILE, "--kernel", "/x"), "--kernel"), (("--resume", FILE, "--memory", "32"), "--memory"),
                             (("--resume", FILE, "--append", "x"), "--append"),
                             (("--resume", kernel), "--resume")):
        with host.start_vmm(None, devices=(), arguments=arguments) as guest:
            guest.wait_for_refusal()
        expect(names in guest.errors, f"{arguments}: {guest.errors}", guest)


def crc32c(data):
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


def test_a_damaged_snapshot_is_refused(host):
    """Whole by its size, and not by its checksum, or not by that of its memory; then cut short."""
    memory, sections = 8 << 20, bytes(64)

    def header(checksum):
        return struct.pack("<QIIQQQQQII", 0x31504E5353454242, 2, 1, memory, memory, 4096, len(sections), 0, checksum, 0)

    right = header(crc32c(header(0) + sections))
    last = 4096 + memory - 1
    for start, size, damaged, reason in ((header(0x12345678), last + 1, None, "its checksum"), (right, last + 1, last, "of its memory"),
                                         (right, 4096, None, "damaged"), (right, len(right) - 1, None, "cut short")):
        with tempfile.NamedTemporaryFile() as file:
            file.write(start)
            file.truncate(size)
            if damaged:
                file.seek(damaged)
                file.write(b"!")
            file.flush()
            with host.start_vmm(None, devices=(), arguments=("--resume", host.keep(file.name))) as guest:
                guest.wait_for_refusal()
        expect("--resume" in guest.errors and reason in guest.errors, f"{reason}: {guest.errors}", guest)
