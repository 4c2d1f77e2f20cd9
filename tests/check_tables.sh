#!/bin/bash
# SPDX-License-Identifier: MIT
# Whether each test that tests/README.md (last column of its tables) and tests/KMCL.md name exists: a function of tests/unit or of
# tests/system. Names are in backquotes. And whether each function of KMCL's headers has a row in tests/KMCL.md.
set -uo pipefail
cd "$(dirname "$0")" || exit 1

existing=$(mktemp)
trap 'rm -f "$existing"' EXIT
{
    sed -nE 's/^static void ([a-z0-9_]+)\(void \*\*.*/\1/p' unit/*.c unit/*/*.c
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

# shellcheck disable=SC2016
while IFS= read -r name; do
    grep -qxF "$name" "$existing" || {
        echo "tests/KMCL.md: there is no test $name"
        status=1
    }
done < <(grep -oE '`[a-z0-9]+_[a-z0-9_]+`' KMCL.md | tr -d '`' | sort -u)

headers=../vmbus/kmcl/include
# shellcheck disable=SC2016
diff <({ sed -nE 's/^(FN_VMB_[A-Z_]+)? ?(Vmb[A-Za-z]+);$/\2/p' $headers/VmbusKernelModeClientLibApi.h
         sed -nE 's/^NTSTATUS (Kmcl[A-Za-z]+)\(.*/\1/p' $headers/*.h; } | sort -u) \
     <(sed -nE 's/^\| `((Vmb|Kmcl)[A-Za-z]+)` \| `.*/\1/p' KMCL.md | sort) || {
    echo "tests/KMCL.md: rows missing (<), or of no function of the headers, or double (>)"
    status=1
}

if [ $rows -lt 100 ]; then
    echo "tests/README.md: only $rows names of tests were found in its tables"
    status=1
fi
exit $status
