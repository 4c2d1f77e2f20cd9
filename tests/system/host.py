#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots guests on QEMU with Hyper-V: on this machine's KVM if that has Hyper-V support, else on a nested host. As a program it
boots one and shows its console; for tests:

    with Host() as host:
        with host.start("build/hello.elf", append="some words", memory_mib=256) as guest:
            guest.console.wait_for(r"VMBus", timeout=30)         # -> re.Match; goes on behind the line it found
            guest.qmp("balloon", value=128 << 20)                # -> what QMP returns; an argument's _ stands for -
            guest.wait_event("BALLOON_CHANGE", timeout=60)       # -> the event
            assert guest.wait(timeout=60) == 0                   # the status the guest left with

A guest leaves by writing its status to the port named exit= on its command line (isa-debug-exit).
"""
import argparse
import os
import signal
import sys
import time

from direct import DirectHost, kvm_has_hyperv
from guest import NO_STATUS, QMP_FILE, Guest, GuestEnded, GuestTimeout, HostError, QmpError
from nested import NestedHost
from vmm import VmmError, VmmGuest
import vmm

__all__ = ["Host", "Guest", "HostError", "GuestEnded", "GuestTimeout", "QmpError", "VmmError", "NO_STATUS", "HYPERV_FLAGS", "VMBUS_DEVICES"]

QEMU = "/usr/bin/qemu-system-x86_64"
EXIT_PORT = 0xF4
# Everything of Hyper-V's interface that QEMU offers and a guest of ours uses.
HYPERV_FLAGS = ("hv-relaxed", "hv-vapic", "hv-time", "hv-vpindex", "hv-runtime", "hv-synic", "hv-stimer", "hv-stimer-direct",
                "hv-reset", "hv-frequencies", "hv-crash")
VMBUS_DEVICES = ("vmbus-bridge", "hv-balloon,id=balloon")


def say_nothing(_text):
    pass


class Host:
    """Where guests run. kind is "direct" or "nested", why says what decided it, restarts counts failed starts of the host."""

    def __init__(self, deps="build/deps", build="build", kind=None, say=say_nothing):
        capable, self.why = kvm_has_hyperv()
        kind = kind or os.environ.get("BAREBUS_HOST") or ("direct" if capable else "nested")
        if kind not in ("direct", "nested"):
            raise HostError(f"there is no host of kind {kind!r}: direct or nested")
        if kind == "direct" and not capable:
            raise HostError(f"guests cannot run directly here: {self.why}")
        if not os.path.exists(QEMU):
            raise HostError(f"{QEMU} is not there; run 'make deps'")
        self.build = build  # where tests find images
        self.deps = deps    # and what make deps made
        self.kind = kind
        self._say = say
        self._host = DirectHost(say) if kind == "direct" else NestedHost(deps, say)
        self._guest = None

    @property
    def restarts(self):
        return self._host.restarts

    def usable(self):
        """False: the host died or does not answer; close it and make another."""
        return self._host.usable()

    def __enter__(self):
        self._say(f"{self.kind}: {self.why}")
        self._host.start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._host.close()

    def describe(self):
        """What was heard last, for messages."""
        return "\n".join([self._host.diagnosis(), *([self._guest.describe()] if self._guest else [])])

    def keep(self, path):
        """The name under which a file can be named in arguments of the VMM: that may run on another machine."""
        return self._host.keep_file(path)

    def stop_guest(self):
        """Ends the guest that was started last, if it still runs."""
        if self._guest:
            self._guest.stop()
            self._guest = None

    def start(self, elf, append="", memory_mib=256, cpu_flags=HYPERV_FLAGS, devices=VMBUS_DEVICES, extra_args=(),
              processors=1, machine="pc,hpet=off", firmware="qboot.rom", initrd=None, console=True, on_console=None):
        """Starts a guest and returns it with its processors running. One at a time.

        append is added to the guest's command line after exit=; cpu_flags and devices replace the defaults; extra_args are
        further words of QEMU's command line. firmware is what hands over to the kernel: qboot.rom, or bios-256k.bin (SeaBIOS).
        elf may be None: firmware then finds an application on a disk in extra_args, with a command line of its own.
        initrd is a file handed over with the kernel; without console there is no serial port in the guest.
        on_console(bytes) is called with what the guest writes, as it comes.
        """
        self.stop_guest()
        if elf and not os.path.isfile(elf):
            raise HostError(f"{elf} is not there")
        command = [
            QEMU, "-S", "-accel", "kvm", "-machine", machine, "-m", str(memory_mib), "-smp", str(processors),
            "-cpu", ",".join(("host", "kvm=off", *cpu_flags)), "-nodefaults", "-no-user-config", "-display", "none",
            # A guest that panics writes the crash registers, and then leaves with a status of its own.
            "-no-reboot", "-action", "panic=none", "-bios", firmware, "-chardev", "stdio,id=console,signal=off",
            "-chardev", f"socket,id=qmp,fd={QMP_FILE}", "-mon", "chardev=qmp,mode=control",
            "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=0x4",
        ]
        if console:
            command += ["-serial", "chardev:console"]
        for device in devices:
            command += ["-device", device]
        if initrd:
            command += ["-initrd", self._host.keep_file(initrd)]
        if elf:
            command += ["-kernel", self._host.keep_file(elf), "-append", f"exit={EXIT_PORT:#x} {append}".strip()]
        command += extra_args
        guest = Guest(self._host, on_console)
        self._guest = guest
        self._host.launch(guest, command)
        guest.let_go()
        return guest

    def start_vmm(self, elf, append="", memory_mib=256, devices=("echo-sample",), processors=1, initrd=None, trace=True,
                  firmware=None, arguments=(), on_console=None, reboot=False):
        """The same on our own VMM, which `make vmm` builds: no QMP, but guest.command(); devices are those of tests/host.

        With firmware (OVMF's file) elf is an EFI application that it starts. Instead of a kernel elf may be None, with a guest to
        resume in arguments, which are further words of the command line. With reboot a guest that resets is started anew.
        """
        self.stop_guest()
        program = os.path.join(self.build, "barebus-vmm")
        for path in (program, elf, initrd, firmware):
            if path and not os.path.isfile(path):
                raise HostError(f"{path} is not there")
        guest = VmmGuest(self._host, on_console)
        self._guest = guest

        def keep(path):
            return path and self._host.keep_file(path)

        files = {"kernel": keep(elf), "initrd": keep(initrd), "firmware": keep(firmware)}
        self._host.launch(guest, vmm.command_line(keep(program), files, append, memory_mib, devices, processors, trace, reboot, arguments))
        guest.let_go()
        return guest


def main():
    parser = argparse.ArgumentParser(description="Boots a guest on QEMU with Hyper-V, shows its console, and exits with its status.")
    parser.add_argument("elf")
    parser.add_argument("--deps", default="build/deps", help="what 'make deps' made")
    parser.add_argument("--build", default="build", help="the build folder")
    parser.add_argument("--append", default="", help="words for the guest's command line")
    parser.add_argument("--memory", type=int, default=256, metavar="MIB")
    parser.add_argument("--vmm", action="store_true", help="on our own VMM instead of QEMU (make vmm builds it)")
    parser.add_argument("--device", action="append", metavar="NAME[,OPTIONS]", help="of the VMM; may be given several times (all)")
    parser.add_argument("--firmware", metavar="FILE", help="of the VMM: UEFI firmware (OVMF.fd) that starts an EFI application")
    parser.add_argument("--processors", type=int, default=1, metavar="N")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="end the guest after this time")
    parser.add_argument("--host", choices=("direct", "nested"), help="do not choose by what this machine's KVM can do")
    options = parser.parse_args()

    began = time.monotonic()
    first = []

    def say(text):
        print(f"host: {text}", file=sys.stderr, flush=True)

    def show(data):
        if not first:
            first.append(time.monotonic() - began)
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    # An ordinary end, so that every with statement below is left in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Host(deps=options.deps, build=options.build, kind=options.host, say=say) as host:
            more = {}
            if options.vmm:
                more = {"devices": options.device or ("all",), "trace": False, "firmware": options.firmware}
            start = host.start_vmm if options.vmm else host.start
            with start(options.elf, append=options.append, memory_mib=options.memory, processors=options.processors, on_console=show,
                       **more) as guest:
                say("the guest runs")
                status = guest.wait(options.timeout)
    except (HostError, GuestTimeout, GuestEnded, QmpError) as error:
        say(f"error: {error}")
        return 125
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    when = f", its first words came after {first[0]:.1f} s" if first else ", without a word"
    if status == NO_STATUS:
        say(f"the guest ended without a status{when}")
        return 1
    say(f"the guest ended with status {status}{when}")
    return status


if __name__ == "__main__":
    sys.exit(main())
