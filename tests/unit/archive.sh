#!/bin/bash
# SPDX-License-Identifier: MIT
# Makes the archive that unit tests are linked with: all support objects, and of the product's objects those which define
# nothing that a support object defines. So a test gets the stand-in where there is one, whatever the order of linking.
# CROSS, if set, is the prefix of the tools.
# usage: archive.sh ARCHIVE SUPPORT_OBJECTS... -- PRODUCT_OBJECTS...
set -euo pipefail
archive=$1
shift
support=()
while [ "$1" != -- ]; do
    support+=("$1")
    shift
done
shift

taken=$(mktemp)
trap 'rm -f "$taken"' EXIT
[ ${#support[@]} -eq 0 ] || "${CROSS:-}nm" -g --defined-only -P "${support[@]}" | awk 'NF > 1 { print $1 }' >"$taken"
members=("${support[@]}")
for object in "$@"; do
    if ! "${CROSS:-}nm" -g --defined-only -P "$object" | awk 'NF > 1 { print $1 }' | grep -qxFf "$taken"; then
        members+=("$object")
    fi
done
rm -f "$archive"
"${CROSS:-}ar" rcsP "$archive" "${members[@]}"
