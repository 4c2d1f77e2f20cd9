#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Linux guest of the tests: Debian's kernel as an ELF file, and an initial file system with busybox, the kernel's Hyper-V
modules, its KVP daemon, a program that suspends the guest (snapshot.c), and an init that takes commands from the console (init.sh)."""
import argparse
import fcntl
import hashlib
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))

from nested_image import Archive, ImageError, kernel_elf, shared_libraries  # noqa: E402  pylint: disable=wrong-import-position

SNAPSHOT = os.path.join(HERE, "snapshot.c")
MODULES = ("hv_vmbus", "hv_balloon", "hv_utils")
# What the guest's console and its end need, and what a start under an emulated processor can do without: self-tests, security
# modules, certificates, type tables of BPF, the search for PCI, zeros in memory that is taken. On a machine without legacy hardware Linux would restart by EFI only.
COMMAND_LINE = ("console=ttyS0 quiet panic=-1 reboot=acpi pci=off init_on_alloc=0 mitigations=off nokaslr no_timer_check random.trust_cpu=on lsm=capability audit=0 "
                "cryptomgr.notests initcall_blacklist=load_system_certificate_list,jent_mod_init,bpf_tcp_ca_kfunc_init,"
                "bpf_dummy_struct_ops_init")


def sources(deps):
    """What the guest is made of: kernel, and for each file of the initial file system its name there and where it is from."""
    daemon = os.path.join(deps, "linux-guest", "hv_kvp_daemon")
    files = {
        "init": os.path.join(HERE, "init.sh"),
        "sbin/poweroff": os.path.join(HERE, "poweroff.sh"),
        "bin/busybox": os.path.join(deps, "linux-guest", "busybox"),
        "bin/hv_kvp_daemon": daemon,
        "etc/os-release": "/etc/os-release",  # the packages are of this machine's Debian
        **{f"{name}.ko": os.path.join(deps, "kernel", "modules", f"{name}.ko") for name in MODULES},
    }
    for path in files.values():
        if not os.path.exists(path):
            raise ImageError(f"{path} is not there; run 'make deps'")
    files["bin/snapshot"] = SNAPSHOT
    files.update((path.lstrip("/"), path) for path in shared_libraries(daemon))
    return os.path.join(deps, "kernel", "vmlinuz"), files


def key_of(paths):
    digest = hashlib.sha256()
    for path in (__file__, *paths):
        status = os.stat(path)
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def build(deps, folder):
    """Returns the paths of (kernel, initial file system) in folder; makes them if something they consist of has changed."""
    packed, files = sources(deps)
    os.makedirs(folder, exist_ok=True)
    kernel, initrd, key_file = (os.path.join(folder, name) for name in ("vmlinux", "initrd.cpio", "key"))
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        key = key_of([packed, *files.values()])
        if os.path.exists(key_file):
            with open(key_file, encoding="ascii") as file:
                if file.read() == key:
                    return kernel, initrd
        with open(kernel + ".new", "wb") as file:
            file.write(kernel_elf(packed))
        with open(initrd + ".new", "wb") as file:
            archive = Archive(file)
            for name in ("dev", "tmp", "var/lib"):
                archive.folder(name)
            archive.device("dev/console", 5, 1)
            for name, path in files.items():
                if name.endswith(".ko"):
                    # Without what only debuggers and the check of its signature read.
                    subprocess.run(["strip", "-g", "-R", ".BTF", "-R", ".BTF.base", "-o", initrd + ".ko", path], check=True)
                    archive.add(initrd + ".ko", name)
                    os.remove(initrd + ".ko")
                elif path == SNAPSHOT:
                    subprocess.run(["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-s", "-o", initrd + ".bin", path],
                                   check=True)
                    archive.add(initrd + ".bin", name)
                    os.remove(initrd + ".bin")
                else:
                    archive.add(path, name)
            archive.end()
        for path in (kernel, initrd):
            os.replace(path + ".new", path)
        with open(key_file, "w", encoding="ascii") as file:
            file.write(key)
    return kernel, initrd


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deps", default="build/deps")
    parser.add_argument("--folder", default="build/linux")
    options = parser.parse_args()
    try:
        for path in build(options.deps, options.folder):
            print(f"{path}: {os.path.getsize(path)} bytes")
        print(f"command line: {COMMAND_LINE}")
    except ImageError as error:
        sys.exit(f"linux: error: {error}")


if __name__ == "__main__":
    main()
