# SPDX-License-Identifier: MIT
"""The Linux guest that judges our host, on a host that nobody here wrote: what it says of a good host can be relied on."""
import re

from figures import expect
from guest import LIMIT
from host import HYPERV_FLAGS, NO_STATUS
from linux_guest import COMMAND_LINE, CommandFailed, LinuxGuest, image

# Channel messages, as QEMU's trace numbers them.
INITIATE_CONTACT, RELID_RELEASED, UNLOAD = 14, 13, 16
BALLOON = "525074dc-8985-46e2-8057-a307dc18a502"


def start(host, **options):
    kernel, initrd = image(host)
    return host.start(kernel, initrd=initrd, append=COMMAND_LINE, memory_mib=256, extra_args=("-trace", "vmbus_*"), **options)


def received(guest):
    """The channel messages that QEMU got so far."""
    return [int(number) for number in re.findall(r"vmbus_recv_message type (\d+)", guest.errors)]


def wait_for_last_message(guest, kind):
    guest.wait_until(lambda: received(guest)[-1:] == [kind] or None, LIMIT, f"a last message of type {kind} to QEMU")


def test_linux_binds_what_qemu_offers_and_powers_off(host):
    with start(host) as guest:
        linux = LinuxGuest(guest)
        linux.load("hv_vmbus")
        expect(linux.kernel_log("Vmbus version:4.0$"), "it did not connect at 4.0", guest)
        instance = linux.wait_for_device(BALLOON)
        linux.load("hv_balloon")
        linux.wait_for_device(BALLOON, "hv_balloon")
        linux.wait_for(lambda: linux.kernel_log("Dynamic Memory protocol version 2.0"), "it to negotiate")
        linux.run(f"echo {instance} > /sys/bus/vmbus/drivers/hv_balloon/unbind")
        linux.wait_for_device(BALLOON)
        try:
            linux.run("rmmod no_such_module")
            expect(False, "a command that failed is not noticed", guest)
        except CommandFailed:
            pass
        linux.power_off()
        guest.console.wait_for("^poweroff: now")
        expect(guest.wait() == NO_STATUS, "it did not power off", guest)


def test_linux_that_unloads_its_bus_gives_its_channels_back(host):
    """Linux 6.12 sends no UNLOAD then. Were its clock a timer of Hyper-V's, it would stop with the module, or panic (drivers/hv)."""
    flags = [flag for flag in HYPERV_FLAGS if not flag.startswith("hv-stimer")]
    with start(host, cpu_flags=flags) as guest:
        linux = LinuxGuest(guest)
        for module in ("hv_vmbus", "hv_utils"):
            linux.load(module)
        linux.wait_for_device(BALLOON)
        for module in ("hv_utils", "hv_vmbus"):
            linux.unload(module)
        expect(not linux.modules(), "a module is still there", guest)
        wait_for_last_message(guest, RELID_RELEASED)
        linux.power_off()
        expect(guest.wait() == NO_STATUS, "it did not power off", guest)


def test_linux_that_suspends_connects_anew_and_one_that_panics_disconnects(host):
    with start(host) as guest:
        linux = LinuxGuest(guest)
        for module in ("hv_vmbus", "hv_balloon"):
            linux.load(module)
        linux.wait_for_device(BALLOON, "hv_balloon")
        begin = len(received(guest))
        linux.run("snapshot")
        messages = received(guest)[begin:]
        expect(UNLOAD in messages and INITIATE_CONTACT in messages[messages.index(UNLOAD):],
               f"on the way down and up it sent {messages}", guest)
        linux.wait_for(lambda: linux.kernel_log("Dynamic Memory protocol version 2.0"), "a second negotiation", lambda log: len(log) == 2)
        linux.begin("echo c > /proc/sysrq-trigger")
        expect(guest.wait() == NO_STATUS, "it did not end", guest)
        expect(received(guest)[-1] == UNLOAD, f"its last messages were {received(guest)[-3:]}", guest)
