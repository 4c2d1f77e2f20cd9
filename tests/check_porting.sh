#!/bin/bash
# SPDX-License-Identifier: MIT
# Whether docs/porting.md has one row for each function of the public header, and none for anything else.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

# shellcheck disable=SC2016 # backquotes, not commands
rows=$(sed -nE 's/^\| `(Vmb[A-Za-z]+)` \| (same|differs) \|.*/\1/p' docs/porting.md | sort)
functions=$(sed -nE 's/^(FN_VMB_[A-Z_]+)? ?(Vmb[A-Za-z]+);$/\2/p' vmbus/kmcl/include/VmbusKernelModeClientLibApi.h | sort)

if [ "$(wc -l <<<"$functions")" -ne 55 ]; then
    echo "docs/porting.md: the header was not understood: $(wc -l <<<"$functions") functions instead of 55"
    exit 1
fi
diff <(echo "$functions") <(echo "$rows") && exit 0
echo "docs/porting.md: rows missing (<), or of nothing in the header, or double (>)"
exit 1
