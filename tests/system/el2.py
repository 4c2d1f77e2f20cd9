# SPDX-License-Identifier: MIT
"""ARM64 guests on the host at EL2 (tests/el2), which runs on a machine that QEMU emulates: one process a run, half a second or less."""
import os
import subprocess
import tempfile

LIMIT = 60              # seconds of a machine that may be busy; a tenth of one is usual
GUEST_MEMORY = 64       # MiB
HOST_MEMORY = 256       # MiB below the guest's: tests/el2/machine.h
GUEST_IMAGE = 0x50200000
STATUS_HOST_FAILED = 125  # tests/el2/semihosting.h
STATUS_GUEST_STRAY = 126

# The same instructions take the same time in every run, and nobody waits.
REPEATABLE = ("-icount", "shift=0,sleep=off")


class Ended:
    """How a run ended: its status, the guest's console, and the host's, with the trace."""

    def __init__(self, status, console, host):
        self.status, self.console, self.host = status, console.replace("\r", ""), host.replace("\r", "")

    def __str__(self):
        parts = (("the guest's console", self.console), ("the host's", self.host))
        return f"status {self.status}\n" + "\n".join(
            f"{name}, last lines:\n" + "\n".join("  | " + line for line in text.splitlines()[-25:]) for name, text in parts)


def run(host, image, append="", *, delivery="at-once", processors=1, memory=GUEST_MEMORY, repeatable=True, trace=False,
        words=(), limit=30, qemu=(), seconds=LIMIT):
    """Runs a guest to its end. `append`: its command line; `words`: more of the host's (tests/el2/main.c)."""
    parallel = delivery == "parallel"
    # The first of several words of one key counts.
    words = ["barebus-el2", *words, f"delivery={delivery}", f"processors={processors}", f"memory={memory}", f"limit={limit}",
             *(["trace"] if trace else []), "--", *append.split()]
    arguments = "".join(",arg=" + word.replace(",", ",,") for word in words)
    with tempfile.TemporaryDirectory() as folder:
        log = f"{folder}/host"
        command = ["qemu-system-aarch64", "-machine", "virt,virtualization=on,gic-version=3", "-cpu", "neoverse-n1",
                   "-smp", str(processors + parallel), "-m", str(HOST_MEMORY + memory), "-nodefaults", "-no-user-config",
                   "-display", "none", "-serial", "stdio", "-no-reboot", *(REPEATABLE if repeatable and not parallel else ()),
                   "-chardev", f"file,id=host,path={log}",
                   "-semihosting-config", f"enable=on,target=native,chardev=host{arguments}",
                   "-kernel", f"{host.build}/barebus-el2.bin",
                   "-device", f"loader,file={image},addr={GUEST_IMAGE:#x},force-raw=on", *qemu]
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
