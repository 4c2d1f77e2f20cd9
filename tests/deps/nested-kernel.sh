#!/bin/bash
# SPDX-License-Identifier: MIT
# Fetches the stock Debian kernel that runs KVM in the nested test host, that is the Linux guest of the tests, and whose start
# `make bench` measures beside ours, and unpacks it. Nothing is installed.
# usage: nested-kernel.sh DEPS_FOLDER      result: DEPS_FOLDER/kernel/{vmlinuz,modules/*.ko,version}
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/deps/common.sh
. "$here/common.sh"
deps=$(mkdir -p "$1" && cd "$1" && pwd)
suite=bookworm-backports
meta=linux-image-cloud-amd64

key=$(sha256sum <"$0" | cut -c1-16)
if [ "$(cat "$deps/kernel/key" 2>/dev/null)" = "$key" ]; then
    exit 0
fi

work=$deps/kernel-work
rm -rf "$work"
mkdir -p "$work/root"
version=$(apt-cache madison $meta | awk -F' *\\| *' -v suite="$suite/main" '$3 ~ suite && !found { print $2; found = 1 }')
[ -n "$version" ] || die "no configured package source offers $meta of $suite" "run 'make deps' with a network"
# The meta package depends on the image by name and exact version.
image=$(apt-cache show "$meta=$version" | sed -n 's/^Depends: .*\(linux-image-[^ ,]*-cloud-amd64\).*/\1/p' | sort -u)
[ -n "$image" ] || die "the dependencies of $meta $version name no kernel image" "report this with the output of 'apt-cache show $meta'"
say "fetching $image $version"
# shellcheck disable=SC2016 # expanded by the inner shell
run_logged "$work/download.log" bash -c 'cd "$1" && apt-get -q -o Acquire::Retries=3 download "$2"' - "$work" "$image=$version" ||
    die "$image could not be downloaded" \
        "check that this machine reaches its Debian mirror; if the package is no longer there, run 'apt-get update' as root first"
dpkg -x "$work/$image"_*.deb "$work/root"

mkdir "$work/kernel" "$work/kernel/modules"
cp "$work"/root/boot/vmlinuz-* "$work/kernel/vmlinuz"
modules=$(find "$work/root" -type d -path '*/lib/modules/*/kernel' -prune)
for module in virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-amd drivers/virtio/virtio_mmio drivers/hv/hv_vmbus \
    drivers/hv/hv_balloon drivers/hv/hv_utils; do
    file=$(find "$modules/$(dirname $module)" -name "$(basename $module).ko*")
    case $file in
    *.ko) cp "$file" "$work/kernel/modules/" ;;
    *.ko.xz) xz -dc "$file" >"$work/kernel/modules/$(basename "$file" .xz)" ;;
    *.ko.zst) zstd -dcq "$file" >"$work/kernel/modules/$(basename "$file" .zst)" ;;
    *) die "$image has no module $module" "report this with the version of the package: $version" ;;
    esac
done
echo "$version" >"$work/kernel/version"
echo "$key" >"$work/kernel/key"
rm -rf "$deps/kernel"
mv "$work/kernel" "$deps/kernel"
rm -rf "$work"
say "the nested host's kernel is in $deps/kernel"
