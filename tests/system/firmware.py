# SPDX-License-Identifier: MIT
"""Guests that UEFI firmware starts, on plain QEMU without Hyper-V: OVMF from a disk of ours, under TCG."""
import contextlib
import os
import shutil
import tempfile

from direct import DirectHost
from guest import QMP_FILE, Guest

QEMU = "qemu-system-x86_64"
CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"
EXIT_PORT = 0xF4
SCREEN = ("-device", "VGA")


@contextlib.contextmanager
def start(*disk, memory="256M", serial=True, screen=False, machine="q35", extra=()):
    """Starts QEMU with OVMF and what attaches a disk, as words of QEMU's command line; gives the guest with its processors running.

    A guest that was told exit=0xf4 leaves with a status; one that switches itself off ends QEMU, one that resets does so too.
    """
    host = DirectHost(lambda text: None)
    guest = Guest(host)
    command = [
        QEMU, "-S", "-accel", "tcg", "-machine", machine, "-m", memory, "-nodefaults", "-no-user-config", "-display", "none",
        "-no-reboot", "-boot", "menu=on,splash-time=0",
        "-drive", f"if=pflash,unit=0,readonly=on,format=raw,file={CODE}",
        "-drive", f"if=pflash,unit=1,snapshot=on,format=raw,file={VARIABLES}",
        "-chardev", "stdio,id=console,signal=off", "-chardev", f"socket,id=qmp,fd={QMP_FILE}", "-mon", "chardev=qmp,mode=control",
        "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4",
        *(("-serial", "chardev:console") if serial else ()), *(SCREEN if screen else ()), *disk, *extra,
    ]
    host.launch(guest, command)
    try:
        guest.let_go()
        yield guest
    finally:
        guest.stop()


@contextlib.contextmanager
def folder(host, name, command_line=None, troubles=()):
    """A folder with an application of the build folder as QEMU's FAT disk: the words that attach it.

    command_line is the text, or the bytes, of barebus.txt. With troubles, tests/guests/uefi/trouble.c makes firmware difficult
    before it starts the application.
    """
    with tempfile.TemporaryDirectory() as top:
        boot = os.path.join(top, "EFI", "BOOT")
        os.makedirs(boot)
        application = f"{host.build}/{name}.efi"
        if troubles:
            os.mkdir(os.path.join(top, "trouble"))
            for trouble in troubles:
                with open(os.path.join(top, "trouble", trouble), "wb"):
                    pass
            shutil.copy(application, os.path.join(boot, "GUEST.EFI"))
            application = f"{host.build}/guests/trouble.efi"
        shutil.copy(application, os.path.join(boot, "BOOTX64.EFI"))
        if command_line is not None:
            with open(os.path.join(boot, "barebus.txt"), "wb") as file:
                file.write(command_line.encode() if isinstance(command_line, str) else command_line)
        yield ("-drive", f"format=raw,file=fat:rw:{top}")
