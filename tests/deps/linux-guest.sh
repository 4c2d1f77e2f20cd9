#!/bin/bash
# SPDX-License-Identifier: MIT
# Fetches what the Linux guest of the tests runs beside the kernel of nested-kernel.sh: Debian's busybox, and the Hyper-V daemons of the
# same kernel version. Unpacked only: installed, the one replaces this machine's busybox and the others start as services.
# usage: linux-guest.sh DEPS_FOLDER      result: DEPS_FOLDER/linux-guest/{busybox,hv_kvp_daemon}
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/deps/common.sh
. "$here/common.sh"
deps=$(mkdir -p "$1" && cd "$1" && pwd)
version=$(cat "$deps/kernel/version")

key=$({ cat "$0"; echo "$version"; } | sha256sum | cut -c1-16)
if [ "$(cat "$deps/linux-guest/key" 2>/dev/null)" = "$key" ]; then
    exit 0
fi

work=$deps/linux-guest-work
rm -rf "$work"
mkdir -p "$work/root" "$work/guest"
say "fetching busybox-static and hyperv-daemons $version"
# shellcheck disable=SC2016 # expanded by the inner shell
run_logged "$work/download.log" bash -c 'cd "$1" && shift && apt-get -q -o Acquire::Retries=3 download "$@"' - \
    "$work" busybox-static "hyperv-daemons=$version" ||
    die "busybox-static or hyperv-daemons $version could not be downloaded" \
        "check that this machine reaches its Debian mirror; if a package is no longer there, run 'apt-get update' as root first"
for package in "$work"/*.deb; do
    dpkg -x "$package" "$work/root"
done
for file in bin/busybox usr/sbin/hv_kvp_daemon; do
    cp "$work/root/$file" "$work/guest/" || die "the packages have no $file" "report this with the versions: $(cd "$work" && echo ./*.deb)"
done
echo "$key" >"$work/guest/key"
rm -rf "$deps/linux-guest"
mv "$work/guest" "$deps/linux-guest"
rm -rf "$work"
say "the Linux guest's programs are in $deps/linux-guest"
