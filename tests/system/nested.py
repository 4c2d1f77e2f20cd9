# SPDX-License-Identifier: MIT
"""Guests on a machine without usable KVM: QEMU emulates an AMD processor with SVM, a Debian kernel with KVM runs on it (L1),
and QEMU with that KVM runs the guest. L1 stays up from guest to guest; its agent (agent.c) starts them."""
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import nested_image
from guest import QMP_FILE, HostError
from processes import die_with_parent, read_all

START_LIMIT = 120   # seconds from L0's start to L1's agent; 3 to 4 are usual on an idle machine of two processors
START_ATTEMPTS = 2  # a nested host may hang while it comes up; that says nothing about a guest
ANSWER_LIMIT = 30   # seconds; the agent answers in milliseconds
SEND_LIMIT = 60     # seconds until it takes what it is sent
MEMORY_MIB = 2048   # L1's; what it does not touch costs nothing
# A third of the kernel's start is spent on these: self-tests, security modules, certificates, type tables of BPF.
LEFT_OUT = ("lsm=capability audit=0 cryptomgr.notests initcall_blacklist=load_system_certificate_list,jent_mod_init,"
            "bpf_tcp_ca_kfunc_init,bpf_dummy_struct_ops_init")


class NestedHost:
    kind = "nested"

    def __init__(self, deps, say, memory_mib=MEMORY_MIB):
        self._deps = deps
        self._say = say
        self._memory_mib = memory_mib
        self._process = None
        self._reader = None
        self._socket = None
        self._guest = None
        self._files = set()
        self._send_lock = threading.Lock()
        self._ready = threading.Event()
        self._answered = threading.Event()
        self._heard = {}     # level -> (time, last line)
        self._over = None
        self.restarts = 0    # how often L1 had to be started again while it came up

    # -- coming up and going down ---------------------------------------------------------------------------------------

    def start(self):
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self._start_once()
                return
            except HostError as error:
                diagnosis = str(error)
                self.close()
                if attempt < START_ATTEMPTS:
                    self.restarts += 1
                    self._say(f"the nested host did not come up, starting it once more ({diagnosis})")
        raise HostError(f"the nested host did not come up in {START_ATTEMPTS} attempts: {diagnosis}")

    def _start_once(self):
        try:
            kernel, initrd, agent = nested_image.build(self._deps)
        except nested_image.ImageError as error:
            raise HostError(str(error)) from error
        self._began = time.monotonic()
        self._ready.clear()
        self._heard, self._over, self._files = {}, None, set()
        self._serial = self._errors = self._frames = b""
        khz = subprocess.run([agent, "--tsc-khz"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        self._socket, theirs = socket.socketpair()
        # A nested host that hangs takes nothing more, and whoever sends is not to hang with it.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_LIMIT, 0))
        # With ACPI Linux leaves the legacy interrupt controller as it finds it: were there one, with a timer at its input, the
        # first tick would arrive as vector 0 and end L1 (most starts did). The APIC's timer is all L1 needs.
        # QEMU puts the initial file system at the very end of memory, where SeaBIOS wants the ACPI tables; qboot has them below 1 MiB.
        # The emulated counter runs at this machine's own frequency: L1 need not measure it, nor doubt it.
        words = ("console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check "
                 f"tsc_early_khz={khz} random.trust_cpu=on {LEFT_OUT}")
        command = [
            nested_image.QEMU, "-accel", "tcg", "-cpu", "EPYC,+svm,+npt", "-m", str(self._memory_mib),
            "-machine", "microvm,acpi=on,pit=off,pic=off,rtc=on,isa-serial=on", "-bios", "qboot.rom", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-serial", "stdio",
            "-chardev", f"socket,id=agent,fd={theirs.fileno()}",
            "-device", "virtio-serial-device", "-device", "virtserialport,chardev=agent",
            "-kernel", kernel, "-initrd", initrd, "-append", words,
        ]
        with theirs:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                             pass_fds=[theirs.fileno()], preexec_fn=die_with_parent)
        self._reader = threading.Thread(target=self._read, args=(self._process, self._socket), daemon=True)
        self._reader.start()
        if not self._ready.wait(START_LIMIT) or self._over:
            raise HostError(self._over or f"no word of its agent for {START_LIMIT} s\n{self.diagnosis()}")

    def close(self):
        if self._process:
            self._process.kill()
            self._process.wait()
            self._reader.join(10)
            self._process.stdout.close()
            self._process.stderr.close()
            self._socket.close()
            self._process = None

    def _is_up(self):
        return self._process is not None and self._over is None and self._ready.is_set()

    def usable(self):
        """Whether the agent answers."""
        if not self._is_up():
            return False
        self._answered.clear()
        self._send("P", b"")
        return self._answered.wait(ANSWER_LIMIT)

    # -- what comes from inside -----------------------------------------------------------------------------------------

    def _read(self, process, agent):
        read_all({agent: self._take_frames, process.stdout: self._take_serial, process.stderr: self._take_error})
        process.wait()
        self._over = f"the nested host's QEMU ended with code {process.returncode}\n{self.diagnosis(ask=False)}"
        if self._guest:
            self._guest.feed_broken(self._over)
        self._ready.set()

    def _hear(self, level, line):
        self._heard[level] = (time.monotonic(), line)

    def _take_serial(self, data):
        *lines, self._serial = (self._serial + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").strip()
            if text:
                self._hear("L1, Debian's kernel and our agent", text)
            if text.startswith("agent: "):
                self._say(f"nested host: {text[7:]} after {time.monotonic() - self._began:.1f} s")

    def _take_error(self, data):
        *lines, self._errors = (self._errors + data).split(b"\n")
        for line in (line.decode(errors="replace") for line in lines):
            # Features of the processor model that emulation lacks; none is needed.
            if "TCG doesn't support requested feature" not in line:
                self._hear("L0, the emulating QEMU", line)

    def _take_frames(self, data):
        self._frames += data
        while len(self._frames) >= 5:
            size = struct.unpack_from("<I", self._frames, 1)[0]
            if len(self._frames) < 5 + size:
                return
            kind, payload = chr(self._frames[0]), self._frames[5:5 + size]
            self._frames = self._frames[5 + size:]
            self._take_frame(kind, payload)

    def _take_frame(self, kind, payload):
        guest = self._guest
        if kind == "H":
            self._hear("L1, Debian's kernel and our agent", payload.decode())
            if "synic2=1 sys_hyperv_cpuid=1" not in payload.decode():
                self._over = f"its KVM lacks what a Hyper-V guest needs: {payload.decode()}"
            self._ready.set()
        elif kind == "P":
            self._answered.set()
        elif kind == "L":
            self._hear("L1, Debian's kernel and our agent", payload.decode(errors="replace"))
            self._say(f"nested host: {payload.decode(errors='replace')}")
        elif guest is None:
            return
        elif kind == "C":
            guest.feed_console(payload)
            self._hear("L2, the guest", guest.console.last_line())
        elif kind == "Q":
            guest.feed_qmp(payload)
        elif kind == "E":
            self._hear("L1's QEMU", payload.decode(errors="replace").strip())
            guest.feed_error(payload)
        elif kind == "X":
            self._guest = None
            guest.feed_end(struct.unpack("<I", payload)[0])

    def diagnosis(self, ask=True):
        """Which level said what last, and whether L1 still answers."""
        now = time.monotonic()
        lines = [f"  {level}, {now - when:.1f} s ago: {line!r}" for level, (when, line) in sorted(self._heard.items())]
        if ask and self._is_up():
            lines.append("  L1's agent answers" if self.usable() else f"  L1's agent does not answer within {ANSWER_LIMIT} s: L1 hangs")
        return "last heard (L0: emulating QEMU, L1: nested host, L2: guest):\n" + ("\n".join(lines) or "  nothing at all")

    # -- guests ---------------------------------------------------------------------------------------------------------

    def _send(self, kind, payload):
        try:
            with self._send_lock:
                self._socket.sendall(kind.encode() + struct.pack("<I", len(payload)) + payload)
        except OSError as error:
            why = f"it has taken nothing for {SEND_LIMIT} s" if isinstance(error, BlockingIOError) else error
            raise HostError(f"the nested host is gone: {self._over or why}") from error

    def keep_file(self, path):
        """Copies a file to L1, once, and returns its name there."""
        with open(path, "rb") as file:
            data = file.read()
        name = f"/tmp/{hashlib.sha256(data).hexdigest()[:16]}"
        if name not in self._files:
            self._send("F", name.encode() + b"\0" + data)
            self._files.add(name)
        return name

    def launch(self, guest, command):
        if not self._is_up():
            raise HostError(f"the nested host is gone: {self._over}")
        self._guest = guest
        self._send("S", b"".join(word.replace(QMP_FILE, "3").encode() + b"\0" for word in command))

    def send_qmp(self, _guest, data):
        self._send("Q", data)

    def send_console(self, _guest, data):
        self._send("C", data)

    def kill(self, _guest):
        self._send("K", b"")


if __name__ == "__main__":
    sys.exit("this is a part of host.py")
