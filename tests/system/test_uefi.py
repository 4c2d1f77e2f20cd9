# SPDX-License-Identifier: MIT
"""Started by UEFI, without Hyper-V: a polite end, bad input, difficult firmware. OVMF on plain QEMU."""
import concurrent.futures
import re

import run
from figures import expect, lines_with
from firmware import folder, start
from guest import NO_STATUS

NO_HYPERV, PANIC, APPLICATION = 4, 2, 16
LIMIT = 120  # seconds of a machine that may be busy; four are usual


def says(guest, pattern):
    expect(lines_with(guest, pattern), f"no line like {pattern!r}", guest)


def boot(host, command_line="exit=0xf4 test=exit_status", troubles=(), name="guests/executive", status=APPLICATION + 5, **options):
    """Runs a guest to its end and gives it back."""
    with folder(host, name, command_line, troubles) as disk, start(*disk, **options) as guest:
        ended = guest.wait(LIMIT)
    expect(ended == status, f"the guest left with status {ended} instead of {status}", guest)
    expect(not lines_with(guest, "exception:"), "the guest broke", guest)
    says(guest, r"kernel: Barebus, started by UEFI, \d+ KiB of memory in \d+ ranges")
    for trouble in troubles:
        says(guest, f"trouble: {trouble}")
    return guest


# -- ends ----------------------------------------------------------------------------------------------------------------

def test_without_hyperv_it_says_so_and_switches_itself_off(host):
    with folder(host, "hello", "run=600") as disk, start(*disk) as guest:
        reason = guest.wait_event("SHUTDOWN", LIMIT)["data"]["reason"]
        ended = guest.wait(LIMIT)
    expect(reason == "guest-shutdown", f"it ended by {reason}", guest)
    expect(ended == NO_STATUS, f"it left with status {ended}", guest)
    expect(re.search("no Hyper-V: ", guest.console.lines[-2]), "that was not its last word", guest)
    expect(guest.console.lines[-1].endswith(f"kernel: power off by ACPI, exit status {NO_HYPERV}"), "not by ACPI", guest)


def test_without_acpi_firmware_switches_it_off(host):
    with folder(host, "hello", "run=600", ("no_acpi",)) as disk, start(*disk) as guest:
        reason = guest.wait_event("SHUTDOWN", LIMIT)["data"]["reason"]
        guest.wait(LIMIT)
    says(guest, "kernel: firmware gives no ACPI tables")
    says(guest, f"kernel: power off by UEFI, exit status {NO_HYPERV}")
    expect(reason == "guest-shutdown", f"it ended by {reason}", guest)


def test_broken_acpi_tables_are_said_and_done_without(host):
    with folder(host, "hello", "run=600", ("broken_acpi",)) as disk, start(*disk) as guest:
        guest.wait(LIMIT)
    says(guest, "kernel: warning: ACPI: there is no RSDP at 0x")
    says(guest, f"kernel: power off by UEFI, exit status {NO_HYPERV}")


def test_after_a_panic_the_machine_resets(host):
    with folder(host, "guests/executive", "test=null_pointer") as disk, start(*disk) as guest:
        reason = guest.wait_event("SHUTDOWN", LIMIT)["data"]["reason"]
        guest.wait(LIMIT)
    expect(reason == "guest-reset", f"it ended by {reason}", guest)
    says(guest, "panic: page fault")


# -- the command line ----------------------------------------------------------------------------------------------------

def test_the_command_line_is_a_text_file_beside_the_application(host):
    boot(host)


def test_a_file_of_windows_shell_is_read(host):
    boot(host, "\ufeffexit=0xf4\r\ntest=exit_status\r\n".encode("utf-16-le"))


def hello_says(host, command_line, pattern):
    """Without a command line there is no exit port: the machine is switched off."""
    with folder(host, "hello", command_line) as disk, start(*disk) as guest:
        guest.wait(LIMIT)
    says(guest, pattern)
    says(guest, f"power off by ACPI, exit status {NO_HYPERV}")


def test_a_missing_file_is_said(host):
    hello_says(host, None, "kernel: no command line: no load options, and no barebus.txt beside the application")


def test_a_file_that_is_no_text_is_said_and_ignored(host):
    hello_says(host, b"exit=0xf4 \x90\x90", "kernel: warning: barebus.txt is no text in ASCII: ignored")


def test_a_file_that_is_too_long_is_cut_and_that_is_said(host):
    guest = boot(host, "exit=0xf4 test=command_line_length " + "x" * 100000, status=0)
    says(guest, "warning: command line is cut after 2047 characters")
    says(guest, "command line of 2047 characters")


# -- difficult firmware --------------------------------------------------------------------------------------------------

def test_without_graphics_it_says_so(host):
    says(boot(host), "kernel: no console on the screen: firmware has no graphics output")


def test_graphics_without_a_framebuffer_are_said(host):
    guest = boot(host, troubles=("blt_only",), screen=True)
    says(guest, "kernel: no console on the screen: firmware gives no framebuffer")


def test_a_framebuffer_that_makes_no_sense_is_refused(host):
    guest = boot(host, troubles=("small_framebuffer",), screen=True)
    says(guest, "kernel: no console on the screen: what firmware says of its framebuffer makes no sense")


def test_of_a_vast_framebuffer_only_what_is_seen_is_mapped(host):
    guest = boot(host, troubles=("vast_framebuffer",), screen=True)
    says(guest, r"kernel: console on the screen: \d+x\d+ pixels")


def test_a_memory_map_in_thousands_of_pieces(host):
    guest = boot(host, "exit=0xf4 test=memory", ("fragments",), status=0)
    says(guest, r"warning: memory map has too many pieces, \d+ KiB are not used")


def test_a_memory_map_that_is_out_of_date_three_times(host):
    boot(host, troubles=("stale",))


def test_firmware_that_does_not_end_its_services_gets_the_guest_back(host):
    with folder(host, "hello", "run=1", ("never_exit",)) as disk, start(*disk) as guest:
        guest.console.wait_for("Barebus cannot start: firmware does not end its boot services", LIMIT)
        guest.console.wait_for("trouble: the guest came back with an error", LIMIT)


def test_firmware_with_5_level_page_tables_gets_the_guest_back(host):
    with folder(host, "hello", "run=1", ("five_levels",)) as disk, start(*disk, extra=("-cpu", "max")) as guest:
        guest.console.wait_for("Barebus cannot start: firmware runs with 5-level page tables", LIMIT)
        guest.console.wait_for("trouble: the guest came back with an error", LIMIT)


def test_an_image_above_4_gib(host):
    guest = boot(host, "exit=0xf4 test=memory", ("high",), memory="6G", status=0)
    says(guest, r"memory total=15\d{5} ")


def test_an_image_above_4_gib_breaks_and_says_where(host):
    with folder(host, "guests/executive", "exit=0xf4 test=null_pointer", ("high",)) as disk, \
            start(*disk, memory="6G") as guest:
        ended = guest.wait(LIMIT)
    expect(ended == PANIC, f"status {ended}", guest)
    match = re.search(r"panic: page fault at 0x([0-9a-f]+)", guest.console.text())
    expect(match and int(match[1], 16) >= 1 << 32, "the image was not above 4 GiB", guest)


# -- many starts ---------------------------------------------------------------------------------------------------------

SIZES = ("64M", "96M", "128M", "256M", "512M", "1G", "2G", "3G", "3584M", "4G", "5G", "6G", "7G", "8G", "10G", "12G", "13G", "14G",
         "15G", "16G")


def start_with(host, number):
    size, screen, serial = SIZES[number], number % 2 == 0, number % 4 < 2
    with folder(host, "guests/executive", "exit=0xf4 test=memory") as disk, \
            start(*disk, memory=size, screen=screen, serial=serial) as guest:
        ended = guest.wait(LIMIT)
    expect(ended == 0, f"with {size}, screen {screen}, serial {serial}: status {ended}", guest)
    if serial:
        mib = int(size[:-1]) * (1024 if size.endswith("G") else 1)
        total = int(re.search(r"memory total=(\d+) ", guest.console.text())[1]) * 4096 >> 20
        expect(mib * 0.98 - 24 < total < mib, f"{total} MiB of {size} are usable", guest)


@run.limit(600)
def test_twenty_starts_with_all_sizes_of_memory(host):
    """With and without a screen and a serial port; two at a time."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(start_with, host, number) for number in range(len(SIZES))]:
            done.result()
