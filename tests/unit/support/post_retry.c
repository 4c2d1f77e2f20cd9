/* SPDX-License-Identifier: MIT */
/* hv_post_message_with_retry() over the hv_post_message() of either machine of the host build. */
#include <stddef.h>

#include "hv/hypercall.h"
#include "kernel/clock.h"
#include "kernel/wait.h"

static bool never(void *context)
{
    (void)context;
    return false;
}

hv_status hv_post_message_with_retry(uint32_t connection_id, const void *payload, uint32_t size,
                                     bool connection_exists, uint64_t deadline)
{
    for (;;) {
        hv_status status = hv_post_message(connection_id, payload, size);
        bool later = status == HV_STATUS_INSUFFICIENT_BUFFERS ||
                     status == HV_STATUS_INSUFFICIENT_MEMORY ||
                     (status == HV_STATUS_INVALID_CONNECTION_ID && connection_exists);
        if (!later || clock_now() >= deadline) {
            return status;
        }
        uint64_t next = clock_after(CLOCK_MILLISECOND);
        (void)wait_until(never, NULL, next < deadline ? next : deadline);
    }
}
