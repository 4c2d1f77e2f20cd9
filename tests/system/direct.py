# SPDX-License-Identifier: MIT
"""Guests on this machine's own KVM, where it has Hyper-V support; and the question whether it has."""
import errno
import fcntl
import os
import socket
import subprocess
import threading

from guest import QMP_FILE, HostError
from processes import die_with_parent, read_all

# <linux/kvm.h>
KVM_CHECK_EXTENSION = 0xAE03
KVM_CAP_HYPERV_SYNIC2 = 148
KVM_CAP_SYS_HYPERV_CPUID = 191
NEEDED = (("KVM_CAP_HYPERV_SYNIC2", KVM_CAP_HYPERV_SYNIC2), ("KVM_CAP_SYS_HYPERV_CPUID", KVM_CAP_SYS_HYPERV_CPUID))


def kvm_has_hyperv():
    """Returns (True or False, why). That /dev/kvm is there says nothing: the kernel is asked."""
    try:
        file = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        hint = " (is this user in group kvm?)" if error.errno == errno.EACCES else ""
        return False, f"/dev/kvm cannot be opened: {error.strerror}{hint}"
    try:
        missing = [name for name, number in NEEDED if fcntl.ioctl(file, KVM_CHECK_EXTENSION, number) <= 0]
    except OSError as error:
        return False, f"/dev/kvm does not answer: {error.strerror}"
    finally:
        os.close(file)
    if missing:
        return False, f"this machine's KVM lacks {' and '.join(missing)}"
    return True, "this machine's KVM has Hyper-V support"


class DirectHost:
    kind = "direct"
    restarts = 0

    def __init__(self, say):
        self._say = say
        self._processes = {}

    def start(self):
        """Nothing has to come up."""

    def close(self):
        for guest in list(self._processes):
            guest.stop()

    def usable(self):
        return True

    def diagnosis(self):
        return "QEMU runs on this machine's KVM, with no level in between"

    def keep_file(self, path):
        return os.path.abspath(path)

    def launch(self, guest, command):
        ours, theirs = socket.socketpair()
        with theirs:
            command = [word.replace(QMP_FILE, str(theirs.fileno())) for word in command]
            try:
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                           bufsize=0, pass_fds=[theirs.fileno()], preexec_fn=die_with_parent)
            except OSError as error:
                raise HostError(f"{command[0]}: {error.strerror}") from error
        self._processes[guest] = (process, ours)
        threading.Thread(target=self._read, args=(guest, process, ours), daemon=True).start()

    def _read(self, guest, process, qmp):
        # In agent.c's order, for its reason: an answer, or a line of the console, comes behind what was on standard error by then.
        read_all({process.stderr: guest.feed_error, process.stdout: guest.feed_console, qmp: guest.feed_qmp})
        process.wait()
        for file in (process.stdin, process.stdout, process.stderr, qmp):
            file.close()
        del self._processes[guest]
        code = process.returncode
        guest.feed_end(-code if code < 0 else code << 8)

    def send_qmp(self, guest, data):
        self._write(guest, 1, lambda file: file.sendall(data))

    def send_console(self, guest, data):
        self._write(guest, 0, lambda file: file.stdin.write(data))

    def _write(self, guest, which, write):
        files = self._processes.get(guest)
        try:
            if files:
                write(files[which])
        except OSError:
            pass  # QEMU is going; the reader reports its end

    def kill(self, guest):
        files = self._processes.get(guest)
        if files:
            files[0].kill()
