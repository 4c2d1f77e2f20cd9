# SPDX-License-Identifier: MIT
"""Linux as the judge of our host: its own Hyper-V drivers, unmodified, on our VMM with our devices (tests/host).

Each claim is looked at from both sides: what Linux says of it, and what the host's commands and trace say.
"""
import re

import run
from figures import expect
from guest import LIMIT
from host import NO_STATUS
from linux_guest import COMMAND_LINE, LinuxGuest, image

# Classes of devices.
KVP = "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6"
TIMESYNC = "9527e630-d0ae-497b-adce-e80ab0175caf"
BALLOON = "525074dc-8985-46e2-8057-a307dc18a502"
HEARTBEAT = "57164f39-9115-4e78-ab55-382f3bd5422d"
SHUTDOWN = "0e0b6031-5213-4934-818b-38d90ced39db"
DRIVERS = {HEARTBEAT: "hv_utils", SHUTDOWN: "hv_utils", TIMESYNC: "hv_utils", KVP: "hv_utils", BALLOON: "hv_balloon"}

SAVED = "/tmp/barebus-linux"  # on the machine that the VMM runs on, which may be a nested one
EPOCH_1601 = 11644473600  # seconds from there to 1970
VERSIONS = ("3.0", "4.0", "4.1", "5.0", "5.1", "5.2", "5.3")


def start(host, devices, memory_mib=256, **options):
    kernel, initrd = image(host)
    return host.start_vmm(kernel, initrd=initrd, append=COMMAND_LINE, memory_mib=memory_mib, devices=devices, **options)


def wait_for_answers(guest, count=3):
    """Waits for so many heartbeats more."""
    begin = guest.figures("device heartbeat status")["answered"]
    guest.wait_figures("device heartbeat status", lambda beats: beats["answered"] >= begin + count, f"{count} heartbeats")


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


def wait_for_event(guest, pattern, since=0):
    """The first event of the host like this, from that number on; waits for it."""
    return guest.wait_until(lambda: next(filter(None, (re.search(pattern, event) for event in guest.happened[since:])), None), LIMIT,
                            f"an event like {pattern!r}")


def command(guest, device, line, outcome):
    """Runs a device's command and waits for the event that ends it."""
    begin = len(guest.happened)
    guest.device(device, line)
    wait_for_event(guest, rf"^{device}.*{outcome}", begin)


def pairs(guest, pool):
    """The guest's key-value pairs of a pool, as the host gets them."""
    begin = len(guest.happened)
    command(guest, "kvp", f"enumerate {pool}", f"enumerate {pool}: end")
    return dict(re.findall(rf"enumerate {pool}: \d+: (.*?)=(.*)", "\n".join(guest.happened[begin:])))


def load_drivers(guest, linux):
    """All of them, the daemon too; returns when each device is bound and has agreed on a version."""
    linux.load("hv_vmbus")
    linux.load("hv_utils")
    linux.load("hv_balloon", "pressure_report_delay=0")
    linux.wait_for(lambda: set(linux.devices().values()), "all devices to be bound", lambda bound: set(DRIVERS.items()) <= bound)
    # The kernel does not even negotiate key-value pairs before its daemon is there.
    linux.wait_for(lambda: "hv_kvp" in linux.run("ls /dev/vmbus", status=None), "the daemon's device")
    linux.run("hv_kvp_daemon")
    agreed = {"heartbeat": "3.0", "shutdown": "3.2", "timesync": "4.0", "kvp": "4.0", "balloon": "2.0"}
    for device, version in agreed.items():
        wait_for_event(guest, rf"^{device}.* version {version}\b")
    for what in ("Heartbeat IC version 3.0", "Shutdown IC version 3.2", "TimeSync IC version 4.0", "KVP IC version 4.0",
                 "Dynamic Memory protocol version 2.0"):
        linux.wait_for(lambda what=what: linux.kernel_log(what), f"Linux to say: {what}")


def check_heartbeats(guest, linux):
    wait_for_answers(guest)
    figures = guest.figures("device heartbeat status")
    expect(figures["wrong"] == 0 and figures["malformed"] == 0, f"the host counts {figures}", guest)


def seconds_behind(guest, linux):
    """How far Linux' clock is behind the one that the host tells."""
    told = guest.figures("device timesync status")["host_time"] // 10000000 - EPOCH_1601
    return told - int(linux.run("date +%s"))


def wait_for_time(guest, linux):
    """Asking takes time, which counts for Linux: one answer within the limit is enough."""
    linux.wait_for(lambda: seconds_behind(guest, linux), "Linux to have the host's time", lambda behind: abs(behind) <= 3)


def check_time(guest, linux):
    """The clock was set when the drivers came, and is at each step of the host's."""
    wait_for_time(guest, linux)
    for step in (3600, -86400, 86400 * 365):
        command(guest, "timesync", f"step {step}", "synchronised")
        wait_for_time(guest, linux)
    # A sample is no order to set the clock; Linux gives it to those who read its PTP clock.
    linux.run("date -s @1000000000")
    begin = guest.figures("device timesync status")["samples"]
    guest.wait_figures("device timesync status", lambda told: told["samples"] >= begin + 2, "two samples")
    expect(seconds_behind(guest, linux) > 3600, "a sample has set the clock", guest)
    expect(linux.run("cat /sys/class/ptp/ptp*/clock_name") == "hyperv", "there is no PTP clock", guest)


def check_pairs(guest, linux):
    pool = "/var/lib/hyperv/.kvp_pool_"
    facts = pairs(guest, "auto")
    release = linux.run(". /etc/os-release; echo $NAME; echo $VERSION_ID").split("\n")
    expect([facts["OSName"], facts["OSMajorVersion"]] == release, f"the host got {facts}", guest)
    expect(linux.run("uname -r").startswith(facts["OSBuildNumber"]) and facts["ProcessorArchitecture"] == linux.run("uname -m"),
           f"the host got {facts}", guest)

    command(guest, "kvp", 'set external greeting "good day, Linux"', "set external: done")
    command(guest, "kvp", "set external colour grün", "set external: done")
    file = bytes.fromhex(linux.run(f"tr -s '\\0' <{pool}0 | hexdump -v -e '1/1 \"%02x\"'")).decode()
    expect(file.split("\0")[:4] == ["greeting", "good day, Linux", "colour", "grün"], f"Linux has {file!r}", guest)
    expect(pairs(guest, "external") == {"greeting": "good day, Linux", "colour": "grün"}, "the host reads something else", guest)
    command(guest, "kvp", "delete external greeting", "delete external: done")
    expect(pairs(guest, "external") == {"colour": "grün"}, "it is still there", guest)
    command(guest, "kvp", "delete external greeting", "delete external: .*there is none")

    # A record of a pool's file: 512 bytes of key, 2048 of value (tools/hv/hv_kvp_daemon.c).
    linux.run(f"{{ printf answer | dd bs=512 conv=sync; printf 42 | dd bs=2048 conv=sync; }} 2>/dev/null >{pool}1")
    expect(pairs(guest, "guest") == {"answer": "42"}, "the host has not what Linux set", guest)


def check_memory(guest, linux):
    total, free = linux.memory_kib(), linux.memory_kib("MemFree")

    def resize(mebibytes, outcome):
        """Asks for this size, of 256; returns the pages that are then taken."""
        command(guest, "balloon", f"resize {mebibytes}", outcome)
        taken = guest.figures("device balloon status")["taken"]
        linux.wait_for(linux.memory_kib, f"{taken} pages less than {total} KiB", lambda now: now == total - taken * 4)
        return taken

    expect(resize(208, "resized") == 48 * 256, "not 48 MiB are taken", guest)
    linux.wait_for(lambda: linux.memory_kib("MemFree"), f"40 MiB less to be free than {free} KiB", lambda now: now < free - 40 * 1024)
    expect(resize(232, "resized") == 24 * 256, "not 24 MiB are taken", guest)
    expect(resize(256, "resized") == 0, "something is still taken", guest)
    linux.wait_for(lambda: linux.memory_kib("MemFree"), f"nearly {free} KiB to be free again", lambda now: now > free - 16 * 1024)

    taken = resize(16, "no more to give")
    expect(48 * 256 < taken < 240 * 256, f"{taken} pages are taken", guest)
    expect(linux.kernel_log("partially fulfilled"), "Linux had all that was asked for", guest)
    expect(resize(256, "resized") == 0, "something is still taken", guest)

    # The first report that comes may have been on its way before.
    begin = guest.figures("device balloon status")["reports"]
    figures = guest.wait_figures("device balloon status", lambda memory: memory["reports"] >= begin + 2, "two status reports")
    available = linux.memory_kib("MemAvailable") // 4
    expect(abs(figures["available"] - available) < 4096, f"the host was told {figures}, Linux has {available} pages available", guest)


def check_hot_add(guest, linux):
    """Linux has it when it is online, keeps in all memory together more than fitted before, and gives it like any other."""
    linux.run("echo online > /sys/devices/system/memory/auto_online_blocks")
    total, free = linux.memory_kib(), linux.memory_kib("MemFree")
    command(guest, "balloon", "add 128", "added: the guest took 32768 of 32768 pages, result 1")
    linux.wait_for(lambda: linux.memory_kib() == total + 128 * 1024, "128 MiB more")
    # What is written behind as much as was free before lies in new memory, at least in part.
    linux.run(f"mkdir /many && mount -t tmpfs -o size=100% tmpfs /many && fallocate -l {free * 1024} /many/full", timeout=120)
    linux.run(f"head -c {8 << 20} /dev/urandom >/many/0 && cp /many/0 /many/1 && cmp /many/0 /many/1", timeout=60)
    linux.run("umount /many")
    command(guest, "balloon", "resize 200", "resized")
    expect(guest.figures("device balloon status")["taken"] == (384 - 200) * 256, "not 184 MiB are taken", guest)
    linux.wait_for(lambda: linux.memory_kib() == total - 56 * 1024, "184 MiB less")
    command(guest, "balloon", "resize 384", "resized")
    linux.wait_for(lambda: linux.memory_kib() == total + 128 * 1024, "all of it back")


def check_shutdown(guest, linux):
    command(guest, "shutdown", "shutdown hibernate", "refuses")
    expect(linux.kernel_log("Hibernation request received"), "Linux did not hear of it", guest)
    command(guest, "shutdown", "shutdown", "agrees")
    guest.console.wait_for("^poweroff: asked to")
    guest.console.wait_for("^poweroff: now")
    expect(guest.wait() == NO_STATUS, "it did not power off", guest)


@run.limit(600)
def test_linux_drives_every_service(host):
    with start(host, ("heartbeat,interval=500", "timesync,interval=1000", "kvp", "balloon", "shutdown")) as guest:
        linux = LinuxGuest(guest)
        linux.run("date -s @1000000000")
        load_drivers(guest, linux)
        expect(linux.kernel_log("Vmbus version:5.3$"), "it did not connect at 5.3", guest)
        expect(guest.figures("bus")["version"] == "5.3", "the host has another version", guest)
        for check in (check_heartbeats, check_time, check_pairs, check_memory, check_hot_add):
            check(guest, linux)
        expect_clean(linux, guest)
        check_shutdown(guest, linux)


def interrupts(linux):
    """Hyper-V's interrupts so far, by processor."""
    return [int(count) for count in linux.run("grep HYP: /proc/interrupts").split()[1:3]]


def wait_until_nothing_is_shared(guest):
    guest.wait_figures("bus", lambda bus: bus["gpadls"] == 0, "Linux to take its memory back")


def move_interrupts(guest, linux, instance, processor):
    """To the other one of two."""
    begin = len(guest.messages())
    linux.run(f"echo {processor} > $(echo /sys/bus/vmbus/devices/{instance}/channels/*/cpu)")
    (_, modify, fields), (_, response, answer) = guest.wait_messages(lambda names: len(names) >= 2, "a question and its answer", begin)
    expect((modify, fields["vp"], response, int(answer["status"], 0)) == ("MODIFY_CHANNEL", str(processor), "MODIFY_CHANNEL_RESPONSE", 0),
           f"asked with {fields}, answered with {answer}", guest)

    def count():
        before = interrupts(linux)
        wait_for_answers(guest, 5)
        return [now - then for now, then in zip(interrupts(linux), before)]

    # One that was on its way to the other processor may still arrive there: it is counted once.
    linux.wait_for(count, f"interrupts to come to processor {processor} alone", lambda came: came[processor] >= 5 and came[1 - processor] == 0)


def test_linux_takes_what_happens_to_a_device_in_use(host):
    """Its interrupts moved to another processor, unbound and bound again by Linux; taken back and offered again by the host, bound, unbound, many times in a row."""
    with start(host, ("heartbeat,interval=200",), processors=2) as guest:
        linux = LinuxGuest(guest)
        linux.load("hv_vmbus")
        linux.load("hv_utils")
        instance = linux.wait_for_device(HEARTBEAT, "hv_utils")
        wait_for_answers(guest)

        for processor in (1, 0, 1):
            move_interrupts(guest, linux, instance, processor)

        linux.run(f"echo {instance} > /sys/bus/vmbus/drivers/hv_utils/unbind")
        linux.wait_for_device(HEARTBEAT)
        guest.wait_happened("heartbeat.*closed")
        wait_until_nothing_is_shared(guest)
        linux.run(f"echo {instance} > /sys/bus/vmbus/drivers/hv_utils/bind")
        wait_for_answers(guest)

        guest.command("rescind heartbeat")
        linux.wait_for(linux.devices, "the device to go", lambda devices: not devices)
        wait_until_nothing_is_shared(guest)
        guest.command("offer heartbeat")
        linux.wait_for_device(HEARTBEAT, "hv_utils")
        wait_for_answers(guest)

        # Without a pause: whatever Linux is at, opening, negotiating, closing.
        for _ in range(20):
            guest.command("rescind heartbeat")
            guest.command("offer heartbeat")
        linux.wait_for_device(HEARTBEAT, "hv_utils")
        wait_for_answers(guest)

        linux.run(f"echo {instance} > /sys/bus/vmbus/drivers/hv_utils/unbind")
        guest.command("rescind heartbeat")
        guest.command("offer heartbeat")
        linux.wait_for_device(HEARTBEAT, "hv_utils")
        wait_for_answers(guest)
        expect_clean(linux, guest, refusals=True)


@run.limit(600)
def test_linux_leaves_and_comes_back(host):
    """It suspends: all channels closed, UNLOAD, contact anew, opened anew. It panics: UNLOAD from there."""
    with start(host, ("all",)) as guest:
        linux = LinuxGuest(guest)
        load_drivers(guest, linux)
        wait_for_answers(guest)
        begin = len(guest.messages())
        bound = sum(driver is not None for _, driver in linux.devices().values())
        linux.run("snapshot")
        names = [name for _, name, _ in guest.wait_messages(lambda names: names.count("OPEN_CHANNEL_RESULT") == bound, "all channels", begin)]
        down, up = names[:names.index("UNLOAD")], names[names.index("UNLOAD"):]
        expect([down.count(name) for name in ("CLOSE_CHANNEL", "GPADL_TEARDOWN", "GPADL_TORNDOWN")] == [bound] * 3,
               f"on the way down the messages were {down}", guest)
        expect(up[:5] == ["UNLOAD", "UNLOAD_COMPLETE", "INITIATE_CONTACT", "VERSION_RESPONSE", "REQUEST_OFFERS"] and
               up.count("OPEN_CHANNEL_RESULT") == bound, f"on the way up the messages were {up}", guest)
        wait_for_answers(guest)
        for what in ("Heartbeat IC", "Shutdown IC", "TimeSync IC", "KVP IC", "Dynamic Memory protocol"):
            linux.wait_for(lambda what=what: linux.kernel_log(f"{what} version"), "a second negotiation", lambda log: len(log) == 2)
        guest.wait_figures("device kvp status", lambda service: service["state"] == "idle", "key-value pairs to be agreed on")
        expect(pairs(guest, "auto")["OSName"], "there are no facts", guest)
        expect_clean(linux, guest)
        linux.begin("echo c > /proc/sysrq-trigger")
        expect(guest.wait() == NO_STATUS, "it did not end", guest)
        expect([name for _, name, _ in guest.messages()[-2:]] == ["UNLOAD", "UNLOAD_COMPLETE"], "it did not disconnect", guest)


@run.limit(600)
def test_linux_goes_on_in_another_process(host):
    """Saved with all channels open and memory taken, resumed by another VMM: services agree anew, and Linux notices nothing else."""
    with start(host, ("all",), processors=2) as guest:
        linux = LinuxGuest(guest)
        load_drivers(guest, linux)
        wait_for_answers(guest)
        command(guest, "balloon", "resize 192", "resized")
        total = linux.memory_kib()
        linux.run("echo kept > /tmp/note")
        guest.command(f"save {SAVED}")
        guest.command("quit")
        expect(guest.wait() == NO_STATUS, "the VMM did not end", guest)
    for number in range(2):
        with host.start_vmm(None, devices=("all",), arguments=("--resume", SAVED)) as guest:
            linux = LinuxGuest(guest, before=linux)
            wait_for_answers(guest)
            expect(linux.run("cat /tmp/note") == "kept" and linux.memory_kib() == total, "Linux has forgotten something", guest)
            expect(linux.run("for i in 0 1; do taskset -c $i nproc; done") == "1\n1", "a processor does not run", guest)
            wait_for_time(guest, linux)
            wait_for_event(guest, "^kvp.* version 4.0")
            command(guest, "kvp", f"set external process {number}", "set external: done")
            expect(pairs(guest, "external") == {"process": str(number)}, "pairs are lost", guest)
            if number < 1:
                guest.command(f"save {SAVED}")
                guest.command("quit")
                expect(guest.wait() == NO_STATUS, "the VMM did not end", guest)
                continue
            command(guest, "balloon", "resize 256", "resized")
            linux.wait_for(linux.memory_kib, f"64 MiB more than {total} KiB", lambda now: now == total + 64 * 1024)
            expect_clean(linux, guest)
            check_shutdown(guest, linux)


@run.limit(600)
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
            wait_for_answers(guest, 1)
            expect(linux.kernel_log(f"Vmbus version:{version}$"), f"it did not connect at {version}", guest)
            begin = len(guest.messages())
            linux.unload("hv_utils")
            linux.unload("hv_vmbus")
            expect(not linux.modules(), "a module is still there", guest)
            guest.wait_messages(lambda names: names == ["CLOSE_CHANNEL", "GPADL_TEARDOWN", "GPADL_TORNDOWN", "RELID_RELEASED"],
                                "these messages and no others, up to RELID_RELEASED", begin)
            wait_until_nothing_is_shared(guest)
        expect_clean(linux, guest)
