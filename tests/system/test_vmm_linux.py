# SPDX-License-Identifier: MIT
"""A stock Linux on our VMM: what the machine itself has to be right in. Its devices are judged by the other tests with Linux."""
import os
import time

from figures import expect
from host import NO_STATUS
from linux_guest import COMMAND_LINE, LinuxGuest, image

DEVICES = ("heartbeat", "echo-sample")
HEARTBEAT = "57164f39-9115-4e78-ab55-382f3bd5422d"
FILE = "/tmp/barebus-linux"
STANDSTILL = 6  # seconds


def check_start(linux, guest):
    expect(linux.run("nproc") == "2", "it has not two processors", guest)
    expect(linux.run("dmesg | grep -c 'Hypervisor detected: Microsoft Hyper-V'") == "1", "it does not see Hyper-V", guest)
    linux.load("hv_vmbus")
    expect(linux.kernel_log("Vmbus version:5.3$"), "it did not connect at 5.3", guest)
    linux.load("hv_utils")
    linux.wait_for_device(HEARTBEAT, "hv_utils")
    expect(not linux.kernel_log("ACPI (BIOS )?(Error|Warning)|BUG:|Call Trace"), f"it complains: {linux.kernel_log('ACPI|BUG')}", guest)
    contacts = [fields["version"] for _, name, fields in guest.messages() if name == "INITIATE_CONTACT"]
    expect(contacts == ["5.3"], f"it asked for {contacts}", guest)


def test_linux_on_two_processors_starts_goes_on_in_another_process_and_powers_off(host):
    kernel, initrd = image(host)
    with host.start_vmm(kernel, initrd=initrd, append=COMMAND_LINE, memory_mib=128, processors=2, devices=DEVICES) as guest:
        linux = LinuxGuest(guest)
        check_start(linux, guest)
        began = time.monotonic()
        uptime = float(linux.run("cut -d ' ' -f 1 /proc/uptime"))
        guest.command(f"save {FILE}")
        passed = time.monotonic() - began
        guest.command("quit")
        expect(guest.wait() == NO_STATUS, "the VMM did not quit", guest)
    time.sleep(STANDSTILL)
    began = time.monotonic()
    with host.start_vmm(None, devices=DEVICES, arguments=("--resume", FILE)) as guest:
        linux.guest = guest
        later = float(linux.run("cut -d ' ' -f 1 /proc/uptime"))
        passed += time.monotonic() - began
        # Between the two answers it ran for no longer than that, and while it was saved its time stood still. Clocks may differ.
        expect(uptime <= later < uptime + passed * 1.05 + 0.5,
               f"its time went from {uptime} to {later} while {passed:.1f} s passed here", guest)
        answered = guest.figures("device heartbeat status")["answered"]
        guest.wait_figures("device heartbeat status", lambda beats: beats["answered"] > answered, "a heartbeat is answered")
        expect(not linux.kernel_log("BUG:|Call Trace|rcu.*stall|soft lockup"), "it complains", guest)
        linux.power_off()
        expect(guest.wait() == NO_STATUS, "it did not power off", guest)


def test_linux_as_it_is_shipped_unpacks_itself(host):
    packed = os.path.join(host.deps, "kernel", "vmlinuz")
    with host.start_vmm(packed, append="earlyprintk=ttyS0 nokaslr", memory_mib=192, devices=(), trace=False) as guest:
        guest.console.wait_for("Linux version")
        guest.console.wait_for("Command line: .*nokaslr")
        guest.console.wait_for("ACPI: RSDP 0x00000000000E0000")
        guest.command("quit")
        expect(guest.wait() == NO_STATUS, "it did not quit", guest)
