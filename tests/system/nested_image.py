#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The nested test host's kernel and initial file system: Debian's kernel, its KVM modules, this machine's QEMU, and the agent.

Everything is uncompressed, and the kernel is an ELF file: under an emulated processor unpacking takes longer than reading.
"""
import argparse
import fcntl
import hashlib
import os
import re
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
QEMU = "/usr/bin/qemu-system-x86_64"
MODULES = ("irqbypass.ko", "kvm.ko", "kvm-amd.ko", "virtio_mmio.ko")
# What QEMU reads at run time: the two firmwares that start an ELF through PVH, and KVM's helper for old guests.
FIRMWARE = ("/usr/share/qemu/qboot.rom", "/usr/share/qemu/pvh.bin", "/usr/share/qemu/linuxboot_dma.bin",
            "/usr/share/qemu/kvmvapic.bin", "/usr/share/seabios/bios-256k.bin")


class ImageError(Exception):
    """The nested host cannot be put together; the text says what is missing."""


def shared_libraries(program):
    listing = subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    if "not found" in listing:
        raise ImageError(f"{program} lacks libraries: {listing}")
    return sorted(set(re.findall(r"(/\S+) \(0x", listing)))


def kernel_elf(bzimage):
    """The uncompressed kernel out of a bzImage (Documentation/arch/x86/boot.rst: payload_offset, payload_length)."""
    with open(bzimage, "rb") as file:
        image = file.read()
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (image[0x1F1] + 1) * 512 + offset
    payload = image[start:start + length - 4]  # the last four bytes are the unpacked size
    for magic, command in ((b"\x28\xb5\x2f\xfd", ["zstd", "-dcq"]), (b"\xfd7zXZ", ["xz", "-dc"]), (b"\x1f\x8b", ["gzip", "-dc"])):
        if payload.startswith(magic):
            unpacked = subprocess.run(command, input=payload, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
            if unpacked.startswith(b"\x7fELF"):
                return unpacked
    raise ImageError(f"{bzimage}: the kernel in it cannot be unpacked")


class Archive:
    """A cpio archive of the kind the kernel reads (newc)."""

    def __init__(self, file):
        self.file = file
        self.inode = 0
        self.folders = {""}

    def _entry(self, name, mode, data=b""):
        self.inode += 1
        encoded = name.encode() + b"\0"
        numbers = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        header = b"070701" + b"".join(b"%08x" % number for number in numbers)
        self.file.write(header + encoded + b"\0" * (-(len(header) + len(encoded)) % 4))
        self.file.write(data + b"\0" * (-len(data) % 4))

    def folder(self, name):
        if name not in self.folders:
            self.folder(os.path.dirname(name))
            self.folders.add(name)
            self._entry(name, 0o040755)

    def add(self, source, name):
        name = name.lstrip("/")
        self.folder(os.path.dirname(name))
        with open(source, "rb") as file:
            self._entry(name, 0o100755, file.read())

    def device(self, name, major, minor):
        self.folder(os.path.dirname(name))
        self.inode += 1
        encoded = name.encode() + b"\0"
        numbers = (self.inode, 0o020600, 0, 0, 1, 0, 0, 0, 0, major, minor, len(encoded), 0)
        header = b"070701" + b"".join(b"%08x" % number for number in numbers)
        self.file.write(header + encoded + b"\0" * (-(len(header) + len(encoded)) % 4))

    def end(self):
        self._entry("TRAILER!!!", 0)


def key_of(inputs):
    """Changes whenever an input does; contents of the small ones, size and time of the large ones."""
    digest = hashlib.sha256()
    for path in inputs:
        status = os.stat(path)
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    for path in (__file__, os.path.join(HERE, "agent.c")):
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def build(deps):
    """Returns the paths of (kernel, initial file system, agent); builds them if something they consist of has changed."""
    deps = os.path.realpath(deps)  # part of the key below
    kernel = os.path.join(deps, "kernel", "vmlinuz")
    modules = [os.path.join(deps, "kernel", "modules", name) for name in MODULES]
    for path in (kernel, *modules, QEMU, *FIRMWARE):
        if not os.path.exists(path):
            raise ImageError(f"{path} is not there; run 'make deps'")
    folder = os.path.join(deps, "nested")
    results = [os.path.join(folder, name) for name in ("vmlinux", "initrd.cpio", "agent")]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        key_file = os.path.join(folder, "key")
        key = key_of([kernel, *modules, QEMU, *FIRMWARE])
        if os.path.exists(key_file):
            with open(key_file, encoding="ascii") as file:
                if file.read() == key:
                    return results
        print("host: putting the nested host together", file=sys.stderr, flush=True)
        vmlinux, initrd, agent = (path + ".new" for path in results)
        subprocess.run(["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-o", agent,
                        os.path.join(HERE, "agent.c")], check=True)
        with open(vmlinux, "wb") as file:
            file.write(kernel_elf(kernel))
        with open(initrd, "wb") as file:
            archive = Archive(file)
            for name in ("dev", "proc", "sys", "tmp"):
                archive.folder(name)
            archive.device("dev/console", 5, 1)
            archive.add(agent, "init")
            for module in modules:
                # Without what only debuggers and the check of its signature read.
                subprocess.run(["strip", "-g", "-R", ".BTF", "-R", ".BTF.base", "-o", initrd + ".ko", module], check=True)
                archive.add(initrd + ".ko", os.path.basename(module))
            os.remove(initrd + ".ko")
            for path in (QEMU, *shared_libraries(QEMU), *FIRMWARE):
                archive.add(path, path)
            archive.end()
        for path in results:
            os.replace(path + ".new", path)
        with open(key_file, "w", encoding="ascii") as file:
            file.write(key)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deps", default="build/deps")
    try:
        for path in build(parser.parse_args().deps):
            print(f"{path}: {os.path.getsize(path)} bytes")
    except ImageError as error:
        sys.exit(f"host: error: {error}")


if __name__ == "__main__":
    main()
