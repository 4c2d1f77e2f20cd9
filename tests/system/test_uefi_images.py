# SPDX-License-Identifier: MIT
"""Each disk of make image is sound, and boots."""
import os
import subprocess
import tempfile

import run
from direct import kvm_has_hyperv
from figures import expect, lines_with, wait_for_figures
from firmware import start
from guest import NO_STATUS

NO_HYPERV = 4
LIMIT = 120
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AHCI = ("-device", "ich9-ahci,id=ahci")


def make(*words):
    done = subprocess.run(["bash", os.path.join(ROOT, "boot", "image", words[0]), *words[1:]], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


def boots(*disk):
    with start(*disk) as guest:
        ended = guest.wait(LIMIT)
    expect(ended == NO_HYPERV, f"the guest left with status {ended}", guest)
    expect(lines_with(guest, "kernel: Barebus, started by UEFI"), "it was not started by UEFI", guest)


def applications(host):
    return f"{host.build}/hello.efi", f"{host.build}/aarch64/hello.efi"


@run.limit(600)
def test_disks_are_sound_and_boot(host):
    with tempfile.TemporaryDirectory() as folder:
        make("make.sh", "--append", "exit=0xf4", folder, "barebus", *applications(host))
        make("check.sh", folder, "barebus", *applications(host))
        for name, kind in (("img", "raw"), ("vhdx", "vhdx"), ("vhd", "vpc")):
            boots(*AHCI, "-drive", f"if=none,id=disk,format={kind},file={folder}/barebus.{name}",
                  "-device", "ide-hd,drive=disk,bus=ahci.0")
        boots("-cdrom", f"{folder}/barebus.iso")


# OVMF ends a QEMU that runs nested (CAVEATS.md): this needs a machine with Hyper-V support in its own KVM.
if kvm_has_hyperv()[0]:
    def test_the_vhdx_connects_on_qemu_with_hv_balloon(host):
        with tempfile.TemporaryDirectory() as folder:
            make("make.sh", "--append", "run=5", folder, "barebus", *applications(host))
            disk = f"if=none,id=disk,format=vhdx,file={host.keep(f'{folder}/barebus.vhdx')}"
            with host.start(None, machine="q35,hpet=off", firmware=host.keep("/usr/share/ovmf/OVMF.fd"),
                            extra_args=(*AHCI, "-drive", disk, "-device", "ide-hd,drive=disk,bus=ahci.0")) as guest:
                wait_for_figures(guest, "start", LIMIT)
                ended = guest.wait(LIMIT)
        expect(ended == NO_STATUS, f"the guest left with status {ended}", guest)
        for line in ("kernel: Barebus, started by UEFI", "vmbus: connected, version 4.0", "kernel: power off by ACPI, exit status 0"):
            expect(lines_with(guest, line), f"no line like {line!r}", guest)
else:
    print(f"NOT TESTED HERE: the VHDX on QEMU with hv-balloon needs KVM with Hyper-V support: {kvm_has_hyperv()[1]}", flush=True)


def test_a_disk_with_sectors_of_4096_bytes_boots(host):
    with tempfile.TemporaryDirectory() as folder:
        make("make.sh", "--sector", "4096", "--append", "exit=0xf4", folder, "barebus", *applications(host))
        boots("-drive", f"if=none,id=disk,format=raw,file={folder}/barebus.img",
              "-device", "virtio-blk-pci,drive=disk,logical_block_size=4096,physical_block_size=4096")


def test_the_same_input_gives_the_same_disk(host):
    with tempfile.TemporaryDirectory() as folder:
        for name in ("one", "two"):
            make("make.sh", folder, name, *applications(host))
        for kind in ("img", "iso"):
            with open(f"{folder}/one.{kind}", "rb") as one, open(f"{folder}/two.{kind}", "rb") as two:
                assert one.read() == two.read(), f"two builds of the .{kind} differ"


def test_the_check_finds_what_is_wrong(host):
    """A check that finds nothing in broken disks would be none."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, at in (("img", 512), ("img", (1 << 20) + 32 * 512 + 8), ("vhdx", 0x40000), ("vhd", (64 << 20) + 48), ("iso", 17 * 2048 + 71)):
            make("make.sh", folder, "barebus", *applications(host))
            with open(f"{folder}/barebus.{kind}", "r+b") as file:
                file.seek(at)
                byte = file.read(1)
                file.seek(at)
                file.write(bytes([byte[0] ^ 0xFF]))
            try:
                make("check.sh", folder, "barebus", *applications(host))
            except AssertionError:
                continue
            raise AssertionError(f"a wrong byte at {at} of the .{kind} was not found")
