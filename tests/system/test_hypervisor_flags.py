# SPDX-License-Identifier: MIT
"""Hosts that offer more or less of the hypervisor's interface: the guest uses what is there, and the bus works with all of them."""
import re

from figures import expect, image, lines_with
from host import HYPERV_FLAGS

PAGE, COUNTER = "Hyper-V reference TSC page", "time-stamp counter"
DIRECT, BY_MESSAGE, LOCAL = "Hyper-V synthetic timer, direct", "Hyper-V synthetic timer, by message", "local APIC timer"


def without(*names):
    return tuple(flag for flag in HYPERV_FLAGS if flag not in names)


def seconds(line):
    return float(re.search(r"\[ *([0-9.]+)\]", line).group(1))


def stays(host, flags, clock, timer, stay):
    """Runs a guest for so many of its seconds; returns how many passed by its clock, and outside, between its first and last line."""
    with host.start(image(host), append=f"run={stay}", cpu_flags=flags) as guest:
        status = guest.wait()
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(lines_with(guest, f"hv: clock: {clock}; timer: {timer}$"), f"not {clock} with {timer}", guest)
    expect(lines_with(guest, r"vmbus: connected, version 4\.0"), "no connection", guest)
    expect(not lines_with(guest, "panic:|exception:|warning:"), "the guest complained", guest)
    told = seconds(guest.console.lines[-1]) - seconds(guest.console.lines[0])
    expect(told >= stay, f"it left after {told} s", guest)
    return told, guest.console.times[-1] - guest.console.times[0]


def works(host, flags, clock, timer):
    """The guest's seconds are seconds: those that it stayed passed outside as well. A clock that is wrong by half shows at each length;
    a busy machine, which brings us the first or last line late, does not at all of them."""
    found = []
    for stay in (4, 4, 12):
        told, passed = stays(host, flags, clock, timer, stay)
        found.append(f"{told:.2f} s inside are {passed:.2f} s outside")
        if abs(passed - told) < stay / 2:
            return
    raise AssertionError("; ".join(found))


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
