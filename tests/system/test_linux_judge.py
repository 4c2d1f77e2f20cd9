# SPDX-License-Identifier: MIT
"""Linux as the judge of our host: its own Hyper-V drivers, unmodified, on our VMM with our devices (tests/host).

Each claim is looked at from both sides: what Linux says of it, and what the host's commands and trace say.
"""
import run
from figures import expect
from host import NO_STATUS
from linux_guest import COMMAND_LINE, LinuxGuest, image

HEARTBEAT = "57164f39-9115-4e78-ab55-382f3bd5422d"


def start(host, devices, memory_mib=256, **options):
    kernel, initrd = image(host)
    return host.start_vmm(kernel, initrd=initrd, append=COMMAND_LINE, memory_mib=memory_mib, devices=devices, **options)


def wait_for_answers(guest, linux, count=3):
    """Waits for so many heartbeats more."""
    begin = guest.figures("device heartbeat status")["answered"]
    linux.wait_for(lambda: guest.figures("device heartbeat status")["answered"] >= begin + count, f"{count} heartbeats")


def expect_clean(linux, guest, refusals=False):
    """Neither side has anything to complain of. With refusals the host took devices back that Linux was opening."""
    figures = guest.figures("bus")
    counters = ["malformed", "unknown", "unexpected", "posts-failed", "events-failed", "opens-refused"]
    if not refusals:
        counters.append("gpadls-refused")
    wrong = {name: figures[name] for name in counters if figures[name] != 0}
    expect(not wrong, f"the host counts {wrong}", guest)
    pattern = "WARNING|BUG|Call Trace" + ("" if refusals else "|hv_.*([Ff]ail|[Ee]rror|[Uu]nable|timed out)")
    complaints = [line for line in linux.kernel_log(pattern) if "module verification failed" not in line]
    expect(not complaints, f"Linux complains: {complaints}", guest)


def test_linux_connects_at_its_newest_version_and_answers_heartbeats(host):
    with start(host, ("heartbeat",)) as guest:
        linux = LinuxGuest(guest)
        linux.load("hv_vmbus")
        expect(linux.kernel_log("Vmbus version:5.3$"), "it did not connect at 5.3", guest)
        expect(guest.figures("bus")["version"] == "5.3", "the host has another version", guest)
        linux.wait_for_device(HEARTBEAT)
        linux.load("hv_utils")
        linux.wait_for_device(HEARTBEAT, "hv_utils")
        expect(linux.kernel_log("Heartbeat IC version 3.0"), "the service did not negotiate", guest)
        guest.wait_happened("heartbeat.* version 3.0")
        linux.wait_for(lambda: guest.figures("device heartbeat status")["answered"] >= 3, "three answers")
        figures = guest.figures("device heartbeat status")
        expect(figures["wrong"] == 0 and figures["late"] == 0 and figures["malformed"] == 0, f"the host counts {figures}", guest)
        expect_clean(linux, guest)
        linux.power_off()
        expect(guest.wait(30) == NO_STATUS, "it did not power off", guest)


def test_linux_takes_what_happens_to_a_device_in_use(host):
    """Unbound and bound again by Linux; taken back and offered again by the host, bound, unbound, many times in a row."""
    with start(host, ("heartbeat,interval=200",)) as guest:
        linux = LinuxGuest(guest)
        linux.load("hv_vmbus")
        linux.load("hv_utils")
        instance = linux.wait_for_device(HEARTBEAT, "hv_utils")

        linux.run(f"echo {instance} > /sys/bus/vmbus/drivers/hv_utils/unbind")
        linux.wait_for_device(HEARTBEAT)
        guest.wait_happened("heartbeat.*closed")
        expect(guest.figures("bus")["gpadls"] == 0, "it kept memory", guest)
        linux.run(f"echo {instance} > /sys/bus/vmbus/drivers/hv_utils/bind")
        wait_for_answers(guest, linux)

        guest.command("rescind heartbeat")
        linux.wait_for(lambda: not linux.devices(), "the device to go")
        expect(guest.figures("bus")["gpadls"] == 0, "it kept memory", guest)
        guest.command("offer heartbeat")
        linux.wait_for_device(HEARTBEAT, "hv_utils")
        wait_for_answers(guest, linux)

        # Without a pause: whatever Linux is at, opening, negotiating, closing.
        for _ in range(20):
            guest.command("rescind heartbeat")
            guest.command("offer heartbeat")
        linux.wait_for_device(HEARTBEAT, "hv_utils")
        wait_for_answers(guest, linux)

        linux.run(f"echo {instance} > /sys/bus/vmbus/drivers/hv_utils/unbind")
        guest.command("rescind heartbeat")
        guest.command("offer heartbeat")
        linux.wait_for_device(HEARTBEAT, "hv_utils")
        wait_for_answers(guest, linux)
        expect_clean(linux, guest, refusals=True)


def test_linux_leaves_and_comes_back(host):
    """It suspends: all channels closed, UNLOAD, contact anew, opened anew. It panics: UNLOAD from there."""
    with start(host, ("heartbeat,interval=200",)) as guest:
        linux = LinuxGuest(guest)
        linux.load("hv_vmbus")
        linux.load("hv_utils")
        wait_for_answers(guest, linux)
        begin = len(guest.messages())
        linux.run("snapshot", timeout=60)
        names = [name for _, name, _ in guest.messages()[begin:]]
        steps = ["CLOSE_CHANNEL", "GPADL_TEARDOWN", "GPADL_TORNDOWN", "UNLOAD", "UNLOAD_COMPLETE", "INITIATE_CONTACT", "VERSION_RESPONSE",
                 "REQUEST_OFFERS", "OFFER_CHANNEL", "GPADL_CREATED", "OPEN_CHANNEL_RESULT"]
        expect([name for name in names if name in steps and name != "ALL_OFFERS_DELIVERED"] == steps, f"the messages were {names}", guest)
        wait_for_answers(guest, linux)
        expect_clean(linux, guest)
        linux.begin("echo c > /proc/sysrq-trigger")
        expect(guest.wait(60) == NO_STATUS, "it did not end", guest)
        expect([name for _, name, _ in guest.messages()[-2:]] == ["UNLOAD", "UNLOAD_COMPLETE"], "it did not disconnect", guest)


VERSIONS = ("3.0", "4.0", "4.1", "5.0", "5.1", "5.2", "5.3")


@run.limit(240)
def test_linux_speaks_every_version_and_unloads_its_bus(host):
    """Each time its modules leave, and come back for another version: contact while the host still holds the last connection."""
    with start(host, ("heartbeat,interval=200",), arguments=("--without-timers",)) as guest:
        linux = LinuxGuest(guest)
        for version in VERSIONS:
            major, minor = version.split(".")
            linux.load("hv_vmbus", f"max_version={int(major) << 16 | int(minor)}")
            expect(guest.figures("bus")["version"] == version, f"the host has another version than {version}", guest)
            linux.load("hv_utils")
            linux.wait_for_device(HEARTBEAT, "hv_utils")
            wait_for_answers(guest, linux)
            expect(linux.kernel_log(f"Vmbus version:{version}$"), f"it did not connect at {version}", guest)
            begin = len(guest.messages())
            linux.unload("hv_utils")
            linux.unload("hv_vmbus")
            expect(not linux.modules(), "a module is still there", guest)
            names = [name for _, name, _ in guest.messages()[begin:]]
            expect(names == ["CLOSE_CHANNEL", "GPADL_TEARDOWN", "GPADL_TORNDOWN", "RELID_RELEASED"], f"the messages were {names}", guest)
            expect(guest.figures("bus")["gpadls"] == 0, "it kept memory", guest)
        expect_clean(linux, guest)


def test_linux_moves_interrupts_between_processors(host):
    with start(host, ("heartbeat,interval=200",), processors=2) as guest:
        linux = LinuxGuest(guest)
        linux.load("hv_vmbus")
        linux.load("hv_utils")
        instance = linux.wait_for_device(HEARTBEAT, "hv_utils")
        wait_for_answers(guest, linux)
        for processor in (1, 0, 1):
            begin = len(guest.messages())
            linux.run(f"echo {processor} > $(echo /sys/bus/vmbus/devices/{instance}/channels/*/cpu)")
            (_, modify, fields), (_, response, answer) = guest.messages()[begin:]
            expect((modify, fields["vp"], response, answer["status"]) == ("MODIFY_CHANNEL", str(processor), "MODIFY_CHANNEL_RESPONSE", "0"),
                   f"asked with {fields}, answered with {answer}", guest)
            before = interrupts(linux)
            wait_for_answers(guest, linux, 5)
            after = interrupts(linux)
            expect(after[processor] - before[processor] >= 5 and after[1 - processor] == before[1 - processor],
                   f"interrupts went from {before} to {after}", guest)
        expect_clean(linux, guest)


def interrupts(linux):
    """Hyper-V's interrupts so far, by processor."""
    return [int(count) for count in linux.run("grep HYP: /proc/interrupts").split()[1:3]]
