#!/bin/sh
# SPDX-License-Identifier: MIT
# What the kernel runs when it is asked to shut down in order (/sbin/poweroff, kernel/reboot.c: orderly_poweroff()).
PATH=/bin
echo "poweroff: asked to" >/dev/console
killall hv_kvp_daemon 2>/dev/null
sync
echo "poweroff: now" >/dev/console
poweroff -f
