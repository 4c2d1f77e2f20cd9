# SPDX-License-Identifier: MIT
"""A guest that breaks every rule: the VMM stands it, says what it was, and serves the same guest when it behaves again."""
import os
import re

from figures import expect


def attack(host, scenario, seed, processors=1):
    """Runs one scenario of tests/guests/hostile.c; the VMM has to answer commands behind it. Returns the VMM's figures and the guest."""
    image = os.path.join(host.build, "guests", "hostile.elf")
    with host.start_vmm(image, append=f"scenario={scenario} seed={seed}", memory_mib=32, processors=processors, trace=False) as guest:
        guest.console.wait_for(f"hostile: {scenario}: over")
        guest.console.wait_for("hostile: the host is well")
        # The guest stays for this, until the device is taken from it.
        figures = guest.figures("bus")
        guest.command("rescind echo-sample")
        status = guest.wait()
    expect(status == 0, f"{scenario}, seed {seed}: status {status}", guest)
    return figures, guest


def test_nonsense_in_hypercalls_and_messages(host):
    attack(host, "hypercalls", 1)
    figures, guest = attack(host, "messages", 2)
    for what in ("malformed", "unknown", "unexpected"):
        expect(figures[what] > 0, f"no message was {what}: {figures}", guest)
    expect(re.search(r"vmbus server: warning: .* message", guest.errors), "the VMM says nothing of it", guest)


def test_wild_page_lists_and_floods_of_signals(host):
    figures, guest = attack(host, "lists", 3)
    expect(figures["gpadls-refused"] > 0 and figures["opens-refused"] > 0, f"nothing was refused: {figures}", guest)
    figures, guest = attack(host, "signals", 4)
    expect(figures["signals-unknown"] > 1000, f"signals were not counted: {figures}", guest)


def test_a_destroyed_ring_costs_the_channel_which_is_named(host):
    _, guest = attack(host, "rings", 5)
    expect(re.search(r"echo-sample: closing the channel", guest.errors), f"the VMM does not name the channel: {guest.errors}", guest)
