#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs the Debian packages that building and testing need. Nothing is touched when all of them are there.
# usage: packages.sh FOLDER_FOR_LOGS [yes: the nested host's kernel will be downloaded afterwards]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/deps/common.sh
. "$here/common.sh"
logs=$1

# From Debian 12 itself.
packages=(
    gcc binutils libc6-dev make git python3 xz-utils zstd # the build, and unpacking of the nested host's kernel
    newlib-source                                         # the guest's C library
    libcmocka-dev clang-14 libclang-rt-14-dev g++         # unit tests under both compilers, with sanitizers; the KMCL header as C++
    clang-format-14 clang-tidy-14 cppcheck shellcheck     # make lint
    ovmf mtools dosfstools gdisk fdisk xorriso qemu-utils   # UEFI: firmware, disks that it boots,
    libvhdi-utils                                         # and another reader of their formats
    acpica-tools                                          # iasl, which compiles the description of our VMM's machine
    valgrind                                              # make bench counts instructions with it
    gcc-aarch64-linux-gnu picolibc-aarch64-linux-gnu      # ARM64: the build and the guest's C library,
    qemu-efi-aarch64                                      # firmware,
    libc6-dev-arm64-cross qemu-user                       # and unit tests as processes of this machine
)
# From bookworm-backports: the first QEMU with hv-balloon is 8.2. Both systems share a package, so they come from one suite.
qemu_packages=(qemu-system-x86 qemu-system-arm)
qemu_minimum=1:10.0
suite=bookworm-backports
backports_list=/etc/apt/sources.list.d/barebus-backports.list
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

apt_options=(-q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3
    -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30)

installed_version() {
    { dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null || true; } | sed -n 's/^installed //p'
}

missing=()
for package in "${packages[@]}"; do
    [ -n "$(installed_version "$package")" ] || missing+=("$package")
done
qemu_wanted=()
for package in "${qemu_packages[@]}"; do
    version=$(installed_version "$package")
    if [ -z "$version" ] || dpkg --compare-versions "$version" lt $qemu_minimum; then
        qemu_wanted+=("$package")
    fi
done
# The kernel of the nested host is only downloaded, but apt has to know the suite it comes from.
kernel_wanted=${2:-no}
if [ "$kernel_wanted" = yes ] && grep -q " $suite/main" <<<"$(apt-cache madison linux-image-cloud-amd64 2>/dev/null)"; then
    kernel_wanted=no
fi

if [ ${#missing[@]} -eq 0 ] && [ ${#qemu_wanted[@]} -eq 0 ] && [ "$kernel_wanted" = no ]; then
    exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
    as_root() { "$@"; }
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || sudo -v; }; then
    as_root() { sudo env DEBIAN_FRONTEND=noninteractive "$@"; }
else
    names="${missing[*]}"
    [ ${#qemu_wanted[@]} -eq 0 ] || names+=" ${qemu_wanted[*]} (>= $qemu_minimum, from $suite)"
    die "packages are missing and this user may not install them: ${names:-linux-image-cloud-amd64 ($suite)}" \
        "run 'make deps' as root, or install sudo and allow this user to use it"
fi
export DEBIAN_FRONTEND=noninteractive

# The indices apt is configured for. Without --no-release-info it leaves out what it has not fetched yet, and a fresh
# machine has fetched nothing.
debian_targets() {
    apt-get indextargets --no-release-info --format "\$(RELEASE) \$(COMPONENT) \$(REPO_URI)" 'Created-By: Packages'
}

targets=$(debian_targets) || die "apt cannot read its list of sources" "mend /etc/apt/sources.list* until 'apt-get indextargets' works"
if ! grep -q "^$suite main " <<<"$targets"; then
    mirror=$(awk '$1 == "bookworm" && $2 == "main" && $3 !~ /^cdrom:/ { print $3; exit }' <<<"$targets")
    [ -n "$mirror" ] || die "no source of Debian 12 (suite bookworm, component main) over a network in /etc/apt" \
        "add a Debian mirror to /etc/apt/sources.list"
    signed=
    [ ! -e $keyring ] || signed="[signed-by=$keyring] "
    say "adding the suite $suite of $mirror in $backports_list"
    printf '%s\n%s\n' "# Added by the dependencies script of Barebus, for QEMU and the nested host's kernel." \
        "deb $signed$mirror $suite main" | as_root tee $backports_list >/dev/null
fi

# Another source of this machine may be broken; what counts is whether the packages can be had afterwards.
say "updating the package lists"
for attempt in 1 2 3 4 5 6; do
    as_root apt-get "${apt_options[@]}" update >"$logs/apt-update.log" 2>&1 && break
    grep -q 'Could not get lock' "$logs/apt-update.log" || break
    say "another process holds apt's lock (attempt $attempt of 6), waiting 20 s"
    sleep 20
done
candidate() {
    apt-cache policy "$1" | sed -n 's/^  Candidate: //p' | grep -v '^(none)$'
}
unknown=()
for package in "${missing[@]}"; do
    candidate "$package" >/dev/null || unknown+=("$package")
done
for package in "${qemu_wanted[@]}"; do
    grep -q " $suite/main" <<<"$(apt-cache madison "$package")" || unknown+=("$package ($suite)")
done
if [ ${#unknown[@]} -ne 0 ]; then
    tail -n 15 "$logs/apt-update.log" | sed 's/^/deps:   | /' >&2
    die "no configured package source offers: ${unknown[*]}" \
        "check that this machine reaches its Debian mirror (see above, the whole log is in $logs/apt-update.log), then run 'make deps' again"
fi

install() {
    say "installing $*"
    run_logged "$logs/apt-install.log" as_root apt-get "${apt_options[@]}" install --no-install-recommends "$@" ||
        die "apt-get could not install the packages above" \
            "read $logs/apt-install.log; without a network there is no way on, else run 'make deps' again"
}
[ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
[ ${#qemu_wanted[@]} -eq 0 ] || install -t $suite "${qemu_wanted[@]}"
