# SPDX-License-Identifier: MIT
"""A wake-up is lost if the guest goes to sleep on what the host did just before: our ARM64 guest on our host at EL2 (tests/el2), which
meets it at as many moments as it can, by chance and one after the other."""
import os

import el2
import run
from el2 import check
from test_arm64 import echo, hello

WITHOUT_HOST = True  # see run.py
RACES = int(os.environ.get("BAREBUS_RACES", "24"))  # make soak-arm64: a thousand


@run.limit(300 + 15 * RACES)
def test_a_host_that_works_beside_the_guest_never_loses_a_wake_up(host):
    for attempt in range(RACES):
        # A host that sleeps comes when the guest sleeps; one that is awake meets it anywhere between two messages.
        if attempt % 2 == 0:
            ended = echo(host, rounds=50, delivery="parallel")
            done = "echo: done rounds=50"
        else:
            ended = el2.run(host, f"{host.build}/aarch64/load.Image", "packets=2000 sizes=64 bursts=1,2,8", delivery="parallel",
                            devices=["load"], words=["jitter=5"])
            done = "load: done size=64 burst=8 sent=2000 completed=2000 lost=0 wrong=0"
        check(ended.status == 0 and done in ended.console, ended, f"attempt {attempt + 1} of {RACES}")


def test_a_host_that_comes_between_any_two_instructions_finds_none_that_loses_a_wake_up(host):
    # Each time the host works an instruction later than the time before, so that it meets the guest at each one between its signal and
    # its sleep, and, with a message a time, at each one of the handler that takes a message out of the slot.
    lost = "a wake-up is lost"
    for later in (0, 3000):
        ended = echo(host, rounds=3000, delivery="later", words=[f"later={later}"], limit=8)
        check(ended.status == 0 and "echo: done rounds=3000" in ended.console, ended, lost)
    ended = el2.run(host, f"{host.build}/aarch64/load.Image", "packets=4000 sizes=64 bursts=1,2,8", delivery="later", devices=["load"], limit=8)
    check(ended.status == 0 and "load: done size=64 burst=8 sent=4000 completed=4000 lost=0 wrong=0" in ended.console, ended, lost)
    devices = ["all", *(f"echo-sample,name=echo-{n},instance=11111111-2222-3333-0505-{n:012}" for n in range(9))]
    for later in range(0, 600, 10):  # some fifteen offers a run, each a tick later
        ended = hello(host, "run=0", delivery="later", devices=devices, words=[f"later={later}"], limit=8)
        check(ended.status == 0, ended, f"{lost}, later={later}")
