/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_LOAD_LOAD_DEVICE_H
#define DRIVERS_LOAD_LOAD_DEVICE_H

#include "drivers/load/load.h"
#include "drivers/load/load_protocol.h"
#include "drivers/reopen/reopen.h"
#include "kernel/exit.h"

/* For the driver and its tests. */
struct load_driver {
    VMBCHANNEL channel;
    struct reopen reopen;
    struct exit_hook exit_hook;
    struct load_parameters parameters;
    struct load_progress progress;
    bool stopping;
    uint64_t number;   /* of the last message that was sent since the channel opened */
    uint64_t expected; /* of the host's next one */
    uint32_t outstanding;
    uint64_t started_at;
    uint64_t burst_at;
    uint64_t signals_at_start;
    VMBPACKET packets[LOAD_BURST_MAX]; /* those that are idle, from 0 to `idle` */
    uint32_t idle;
    uint32_t allocated; /* of packets */
    uint64_t message[LOAD_SIZE_MAX / 8];
};
extern struct load_driver load_driver;

/* Ends the driver; by itself when the guest ends. PASSIVE. */
void load_driver_end(void);

#endif
