#!/bin/bash
# SPDX-License-Identifier: MIT
# Makes a Debian 12 machine ready to build and test: packages, the guest's C library, the nested host's kernel, the Linux guest.
# Run it as often as you like; what is there already is left alone.
# usage: install.sh [DEPS_FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/deps/common.sh
. "$here/common.sh"
deps=$(mkdir -p "${1:-build/deps}" && cd "${1:-build/deps}" && [ -w . ] && pwd) ||
    die "this user may not write to ${1:-build/deps}" "remove that folder, or run 'make deps' as the user it belongs to"

os=$(sed -n 's/^\(ID\|VERSION_ID\)="\{0,1\}\([^"]*\)"\{0,1\}$/\2/p' /etc/os-release 2>/dev/null | sort | tr '\n' ' ')
if [ "$os" != "12 debian " ] || [ "$(uname -m)" != x86_64 ]; then
    die "this is not Debian 12 on x86-64 but '$os' on $(uname -m)" \
        "use a Debian 12 machine, container or chroot (debootstrap bookworm)"
fi

# One at a time: two runs over the same folder would unpack over each other.
exec 9>"$deps/lock"
if ! flock -n 9; then
    say "another run is at work in $deps, waiting for it (at most 15 minutes)"
    flock -w 900 9 || die "the other run did not end" "end it and remove $deps/lock"
fi

kernel_missing=no
[ -e "$deps/kernel/key" ] || kernel_missing=yes
"$here/packages.sh" "$deps" "$kernel_missing"
"$here/newlib.sh" "$deps"
"$here/nested-kernel.sh" "$deps"
"$here/cmocka-arm64.sh" "$deps"
"$here/linux-guest.sh" "$deps"
say "everything is there"
