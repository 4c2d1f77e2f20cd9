#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# The first program of the Linux guest: takes commands from the console, a line each, and runs them side by side, so that one
# that hangs can be looked at by another. tests/system/linux_guest.py is the other end.
# in:   NUMBER COMMAND      any shell command
# out:  NUMBER| TEXT        a line of what it wrote
#       NUMBER: STATUS      its end
/bin/busybox mkdir -p /proc /sys /sbin
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
stty -echo
# Nobody else on the console: what the kernel has to say is asked for with dmesg.
dmesg -n 1
echo "init: ready"

while read -r number command; do
    {
        set -o pipefail
        (eval "$command") </dev/null 2>&1 | awk -v number="$number" '{ print number "| " $0; fflush() }'
        echo "$number: $?"
    } &
done
