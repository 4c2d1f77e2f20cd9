# SPDX-License-Identifier: MIT
"""Our ARM64 guest on our host at EL2 (tests/el2): the same stack and drivers as on x86-64, against the same devices."""
import re
import subprocess
import tempfile

import acpi_tables
import el2
from el2 import DELIVERIES, check
from test_boot import PANIC

WITHOUT_HOST = True  # see run.py


def echo(host, rounds=200, **options):
    return el2.run(host, f"{host.build}/aarch64/guests/echo.Image", f"rounds={rounds}", devices=["echo-sample"], **options)


def hello(host, append="run=3600", **options):
    return el2.run(host, f"{host.build}/aarch64/hello.Image", append, **options)


def in_order(ended, text, *patterns):
    at = 0
    for pattern in patterns:
        match = re.compile(pattern).search(text, at)
        check(match, ended, f"nothing like {pattern!r} behind what was found before it")
        at = match.end()


# -- the bus -------------------------------------------------------------------------------------------------------------

def test_the_guest_connects_exchanges_packets_and_leaves_with_unload(host):
    for delivery in DELIVERIES:
        ended = echo(host, delivery=delivery, trace=True)
        check(ended.status == 0, ended, delivery)
        check("echo: done rounds=200" in ended.console, ended, "not all packets came back")
        check(not re.search("warning:|panic:|left in use", ended.console + ended.host), ended, "somebody warned of something, or left something")
        messages = ended.messages()
        names = [name for _, name, _ in messages]
        check(names[:2] == ["INITIATE_CONTACT", "VERSION_RESPONSE"], ended, f"the conversation begins with {names[:2]}")
        check(messages[0][2]["version"] == "6.0" and messages[1][2]["supported"] == "1", ended, f"contact: {messages[:2]}")
        check(names[-2:] == ["UNLOAD", "UNLOAD_COMPLETE"], ended, f"the conversation ends with {names[-2:]}")
        check(names.count("OPEN_CHANNEL") == 1 and "CLOSE_CHANNEL" in names, ended, f"channels: {names}")


def test_older_versions_of_the_bus(host):
    for number, version in (("0x50000", "5.0"), ("0x40000", "4.0"), ("0x20004", "2.4")):
        ended = echo(host, rounds=10, words=[f"version={number}"], trace=True)
        asked = [fields["version"] for _, name, fields in ended.messages() if name == "INITIATE_CONTACT"]
        check(ended.status == 0 and asked[-1] == version, ended, f"the guest asked for {asked}")


def test_firmware_is_called_by_the_conduit_that_the_machine_names(host):
    # By SMC the guest cannot ask for the hypervisor's identity, and its device tree does not name it; it powers off all the same.
    ended = echo(host, words=["conduit=smc"])
    check("hv: no hypervisor" in ended.console and "the guest ended with status" in ended.host, ended, "by SMC")


def test_both_conventions_of_hypercalls(host):
    for calls in ("smccc", "plain"):
        ended = echo(host, rounds=10, words=[f"calls={calls}"])
        check(ended.status == 0, ended, calls)
        check(("hypercalls by HVC #1" in ended.console) == (calls == "plain"), ended, calls)


def test_a_host_that_tells_nothing_of_itself(host):
    ended = hello(host, "run=1", words=["silent"])
    check(ended.status == 0 and "privileges 0x64 features 0x0 " in ended.console, ended, "more than what goes without saying")
    check("vmbus: connected, version 6.0" in ended.console, ended, "no bus")


def test_clocks_and_timers(host):
    page = "Hyper-V reference TSC page"
    for words, clock, timer in ((["timers=direct"], page, "virtual timer"),
                                (["timers=none"], "virtual counter", "virtual timer"),
                                (["timers=direct", "timerless"], page, "Hyper-V synthetic timer, direct"),
                                (["timers=message", "timerless"], page, "Hyper-V synthetic timer, by message")):
        for delivery in DELIVERIES:
            ended = el2.run(host, f"{host.build}/aarch64/guests/executive.Image", "test=waiting", delivery=delivery,
                            words=words)
            check(ended.status == 0, ended, f"{words}, {delivery}")
            # In parallel the machine's time is this one's, which may have other work: its waits are none too short, no more is judged.
            took, halts = (r"\d{3,}", r"\d+") if delivery == "parallel" else (r"2\d\d", r"\d\d")
            check(re.search(rf"20 waits of 10 ms took {took} ms with {clock} and {timer}, halts={halts}", ended.console), ended,
                  f"{words}, {delivery}: other clocks, or waits that are too long")
            # Hundreds of timers while the guest calculates and never waits.
            ended = el2.run(host, f"{host.build}/aarch64/guests/executive.Image", "test=vector_registers", delivery=delivery,
                            words=words)
            check(ended.status == 0 and "500 callbacks, 0 sums wrong" in ended.console, ended, f"{words}, {delivery}: timers do not come")


def test_a_panic_reaches_the_host(host):
    ended = el2.run(host, f"{host.build}/aarch64/guests/executive.Image", "test=panic_at_dispatch_level")
    check(ended.status == PANIC, ended, "not the status of a panic")
    check("the guest reports a crash: 0 0 0 " in ended.host and "asked for, number 42" in ended.host, ended, "no report")


def test_a_system_error_is_reported(host):
    ended = el2.run(host, f"{host.build}/aarch64/guests/executive.Image", "test=waiting", words=["system-error"])
    check(ended.status == PANIC, ended, "not the status of a panic")
    in_order(ended, ended.console, r"exception: system error, vector 7, ", r"panic: system error at 0x")


def test_more_memory_and_less(host):
    for memory in (16, 512):
        check(echo(host, rounds=10, memory=memory).status == 0, None, f"{memory} MiB")


# -- firmware ------------------------------------------------------------------------------------------------------------

def test_uefi_firmware_starts_it_and_acpi_names_the_hypervisor(host):
    for delivery in DELIVERIES:
        ended = echo(host, delivery=delivery, firmware={}, trace=True)
        check(ended.status == 0, ended, delivery)
        in_order(ended, ended.console, r"started by UEFI, \d+ KiB", "vmbus: connected, version 6.0", "echo: done rounds=200")
        in_order(ended, ended.host, "INITIATE_CONTACT", "OPEN_CHANNEL_RESULT", "UNLOAD_COMPLETE")


def test_acpi_says_whom_to_call_and_who_is_there(host):
    for told, status, pattern in (
            ({"conduit": acpi_tables.BY_HVC}, 0, "vmbus: connected"),
            # Without that name in the FADT the hypervisor is asked, where HVC is there to ask it.
            ({"conduit": acpi_tables.BY_HVC, "identity": b"Nobody's"}, 0, "vmbus: connected"),
            ({"conduit": acpi_tables.BY_SMC, "identity": b"Nobody's"}, 16, "hv: no hypervisor")):
        ended = echo(host, rounds=10, firmware=told)
        check(ended.status == status and re.search(pattern, ended.console), ended, told)


def test_a_disk_of_both_architectures_boots(host):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["bash", "boot/image/make.sh", "--append", "run=1", folder, "disk", f"{host.build}/hello.efi",
                        f"{host.build}/aarch64/hello.efi"], check=True, stdout=subprocess.DEVNULL)
        for name, kind in (("disk.img", "raw"), ("disk.vhdx", "vhdx")):
            ended = el2.run(host, None, disk=(f"{folder}/{name}", kind), devices=["balloon"], firmware={})
            check(ended.status == 0, ended, name)
            in_order(ended, ended.console, "started by UEFI", "vmbus: connected, version 6.0", "the channel is closed")


# -- races and repetition ------------------------------------------------------------------------------------------------

def test_two_runs_print_the_same(host):
    for delivery in ("at-once", "at-wait", "later"):
        first, second = (echo(host, delivery=delivery, trace=True) for _ in range(2))
        check(first.status == 0, first, delivery)
        check(len(first.messages()) > 10, first, "too few messages to compare")
        check((first.host, first.console) == (second.host, second.console), second, "the second run prints something else")


def test_a_loaded_channel_loses_nothing_either_way(host):
    for delivery in DELIVERIES:
        ended = el2.run(host, f"{host.build}/aarch64/load.Image", "packets=10000 sizes=1500 bursts=8", delivery=delivery, devices=["load"],
                        script=["wait load: open", "device load run 2000 1500 8", "wait load: run: sent=2000 completed=2000 lost=0 wrong=0"])
        check(ended.status == 0, ended, delivery)
        check("load: done size=1500 burst=8 sent=10000 completed=10000 lost=0 wrong=0 " in ended.console, ended, "the guest lost some")
        check(re.search(r"load: done .* received=2000 malformed=0 gaps=0 repeats=0", ended.console), ended, "the host's did not come")


# -- devices -------------------------------------------------------------------------------------------------------------

def test_the_host_asks_for_a_shutdown(host):
    for delivery in DELIVERIES:
        ended = hello(host, delivery=delivery, devices=["heartbeat", "timesync", "shutdown"],
                      script=["wait heartbeat: the first heartbeat is answered", "sleep 100", "device heartbeat status",
                              "wait shutdown: version", "device shutdown shutdown", "wait shutdown: the guest agrees"])
        check(ended.status == 0, ended, delivery)
        in_order(ended, ended.host, r"\| state=\w+ version=3\.0 ", r"\| sent=\d+ answered=[1-9]", r"! shutdown: the guest agrees",
                 r"the guest ended with status 0")
        in_order(ended, ended.console, r"shutdown: the host asks for a power off", r"shutdown: power off, as the host asked")


def test_pairs_of_keys_and_values(host):
    for delivery in DELIVERIES:
        ended = hello(host, delivery=delivery, devices=["kvp", "shutdown"],
                      script=["wait kvp: version", "device kvp set external colour blue", "wait kvp: set external: done",
                              "device kvp get external colour", "wait kvp: get external: colour=blue",
                              "device kvp delete external colour", "wait kvp: delete external: done",
                              "device kvp get external colour", "wait (there is none)",
                              "device kvp enumerate auto", "wait ProcessorArchitecture=aarch64", "wait enumerate auto: end, ",
                              "wait shutdown: version", "device shutdown shutdown"])
        check(ended.status == 0, ended, delivery)


def test_memory_is_taken_returned_and_added(host):
    resized = "wait balloon: resized: "
    ended = hello(host, spare=128, devices=["balloon", "shutdown"],
                  script=["wait balloon: the first status", "device balloon resize 40", f"{resized}6144 pages", "device balloon resize 64",
                          f"{resized}0 pages", "device balloon add 128", "wait the guest took 32768 of 32768 pages",
                          "device balloon resize 40", f"{resized}38912 pages", "sleep 1500", "device balloon status",
                          "device shutdown shutdown"])
    check(ended.status == 0, ended, "the guest failed")
    in_order(ended, ended.host, r"\| pages=16384 taken=38912 added=32768 available=\d+ ")
    in_order(ended, ended.console, "balloon: ballooned 6144 pages of 6144", "balloon: got 6144 pages back", "38912 held")


def test_the_clock_is_stepped(host):
    ended = hello(host, devices=["timesync", "shutdown"],
                  script=["wait the guest's clock is synchronised", "sleep 1000", "device timesync step +3600",
                          "wait the guest's clock is synchronised", "wait shutdown: version", "device shutdown shutdown"])
    check(ended.status == 0, ended, "the guest failed")
    in_order(ended, ended.console, r"the wall clock is set to 2026-01-01 00:00:00", r"set to 2026-01-01 01:00:01\.0.*; it was 3600\.0")


def test_a_device_is_taken_away_and_comes_back(host):
    for delivery in DELIVERIES:
        ended = hello(host, delivery=delivery, devices=["heartbeat", "shutdown"], trace=True,
                      script=["wait heartbeat: the first heartbeat is answered", "rescind heartbeat", "devices", "offer heartbeat",
                              "wait heartbeat: version", "wait heartbeat: version", "device shutdown shutdown"])
        check(ended.status == 0, ended, delivery)
        check("| heartbeat not offered\n" in ended.host, ended, "it is still offered")
        in_order(ended, ended.host, "RESCIND_CHANNEL_OFFER", "RELID_RELEASED", "OFFER_CHANNEL", "OPEN_CHANNEL_RESULT")
