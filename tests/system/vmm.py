# SPDX-License-Identifier: MIT
"""Guests on our own VMM (tests/vmm) in place of QEMU: its command line, and the commands it takes while the guest runs."""
import os
import re

from guest import LIMIT, QMP_FILE, Guest, HostError, last_lines

EXIT_PORT = 0xF4


class VmmError(Exception):
    """The VMM refused a command; the text says why."""


class VmmGuest(Guest):
    """Made by Host.start_vmm(). The VMM's standard error is in errors; its trace too."""

    PROGRAM = "the VMM"

    def __init__(self, host, on_console=None):
        super().__init__(host, on_console)
        self.happened = []   # the VMM's events, in order
        self._parts = []     # of the answer that is coming
        self._answers = []   # complete: (done or refused, lines)
        self._next_event = 0

    def feed_qmp(self, data):
        """The control socket stands where QEMU has its monitor."""
        with self.changed:
            *complete, self._qmp_text = (self._qmp_text + data).split(b"\n")
            for line in (line.decode(errors="replace") for line in complete):
                if line.startswith("| "):
                    self._parts.append(line[2:])
                elif line.startswith("! "):
                    self.happened.append(line[2:])
                elif line in ("ok", "error"):
                    self._answers.append((line == "ok", self._parts))
                    self._parts = []
            self.changed.notify_all()

    def command(self, line, timeout=LIMIT):
        """Runs a command of the VMM and returns the lines of its answer."""
        self._host.send_qmp(self, line.encode() + b"\n")
        done, lines = self.wait_until(lambda: self._answers.pop(0) if self._answers else None, timeout,
                                      f"the VMM's answer to '{line}'")
        if not done:
            raise VmmError(f"{line}: {lines[-1] if lines else 'refused'}")
        return lines

    def wait_for_refusal(self):
        """Fails unless the VMM ends at once, as it does where its options are wrong; errors says why then."""
        try:
            status = self.wait()
        except HostError:
            return
        raise AssertionError(f"the VMM took its options: status {status}, {self.errors}")

    def device(self, name, line, timeout=LIMIT):
        """A command of a device."""
        return self.command(f"device {name} {line}", timeout)

    def figures(self, line):
        """A command whose answer is key=value ...: as a dictionary, numbers as such."""
        found = re.findall(r"(\S+)=(\S+)", " ".join(self.command(line)))
        return {key: int(value) if value.isdigit() else value for key, value in found}

    def wait_figures(self, line, enough, what, timeout=LIMIT):
        """Asks for figures until enough(figures), and returns these."""
        return self.ask_until(lambda: self.figures(line), enough, what, timeout)

    def wait_happened(self, pattern, timeout=LIMIT):
        """Waits for the next event that the regular expression is found in, goes on behind it, and returns the match."""
        expression = re.compile(pattern)

        def look():
            while self._next_event < len(self.happened):
                match = expression.search(self.happened[self._next_event])
                self._next_event += 1
                if match:
                    return match
            return None

        return self.wait_until(look, timeout, f"an event like {pattern!r}")

    def messages(self):
        """The trace: (sender, message, fields) of each message so far."""
        with self.changed:
            text = self.errors
        return [(sender, name, dict(re.findall(r"(\S+)=(\S+)", rest)))
                for sender, name, rest in re.findall(r"\] guest (->|<-) ([A-Z_]+)(.*)", text)]

    def wait_messages(self, enough, what, since=0, timeout=LIMIT):
        """The trace from that message on, once enough(its messages' names): what the host sends is traced when it is on its way."""
        def look():
            messages = self.messages()[since:]
            return messages if enough([name for _, name, _ in messages]) else None

        return self.wait_until(look, timeout, what)

    def let_go(self, timeout=LIMIT):
        """The processors run once the VMM answers: a guest that is loaded wrongly ends before."""
        del timeout
        self._runs = True

    def _status(self):
        if os.WIFEXITED(self._wait_status) and os.WEXITSTATUS(self._wait_status) in (2, 4, 127):
            raise HostError(f"the VMM ended: {self._describe_end()}\n{self.describe()}")
        return super()._status()

    def describe(self):
        return "\n".join([super().describe(), last_lines("the VMM's events,", self.happened)])


def command_line(vmm, files, append, memory_mib, devices, processors, trace, reboot, arguments):
    words = [vmm, "--debug-exit", f"{EXIT_PORT:#x}", "--control-file", QMP_FILE]
    for option, name in files.items():
        if name:
            words += [f"--{option}", name]
    if files["kernel"]:
        words += ["--append", f"exit={EXIT_PORT:#x} {append}".strip(), "--memory", str(memory_mib), "--processors", str(processors)]
    for device in devices:
        words += ["--device", device]
    if trace:
        words.append("--trace")
    if not reboot:
        words.append("--no-reboot")
    return [*words, *arguments]
