# SPDX-License-Identifier: MIT
"""A stock Linux on our VMM: what the machine itself has to be right in. Its devices are judged by the other tests with Linux."""
from figures import expect
from host import NO_STATUS
from linux_guest import COMMAND_LINE, LinuxGuest, image

ECHO = "6a1b5b2e-54c1-4a7d-9e0c-3c7d52418810"


def test_linux_starts_on_two_processors_connects_at_5_3_and_powers_off(host):
    kernel, initrd = image(host)
    with host.start_vmm(kernel, initrd=initrd, append=COMMAND_LINE, memory_mib=128, processors=2) as guest:
        linux = LinuxGuest(guest)
        expect(linux.run("nproc") == "2", "it has not two processors", guest)
        expect(linux.run("dmesg | grep -c 'Hypervisor detected: Microsoft Hyper-V'") == "1",
               "it does not see Hyper-V", guest)
        linux.load("hv_vmbus")
        expect(linux.kernel_log("Vmbus version:5.3$"), "it did not connect at 5.3", guest)
        linux.wait_for_device(ECHO)
        expect(not linux.kernel_log("ACPI (BIOS )?(Error|Warning)|BUG:|Call Trace"), f"it complains: {linux.kernel_log('ACPI|BUG')}", guest)
        linux.power_off()
        expect(guest.wait(30) == NO_STATUS, "it did not power off", guest)
    contacts = [fields["version"] for _, name, fields in guest.messages() if name == "INITIATE_CONTACT"]
    expect(contacts == ["5.3"], f"it asked for {contacts}", guest)
