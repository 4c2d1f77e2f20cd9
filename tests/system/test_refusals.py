# SPDX-License-Identifier: MIT
"""A guest that lacks something ends at once, with one clear line at the end and a status of its own (kernel/exit.h)."""
from figures import expect, image, lines_with
from host import HYPERV_FLAGS

TOO_LITTLE_MEMORY, NO_HYPERV, NO_SYNIC, NO_VMBUS = 3, 4, 5, 6


def refused(host, expected_status, last_line, **options):
    with host.start(image(host), append="run=600", **options) as guest:
        status = guest.wait()
    expect(status == expected_status, f"the guest left with status {status} instead of {expected_status}", guest)
    said = lines_with(guest, last_line)
    expect(len(said) == 1, f"{len(said)} lines like {last_line!r}", guest)
    expect(guest.console.lines[-1] == said[0], "that was not the last line", guest)
    expect(not lines_with(guest, "panic:|exception:"), "the guest broke", guest)


def test_without_vmbus_bridge(host):
    refused(host, NO_VMBUS, r"no VMBus connection: .*-device vmbus-bridge", devices=())


def test_without_synic(host):
    flags = tuple(flag for flag in HYPERV_FLAGS if flag not in ("hv-synic", "hv-stimer", "hv-stimer-direct"))
    refused(host, NO_SYNIC, r"no SynIC, so no VMBus: .*hv-synic", cpu_flags=flags, devices=())


def test_without_hyperv(host):
    refused(host, NO_HYPERV, r"no Hyper-V: ", cpu_flags=(), devices=())


def test_without_any_hypervisor_to_be_seen(host):
    refused(host, NO_HYPERV, r"no Hyper-V: ", cpu_flags=("-hypervisor",), devices=())


def test_with_too_little_memory(host):
    refused(host, TOO_LITTLE_MEMORY, r"too little memory: \d+ KiB usable, \d+ KiB needed", memory_mib=4)


def test_without_a_balloon_it_works(host):
    with host.start(image(host), append="run=1", devices=("vmbus-bridge",)) as guest:
        status = guest.wait()
    expect(status == 0, f"the guest left with status {status}", guest)
    expect(lines_with(guest, "balloon: state: waiting for the device"), "the balloon does not wait", guest)
