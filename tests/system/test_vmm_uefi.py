# SPDX-License-Identifier: MIT
"""An EFI application with Hyper-V around it: Debian's OVMF on our VMM starts it."""
import os

from figures import expect, lines_with

FIRMWARE = "/usr/share/ovmf/OVMF.fd"


def test_firmware_starts_an_application_that_connects(host):
    image = os.path.join(host.build, "hello.efi")
    with host.start_vmm(image, append="run=0", firmware=FIRMWARE) as guest:
        guest.console.wait_for("kernel: Barebus, started by UEFI")
        status = guest.wait()
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(lines_with(guest, "vmbus: connected, version 6.0"), "it did not connect", guest)
    expect(not lines_with(guest, "ACPI tables|panic:"), "it has no ACPI tables", guest)
    names = [name for _, name, _ in guest.messages()]
    expect(names[-2:] == ["UNLOAD", "UNLOAD_COMPLETE"], f"the conversation ends with {names[-2:]}", guest)
