# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run.

say() {
    printf 'deps: %s\n' "$*"
}

# die WHAT REMEDY: says what failed and what the user can do about it, and ends the script.
die() {
    printf 'deps: error: %s\n' "$1" >&2
    printf 'deps: what to do: %s\n' "$2" >&2
    exit 1
}

# run_logged LOG COMMAND...: keeps the output in LOG and shows its end only when the command fails.
run_logged() {
    local log=$1
    shift
    if ! "$@" >"$log" 2>&1; then
        printf 'deps: failed: %s\n' "$*" >&2
        tail -n 15 "$log" | sed 's/^/deps:   | /' >&2
        return 1
    fi
}
