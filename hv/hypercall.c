/* SPDX-License-Identifier: MIT */
#include "hv/hypercall.h"

#include <string.h>

#include "arch/cpu.h"
#include "arch/hypervisor.h"
#include "hv/parts.h"
#include "kernel/clock.h"
#include "kernel/irql.h"
#include "kernel/pages.h"
#include "kernel/panic.h"
#include "kernel/wait.h"

/*
 * Back-off between attempts, choices of ours: the first retry comes at once as far as a human is
 * concerned, and a host that stays busy is asked a thousand times a second at most.
 */
#define RETRY_DELAY_FIRST   CLOCK_MICROSECOND
#define RETRY_DELAY_LONGEST CLOCK_MILLISECOND

bool hv_hypercalls_start(struct hv_processor *processor)
{
    /* A page of its own: the input is aligned, never crosses a page and lies on no overlay. */
    processor->post_input = pages_allocate_zeroed(1);
    return processor->post_input != NULL;
}

void hv_hypercalls_stop(struct hv_processor *processor)
{
    if (processor->post_input != NULL) {
        pages_free(processor->post_input, 1);
        processor->post_input = NULL;
    }
}

/*
 * The hypervisor reads the page until the call ends, and may let interrupts in while it works. They
 * are off here, so nobody fills the page a second time meanwhile.
 */
hv_status hv_post_message(uint32_t connection_id, const void *payload, uint32_t size)
{
    if (size > HV_MESSAGE_PAYLOAD_MAXIMUM) {
        return HV_STATUS_INVALID_PARAMETER;
    }
    bool interrupts = arch_interrupts_disable();
    struct hv_post_message_input *input = hv_this_processor()->post_input;
    hv_status status = HV_STATUS_INVALID_HYPERCALL_CODE;
    if (input != NULL) {
        input->connection_id = connection_id;
        input->reserved = 0;
        input->message_type = HV_MESSAGE_TYPE_VMBUS;
        input->payload_size = size;
        memcpy(input->payload, payload, size);
        uint64_t address = (page_frame_of(input) << PAGE_SHIFT);
        status = (hv_status)(arch_hypercall(HV_CALL_POST_MESSAGE, address, 0) & HV_RESULT_STATUS);
    }
    arch_interrupts_restore(interrupts);
    hv_count(&hv_counters.posts);
    if (status != HV_STATUS_SUCCESS) {
        hv_count(&hv_counters.post_failures);
    }
    return status;
}

static bool later_attempt_may_succeed(hv_status status, bool connection_exists)
{
    switch (status) {
    case HV_STATUS_INSUFFICIENT_BUFFERS:
    case HV_STATUS_INSUFFICIENT_MEMORY:
    case HV_STATUS_TIME_OUT:
        return true;
    case HV_STATUS_INVALID_CONNECTION_ID:
        return connection_exists;
    default:
        return false;
    }
}

/*
 * A host's queue often drains only after we have emptied our own message slot; the wait between two
 * attempts lets that happen.
 */
hv_status hv_post_message_with_retry(uint32_t connection_id, const void *payload, uint32_t size,
                                     bool connection_exists, uint64_t deadline)
{
    ASSERT(irql_current() == IRQL_PASSIVE);
    struct event never;
    event_initialise(&never);
    uint64_t delay = RETRY_DELAY_FIRST;
    for (;;) {
        hv_status status = hv_post_message(connection_id, payload, size);
        if (!later_attempt_may_succeed(status, connection_exists) || clock_now() >= deadline) {
            return status;
        }
        uint64_t next = clock_after(delay);
        (void)event_wait(&never, next < deadline ? next : deadline);
        delay = delay * 2 < RETRY_DELAY_LONGEST ? delay * 2 : RETRY_DELAY_LONGEST;
        hv_count(&hv_counters.post_retries);
    }
}

hv_status hv_signal_event(uint32_t connection_id)
{
    hv_status status = HV_STATUS_INVALID_HYPERCALL_CODE;
    if (hv_this_processor()->post_input != NULL) {
        /* Eight bytes of input: the connection, flag number 0, and zero. */
        status = (hv_status)(arch_hypercall(HV_CALL_SIGNAL_EVENT | HV_CALL_FAST, connection_id, 0) &
                             HV_RESULT_STATUS);
    }
    hv_count(&hv_counters.signals);
    if (status != HV_STATUS_SUCCESS) {
        hv_count(&hv_counters.signal_failures);
    }
    return status;
}
