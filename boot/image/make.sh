#!/bin/bash
# SPDX-License-Identifier: MIT
# Makes disks that UEFI boots: an EFI system partition with the applications as the fallback boot files (UEFI 3.5.1.1).
# usage: make.sh [--sector 4096] [--append WORDS] FOLDER NAME BOOTX64.EFI [BOOTAA64.EFI]
#
#   FOLDER/NAME.img    GPT disk, raw
#   FOLDER/NAME.vhdx   the same, dynamic; FOLDER/NAME.vhd: fixed, a whole number of MiB, as Azure wants it
#   FOLDER/NAME.iso    El Torito image
# With --sector 4096 only FOLDER/NAME.img, for a disk with such sectors.
#
# Same input, same bytes: the raw disk and the ISO. The VHDX and VHD formats carry identifiers and times that qemu-img makes anew.
set -euo pipefail

sector=512 append=
while [[ ${1-} == --* ]]; do
    case $1 in
    --sector) sector=$2 ;;
    --append) append=$2 ;;
    *) echo "image: error: there is no option $1" >&2; exit 2 ;;
    esac
    shift 2
done
folder=$1 name=$2
shift 2
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1704067200} # choice: 2024-01-01, the same for every build
export MTOOLS_SKIP_CHECK=1
PATH=$PATH:/usr/sbin:/sbin

mib=64           # choice: more than 65525 clusters of 512 bytes, without which it is no FAT32
partition_mib=62 # from 1 MiB on; the last one is for the second partition table
disk_guid=2F1B6C0E-5D34-4F6B-9A40-6B6172656275
partition_guid=8C9E2D5A-17B3-4E0C-8F21-6B6172656275
volume_id=42415245

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run COMMAND...: its output only if it fails.
run() {
    "$@" >"$work/log" 2>&1 || {
        echo "image: error: $* failed:" >&2
        sed 's/^/image:   | /' "$work/log" >&2
        exit 1
    }
}

# fill IMAGE APPLICATION...: the files into a FAT file system.
fill() {
    local image=$1 application
    shift
    run mmd -i "$image" ::/EFI ::/EFI/BOOT
    for application in "$@"; do
        case $(od -An -tx2 -j68 -N2 "$application" | tr -d ' ') in # the machine in the PE header, which our linker scripts put there
        8664) run mcopy -i "$image" "$application" ::/EFI/BOOT/BOOTX64.EFI ;;
        aa64) run mcopy -i "$image" "$application" ::/EFI/BOOT/BOOTAA64.EFI ;;
        *) echo "image: error: $application is no EFI application for x86-64 or ARM64" >&2; exit 1 ;;
        esac
    done
    if [ -n "$append" ]; then
        echo "$append" >"$work/barebus.txt"
        run mcopy -i "$image" "$work/barebus.txt" ::/EFI/BOOT/barebus.txt
    fi
}

# sgdisk cannot be told the sectors of a file; fdisk can, but asks.
partition() {
    if [ "$sector" = 512 ]; then
        run sgdisk --clear --disk-guid="$disk_guid" --new=1:2048:+${partition_mib}M --typecode=1:ef00 \
            --partition-guid=1:"$partition_guid" --change-name=1:Barebus "$1"
    else
        local first=$(((1 << 20) / sector)) last=$((((1 + partition_mib) << 20) / sector - 1))
        run fdisk --sector-size "$sector" "$1" <<<"g
n
1
$first
$last
t
1
x
i
$disk_guid
u
$partition_guid
n
Barebus
r
w"
    fi
}

disk=$folder/$name.img
mkdir -p "$folder"
rm -f "$disk"
truncate -s ${mib}M "$disk"
partition "$disk"
fat=(-F 32 -s 1)
[ "$sector" = 512 ] || fat=(-F 16 -s 1)
run mkfs.fat "${fat[@]}" -S "$sector" -n BAREBUS -i $volume_id --invariant --offset=$(((1 << 20) / sector)) "$disk" $((partition_mib << 10))
fill "$disk@@1M" "$@"
[ "$sector" = 512 ] || exit 0

run qemu-img convert -f raw -O vhdx -o subformat=dynamic "$disk" "$folder/$name.vhdx"
run qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on "$disk" "$folder/$name.vhd"

# The system partition of a CD is a file system of its own in a file.
mkdir "$work/cd"
truncate -s 8M "$work/cd/efi.img"
run mkfs.fat -F 16 -s 1 -n BAREBUS -i $volume_id --invariant "$work/cd/efi.img"
fill "$work/cd/efi.img" "$@"
touch -d "@$SOURCE_DATE_EPOCH" "$work/cd/efi.img" "$work/cd"
run xorriso -as mkisofs -V BAREBUS -r -e efi.img -no-emul-boot -o "$folder/$name.iso" "$work/cd"
