# SPDX-License-Identifier: MIT
"""Hosts that offer more or less of the hypervisor's interface: the guest uses what is there, and the bus works with all of them."""
import re

from figures import expect, image, lines_with
from host import HYPERV_FLAGS

PAGE, COUNTER = "Hyper-V reference TSC page", "time-stamp counter"
DIRECT, BY_MESSAGE, LOCAL = "Hyper-V synthetic timer, direct", "Hyper-V synthetic timer, by message", "local APIC timer"
LIMIT = 60


def without(*names):
    return tuple(flag for flag in HYPERV_FLAGS if flag not in names)


def seconds(line):
    return float(re.search(r"\[ *([0-9.]+)\]", line).group(1))


def works(host, flags, clock, timer):
    with host.start(image(host), append="run=4", cpu_flags=flags) as guest:
        status = guest.wait(LIMIT)
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(lines_with(guest, f"hv: clock: {clock}; timer: {timer}$"), f"not {clock} with {timer}", guest)
    expect(lines_with(guest, r"vmbus: connected, version 4\.0"), "no connection", guest)
    expect(not lines_with(guest, "panic:|exception:|warning:"), "the guest complained", guest)
    # The guest's seconds are seconds: the four that it stayed passed outside as well. A clock that is wrong by half shows; a machine
    # that is busy with something else does not.
    passed = guest.console.times[-1] - guest.console.times[0]
    told = seconds(guest.console.lines[-1]) - seconds(guest.console.lines[0])
    expect(4.0 <= told and abs(passed - told) < 2.0, f"{told:.2f} s inside are {passed:.2f} s outside", guest)


def test_everything_qemu_has(host):
    works(host, HYPERV_FLAGS, PAGE, DIRECT)


def test_timers_by_message(host):
    works(host, without("hv-stimer-direct"), PAGE, BY_MESSAGE)


def test_no_timers(host):
    works(host, without("hv-stimer", "hv-stimer-direct"), PAGE, LOCAL)


def test_no_reference_time(host):
    works(host, without("hv-stimer", "hv-stimer-direct", "hv-time"), COUNTER, LOCAL)


def test_no_frequencies(host):
    works(host, without("hv-frequencies"), PAGE, DIRECT)


def test_everything_kvm_has_under_its_own_vendor(host):
    works(host, ("hv-passthrough",), PAGE, DIRECT)


def test_what_is_not_announced_is_never_touched(host):
    # With this flag KVM raises an exception in the guest for every register and call that it does not announce.
    works(host, (*HYPERV_FLAGS, "hv-enforce-cpuid"), PAGE, DIRECT)
    works(host, ("hv-vpindex", "hv-synic", "hv-enforce-cpuid"), COUNTER, LOCAL)


def test_a_vendor_nobody_knows(host):
    works(host, (*HYPERV_FLAGS, "hv-vendor-id=Somebody"), PAGE, DIRECT)
