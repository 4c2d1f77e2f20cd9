# SPDX-License-Identifier: MIT
"""The host at EL2 against a guest that breaks its rules (tests/el2/guests): each ends as it should, and says where."""
import re

import el2
from el2 import DELIVERIES, check

WITHOUT_HOST = True  # see run.py


def hostile(host, test, **options):
    return el2.run(host, f"{host.build}/el2/hostile.bin", f"test={test}", **options)


def ends(ended, status, pattern):
    check(ended.status == status, ended, f"not status {status}")
    check(re.search(pattern, ended.host), ended, f"the host says nothing like {pattern!r}")
    check("hostile: " in ended.console, ended, "the guest did not run")


def stray(host, test, pattern):
    ends(hostile(host, test), el2.STATUS_GUEST_STRAY, r"host: processor 0: " + pattern)


# -- what ends the run ---------------------------------------------------------------------------------------------------

def test_a_read_outside_of_the_guests_memory(host):
    stray(host, "read_behind_memory", r"read outside of its memory at guest-physical 0x4001238 \(ESR 0x9[0-9a-f]+, FAR 0x4001238, "
                                      r"HPFAR 0x40010\), instruction at 0x2[0-9a-f]{5}\n")


def test_a_write_to_the_hosts_memory(host):
    stray(host, "write_to_the_host", r"write outside of its memory at guest-physical 0x48000000 ")


def test_execution_outside_of_the_guests_memory(host):
    stray(host, "execute_nowhere", r"execution outside of its memory at guest-physical 0x4004000 ")


def test_an_unknown_hypercall(host):
    stray(host, "unknown_hypercall", r"unknown call by HVC at 0x2[0-9a-f]{5}: x0 0x46000001, x1 0x17777,")


def test_an_unknown_convention(host):
    stray(host, "unknown_convention", r"unknown call by HVC at 0x2[0-9a-f]{5}: x0 0x5c,")


def test_an_unknown_firmware_call(host):
    stray(host, "unknown_secure_call", r"unknown call by SMC at 0x2[0-9a-f]{5}: x0 0xc2000001,")


def test_unknown_registers(host):
    stray(host, "read_unknown_register", r"read of unknown register 0x00012345, call before 0x2[0-9a-f]{5}\n")
    stray(host, "write_unknown_register", r"write of unknown register 0x000a0099, call before 0x2[0-9a-f]{5}\n")


def test_a_reset(host):
    ends(hostile(host, "reset"), el2.STATUS_GUEST_RESTARTS, r"the guest asked for a restart")


def test_a_guest_that_never_ends(host):
    for test, deliveries in (("wait_for_ever", DELIVERIES), ("calculate_for_ever", ("at-wait", "parallel"))):
        for delivery in deliveries:
            ends(hostile(host, test, delivery=delivery, limit=1), el2.STATUS_HOST_FAILED, r"the guest has not ended within its limit")


def test_words_that_make_no_sense(host):
    for word, pattern in (("delivery=never", "delivery=never makes no sense"), ("processors=5", "processors=5: 1 to 4"), ("memory=2", "memory=2: "),
                          ("version=0x77", "no bus: ")):
        ended = el2.run(host, f"{host.build}/el2/hostile.bin", "test=nothing", words=(word,))
        check(ended.status == el2.STATUS_HOST_FAILED and re.search(f"host: {pattern}", ended.host), ended, word)


# -- what is refused, or does no harm ------------------------------------------------------------------------------------

def fine(host, test, **options):
    for delivery in DELIVERIES:
        ended = hostile(host, test, delivery=delivery, trace=True, **options)
        ends(ended, 0, r"host: the guest ended with status 0\n")
    return ended


def test_nothing_at_all(host):
    fine(host, "nothing")


def test_calls_with_bad_parameters_are_refused(host):
    fine(host, "refused_calls")


def test_messages_that_make_no_sense_are_dropped(host):
    ended = fine(host, "bad_messages")
    for kind in ("malformed message: OPEN_CHANNEL", "unexpected message: OFFER_CHANNEL", "unknown message: PAUSE"):
        check(kind in ended.host, ended, kind)
    check(("<-", "VERSION_RESPONSE", "1") in [(sender, name, fields.get("supported")) for sender, name, fields in ended.messages()],
          ended, "no answer to what is worth one")


def test_pages_of_the_synic_lie_over_the_guests_memory(host):
    fine(host, "covered_page")


def test_an_occupied_slot_gets_the_next_message_when_it_is_free(host):
    fine(host, "occupied_slot")


def test_rings_of_pages_in_no_order(host):
    ended = fine(host, "scattered_rings", devices=["echo-sample"])
    check("guest <- OPEN_CHANNEL_RESULT channel=1 open=0 status=0x0 " in ended.host, ended, "no channel was opened")


def test_answers_that_are_never_taken_cost_no_memory(host):
    fine(host, "answers_never_taken")


def test_four_processors_have_a_synic_each(host):
    fine(host, "other_processors", processors=4)


# -- repeatable ----------------------------------------------------------------------------------------------------------

def test_two_runs_print_the_same(host):
    for delivery in ("at-once", "at-wait", "later"):
        first, second = (hostile(host, "occupied_slot", delivery=delivery, trace=True) for _ in range(2))
        check(len(first.messages()) == 4, first, "not the four messages of this test")
        check((first.host, first.console) == (second.host, second.console), second, "the second run prints something else")
