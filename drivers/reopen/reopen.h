/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_REOPEN_REOPEN_H
#define DRIVERS_REOPEN_REOPEN_H

/*
 * A device that the host took back may be offered again: then its driver wants it again. KMCL
 * leaves such a channel Disabled, but only after EvtChannelClosed has returned and the host has let
 * go of the rings, so enabling it is work for later, tried until the channel is ready for it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "VmbusKernelModeClientLibApi.h"
#include "kernel/clock.h"
#include "kernel/work.h"

struct reopen {
    VMBCHANNEL channel;
    const char *driver; /* for the console */
    void (*failed)(void *context);
    void *context;
    struct timer timer;
    struct work_item work;
    uint64_t deadline;
    bool ended;
};

/*
 * The memory must stay until reopen_end(). `failed`, which may be NULL, is called at PASSIVE when
 * the channel was to be enabled again and cannot be, which is said: nothing more is tried. PASSIVE.
 */
void reopen_initialise(struct reopen *reopen, const char *driver, VMBCHANNEL channel,
                       void (*failed)(void *context), void *context);

/*
 * Call at the end of EvtChannelClosed. False: the channel stays closed, for it is ending, or the
 * host broke its ring (and would do so again, for ever), which is said. PASSIVE.
 */
bool reopen_after_close(struct reopen *reopen);

/* The same for EvtChannelPnpFailure: only a device that was taken back is waited for. PASSIVE. */
bool reopen_after_failure(struct reopen *reopen, NTSTATUS status);

/* Disables the channel for good. PASSIVE. */
void reopen_end(struct reopen *reopen);

#endif
