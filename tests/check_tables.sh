#!/bin/bash
# SPDX-License-Identifier: MIT
# Whether each test that the tables of tests/README.md name exists: a function of tests/unit or of tests/system. Names are in the
# last column, in backquotes.
set -uo pipefail
cd "$(dirname "$0")" || exit 1

existing=$(mktemp)
trap 'rm -f "$existing"' EXIT
{
    sed -nE 's/^static void ([a-z0-9_]+)\(void \*\*.*/\1/p' unit/*.c
    sed -nE 's/^def (test_[a-z0-9_]+)\(.*/\1/p' system/test_*.py
} | sort -u >"$existing"

status=0
rows=0
# shellcheck disable=SC2016 # backquotes, not commands
while IFS= read -r name; do
    rows=$((rows + 1))
    grep -qxF "$name" "$existing" || {
        echo "tests/README.md: there is no test $name"
        status=1
    }
done < <(sed -nE '/^## The contract/,$ s/^\|.*\|([^|]*)\|$/\1/p' README.md | grep -oE '`[a-z0-9]+_[a-z0-9_]+`' | tr -d '`' | sort -u)

if [ $rows -lt 100 ]; then
    echo "tests/README.md: only $rows names of tests were found in its tables"
    status=1
fi
exit $status
