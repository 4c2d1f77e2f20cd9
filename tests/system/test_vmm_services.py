# SPDX-License-Identifier: MIT
"""The integration services, the balloon and the load device: our guest on our own VMM. Both ends are ours, KVM is between them."""
import re
import time

from figures import expect, image, lines_with, numbers, wait_for_line
from guest import LIMIT
from host import NO_STATUS, VmmError

DEVICES = ("heartbeat", "shutdown", "timesync", "kvp", "balloon", "load")
EPOCH = 116444736000000000      # 1970 as the guest counts, 100 ns


def start(host, append="", devices=DEVICES, **more):
    return host.start_vmm(image(host, "services"), append=append, devices=devices, **more)


def figures_of(guest, moment, since=0):
    """services' lines of a moment: counters and times."""
    first = wait_for_line(guest, rf"services: at={moment} (heartbeats=.*)", since=since).group(1)
    second = wait_for_line(guest, rf"services: at={moment} (time_set=.*)", since=since).group(1)
    offset = int(second.split("offset_us=")[1].split()[0])
    return {**numbers(first), **numbers(second), "offset_us": offset}


def no_complaints(guest):
    lines = lines_with(guest, "warning:|panic:")
    expect(not lines, f"the guest complains: {lines}", guest)


def has_ended(guest, how="power off"):
    """Its answer came first, then it left in order."""
    guest.wait_happened("shutdown: the guest agrees")
    status = guest.wait()
    expect(lines_with(guest, f"shutdown: {how}, as the host asked"), "it did not say why it ends", guest)
    expect(guest.messages()[-1][1] == "UNLOAD_COMPLETE", f"the conversation ends with {guest.messages()[-1]}", guest)
    return status


def wait_for_heartbeats(guest, count):
    """Waits for so many answers more, and returns the figures with the last of them."""
    begin = guest.figures("device heartbeat status")["answered"]
    return guest.wait_figures("device heartbeat status", lambda beats: beats["answered"] >= begin + count, f"{count} heartbeats")


def wait_until_idle(guest, device):
    """A service takes a command only between two requests."""
    guest.wait_figures(f"device {device} status", lambda status: status["state"] == "idle", f"{device} to be idle")


def test_as_many_heartbeats_as_in_ten_minutes_are_answered(host):
    with start(host, devices=("heartbeat,interval=20",)) as guest:
        guest.wait_happened("the application's state is 1")
        figures = wait_for_heartbeats(guest, 300)
        guest.command("quit")
    expect(figures["version"] == "3.0" and figures["wrong"] == 0 and figures["malformed"] == 0, f"heartbeats: {figures}", guest)
    # The host asks again only when it has the answer, and says so where none was there in time.
    expect(figures["sent"] - figures["answered"] <= 1, f"not all were answered: {figures}", guest)
    no_complaints(guest)


def test_a_heartbeat_of_2008_is_answered(host):
    with start(host, devices=("heartbeat,interval=50,version=1.0",)) as guest:
        guest.wait_happened(r"version 1\.0, framework 3\.0")
        wait_for_heartbeats(guest, 5)
        guest.command("quit")


def check_wall_clock(guest, began):
    """The guest's at its start, against this machine's then: between the test's begin and now. Other hosts' are not the same."""
    told = (figures_of(guest, "start")["wall_clock"] - EPOCH) / 1e7
    expect(began - 30 < told < time.time() + 30, f"the guest says {told}, here it was {began} or later", guest)


def times_set(guest):
    return len(lines_with(guest, "timesync: the wall clock is set"))


def wait_for_quiet_samples(guest, count, attempts=5):
    """So many samples in a row that find the guest's clock right.

    A sample is wrong where host or guest was put aside between two readings of its clocks: the next one repairs that, and it counts
    from there.
    """
    for _ in range(attempts):
        before = times_set(guest)
        samples = guest.figures("device timesync status")["samples"]
        figures = guest.wait_figures("device timesync status", lambda told, first=samples: told["samples"] >= first + count,
                                     f"{count} samples")
        if times_set(guest) == before:
            return figures
    raise AssertionError(f"no {count} samples in a row left the guest's clock alone\n{guest.describe()}")


def test_the_time_is_set_and_a_step_arrives(host):
    began = time.time()
    with start(host, append="run=600", devices=("timesync,interval=100",)) as guest:
        wait_for_line(guest, r"timesync: the wall clock is set to \d{4}-\d\d-\d\d ", since=0)
        check_wall_clock(guest, began)
        # A step is told at once; of a clock that slips only samples tell.
        for how, step, said, low, high in (("step", 3600, "behind", 3599, 3601), ("slip", 1800, "behind", 1799, 1801),
                                           ("step", -7200, "ahead", 7199, 7201)):
            wait_for_quiet_samples(guest, 4)
            begin = len(guest.console.lines)
            guest.device("timesync", f"{how} {step}")
            seconds = float(wait_for_line(guest, rf"it was (\d{{4}}\.\d+) s {said}", since=begin).group(1))
            expect(low < seconds < high, f"a {how} of {step} s is measured as {seconds} s", guest)
        # What is set after the last step is right for what comes then: no more corrections.
        figures = wait_for_quiet_samples(guest, 8)
        expect(figures["refused"] == 0 and figures["version"] == "4.0" and figures["syncs"] == 3, f"timesync: {figures}", guest)
        guest.command("quit")
    no_complaints(guest)


def test_a_sample_that_was_not_looked_at_for_long_is_as_old_as_it_is(host):
    """The guest stands still for a second with a sample in its ring: its clock, which went on, is right, and stays as it is."""
    def status(enough, what):
        return guest.wait_figures("device timesync status", enough, what)

    with start(host, devices=("timesync,interval=100",)) as guest:
        for _ in range(3):  # see wait_for_quiet_samples()
            wait_for_quiet_samples(guest, 4)
            before = times_set(guest)
            guest.command("stop")
            asked = status(lambda told: told["state"] == "asked", "a sample to be on its way")
            status(lambda told: told["host_time"] >= asked["host_time"] + 10000000, "a second to pass")
            guest.command("continue")
            status(lambda told: told["samples"] >= asked["samples"] + 2, "two samples to be answered")
            if times_set(guest) == before:
                break
        else:
            expect(False, "each time the guest took the sample's time for the present", guest)
        guest.command("quit")


def test_time_without_a_reference_arrives_too(host):
    began = time.time()
    with start(host, devices=("timesync,version=3.0",)) as guest:
        guest.wait_happened(r"version 3\.0")
        check_wall_clock(guest, began)
        guest.command("quit")


def test_pairs_go_both_ways(host):
    with start(host, append="hostname=guest.example", devices=("kvp",)) as guest:
        guest.wait_happened("kvp: version 4.0")
        guest.device("kvp", "enumerate auto")
        for fact in ("0: FullyQualifiedDomainName=guest.example", "5: OSName=Barebus", "9: ProcessorArchitecture=x86_64",
                     "end, 10 pairs"):
            guest.wait_happened(fact)
        guest.device("kvp", 'set external colour "light blue"')
        guest.wait_happened("set external: done")
        wait_for_line(guest, "kvp external 0: colour=light blue", since=0)
        guest.device("kvp", "set external shape round")
        guest.wait_happened("set external: done")
        for pool, key, value in (("guest", "application", "services"), ("external", "shape", "round"), ("external", "colour", "light blue"),
                                 ("auto", "OSName", "Barebus")):
            guest.device("kvp", f"get {pool} {key}")
            guest.wait_happened(f"get {pool}: {key}={value}")
        guest.device("kvp", "delete external colour")
        guest.wait_happened("delete external: done")
        guest.device("kvp", "get external colour")
        guest.wait_happened("there is none")
        guest.command("quit")
    no_complaints(guest)


def test_shutdown_powers_off_behind_its_answer(host):
    with start(host) as guest:
        guest.wait_happened("shutdown: version 3.2")
        guest.device("shutdown", "shutdown")
        expect(has_ended(guest) == 0, "it left with another status", guest)
    expect(lines_with(guest, "services: the host asks for a power off"), "the application was not asked", guest)
    no_complaints(guest)


def test_shutdown_may_be_a_restart(host):
    with start(host) as guest:
        guest.wait_happened("shutdown: version 3.2")
        guest.device("shutdown", "shutdown reboot 30")
        expect(has_ended(guest, "restart") == NO_STATUS, "it left with a status", guest)


def test_a_guest_that_restarts_is_started_anew(host):
    with start(host, reboot=True, devices=("shutdown", "kvp")) as guest:
        for turn in range(2):
            for _ in range(2):
                guest.wait_happened("(shutdown|kvp): version")
            guest.device("kvp", f"set external turn {turn}")
            wait_for_line(guest, f"kvp external 0: turn={turn}", since=0)
            guest.device("shutdown", "shutdown reboot")
            guest.wait_happened("shutdown: the guest agrees")
        guest.wait_happened("shutdown: version 3.2")
        guest.device("shutdown", "shutdown")
        expect(has_ended(guest) == 0, "it left with another status", guest)
    expect(len(lines_with(guest, "kernel: Barebus")) == 3, "it was not started three times", guest)
    no_complaints(guest)


def moment(guest, pattern):
    """When the guest said so, in seconds by its own clock."""
    return float(re.search(r"\[ *([0-9.]+)\]", lines_with(guest, pattern)[0]).group(1))


def test_the_application_refuses_or_takes_its_time(host):
    with start(host, append="refuse=1", devices=("shutdown", "heartbeat,interval=100")) as guest:
        guest.wait_happened("shutdown: version 3.2")
        guest.device("shutdown", "shutdown")
        guest.wait_happened("the guest refuses: status 0x80004005")
        wait_for_heartbeats(guest, 4)
        guest.device("shutdown", "shutdown force")
        expect(has_ended(guest) == 0, "it left with another status", guest)
    with start(host, append="later=2", devices=("shutdown",)) as guest:
        guest.wait_happened("shutdown: version 3.2")
        guest.device("shutdown", "shutdown")
        expect(has_ended(guest) == 0, "it left with another status", guest)
        asked, left = (moment(guest, what) for what in ("shutdown: the host asks for a power off", "shutdown: power off, as the host asked"))
        expect(left - asked >= 2, f"asked at {asked} s, it left at {left} s: it did not take its time", guest)


def test_shutdown_during_load(host):
    with start(host, append="load=1") as guest:
        guest.wait_happened("shutdown: version 3.2")
        guest.wait_figures("device load status", lambda load: load["open"], "the load device to open")
        guest.device("load", "run 0 500 8")
        # The guest's run begins at its application's next turn, a fifth of a second away at most.
        figures = guest.wait_figures("device load status", lambda load: load["completed"] > 100 and load["received"] > 100,
                                     "100 packets each way")
        expect(figures["wrong"] == 0 and figures["gaps"] == 0, f"load: {figures}", guest)
        guest.device("shutdown", "shutdown")
        expect(has_ended(guest) == 0, "it left with another status", guest)
        guest.wait_happened("load: run: .*wrong=0")
    no_complaints(guest)


def test_memory_is_taken_and_returned(host):
    with start(host, devices=("balloon", "heartbeat,interval=100")) as guest:
        guest.wait_happened("balloon: version 2.0, capabilities 0x1f")
        guest.wait_happened("the first status")
        for mib in (200, 64, 128, 256):
            guest.device("balloon", f"resize {mib}")
            taken = int(guest.wait_happened(r"resized: (\d+) pages").group(1))
            expect(taken == (256 - mib) * 256, f"{taken} pages are taken for {mib} MiB", guest)
        wait_for_heartbeats(guest, 4)
        guest.command("quit")
    no_complaints(guest)


def test_each_device_is_taken_away_at_each_step_of_its_life(host):
    """Behind each message that leads to an open channel, and amid the conversation; three times each."""
    steps = ("OFFER_CHANNEL", "GPADL_HEADER", "GPADL_CREATED", "OPEN_CHANNEL", "OPEN_CHANNEL_RESULT", "open")
    devices = ("heartbeat,interval=20", "shutdown", "timesync,interval=20", "kvp", "balloon", "load")
    with start(host, append="load=1", devices=devices) as guest:
        wait_for_line(guest, "services: at=start time_set", since=0)

        def count(message):
            return [name for _, name, _ in guest.messages()].count(message)

        def wait_until_open(name):
            guest.wait_figures(f"device {name} statistics", lambda channel: channel["state"] == "active", f"{name} to open")

        for name in DEVICES:
            for step in steps:
                for turn in range(3):
                    guest.command(f"rescind {name}")
                    before = count(step)
                    guest.command(f"offer {name}")
                    if step == "open":
                        wait_until_open(name)
                        time.sleep(0.05 * turn)  # another moment of what follows; nothing is judged by it
                    else:
                        guest.wait_until(lambda: count(step) > before or None, LIMIT, f"{step} of {name}")
        for name in DEVICES:
            wait_until_open(name)
        wait_for_heartbeats(guest, 10)
        for name in ("kvp", "shutdown"):
            wait_until_idle(guest, name)
        guest.device("kvp", "get guest application")
        guest.wait_happened("get guest: application=services")
        guest.device("timesync", "step 100")
        wait_for_line(guest, r"it was (99|100)\.\d+ s behind", since=0)
        guest.wait_figures("device load status", lambda load: load["received"] > 100, "a load")
        guest.device("shutdown", "shutdown")
        expect(has_ended(guest) == 0, "it left with another status", guest)
    # That a device went away while it was opened is said, and that an answer came too late for that.
    complaints = [line for line in lines_with(guest, "warning:|panic:")
                  if "not opened, status 0xc00002b6" not in line and "unexpected message: " not in line]
    expect(not complaints, f"the guest complains: {complaints}", guest)


def test_commands_that_are_none_are_refused(host):
    with start(host) as guest:
        guest.wait_happened("kvp: version 4.0")
        for name, line in (("heartbeat", "beat"), ("timesync", "step"), ("kvp", "set external key"), ("shutdown", "shutdown now"),
                           ("balloon", "resize all"), ("load", "run 1 1 1")):
            try:
                guest.device(name, line)
                expect(False, f"{name} takes '{line}'", guest)
            except VmmError:
                pass
        guest.command("quit")
