#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ARM64 guests on the host at EL2 (tests/el2), which runs on a machine that QEMU emulates: one process a run, a second or less."""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import acpi_tables

LIMIT = 120             # seconds of a machine that may be busy; a tenth of one is usual
GUEST_MEMORY = 64       # MiB
HOST_MEMORY = 256       # MiB below the guest's: tests/el2/machine.h
GUEST_IMAGE = 0x50200000
FIRMWARE = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
STATUS_GUEST_RESTARTS = 124  # and the next two: tests/el2/semihosting.h
STATUS_HOST_FAILED = 125
STATUS_GUEST_STRAY = 126

# When the host works on what the guest did: tests/el2/configuration.h.
DELIVERIES = ("at-once", "at-wait", "later", "parallel")

# The same instructions take the same time in every run, and nobody waits.
REPEATABLE = ("-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm")


class Ended:
    """How a run ended: its status, the guest's console, and the host's, with the trace."""

    def __init__(self, status, console, host):
        self.status, self.console, self.host = status, console.replace("\r", ""), host.replace("\r", "")

    def messages(self):
        """The trace: (sender, message, fields) of each message, as vmm.py has them."""
        return [(sender, name, dict(re.findall(r"(\S+)=(\S+)", rest)))
                for sender, name, rest in re.findall(r"\] guest (->|<-) ([A-Z_]+)(.*)", self.host)]

    def __str__(self):
        parts = (("the guest's console", self.console), ("the host's", self.host))
        return f"status {self.status}\n" + "\n".join(
            f"{name}, last lines:\n" + "\n".join("  | " + line for line in text.splitlines()[-25:]) for name, text in parts)


def check(condition, ended, what):
    if not condition:
        raise AssertionError(f"{what}\n{ended}")


def command_line(build, image, append, *, delivery, processors, memory, spare, devices, script, words, trace, limit, repeatable, output,
                 firmware=None, disk=None):
    """QEMU's. `output`: its options for the guest's and the host's consoles, of which the host's has id=host. `firmware`: a folder
    with ACPI's tables, if the guest is to start with UEFI; from `disk` (file, format), if there is no image."""
    parallel = delivery == "parallel"
    processor = "neoverse-n1,cntfrq=1000000000" if delivery == "later" else "neoverse-n1"  # a tick an instruction, if REPEATABLE
    # The first of several words of one key counts.
    words = ["barebus-el2", *words, f"delivery={delivery}", f"processors={processors}", f"memory={memory}", f"spare={spare}",
             f"limit={limit}", *(f"device={device}" for device in devices), *([f"script={script}"] if script else []),
             *(["trace"] if trace else []), *(["firmware"] if firmware else []), "--"]
    if firmware:
        machine = ",acpi=off,highmem=off"
        guest = ["-bios", FIRMWARE, "-boot", "menu=on,splash-time=0"]
        if disk:
            guest += ["-drive", f"if=none,id=disk,snapshot=on,file={disk[0]},format={disk[1]}", "-device", "virtio-blk-device,drive=disk"]
        else:
            guest += ["-kernel", image, "-append", append]
        for name in ("etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader"):
            guest += ["-fw_cfg", f"name={name},file={firmware}/{os.path.basename(name)}"]
    else:
        machine = ""
        guest = ["-device", f"loader,file={image},addr={GUEST_IMAGE:#x},force-raw=on"]
        words += append.split()
    arguments = "".join(",arg=" + word.replace(",", ",,") for word in words)
    return ["qemu-system-aarch64", "-machine", f"virt,virtualization=on,gic-version=3{machine}", "-cpu", processor,
            "-smp", str(processors + parallel), "-m", str(HOST_MEMORY + memory + spare), "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", *(REPEATABLE if repeatable and not parallel else ()), *output,
            "-semihosting-config", f"enable=on,target=native,chardev=host{arguments}",
            "-device", f"loader,file={build}/barebus-el2.elf,cpu-num=0", *guest]


def write_tables(build, folder, processors, **told):
    """ACPI's tables of the machine that firmware sees: QEMU's (tests/el2/machine.h)."""
    with open(f"{build}/el2/dsdt.aml", "rb") as file:
        dsdt = file.read()
    files = acpi_tables.fw_cfg(dsdt, processors, distributor=0x08000000, redistributors=0x080A0000, virtual_timer=27, uart=0x09000000,
                               uart_interrupt=33, **told)
    for name, data in files.items():
        with open(f"{folder}/{os.path.basename(name)}", "wb") as file:
            file.write(data)


def run(host, image, append="", *, delivery="at-once", processors=1, memory=GUEST_MEMORY, spare=0, devices=(), script=(), words=(),
        trace=False, limit=100, seconds=LIMIT, firmware=None, disk=None):
    """Runs a guest to its end. `append`: its command line; `script`: lines as tests/el2/script.h has them; `words`: more of the host's
    command line (tests/el2/main.c); `limit`: seconds of the guest's own time, which is ours too if it runs in parallel; `seconds`: of
    ours; `firmware`: the guest starts with UEFI, and these are what acpi_tables.fw_cfg() is to be told; `disk`: (file, format), in place
    of an image."""
    with tempfile.TemporaryDirectory() as folder:
        log = f"{folder}/host"
        if script:
            with open(f"{folder}/script", "w", encoding="ascii") as file:
                file.write("".join(line + "\n" for line in script))
        if firmware is not None:
            write_tables(host.build, folder, processors, **firmware)
        command = command_line(host.build, image, append, delivery=delivery, processors=processors, memory=memory, spare=spare,
                               devices=devices, script=f"{folder}/script" if script else None, words=words, trace=trace, limit=limit,
                               repeatable=True, firmware=folder if firmware is not None else None, disk=disk,
                               output=["-serial", "stdio", "-chardev", f"file,id=host,path={log}"])
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=seconds, check=False)
            status, console = done.returncode, done.stdout
        except subprocess.TimeoutExpired as error:
            status, console = "none: it did not end", error.stdout or b""
        text = b""
        if os.path.exists(log):
            with open(log, "rb") as file:
                text = file.read()
    return Ended(status, console.decode(errors="replace"), text.decode(errors="replace"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--append", default="", help="the guest's command line")
    parser.add_argument("--device", action="append", help="TYPE[,key=value]..., as often as there are (tests/host)")
    parser.add_argument("--delivery", choices=DELIVERIES, default="parallel", help="when the host works on what the guest did")
    parser.add_argument("--processors", type=int, default=1)
    parser.add_argument("--memory", type=int, default=GUEST_MEMORY, help="MiB")
    parser.add_argument("--spare", type=int, default=0, help="MiB that the guest may get while it runs")
    parser.add_argument("--script", help="file with commands for the host (tests/el2/script.h)")
    parser.add_argument("--trace", action="store_true", help="each message of the bus")
    parser.add_argument("--limit", type=int, default=3600, help="seconds of the guest's time")
    parser.add_argument("--uefi", action="store_true", help="the image is an application for UEFI, and firmware starts it")
    parser.add_argument("image", help="an arm64 Image")
    options = parser.parse_args()
    devices = options.device if options.device is not None else ("heartbeat", "timesync", "shutdown", "kvp", "balloon", "echo-sample", "load")
    with tempfile.TemporaryDirectory() as folder:
        if options.uefi:
            write_tables(options.build, folder, options.processors)
        # Both consoles on this one.
        status = subprocess.run(command_line(
            options.build, options.image, options.append, delivery=options.delivery, processors=options.processors,
            memory=options.memory, spare=options.spare, devices=devices, script=options.script, words=(), trace=options.trace,
            limit=options.limit, repeatable=False, firmware=folder if options.uefi else None,
            output=["-chardev", "stdio,id=host,mux=on,signal=on", "-serial", "chardev:host"]), check=False).returncode
    print(f"the guest left with status {status}")
    return status


if __name__ == "__main__":
    sys.exit(main())
