# SPDX-License-Identifier: MIT
"""A stock Linux on our VMM: what the machine itself has to be right in. Its devices are judged by the other tests with Linux."""
import os

from figures import expect
from host import NO_STATUS
from linux_guest import COMMAND_LINE, LinuxGuest, image

DEVICES = ("heartbeat", "echo-sample")
HEARTBEAT = "57164f39-9115-4e78-ab55-382f3bd5422d"
FILE = "/tmp/barebus-linux"


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
        uptime = float(linux.run("cut -d ' ' -f 1 /proc/uptime"))
        guest.command(f"save {FILE}", timeout=60)
        guest.command("quit")
        expect(guest.wait(20) == NO_STATUS, "the VMM did not quit", guest)
    with host.start_vmm(None, devices=DEVICES, arguments=("--resume", FILE)) as guest:
        linux.guest = guest
        later = float(linux.run("cut -d ' ' -f 1 /proc/uptime"))
        expect(uptime <= later < uptime + 10, f"its time went from {uptime} to {later}", guest)
        answered = guest.figures("device heartbeat status")["answered"]
        linux.wait_for(lambda: guest.figures("device heartbeat status")["answered"] > answered, "a heartbeat is answered", 20)
        expect(not linux.kernel_log("BUG:|Call Trace|rcu.*stall|soft lockup"), "it complains", guest)
        linux.power_off()
        expect(guest.wait(30) == NO_STATUS, "it did not power off", guest)


def test_linux_as_it_is_shipped_unpacks_itself(host):
    packed = os.path.join(host.deps, "kernel", "vmlinuz")
    with host.start_vmm(packed, append="earlyprintk=ttyS0 nokaslr", memory_mib=192, devices=(), trace=False) as guest:
        guest.console.wait_for("Linux version", 60)
        guest.console.wait_for("Command line: .*nokaslr", 30)
        guest.console.wait_for("ACPI: RSDP 0x00000000000E0000", 30)
        guest.command("quit")
        expect(guest.wait(20) == NO_STATUS, "it did not quit", guest)
