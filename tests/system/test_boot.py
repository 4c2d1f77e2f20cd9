# SPDX-License-Identifier: MIT
"""How a guest starts, breaks and ends, without Hyper-V: on plain QEMU, through both direct boot protocols, on several machines."""
import re
import struct
import subprocess

WITHOUT_HOST = True  # see run.py

PORT = 0xF4
PANIC, TOO_LITTLE_MEMORY, APPLICATION = 2, 3, 16
LIMIT = 120  # seconds of a machine that may be busy; half a second is usual
# The machine's time is that of its instructions, and nobody waits: for tests that judge time, which a busy machine stretches.
BY_INSTRUCTIONS = ("-icount", "shift=0,sleep=off")


def check(condition, what, text):
    if not condition:
        raise AssertionError(f"{what}\nthe guest's last lines:\n" + "\n".join("  | " + line for line in text.splitlines()[-20:]))


class Ended:
    def __init__(self, status, text):
        self.status, self.text = status, text.replace("\r", "")

    def expect(self, status, *patterns):
        check(self.status == status, f"status {self.status} instead of {status}", self.text)
        # A QEMU that fails leaves with 1, like a guest that is content: only the guest says this.
        check(status != 0 or "test: exit hook" in self.text, "the guest did not run", self.text)
        for pattern in patterns:
            check(re.search(pattern, self.text), f"no line like {pattern!r}", self.text)
        return self

    def expect_panic(self, *patterns):
        self.expect(PANIC, r"panic: ", r"panic hook: ", *patterns)
        check("exit hook" not in self.text, "a panic ran the exit hooks", self.text)


def run_to_its_end(command):
    """Returns QEMU's status and what was written."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"it did not end within {LIMIT} s, having said:\n{(late.stdout or b'').decode(errors='replace')}") from late
    return done.returncode, done.stdout.decode(errors="replace")


def boot(kernel, append, *options, machine="q35", memory="128M", cpu="qemu64", serial="stdio"):
    command = ["qemu-system-x86_64", "-accel", "tcg", "-machine", machine, "-cpu", cpu, "-m", memory,
               "-nodefaults", "-no-user-config", "-display", "none", "-serial", serial, "-no-reboot",
               "-device", f"isa-debug-exit,iobase={PORT:#x},iosize=4", "-kernel", kernel, "-append", append, *options]
    status, text = run_to_its_end(command)
    # isa-debug-exit ends QEMU with twice the status and one more.
    return Ended(status // 2 if status % 2 else None, text)


def run(host, test, *options, **machine):
    return boot(f"{host.build}/guests/executive.elf", f"exit={PORT:#x} test={test}", *options, **machine)


def run_linux(host, test, *, entries=4, x2apic=False, append="", **machine):
    """Through the 64-bit entry: see tests/guests/x86_64/linux_entry.S."""
    image = f"{host.build}/guests/executive.elf"
    with open(image, "rb") as file:
        entry = struct.unpack_from("<Q", file.read(64), 24)[0]
    return boot(f"{host.build}/guests/linux_entry.elf", f"exit={PORT:#x} test={test}{append}",
                "-device", f"loader,file={image}",
                "-device", f"loader,addr=0x1800000,data={entry:#x},data-len=8",
                "-device", f"loader,addr=0x1800008,data={entries + (0x100 if x2apic else 0):#x},data-len=8", **machine)


# -- ends ----------------------------------------------------------------------------------------------------------------

def test_main_returns_the_status(host):
    run(host, "exit_status").expect(APPLICATION + 5, r"exit hook")


def test_the_c_library_tells_its_errors(host):
    run(host, "library_error").expect(0)


def test_exit_flushes_and_passes_the_status(host):
    run(host, "library_exit").expect(APPLICATION + 6, r"stays in the buffer", r"exit hook")


def test_without_a_port_the_machine_is_switched_off(host):
    for machine in ("q35", "pc", "microvm,acpi=on"):  # the last has no fixed hardware, but registers in memory
        # A machine that is reset instead starts anew, and never ends.
        boot(f"{host.build}/guests/executive.elf", "test=exit_status", "-action", "reboot=reset", machine=machine).expect(
            None, r"exit hook", f"kernel: power off by ACPI, exit status {APPLICATION + 5}")


def test_without_acpi_the_machine_resets(host):
    ended = boot(f"{host.build}/guests/executive.elf", "test=exit_status", machine="microvm,acpi=off").expect(None, r"exit hook")
    check("power off" not in ended.text, "there was something to switch the machine off", ended.text)


def test_after_a_panic_the_machine_resets(host):
    ended = boot(f"{host.build}/guests/executive.elf", "test=null_pointer").expect(None, r"panic: ")
    check("power off" not in ended.text, "it was switched off", ended.text)


def test_without_a_console_the_status_still_comes(host):
    ended = run(host, "exit_status", serial="none").expect(APPLICATION + 5)
    check(ended.text == "", "a console that is not there printed", ended.text)


# -- breaks --------------------------------------------------------------------------------------------------------------

REGISTERS = (r"rip [0-9a-f]{16} rsp [0-9a-f]{16} rflags [0-9a-f]{8}", r"rax [0-9a-f]{16} rbx", r"r15 [0-9a-f]{16} cr2",
             r"cr0 [0-9a-f]{8} cr3", r"stack \+00: ", r"possible caller: ")


def test_null_pointer(host):
    run(host, "null_pointer").expect_panic(r"page fault \(14\), error code 0x2", r"write at 0x0+8: no page is there \(null pointer\)",
                                           *REGISTERS)


def test_code_is_read_only(host):
    run(host, "write_text").expect_panic(r"write at .*: the page does not allow it", *REGISTERS)


def test_constants_are_read_only(host):
    run(host, "write_constant").expect_panic(r"write at .*: the page does not allow it")


def test_memory_that_is_not_there(host):
    run(host, "write_hole").expect_panic(r"write at 0x00003f0000000000: no page is there")


def test_data_is_not_executable(host):
    run(host, "execute_data").expect_panic(r"execution at .*: the page does not allow it")


def test_a_page_made_executable_is_read_only(host):
    run(host, "executable_page").expect_panic(r"test: executed", r"write at .*: the page does not allow it")


def test_stack_overflow(host):
    run(host, "stack_overflow").expect_panic(r"double fault \(8\)", r"panic: stack overflow at 0x", *REGISTERS)


def test_invalid_opcode(host):
    run(host, "invalid_opcode").expect_panic(r"invalid opcode \(6\)", *REGISTERS)


def test_non_maskable_interrupt(host):
    run(host, "exception_nobody_expects").expect_panic(r"non-maskable interrupt \(2\)", *REGISTERS)


def test_panic(host):
    run(host, "panic_at_dispatch_level").expect_panic(r"panic: asked for, number 42")


def test_wait_at_dispatch_level(host):
    run(host, "wait_at_dispatch_level").expect_panic(r"panic: wait at dispatch level")


def test_double_free(host):
    run(host, "double_free").expect_panic(r"panic: pages: 1 pages at 0x[0-9a-f]+ are freed, which are free already")


def test_an_unexpected_interrupt_is_reported_and_survived(host):
    run(host, "interrupt_nobody_has").expect(0, r"warning: unexpected interrupt, vector 0x35", r"still there")


# -- machines ------------------------------------------------------------------------------------------------------------

def test_machines(host):
    for machine in ("q35", "pc", "microvm"):
        for cpu in ("qemu64", "max"):
            run(host, "waiting", *BY_INSTRUCTIONS, machine=machine, cpu=cpu).expect(
                0, r"20 waits of 10 ms took 20\d ms with time-stamp counter and local APIC timer, halts=\d\d+")


def test_without_legacy_controllers_and_timers_waits_halt(host):
    """No interval timer tells the frequency: time is a guess, which is said, but the guest runs."""
    run(host, "waiting", *BY_INSTRUCTIONS, machine="microvm,pit=off,pic=off").expect(
        0, r"warning: nothing tells the processor's frequency: time is a guess", r"and local APIC timer, halts=\d\d+")


def test_without_a_local_apic_waits_poll(host):
    run(host, "waiting", cpu="qemu64,-apic").expect(0, r"with time-stamp counter and none, halts=0")


def test_time_of_the_library(host):
    run(host, "library_time", *BY_INSTRUCTIONS).expect(0, r"2000-2-29, 2000-02-29 00:00:00\.\d+ UTC", r"clock\(\) counts 20 ms in 20")


def test_vector_registers_survive_deferred_work(host):
    run(host, "vector_registers").expect(0, r"500 callbacks, 0 sums wrong")


def test_memory_sizes(host):
    for memory in ("5M", "6M", "16M", "3G", "4G"):
        run(host, "memory", memory=memory).expect(0)


def test_64_gib(host):
    for cpu in ("qemu64", "max"):  # without and with pages of 1 GiB
        run(host, "memory", "-object", "memory-backend-ram,id=all,size=64G,reserve=off",
            machine="q35,memory-backend=all", memory="64G", cpu=cpu).expect(0, r"memory total=1677\d{4} ")


def test_hot_added_memory(host):
    run(host, "hot_add", "-object", "memory-backend-ram,id=module,size=128M", "-device", "pc-dimm,memdev=module",
        memory="64M,slots=1,maxmem=1G").expect(0, r"hot added 3276\d pages and \d of tables")


def test_hot_add_over_the_image_is_refused(host):
    run(host, "hot_add_over_the_image").expect(0)


def test_too_little_memory(host):
    for memory in ("2M", "3M", "4M"):
        run(host, "exit_status", memory=memory).expect(
            TOO_LITTLE_MEMORY, r"too little memory: \d+ KiB usable, 4096 KiB needed\n$")


# -- the Linux 64-bit protocol -------------------------------------------------------------------------------------------

def test_linux_entry(host):
    ended = run_linux(host, "memory").expect(0, r"started by Linux 64-bit, \d+ KiB of memory in 3 ranges")
    # 96 MiB and what lies below 640 KiB, without page 0, the image, and the reserved page.
    usable = int(re.search(r"(\d+) KiB of memory", ended.text)[1])
    check(96 * 1024 + 632 - 400 < usable < 96 * 1024 + 632 - 100, f"{usable} KiB usable", ended.text)


def test_linux_entry_with_x2apic(host):
    run_linux(host, "waiting", x2apic=True, cpu="max").expect(0, r"and local APIC timer, halts=[1-9]")


def test_linux_entry_without_a_map(host):
    run_linux(host, "memory", entries=0).expect(TOO_LITTLE_MEMORY, r"boot handed over no memory map")


def test_command_line_too_long(host):
    run_linux(host, "command_line_length", append=" " + "x" * 3000).expect(
        0, r"warning: command line is cut after 2047 characters", r"command line of 2047 characters")
