# SPDX-License-Identifier: MIT
"""A guest as a test sees it: its console, its QMP monitor, its end. Where it runs is host.py's business."""
import collections
import json
import os
import re
import threading
import time


class HostError(Exception):
    """The host, not the guest, failed."""


class GuestEnded(Exception):
    """The guest ended while something else was waited for."""


class GuestTimeout(Exception):
    """What was waited for did not come within its limit."""


class QmpError(Exception):
    """QMP refused a command; .kind is its error class."""

    def __init__(self, command, error):
        super().__init__(f"{command}: {error.get('class')}: {error.get('desc')}")
        self.kind = error.get("class")


# Stands in QEMU's command line for the number of the open file that QMP is spoken on; the host puts it in.
QMP_FILE = "@QMP@"
# The guest ended without a status: powered off, reset, or told to quit.
NO_STATUS = -1
# Seconds that a wait takes at most if the test does not say it: against what never comes. A machine that has other work too makes
# waits longer, and a tenth of this is usual on an idle one, so nothing here says that something is slow.
LIMIT = 60
# Between two questions of ask_until().
ASK_INTERVAL = 0.05


class Console:
    """What the guest wrote, by lines. Iterating yields each line as it comes, until the guest ends."""

    def __init__(self, guest):
        self._guest = guest
        self.lines = []    # complete ones, without their end
        self.times = []    # of each line: seconds after the guest's start
        self._partial = ""
        self._next = 0     # where wait_for() goes on

    def _feed(self, text):
        # A guest may end lines with \r\n; a lone \r adds nothing worth testing.
        *complete, self._partial = (self._partial + text.replace("\r", "")).split("\n")
        for line in complete:
            self.lines.append(line)
            self.times.append(time.monotonic() - self._guest.started)

    def last_line(self):
        return self._partial or (self.lines[-1] if self.lines else "")

    def text(self):
        """All of it so far."""
        with self._guest.changed:
            return "\n".join([*self.lines, self._partial])

    def wait_for(self, pattern, timeout=LIMIT):
        """Waits for the next line that the regular expression is found in, goes on behind it, and returns the match."""
        expression = re.compile(pattern)

        def look():
            while self._next < len(self.lines):
                match = expression.search(self.lines[self._next])
                self._next += 1
                if match:
                    return match
            return None

        return self._guest.wait_until(look, timeout, f"a console line like {pattern!r}")

    def __iter__(self):
        at = 0
        while True:
            with self._guest.changed:
                while at >= len(self.lines) and not self._guest.is_over():
                    self._guest.changed.wait(1)
                if at >= len(self.lines):
                    return
                line = self.lines[at]
            at += 1
            yield line


def last_lines(whose, lines):
    return f"{whose} last lines:\n" + ("\n".join("  | " + line for line in lines[-20:] if line) or "  none")


class Guest:
    """Made by Host.start(). Use it in a with statement, or call stop(): then it is gone for certain."""

    PROGRAM = "QEMU"

    def __init__(self, host, on_console=None):
        self.changed = threading.Condition()
        self.console = Console(self)
        self.events = collections.deque()  # QMP events nobody has waited for yet
        self.errors = ""                   # what QEMU wrote to its standard error
        self.started = time.monotonic()
        self._host = host
        self._on_console = on_console
        self._qmp_text = b""
        self._greeted = False
        self._replies = {}
        self._number = 0
        self._wait_status = None  # as waitpid() gives it
        self._broken = None       # why the host can say no more about this guest
        self._runs = False        # its processors have been let go

    # -- fed by the host's reader ---------------------------------------------------------------------------------------

    def feed_console(self, data):
        if self._on_console:
            self._on_console(data)
        with self.changed:
            self.console._feed(data.decode(errors="replace"))
            self.changed.notify_all()

    def feed_error(self, data):
        with self.changed:
            self.errors += data.decode(errors="replace")
            self.changed.notify_all()

    def feed_qmp(self, data):
        with self.changed:
            *complete, self._qmp_text = (self._qmp_text + data).split(b"\n")
            for line in complete:
                if not line.strip():
                    continue
                message = json.loads(line)
                if "QMP" in message:
                    self._greeted = True
                elif "event" in message:
                    self.events.append(message)
                elif "id" in message:
                    self._replies[message["id"]] = message
            self.changed.notify_all()

    def feed_end(self, wait_status):
        with self.changed:
            self._wait_status = wait_status
            self.changed.notify_all()

    def feed_broken(self, why):
        with self.changed:
            self._broken = self._broken or why
            self.changed.notify_all()

    # -- for tests ------------------------------------------------------------------------------------------------------

    def is_over(self):
        return self._wait_status is not None or self._broken is not None

    def wait_until(self, look, timeout, what):
        """Calls look() after every change until it returns something but None, and returns that.

        look() is to look at what the guest has told so far. What has to be asked for is for ask_until(): a guest that only counts
        changes nothing here, and nobody would look again.
        """
        limit = time.monotonic() + timeout
        with self.changed:
            while True:
                found = look()
                if found is not None:
                    return found
                if self._broken:
                    raise HostError(f"waited for {what}: {self._broken}")
                if self._wait_status is not None:
                    raise GuestEnded(f"waited for {what}, but the guest ended: {self._describe_end()}\n{self.describe()}")
                left = limit - time.monotonic()
                if left <= 0:
                    break
                self.changed.wait(left)
        raise GuestTimeout(f"waited {timeout} s for {what}\n{self._host.diagnosis()}\n{self.describe()}")

    def ask_until(self, ask, enough, what, timeout=LIMIT):
        """Calls ask(), which asks the guest or its host, until enough(answer), and returns that answer: the one to be judged."""
        limit = time.monotonic() + timeout
        answer = None
        while True:
            try:
                answer = ask()
            except GuestEnded as end:
                raise GuestEnded(f"waited for {what}; the last answer was {answer}\n{end}") from end
            if enough(answer):
                return answer
            if time.monotonic() >= limit:
                raise GuestTimeout(f"waited {timeout} s for {what}; the last answer was {answer}\n{self.describe()}")
            time.sleep(ASK_INTERVAL)

    def qmp(self, command, timeout=LIMIT, **arguments):
        """Runs a QMP command and returns its value; an argument's _ stands for -."""
        with self.changed:
            self._number += 1
            number = self._number
        request = {"execute": command, "id": number}
        if arguments:
            request["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        self._host.send_qmp(self, json.dumps(request).encode() + b"\n")
        reply = self.wait_until(lambda: self._replies.pop(number, None), timeout, f"QMP's answer to {command}")
        if "error" in reply:
            raise QmpError(command, reply["error"])
        return reply["return"]

    def wait_event(self, name, timeout=LIMIT):
        """Waits for a QMP event of this name, takes it out of events, and returns it."""
        def look():
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    return event
            return None

        return self.wait_until(look, timeout, f"QMP event {name}")

    def wait(self, timeout=LIMIT):
        """Waits for the guest's end and returns the status it left with, or NO_STATUS."""
        def look():
            return self._status() if self._wait_status is not None else None

        return self.wait_until(look, timeout, "the guest's end")

    def send(self, data):
        """Types into the guest's console."""
        self._host.send_console(self, data)

    def stop(self, timeout=LIMIT):
        """Ends the guest's QEMU if it is still there."""
        if not self.is_over():
            self._host.kill(self)
            with self.changed:
                if not self.changed.wait_for(self.is_over, timeout):
                    raise HostError(f"QEMU did not end after SIGKILL\n{self._host.diagnosis()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # -- start and end --------------------------------------------------------------------------------------------------

    def let_go(self, timeout=LIMIT):
        """QEMU was started with its processors stopped: whatever it complains of until they run is no status of the guest."""
        try:
            self.wait_until(lambda: self._greeted or None, timeout, "QMP's greeting")
            self.qmp("qmp_capabilities")
            self._runs = True
            self.started = time.monotonic()
            self._host.send_qmp(self, b'{"execute": "cont", "id": 0}\n')
        except GuestTimeout as late:
            raise HostError(f"QEMU did not start the guest: {late}") from late
        except GuestEnded as end:
            raise HostError(f"QEMU did not start the guest: {self.errors.strip() or end}") from end

    def _status(self):
        """Lock held. isa-debug-exit makes an odd exit code of a status: 2 * status + 1."""
        if os.WIFSIGNALED(self._wait_status):
            raise HostError(f"it died: {self._describe_end()}\n{self.describe()}")
        code = os.WEXITSTATUS(self._wait_status)
        if not self._runs:
            raise HostError(f"QEMU ended before the guest ran: {self._describe_end()}\n{self.describe()}")
        return code >> 1 if code & 1 else NO_STATUS

    def _describe_end(self):
        if os.WIFSIGNALED(self._wait_status):
            return f"{self.PROGRAM} ended by signal {os.WTERMSIG(self._wait_status)}"
        return f"{self.PROGRAM}'s exit code {os.WEXITSTATUS(self._wait_status)}"

    def describe(self):
        """What was heard last, for messages."""
        return "\n".join([last_lines("the guest's", [*self.console.lines, self.console._partial]),
                          last_lines(f"{self.PROGRAM}'s", self.errors.splitlines())])
