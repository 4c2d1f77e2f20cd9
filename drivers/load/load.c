/* SPDX-License-Identifier: MIT */
#include "drivers/load/load.h"

#include <inttypes.h>
#include <string.h>

#include "drivers/load/load_device.h"
#include "kernel/clock.h"
#include "kernel/irql.h"
#include "kernel/log.h"
#include "kernel/wait.h"
#include "kmcl_extensions.h"

/* Data pages of each ring: choice of ours, more than a burst of the sizes that are measured. */
#define RING_DATA_PAGES 32u

struct load_driver load_driver;

/* ---- sending ---- */

static uint64_t signals(void)
{
    KMCL_CHANNEL_STATISTICS statistics;

    KmclChannelGetStatistics(load_driver.channel, &statistics);
    return statistics.Signals;
}

static void end_run(void)
{
    load_driver.progress.is_running = false;
    load_driver.progress.elapsed = clock_now() - load_driver.started_at;
    load_driver.progress.signals = signals() - load_driver.signals_at_start;
}

/* DISPATCH. Called while KMCL delivers packets, its burst goes out with one signal behind them. */
static void send_burst(void)
{
    struct load_progress *progress = &load_driver.progress;
    const struct load_parameters *parameters = &load_driver.parameters;

    load_driver.burst_at = clock_now();
    for (uint32_t i = 0; i < parameters->burst && progress->sent < parameters->packets; i++) {
        VMBPACKET packet = load_driver.packets[--load_driver.idle];
        load_make_message(load_driver.message, parameters->size, ++load_driver.number);
        VmbPacketSetPointer(packet, (PVOID)(uintptr_t)load_driver.number);
        /* Counted first: where nothing flows any more, its routine runs inside the call. */
        progress->sent++;
        load_driver.outstanding++;
        if (!NT_SUCCESS(VmbPacketSend(packet, load_driver.message, parameters->size, NULL,
                                      VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION))) {
            load_driver.packets[load_driver.idle++] = packet;
            progress->lost++;
            load_driver.outstanding--;
            load_driver.stopping = true;
        }
    }
    if (load_driver.outstanding == 0) {
        end_run();
    }
}

static VOID completed(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    struct load_progress *progress = &load_driver.progress;
    const uint64_t number = (uintptr_t)VmbPacketGetPointer(packet);

    load_driver.packets[load_driver.idle++] = packet;
    load_driver.outstanding--;
    if (!NT_SUCCESS(status)) {
        progress->lost++;
        load_driver.stopping = true;
    } else {
        const struct load_header *header = buffer;
        progress->completed++;
        if (buffer == NULL || !load_is_message(buffer, length) || header->number != number ||
            header->size != load_driver.parameters.size) {
            progress->wrong++;
        }
    }
    if (load_driver.outstanding > 0 || !progress->is_running) {
        return;
    }
    const uint64_t burst = clock_now() - load_driver.burst_at;
    if (NT_SUCCESS(status) && (progress->shortest == 0 || burst < progress->shortest)) {
        progress->shortest = burst;
    }
    if (NT_SUCCESS(status) && burst > progress->longest) {
        progress->longest = burst;
    }
    if (load_driver.stopping || progress->sent == load_driver.parameters.packets) {
        end_run();
    } else {
        send_burst();
    }
}

bool load_start(const struct load_parameters *parameters)
{
    struct load_progress *progress = &load_driver.progress;
    const enum irql level = irql_raise_to_dispatch();
    const bool can = progress->is_open && !progress->is_running && load_driver.outstanding == 0 &&
                     parameters->packets > 0 && parameters->size >= LOAD_SIZE_MIN &&
                     parameters->size <= LOAD_SIZE_MAX && parameters->burst > 0 &&
                     parameters->burst <= LOAD_BURST_MAX;

    if (can) {
        *progress = (struct load_progress){
            .is_open = true,
            .is_running = true,
            .received = progress->received,
            .malformed = progress->malformed,
            .gaps = progress->gaps,
            .repeats = progress->repeats,
        };
        load_driver.parameters = *parameters;
        load_driver.stopping = false;
        load_driver.started_at = clock_now();
        load_driver.signals_at_start = signals();
        send_burst();
    }
    irql_lower(level);
    return can;
}

void load_stop(void)
{
    load_driver.stopping = true;
}

void load_progress(struct load_progress *out)
{
    const enum irql level = irql_raise_to_dispatch();

    *out = load_driver.progress;
    if (out->is_running) {
        out->elapsed = clock_now() - load_driver.started_at;
        out->signals = signals() - load_driver.signals_at_start;
    }
    irql_lower(level);
}

static bool has_ended(void *context)
{
    (void)context;
    return !load_driver.progress.is_running;
}

bool load_run(const struct load_parameters *parameters, uint64_t deadline)
{
    if (!load_start(parameters)) {
        return false;
    }
    if (wait_until(has_ended, NULL, deadline)) {
        return true;
    }
    load_stop();
    return wait_until(has_ended, NULL, clock_after(CLOCK_SECOND));
}

/* ---- receiving ---- */

static VOID packet_received(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                            UINT32 length, UINT32 flags)
{
    struct load_progress *progress = &load_driver.progress;
    const struct load_header *header = buffer;

    (void)channel;
    (void)flags;
    progress->received++;
    if (!load_is_message(buffer, length)) {
        if (progress->malformed++ == 0) {
            log_warning("load", "a message is malformed, %" PRIu32 " bytes; reported once", length);
        }
        VmbChannelPacketComplete(packet, NULL, 0);
        return;
    }
    if (header->number < load_driver.expected) {
        progress->repeats++;
    } else {
        progress->gaps += header->number - load_driver.expected;
        load_driver.expected = header->number + 1;
    }
    VmbChannelPacketComplete(packet, buffer, header->size);
}

static VOID processing_complete(VMBCHANNEL channel, UINT32 count)
{
    (void)channel;
    (void)count;
    load_driver.progress.batches++;
}

/* ---- the channel's life ---- */

static NTSTATUS channel_opened(VMBCHANNEL channel)
{
    struct load_progress *progress = &load_driver.progress;

    for (; load_driver.allocated < LOAD_BURST_MAX; load_driver.allocated++) {
        VMBPACKET packet = VmbPacketAllocate(channel);
        if (packet == NULL) {
            log_warning("load", "no memory for packets");
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        VmbPacketSetCompletionRoutine(packet, completed);
        load_driver.packets[load_driver.idle++] = packet;
    }
    progress->received = 0;
    progress->malformed = 0;
    progress->gaps = 0;
    progress->repeats = 0;
    load_driver.number = 0;
    load_driver.expected = 1;
    return STATUS_SUCCESS;
}

static VOID channel_post_started(VMBCHANNEL channel)
{
    (void)channel;
    load_driver.progress.is_open = true;
}

static VOID channel_suspended(VMBCHANNEL channel)
{
    (void)channel;
    load_driver.progress.is_open = false;
    load_driver.stopping = true;
}

static VOID channel_closed(VMBCHANNEL channel)
{
    (void)channel;
    (void)reopen_after_close(&load_driver.reopen);
}

static VOID channel_failed(VMBCHANNEL channel, NTSTATUS status)
{
    (void)channel;
    (void)reopen_after_failure(&load_driver.reopen, status);
}

void load_driver_end(void)
{
    if (load_driver.channel == NULL) {
        return;
    }
    reopen_end(&load_driver.reopen);
    while (load_driver.idle > 0) {
        VmbPacketFree(load_driver.packets[--load_driver.idle]);
        load_driver.allocated--;
    }
    VmbChannelCleanup(load_driver.channel);
    load_driver.channel = NULL;
}

static NTSTATUS configure(VMBCHANNEL channel)
{
    static const GUID device_class = LOAD_CLASS_INITIALISER;
    static WCHAR text[] = u"load";
    const UNICODE_STRING name = RTL_CONSTANT_STRING(text);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;

    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.EvtChannelOpened = channel_opened;
    callbacks.EvtChannelPostStarted = channel_post_started;
    callbacks.EvtChannelSuspend = channel_suspended;
    callbacks.EvtChannelClosed = channel_closed;
    NTSTATUS status = VmbChannelInitSetStateChangeCallbacks(channel, &callbacks);
    if (NT_SUCCESS(status)) {
        status =
            VmbChannelInitSetProcessPacketCallbacks(channel, packet_received, processing_complete);
    }
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetMaximumPacketSize(channel, LOAD_SIZE_MAX);
    }
    if (NT_SUCCESS(status)) {
        status =
            VmbClientChannelInitSetRingBufferPageCount(channel, RING_DATA_PAGES, RING_DATA_PAGES);
    }
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetFriendlyName(channel, &name);
    }
    if (NT_SUCCESS(status)) {
        status = VmbClientChannelInitSetTargetPnp(channel, &device_class, NULL, channel_failed);
    }
    return status;
}

static NTSTATUS start(void)
{
    NTSTATUS status = VmbChannelAllocate(NULL, FALSE, &load_driver.channel);
    if (!NT_SUCCESS(status)) {
        load_driver.channel = NULL;
        return status;
    }
    status = configure(load_driver.channel);
    reopen_initialise(&load_driver.reopen, "load", load_driver.channel, NULL, NULL);
    if (NT_SUCCESS(status)) {
        status = VmbChannelEnable(load_driver.channel);
    }
    if (!NT_SUCCESS(status)) {
        load_driver_end();
    }
    return status;
}

void load_driver_start(void)
{
    if (load_driver.channel != NULL) {
        return;
    }
    const NTSTATUS status = start();
    if (!NT_SUCCESS(status)) {
        log_warning("load", "cannot start: status 0x%08" PRIx32, (uint32_t)status);
        return;
    }
    if (load_driver.exit_hook.leave == NULL) {
        load_driver.exit_hook.leave = load_driver_end;
        exit_hook_register(&load_driver.exit_hook);
    }
}
