# SPDX-License-Identifier: MIT
"""ACPI's tables of an ARM64 guest with firmware, as Hyper-V's say them (mu_msvm), for QEMU's fw_cfg: firmware puts them together by
QEMU's table loader (docs/specs/fw_cfg.rst; hw/acpi/bios-linker-loader.c)."""
import struct

BY_SMC, BY_HVC = 1, 3  # FADT, ARM boot flags: PSCI, and by HVC


def table(signature, revision, body):
    """With a header whose checksum is to be made."""
    return struct.pack("<4sIBB6s8sI4sI", signature, 36 + len(body), revision, 0, b"BAREBU", b"EL2     ", 1, b"TEST", 1) + body


def address(space, width, access, base):
    return struct.pack("<BBBBQ", space, width, 0, access, base)


def fadt(conduit, identity):
    body = bytearray(276 - 36)
    struct.pack_into("<I", body, 112 - 36, 1 << 20)            # reduced hardware
    struct.pack_into("<HB", body, 129 - 36, conduit, 3)
    struct.pack_into("<8s", body, 268 - 36, identity)
    return table(b"FACP", 6, bytes(body))


def madt(processors, distributor, redistributors):
    body = struct.pack("<II", 0, 0)
    for n in range(processors):
        body += struct.pack("<BBHIIIIIQQQQIQQBBH", 11, 80, 0, n, n, 1, 0, 0, 0, 0, 0, 0, 0, 0, n, 0, 0, 0)
    body += struct.pack("<BBHIQIB3x", 12, 24, 0, 0, distributor, 0, 3)
    body += struct.pack("<BBHQI", 14, 16, 0, redistributors, processors * 0x20000)
    return table(b"APIC", 4, body)


def gtdt(virtual_timer):
    level = 0
    return table(b"GTDT", 2, struct.pack("<QIIIIIIIIIQII", 2**64 - 1, 0, 29, level, 30, level, virtual_timer, level, 26, level, 2**64 - 1, 0, 96))


def spcr(uart, interrupt):
    return table(b"SPCR", 2, struct.pack("<B3x", 3) + address(0, 32, 3, uart) +
                 struct.pack("<BBIBBBBBBHHBBBIBI", 8, 0, interrupt, 3, 0, 1, 0, 3, 0, 0xFFFF, 0xFFFF, 0, 0, 0, 0, 0, 0))


TABLES, RSDP = b"etc/acpi/tables", b"etc/acpi/rsdp"


def allocate(name, alignment, zone):
    return struct.pack("<I56sIB", 1, name, alignment, zone).ljust(128, b"\0")


def pointer(in_file, to_file, offset, size):
    return struct.pack("<I56s56sIB", 2, in_file, to_file, offset, size).ljust(128, b"\0")


def checksum(name, at, start, length):
    return struct.pack("<I56sIII", 3, name, at, start, length).ljust(128, b"\0")


def fw_cfg(dsdt, processors, conduit=BY_SMC, identity=b"MsHyperV", *, distributor, redistributors, virtual_timer, uart, uart_interrupt):
    """{name: bytes} of the files that firmware reads. `dsdt`: as iasl made it."""
    blob = b""
    places = []
    for piece in (dsdt, fadt(conduit, identity), madt(processors, distributor, redistributors), gtdt(virtual_timer),
                  spcr(uart, uart_interrupt)):
        places.append(len(blob))
        blob += piece.ljust((len(piece) + 15) // 16 * 16, b"\0")
    commands = allocate(RSDP, 16, 2) + allocate(TABLES, 64, 1)

    fadt_at = places[1]
    blob = bytearray(blob)
    struct.pack_into("<Q", blob, fadt_at + 140, places[0])
    commands += pointer(TABLES, TABLES, fadt_at + 140, 8)

    listed = places[1:]
    xsdt_at = len(blob)
    blob += table(b"XSDT", 1, struct.pack(f"<{len(listed)}Q", *listed))
    for n in range(len(listed)):
        commands += pointer(TABLES, TABLES, xsdt_at + 36 + 8 * n, 8)
    for at in (*places, xsdt_at):
        blob[at + 9] = 0
        commands += checksum(TABLES, at + 9, at, struct.unpack_from("<I", blob, at + 4)[0])

    rsdp = struct.pack("<8sB6sBIIQB3x", b"RSD PTR ", 0, b"BAREBU", 2, 0, 36, xsdt_at, 0)
    commands += pointer(RSDP, TABLES, 24, 8) + checksum(RSDP, 8, 0, 20) + checksum(RSDP, 32, 0, 36)
    return {TABLES.decode(): bytes(blob), RSDP.decode(): rsdp, "etc/table-loader": commands}
