# SPDX-License-Identifier: MIT
"""The application for UEFI with Hyper-V: OVMF starts it on our own VMM. What direct boot can do there it has to do as well."""
import re

from figures import expect, lines_with
from guest import NO_STATUS

FIRMWARE = "/usr/share/ovmf/OVMF.fd"
# By type: heartbeat, shutdown, time, key-value pairs, dynamic memory.
SERVICES = ("57164f39-9115-4e78-ab55-382f3bd5422d", "0e0b6031-5213-4934-818b-38d90ced39db", "9527e630-d0ae-497b-adce-e80ab0175caf",
            "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6", "525074dc-8985-46e2-8057-a307dc18a502")
PANIC = 2
LIMIT = 120  # seconds of a machine that may be busy; ten are usual


def start(host, name, **options):
    return host.start_vmm(f"{host.build}/{name}.efi", firmware=FIRMWARE, **options)


def check_conversation(guest):
    expect(lines_with(guest, "kernel: Barebus, started by UEFI"), "it was not started by UEFI", guest)
    expect(not lines_with(guest, "panic:|exception:"), "the guest broke", guest)
    names = [name for _, name, _ in guest.messages()]
    expect(names[:2] == ["INITIATE_CONTACT", "VERSION_RESPONSE"], f"the conversation begins with {names[:2]}", guest)
    expect(names[-2:] == ["UNLOAD", "UNLOAD_COMPLETE"], f"the conversation ends with {names[-2:]}", guest)


def test_uefi_connects_exchanges_packets_and_leaves_with_unload(host):
    with start(host, "guests/echo", append="rounds=200") as guest:
        status = guest.wait(LIMIT)
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(lines_with(guest, "echo: done rounds=200"), "not all packets came back", guest)
    check_conversation(guest)


def test_uefi_with_an_older_bus(host):
    with start(host, "guests/echo", append="rounds=10", arguments=("--vmbus-version", "4.0")) as guest:
        status = guest.wait(LIMIT)
    expect(status == 0, f"the guest left with status {status}", guest)
    asked = [fields["version"] for _, name, fields in guest.messages() if name == "INITIATE_CONTACT"]
    expect(asked[-1] == "4.0", f"the guest asked for {asked}", guest)


def test_uefi_runs_all_devices_and_is_switched_off_on_request_by_acpi(host):
    with start(host, "hello", devices=("all",), arguments=("--append", "run=600")) as guest:
        guest.console.wait_for("hello: pages at=start", LIMIT)
        for service in ("heartbeat", "timesync", "kvp", "shutdown", "balloon"):
            guest.wait_figures(f"device {service} status", lambda status: int(float(status["version"])) > 0, f"a version of {service}")
        guest.wait_figures("device heartbeat status", lambda beats: beats["answered"] > 0, "a heartbeat")
        guest.device("shutdown", "shutdown 60")
        guest.wait_happened("shutdown: the guest agrees")
        ended = guest.wait(LIMIT)
    expect(ended == NO_STATUS, f"the guest left with status {ended}", guest)
    expect(re.search(r"kernel: power off by ACPI, exit status 0$", guest.console.lines[-1]), "not by ACPI", guest)
    check_conversation(guest)
    offered = {fields["channel"]: fields["type"] for _, name, fields in guest.messages() if name == "OFFER_CHANNEL"}
    opened = {offered[fields["channel"]] for _, name, fields in guest.messages() if name == "OPEN_CHANNEL"}
    # The other two, load and echo, have applications of their own.
    expect(opened == set(SERVICES), f"opened were {opened}", guest)


def test_uefi_loads_a_channel(host):
    with start(host, "load", append="packets=500 sizes=64,1500 bursts=8", devices=("load",)) as guest:
        status = guest.wait(LIMIT)
    expect(status == 0, f"the guest left with status {status}", guest)
    check_conversation(guest)


def in_trouble(host, trouble):
    """An application that plays firmware starts the guest."""
    with host.start_vmm(f"{host.build}/guests/trouble.efi", firmware=FIRMWARE, initrd=f"{host.build}/guests/echo.efi",
                        append=f"rounds=50 trouble={trouble}") as guest:
        status = guest.wait(LIMIT)
    return guest, status


def test_what_firmware_left_in_use_is_taken_over(host):
    """Timers that run, interrupts for vectors of its own, pages, the bus connected."""
    guest, status = in_trouble(host, "hyperv_in_use")
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(lines_with(guest, "hv: guest OS id 0x0000010000000000 was there before"), "the other's identity was not seen", guest)
    expect(lines_with(guest, r"hv: cleared [5-9] registers that somebody left in use"), "the registers were not seen", guest)
    expect(lines_with(guest, "echo: done rounds=50"), "not all packets came back", guest)
    contacts = [fields["version"] for _, name, fields in guest.messages() if name == "INITIATE_CONTACT"]
    expect(contacts[:2] == ["4.0", "6.0"], f"contacts: {contacts}", guest)
    # What came for the other's vectors before its sources were masked is said once, and survived.
    expect(lines_with(guest, "unexpected interrupt, vector 0x3e or above"), "no interrupt was pending", guest)
    expect(not lines_with(guest, "panic:|exception:"), "the guest broke", guest)


def test_a_hypercall_page_that_firmware_locked_in_memory_of_its_own_is_adopted(host):
    guest, status = in_trouble(host, "hypercalls_locked")
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(lines_with(guest, "echo: done rounds=50"), "not all packets came back", guest)
    check_conversation(guest)


def test_a_hypercall_page_that_is_locked_over_memory_of_the_guest_is_said(host):
    guest, status = in_trouble(host, "hypercalls_in_the_way")
    expect(lines_with(guest, "hv: warning: the hypercall page is locked where this guest cannot use it: going on without"),
           f"it was not said, and the guest left with status {status}", guest)
    expect(not lines_with(guest, "panic:|exception:"), "the guest broke", guest)


def test_uefi_reports_the_clock_and_timers_of_hyperv(host):
    with start(host, "hello", append="run=1") as guest:
        status = guest.wait(LIMIT)
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(not lines_with(guest, "time is a guess|cannot be measured|APIC timer"), "legacy clocks are in use", guest)
    check_conversation(guest)


def test_a_panic_is_in_the_crash_registers(host):
    with start(host, "guests/executive", append="test=null_pointer") as guest:
        status = guest.wait(LIMIT)
    expect(status == PANIC, f"the guest left with status {status}", guest)
    expect(lines_with(guest, "panic: page fault at 0x"), "the console does not say so", guest)
    # The first is our code for a panic, the third to the fifth the text's first bytes.
    words = re.search(r"the guest crashed: 0x1 0x[0-9a-f]+ (0x[0-9a-f]+) (0x[0-9a-f]+) (0x[0-9a-f]+)", guest.errors)
    text = b"".join(int(word, 16).to_bytes(8, "little") for word in words.groups()) if words else b""
    expect(text.startswith(b"page fault at 0x"), f"the crash registers say {text}", guest)
