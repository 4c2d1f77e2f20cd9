#!/bin/bash
# SPDX-License-Identifier: MIT
# Checks disks of make.sh with tools that did not make them, or not that part. Any finding fails.
# usage: check.sh FOLDER NAME BOOTX64.EFI [BOOTAA64.EFI]
set -euo pipefail
folder=$1 name=$2
shift 2
PATH=$PATH:/usr/sbin:/sbin
export MTOOLS_SKIP_CHECK=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "check-image: error: $*" >&2
    [ ! -s "$work/log" ] || sed 's/^/check-image:   | /' "$work/log" >&2
    exit 1
}
run() {
    "$@" >"$work/log" 2>&1 || fail "$*"
}

# A FAT file system in a file, at an offset: sound, and with just these files.
check_fat() {
    local image=$1 offset=$2 application file
    shift 2
    dd if="$image" of="$work/fat" bs=1M skip="$offset" status=none
    [ "$offset" = 0 ] || truncate -s 62M "$work/fat"
    run fsck.fat -n -V "$work/fat"
    for application in "$@"; do
        file=BOOTX64.EFI
        [ "$(od -An -tx2 -j68 -N2 "$application" | tr -d ' ')" = 8664 ] || file=BOOTAA64.EFI
        run mcopy -n -i "$work/fat" "::/EFI/BOOT/$file" "$work/found"
        run cmp "$application" "$work/found"
        rm "$work/found"
    done
}

disk=$folder/$name.img
run sgdisk --verify "$disk"
grep -q 'No problems found' "$work/log" || fail "sgdisk finds problems in $disk"
run sgdisk --info=1 "$disk"
grep -q 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B' "$work/log" || fail "$disk: its partition is no EFI system partition"
check_fat "$disk" 1 "$@"

vhdx=$folder/$name.vhdx
run qemu-img check -f vhdx "$vhdx"
run qemu-img compare -f raw -F vhdx "$disk" "$vhdx"
run vhdiinfo "$vhdx"
grep -q 'Disk type.*Dynamic' "$work/log" || fail "$vhdx is not dynamic"

# 512 bytes of footer behind a whole number of MiB (Microsoft, "Virtual Hard Disk Image Format").
vhd=$folder/$name.vhd
run qemu-img compare -f raw -F vpc "$disk" "$vhd"
run vhdiinfo "$vhd"
grep -q 'Disk type.*Fixed' "$work/log" || fail "$vhd is not fixed"
[ $((($(stat -c %s "$vhd") - 512) % (1 << 20))) = 0 ] || fail "$vhd is no whole number of MiB"
[ "$(tail -c 512 "$vhd" | head -c 8)" = conectix ] || fail "$vhd does not end in a footer"
size=$(tail -c 464 "$vhd" | head -c 8 | od -An -tu8 --endian=big | tr -d ' ')
[ "$size" = $(($(stat -c %s "$vhd") - 512)) ] || fail "$vhd says it has $size bytes"

iso=$folder/$name.iso
run xorriso -indev "$iso" -report_el_torito plain
grep -q 'El Torito boot img.*UEFI' "$work/log" || fail "$iso has no boot image for UEFI"
run xorriso -osirrox on -indev "$iso" -extract /efi.img "$work/efi.img"
chmod u+w "$work/efi.img"
check_fat "$work/efi.img" 0 "$@"
echo "check-image: $name.img, .vhdx, .vhd, .iso: nothing found"
