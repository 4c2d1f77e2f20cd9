/* SPDX-License-Identifier: MIT */

/* How the bus starts and ends with the guest: registered behind the layers below, so it leaves
 * before them. */

#include "kernel/exit.h"
#include "kernel/init.h"
#include "vmbus/vmbus.h"

static void leave(void)
{
    (void)vmbus_disconnect();
}

static void start(void)
{
    static struct exit_hook hook = {.leave = leave};

    if (vmbus_connect() == VMBUS_OK) {
        exit_hook_register(&hook);
    }
}

INIT_ENTRY(INIT_BUS, start);
