# SPDX-License-Identifier: MIT
"""Our guest on our own VMM: both ends are ours, KVM is between them."""
import os
import re

from figures import expect, image, lines_with
from host import NO_STATUS, VmmError


def echo_image(host):
    return os.path.join(host.build, "guests", "echo.elf")


def test_the_guest_connects_exchanges_packets_and_leaves_with_unload(host):
    with host.start_vmm(echo_image(host), append="rounds=200") as guest:
        status = guest.wait()
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(lines_with(guest, "echo: done rounds=200"), "not all packets came back", guest)
    expect(not lines_with(guest, "warning:|panic:"), "the guest warned of something", guest)
    messages = guest.messages()
    names = [name for _, name, _ in messages]
    expect(names[:2] == ["INITIATE_CONTACT", "VERSION_RESPONSE"], f"the conversation begins with {names[:2]}", guest)
    expect(messages[0][2]["version"] == "6.0" and messages[1][2]["supported"] == "1", f"contact: {messages[:2]}", guest)
    expect(names[-2:] == ["UNLOAD", "UNLOAD_COMPLETE"], f"the conversation ends with {names[-2:]}", guest)
    expect(names.count("OPEN_CHANNEL") == 1 and "CLOSE_CHANNEL" in names, f"channels: {names}", guest)


def test_each_packet_is_traced_on_demand(host):
    rounds = 40
    with host.start_vmm(echo_image(host), append=f"rounds={rounds}", trace=False, arguments=("--trace-packets",)) as guest:
        expect(guest.wait() == 0, "the guest failed", guest)
    packets = re.findall(r"\] channel 1 guest (->|<-) (\S+) type=\d+ id=(0x[0-9a-f]+) .*payload=(\d+):", guest.errors)
    requests = [(number, size) for sender, kind, number, size in packets if (sender, kind) == ("->", "in-band")]
    answers = [(number, size) for sender, kind, number, size in packets if (sender, kind) == ("<-", "completion")]
    expect(len(requests) == rounds and requests == answers and len(packets) == 2 * rounds, f"the packets are {packets}", guest)


def test_an_older_bus_and_a_second_processor(host):
    with host.start_vmm(echo_image(host), append="rounds=10", processors=2, arguments=("--vmbus-version", "4.0")) as guest:
        expect(guest.wait() == 0, "the guest failed", guest)
    asked = [fields["version"] for _, name, fields in guest.messages() if name == "INITIATE_CONTACT"]
    expect(asked[-1] == "4.0", f"the guest asked for {asked}", guest)


def test_a_start_needs_few_exits(host):
    """Each costs a tenth of a millisecond where the host is nested. Bytes of the console and first uses of a page are not counted, nor
    interrupts of the machine that it runs on, which are more the busier that is."""
    with host.start_vmm(image(host), append="run=60") as guest:
        guest.console.wait_for("hello: pages at=start")
        exits = guest.figures("exits 0")
        guest.command("quit")
    others = exits["exits"] - exits["io_exits"] - exits["pf_taken"] - exits["irq_exits"]
    expect(others < 300, f"{others} exits: {exits}", guest)


def test_commands_reach_the_devices_and_take_them_away(host):
    with host.start_vmm(image(host), append="run=3600") as guest:
        guest.console.wait_for("hello: pages at=start")
        expect(guest.command("devices") == ["echo-sample offered"], "it is not in the list", guest)
        expect(guest.figures("bus")["version"] == "6.0", "the bus has another version", guest)
        exits = guest.figures("exits 0")
        expect(exits["exits"] > exits["hypercalls"] > 0, f"KVM counted {exits}", guest)
        expect(guest.figures("registers")["processor"] == 0, "it has no processor 0", guest)
        guest.command("rescind echo-sample")
        expect(guest.command("devices") == ["echo-sample not offered"], "it is still offered", guest)
        guest.wait_messages(lambda names: "RELID_RELEASED" in names, "the guest to release the channel's number")
        guest.command("offer echo-sample")
        guest.wait_messages(lambda names: names.count("OFFER_CHANNEL") == 2, "the second offer")
        for line in ("devicse", "device", "device nobody status", "rescind nobody", "devices now", "exits 7", "save"):
            try:
                guest.command(line)
                expect(False, f"'{line}' is taken", guest)
            except VmmError:
                pass
        guest.command("quit")
        expect(guest.wait() == NO_STATUS, "it did not quit", guest)


def test_wrong_options_are_named(host):
    for arguments, names in ((("--memory", "1"), "--memory"), (("--device", "nothing"), "--device"), (("--processors", "5"), "--processors"),
                             (("--vmbus-version", "5"), "--vmbus-version"),
                             (("--vmbus-version", "0.0"), "--vmbus-version"), (("--vmbus-version", "5.4"), "--vmbus-version"), (("--initrd", "/nowhere"), "--initrd"),
                             (("--kernel", "/init"), "PVH"), (("--kernel", "/dev/zero"), "--kernel"), (("--kernel", "/kvm.ko"), "--kernel"), (("--nonsense",), "nonsense"),
                             (("--control", "/init"), "--control"), (("--debug-exit", "0x3f8"), "--debug-exit")):
        with host.start_vmm(image(host), arguments=arguments) as guest:
            guest.wait_for_refusal()
        expect(names in guest.errors, f"{arguments}: {guest.errors}", guest)
