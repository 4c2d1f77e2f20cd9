# SPDX-License-Identifier: MIT
"""How an ARM64 guest starts, breaks and ends, without Hyper-V: on plain QEMU, started direct with a device tree."""
import re
import struct
import subprocess
import tempfile
import threading

from test_boot import APPLICATION, BY_INSTRUCTIONS, LIMIT, TOO_LITTLE_MEMORY, Ended, check, run_to_its_end

WITHOUT_HOST = True  # see run.py

NO_HYPERV = 4
FIRMWARE = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"


def boot(image, append, *options, machine="virt,gic-version=3", memory="128M", cpu="cortex-a72", ends="semihosting"):
    command = ["qemu-system-aarch64", "-accel", "tcg", "-machine", machine, "-cpu", cpu, "-m", memory, "-nodefaults",
               "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
               "-semihosting-config", "enable=on,target=native", "-kernel", image, "-append", f"exit={ends} {append}", *options]
    return Ended(*run_to_its_end(command))


def run(host, test, *options, **machine):
    return boot(f"{host.build}/aarch64/guests/executive.Image", f"test={test}", *options, **machine)


# -- ends ----------------------------------------------------------------------------------------------------------------

def test_main_returns_the_status(host):
    run(host, "exit_status").expect(APPLICATION + 5, r"exit hook")


def test_the_c_library_tells_its_errors(host):
    run(host, "library_error").expect(0)


def test_exit_flushes_and_passes_the_status(host):
    run(host, "library_exit").expect(APPLICATION + 6, r"stays in the buffer", r"exit hook")


def test_without_semihosting_the_machine_is_powered_off(host):
    # Were it not, the run would not end.
    run(host, "exit_status", ends="power-off").expect(0, r"exit hook")


def test_without_hyperv_hello_says_so(host):
    boot(f"{host.build}/aarch64/hello.Image", "").expect(NO_HYPERV, r"started by device tree", r"no hypervisor")


# -- breaks --------------------------------------------------------------------------------------------------------------

REGISTERS = (r"pc  [0-9a-f]{16} sp  [0-9a-f]{16} lr  [0-9a-f]{16} spsr [0-9a-f]{8}", r"x0  [0-9a-f]{16} x1 ", r"x28 [0-9a-f]{16}",
             r"image at 0x[0-9a-f]+00000\)", r"stack \+00: ", r"possible caller: ")


def test_null_pointer(host):
    run(host, "null_pointer").expect_panic(r"data abort, vector 4", r"write at 0x0+8: no page is there \(null pointer\)", *REGISTERS)


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
    run(host, "stack_overflow").expect_panic(r"data abort", r"panic: stack overflow at 0x", *REGISTERS)


def test_invalid_instruction(host):
    run(host, "exception_nobody_expects").expect_panic(r"breakpoint instruction, vector 4", *REGISTERS)


def test_panic(host):
    run(host, "panic_at_dispatch_level").expect_panic(r"panic: asked for, number 42")


def test_double_free(host):
    run(host, "double_free").expect_panic(r"panic: pages: 1 pages at 0x[0-9a-f]+ are freed, which are free already")


def test_an_unexpected_interrupt_is_reported_and_survived(host):
    run(host, "interrupt_nobody_has").expect(0, r"warning: unexpected interrupt 5 ", r"still there")


# -- machines ------------------------------------------------------------------------------------------------------------

def test_machines(host):
    for machine in ("virt,gic-version=3", "virt,gic-version=3,virtualization=on", "virt,gic-version=max,highmem=off"):
        for cpu in ("cortex-a57", "neoverse-n1", "max"):
            run(host, "waiting", *BY_INSTRUCTIONS, machine=machine, cpu=cpu).expect(
                0, r"20 waits of 10 ms took 20\d ms with virtual counter and virtual timer, halts=\d\d+")


def test_without_an_interrupt_controller_waits_poll(host):
    run(host, "waiting", machine="virt,gic-version=2").expect(0, r"no interrupt controller of version 3",
                                                               r"with virtual counter and none, halts=0")


def test_vector_registers_survive_deferred_work(host):
    run(host, "vector_registers").expect(0, r"500 callbacks, 0 sums wrong")


def test_nothing_but_applications_uses_vector_registers(host):
    # Interrupts do not save them: what a compiler or a library puts into code of the kernel would spoil an application's. hello has none.
    text = subprocess.run(["aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", f"{host.build}/aarch64/hello.elf"], check=True,
                          stdout=subprocess.PIPE, timeout=LIMIT).stdout.decode()
    users = set()
    function = None
    for line in text.splitlines():
        if begin := re.match(r"[0-9a-f]+ <(.+)>:", line):
            function = begin[1]
        elif re.match(r" +[0-9a-f]+:\t[a-z0-9.]+\t[^<]*?\b[bhsdqv](?:[12]?\d|3[01])\b", line):
            users.add(function)
    check(users == {"vector_registers_save", "vector_registers_restore"}, "users of vector registers", str(users))


def test_memory_sizes(host):
    for memory in ("16M", "128M", "3G", "8G"):
        run(host, "memory", memory=memory).expect(0)


def test_64_gib(host):
    run(host, "memory", "-object", "memory-backend-ram,id=all,size=64G,reserve=off",
        machine="virt,gic-version=3,memory-backend=all", memory="64G", cpu="max").expect(0, r"memory total=1677\d{4} ")


def test_hot_add_over_the_image_is_refused(host):
    run(host, "hot_add_over_the_image").expect(0)


def reserve(tree, base, size):
    """A device tree in which a range of memory is reserved: with a list of such ranges behind everything else."""
    header = list(struct.unpack(">10I", tree[:40]))
    tree = tree[:(header[3] + header[8] + 7) // 8 * 8]  # QEMU leaves a lot of room behind the strings
    header[4] = len(tree)
    entries = struct.pack(">4Q", base, size, 0, 0)
    header[1] = len(tree) + len(entries)
    return struct.pack(">10I", *header) + tree[40:] + entries


def test_too_little_memory(host):
    with tempfile.TemporaryDirectory() as folder:
        name = f"{folder}/tree"
        subprocess.run(["qemu-system-aarch64", "-machine", f"virt,gic-version=3,dumpdtb={name}", "-cpu", "cortex-a72", "-m", "128M"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=LIMIT)
        with open(name, "rb") as file:
            tree = file.read()
        with open(name, "wb") as file:
            file.write(reserve(tree, 0x40400000, 0x7c00000))  # all but 4 MiB, in which the image is too
        run(host, "exit_status", "-dtb", name).expect(
            TOO_LITTLE_MEMORY, r"too little memory: \d+ KiB usable, 4096 KiB needed\n$")


def test_command_line_too_long(host):
    boot(f"{host.build}/aarch64/guests/executive.Image", "test=command_line_length " + "x" * 3000).expect(
        0, r"warning: command line is cut after 2047 characters", r"command line of 2047 characters")


# -- UEFI ----------------------------------------------------------------------------------------------------------------

def run_uefi(host, test, *options, image="guests/executive", **machine):
    """The same file, as an application that firmware loads; ACPI describes the machine."""
    return boot(f"{host.build}/aarch64/{image}.Image", f"test={test}", "-bios", FIRMWARE, "-boot", "menu=on,splash-time=0", *options,
                **machine)


def test_uefi(host):
    run_uefi(host, "memory").expect(0, r"started by UEFI, \d+ KiB of memory", r"memory total=\d+")


def test_uefi_machines(host):
    for cpu in ("cortex-a57", "neoverse-n1", "max"):
        run_uefi(host, "waiting", *BY_INSTRUCTIONS, cpu=cpu, memory="1G").expect(
            0, r"20 waits of 10 ms took 20\d ms with virtual counter and virtual timer, halts=\d\d+")


def test_uefi_permissions(host):
    for test, pattern in (("null_pointer", r"write at 0x0+8: no page is there"), ("write_text", r"write at .*: the page does not allow it"),
                          ("write_constant", r"write at .*: the page does not allow it"),
                          ("execute_data", r"execution at .*: the page does not allow it")):
        run_uefi(host, test).expect_panic(pattern)


def test_uefi_powers_off_by_the_conduit_of_acpi(host):
    run_uefi(host, "exit_status", ends="power-off").expect(0, r"exit hook")


def test_uefi_on_a_machine_that_runs_it_as_a_hypervisor(host):
    # Firmware goes on with its own ways to boot, and finds none: only the refusal ends in time.
    image = f"{host.build}/aarch64/hello.Image"
    command = ["qemu-system-aarch64", "-machine", "virt,gic-version=3,virtualization=on", "-cpu", "cortex-a72", "-m", "128M", "-nodefaults",
               "-no-user-config", "-display", "none", "-serial", "stdio", "-bios", FIRMWARE, "-boot", "menu=on,splash-time=0", "-kernel", image]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        watchdog = threading.Timer(LIMIT, process.kill)  # the text ends then
        watchdog.start()
        try:
            text = b""
            while b"where this guest does not run" not in text and len(text) < 100000:
                piece = process.stdout.read1(4096)
                check(piece, "no refusal", text.decode(errors="replace"))
                text += piece
            check(b"Barebus cannot start: " in text, "no refusal", text.decode(errors="replace"))
        finally:
            watchdog.cancel()
            process.kill()
