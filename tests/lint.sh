#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs every checker over the given files, goes on after a finding, and fails at the end if there was one.
# usage: lint.sh BUILD_FOLDER C_FILES... -- SHELL_SCRIPTS...
set -uo pipefail
build=$1
shift
c_files=()
while [ "$1" != -- ]; do
    c_files+=("$1")
    shift
done
shift

for tool in clang-format-14 clang-tidy-14 cppcheck shellcheck; do
    command -v $tool >/dev/null || {
        echo "lint: error: $tool is not installed; run 'make deps' first" >&2
        exit 1
    }
done

status=0
finding() {
    echo "lint: $1 has findings (above)" >&2
    status=1
}

sources=()
for file in "${c_files[@]}"; do
    case $file in *.c) sources+=("$file") ;; esac
done

echo "lint: clang-format, ${#c_files[@]} files"
clang-format-14 --dry-run -Werror "${c_files[@]}" || finding clang-format

# Two of its checks know neither functions that do not return nor symbols of a linker script; clang-tidy looks for the former.
echo "lint: cppcheck, ${#sources[@]} files"
cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    --suppress=missingIncludeSystem --suppress=nullPointerRedundantCheck --suppress=comparePointers -j "$(nproc)" -I. -Ivmbus/kmcl/include -Itests/unit/support \
    --template='{file}:{line}: {severity}: {message} [{id}]' "${sources[@]}" || finding cppcheck

echo "lint: clang-tidy, ${#sources[@]} files"
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy-14 -p "$build" --quiet --warnings-as-errors='*' 2>/dev/null ||
    finding clang-tidy

echo "lint: shellcheck, $# scripts"
shellcheck -x "$@" || finding shellcheck

echo "lint: spdx"
for file in "${c_files[@]}"; do
    head -n 1 "$file" | grep -q 'SPDX-License-Identifier: MIT' || {
        echo "$file: the first line names no license"
        finding spdx
    }
done

echo "lint: the tables of tests/README.md"
bash tests/check_tables.sh || finding check_tables.sh

echo "lint: docs/porting.md against the header"
bash tests/check_porting.sh || finding check_porting.sh

[ $status -ne 0 ] || echo "lint: no findings"
exit $status
