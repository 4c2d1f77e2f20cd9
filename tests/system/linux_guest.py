# SPDX-License-Identifier: MIT
"""A stock Debian Linux as a guest: what its own Hyper-V drivers make of a host. Commands go over its console to init.sh.

    kernel, initrd = image(host)
    with host.start(kernel, initrd=initrd, append=COMMAND_LINE) as guest:
        linux = LinuxGuest(guest)                               # when its init answers
        linux.load("hv_vmbus")
        assert "Vmbus version:5.3" in linux.run("dmesg")        # what the command wrote; it must end with status 0
        pending = linux.begin("echo ... > /sys/.../unbind")     # the same, without waiting
        linux.end(pending, timeout=60)
        linux.power_off()
        assert guest.wait() == NO_STATUS
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "linux"))

from guest import LIMIT, GuestTimeout  # noqa: E402  pylint: disable=wrong-import-position
import linux_image  # noqa: E402  pylint: disable=wrong-import-position

COMMAND_LINE = linux_image.COMMAND_LINE
START_LIMIT = 120  # seconds to init's first word; nested 3 to 5 are usual


class CommandFailed(Exception):
    """A command in the guest ended with another status than 0."""


def image(host, deps="build/deps"):
    """The guest's (kernel, initial file system); made if they are not there."""
    return linux_image.build(deps, os.path.join(host.build, "linux"))


class LinuxGuest:
    def __init__(self, guest, start_limit=START_LIMIT, before=None):
        """With before, the LinuxGuest that was saved, this one goes on as that: no init starts."""
        self.guest = guest
        self._number = before._number if before else 0
        if not before:
            guest.console.wait_for(r"^init: ready", timeout=start_limit)

    def begin(self, command):
        """Starts a shell command and returns what end() takes."""
        self._number += 1
        begin = len(self.guest.console.lines)
        self.guest.send(f"{self._number} {command}\n".encode())
        return self._number, command, begin

    def end(self, pending, timeout=LIMIT, status=0):
        """Waits for a command's end and returns what it wrote. CommandFailed unless it ended with this status (None: any)."""
        number, command, begin = pending
        lines = []
        text, over = (re.compile(expression) for expression in (rf"^{number}\| (.*)$", rf"^{number}: (\d+)$"))

        def look():
            lines.clear()
            for line in self.guest.console.lines[begin:]:
                if match := text.match(line):
                    lines.append(match.group(1))
                elif match := over.match(line):
                    return int(match.group(1))
            return None

        got = self.guest.wait_until(look, timeout, f"the end of `{command}` in the guest")
        written = "\n".join(lines)
        if status is not None and got != status:
            raise CommandFailed(f"`{command}` ended with status {got}, not {status}:\n{written}")
        return written

    def run(self, command, timeout=LIMIT, status=0):
        return self.end(self.begin(command), timeout, status)

    def load(self, module, parameters=""):
        self.run(f"insmod /{module}.ko {parameters}".rstrip())

    def unload(self, module):
        self.run(f"rmmod {module}")

    def power_off(self):
        """Asks for it as the kernel would, and does not wait."""
        self.begin("/sbin/poweroff")

    def kernel_log(self, pattern="."):
        """The lines of the kernel's log that match an extended regular expression."""
        return self.run(f"dmesg | grep -E '{pattern}'", status=None).splitlines()

    def modules(self):
        return set(self.run("cut -d ' ' -f 1 /proc/modules").split())

    def devices(self):
        """VMBus devices as the guest has them: instance -> (class, driver or None)."""
        listing = self.run("cd /sys/bus/vmbus/devices && { grep . */class_id /dev/null; ls -ld */driver; } 2>/dev/null", status=None)
        classes = re.findall(r"^(\S+)/class_id:{(\S+)}$", listing, re.M)
        drivers = dict(re.findall(r"(\S+)/driver -> .*/(\S+)$", listing, re.M))
        return {instance: (class_id, drivers.get(instance)) for instance, class_id in classes}

    def wait_for(self, look, what, enough=bool, timeout=LIMIT):
        """Calls look() until it returns something true, or enough(that), and returns it."""
        try:
            return self.guest.ask_until(look, enough, what, timeout)
        except GuestTimeout as late:
            raise GuestTimeout(f"{late}\nLinux' log:\n" + "\n".join("  | " + line for line in self.kernel_log()[-15:])) from late

    def wait_for_device(self, class_id, driver=None):
        """Waits until there is a device of this class, bound to this driver or to none, and returns its instance."""
        def look():
            return [instance for instance, found in self.devices().items() if found == (class_id, driver)]

        return self.wait_for(look, f"a device of class {class_id} bound to {driver}")[0]

    def memory_kib(self, field="MemTotal"):
        """A figure of /proc/meminfo."""
        return int(self.run(f"grep '^{field}:' /proc/meminfo").split()[1])
