#!/bin/bash
# SPDX-License-Identifier: MIT
# Fetches the library of the unit tests for ARM64 and unpacks it. Nothing is installed, and what apt knows of this machine stays as it is.
# usage: cmocka-arm64.sh DEPS_FOLDER      result: DEPS_FOLDER/cmocka-arm64/{include,lib}
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/deps/common.sh
. "$here/common.sh"
deps=$(mkdir -p "$1" && cd "$1" && pwd)

key=$(sha256sum <"$0" | cut -c1-16)
if [ "$(cat "$deps/cmocka-arm64/key" 2>/dev/null)" = "$key" ]; then
    exit 0
fi

work=$deps/cmocka-arm64-work
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root" "$work/cmocka-arm64"
# Only the index of Debian 12 itself for that architecture, in lists of its own.
mirror=$(apt-get indextargets --no-release-info --format "\$(RELEASE) \$(COMPONENT) \$(REPO_URI)" 'Created-By: Packages' |
    awk '$1 == "bookworm" && $2 == "main" && $3 !~ /^cdrom:/ && !found { print $3; found = 1 }')
[ -n "$mirror" ] || die "no source of Debian 12 (suite bookworm, component main) over a network in /etc/apt" \
    "add a Debian mirror to /etc/apt/sources.list"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
signed=
[ ! -e $keyring ] || signed="[signed-by=$keyring] "
echo "deb $signed$mirror bookworm main" >"$work/sources.list"
cat >"$work/apt.conf" <<EOF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
Acquire::Retries "3";
Acquire::Languages "none";
EOF
say "fetching libcmocka for ARM64"
# shellcheck disable=SC2016 # expanded by the inner shell
run_logged "$work/download.log" env APT_CONFIG="$work/apt.conf" bash -c \
    'cd "$0" && apt-get -q update && apt-get -q download libcmocka-dev:arm64 libcmocka0:arm64' "$work" ||
    die "libcmocka could not be downloaded" "check that this machine reaches its Debian mirror"
for package in "$work"/*.deb; do
    dpkg -x "$package" "$work/root"
done
mv "$work/root/usr/include" "$work/cmocka-arm64/include"
mv "$work/root/usr/lib/aarch64-linux-gnu" "$work/cmocka-arm64/lib"
echo "$key" >"$work/cmocka-arm64/key"
rm -rf "$deps/cmocka-arm64"
mv "$work/cmocka-arm64" "$deps/cmocka-arm64"
rm -rf "$work"
say "libcmocka for ARM64 is in $deps/cmocka-arm64"
