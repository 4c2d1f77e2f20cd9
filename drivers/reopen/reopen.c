/* SPDX-License-Identifier: MIT */
#include "drivers/reopen/reopen.h"

#include <inttypes.h>

#include "kernel/log.h"
#include "kmcl_extensions.h"

/*
 * Choice of ours: how often the channel is looked at, and for how long: closing it may take CLOSE
 * and the tear-down of its GPADL, 10 s each (vmbus/vmbus.h), and something to spare.
 */
#define REOPEN_INTERVAL (CLOCK_SECOND / 10)
#define REOPEN_LIMIT    (30 * CLOCK_SECOND)

/* IRQL_DISPATCH. */
static void timer_expired(void *context)
{
    struct reopen *reopen = context;

    passive_work_queue(&reopen->work);
}

static void enable(void *context)
{
    struct reopen *reopen = context;

    if (reopen->ended) {
        return;
    }
    const NTSTATUS status = VmbChannelEnable(reopen->channel);
    if (NT_SUCCESS(status)) {
        return;
    }
    /* The library still waits for the host to let go of the channel. */
    if (status == STATUS_INVALID_DEVICE_REQUEST && clock_now() < reopen->deadline) {
        timer_arm(&reopen->timer, clock_after(REOPEN_INTERVAL));
        return;
    }
    log_warning(reopen->driver, "the channel cannot be enabled again: status 0x%08" PRIx32,
                (uint32_t)status);
    if (reopen->failed != NULL) {
        reopen->failed(reopen->context);
    }
}

void reopen_initialise(struct reopen *reopen, const char *driver, VMBCHANNEL channel,
                       void (*failed)(void *context), void *context)
{
    reopen->channel = channel;
    reopen->driver = driver;
    reopen->failed = failed;
    reopen->context = context;
    reopen->ended = false;
    timer_initialise(&reopen->timer, timer_expired, reopen);
    work_item_initialise(&reopen->work, enable, reopen);
}

static bool enable_later(struct reopen *reopen)
{
    if (reopen->ended) {
        return false;
    }
    reopen->deadline = clock_after(REOPEN_LIMIT);
    passive_work_queue(&reopen->work);
    return true;
}

bool reopen_after_close(struct reopen *reopen)
{
    KMCL_CHANNEL_STATISTICS statistics;

    KmclChannelGetStatistics(reopen->channel, &statistics);
    if (statistics.RingFaults + statistics.CompletionsUnknown > 0) {
        log_warning(reopen->driver, "the host broke the channel; it stays closed");
        return false;
    }
    return enable_later(reopen);
}

bool reopen_after_failure(struct reopen *reopen, NTSTATUS status)
{
    if (status != STATUS_DEVICE_REMOVED) {
        log_warning(reopen->driver, "the channel does not open: status 0x%08" PRIx32,
                    (uint32_t)status);
        return false;
    }
    return enable_later(reopen);
}

void reopen_end(struct reopen *reopen)
{
    reopen->ended = true;
    (void)timer_cancel(&reopen->timer);
    (void)passive_work_cancel(&reopen->work);
    VmbChannelDisable(reopen->channel);
}
