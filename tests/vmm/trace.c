/* SPDX-License-Identifier: MIT */
#include "tests/vmm/trace.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "kernel/clock.h"
#include "tests/host/message_text.h"
#include "tests/vmm/executive.h"

static bool is_on;

void trace_start(void)
{
    is_on = true;
}

static void print(const char *direction, const char *text, const char *more, const char *why)
{
    uint64_t now = clock_now();

    say("[%5" PRIu64 ".%06" PRIu64 "] %s %s%s%s", now / CLOCK_SECOND,
        now % CLOCK_SECOND / CLOCK_MICROSECOND, direction, text, more, why);
}

void trace_message(enum trace_direction direction, const void *message, uint32_t size,
                   const char *failed)
{
    const bool from_guest = direction == TRACE_FROM_GUEST;
    char text[HOST_MESSAGE_TEXT_SIZE];

    if (is_on) {
        host_message_text(from_guest, message, size, text, sizeof(text));
        print(from_guest ? "guest ->" : "guest <-", text, failed != NULL ? " dropped: " : "",
              failed != NULL ? failed : "");
    }
}

static const char *status_name(hv_status status)
{
    static const char *const names[] = {
        [HV_STATUS_INVALID_HYPERCALL_CODE] = "invalid hypercall code",
        [HV_STATUS_INVALID_HYPERCALL_INPUT] = "invalid hypercall input",
        [HV_STATUS_INVALID_ALIGNMENT] = "invalid alignment",
        [HV_STATUS_INVALID_PARAMETER] = "invalid parameter",
        [HV_STATUS_ACCESS_DENIED] = "access denied",
        [HV_STATUS_INSUFFICIENT_MEMORY] = "insufficient memory",
        [HV_STATUS_INVALID_PORT_ID] = "invalid port id",
        [HV_STATUS_INVALID_CONNECTION_ID] = "invalid connection id",
        [HV_STATUS_INSUFFICIENT_BUFFERS] = "insufficient buffers",
        [HV_STATUS_INVALID_SYNIC_STATE] = "invalid SynIC state",
        [HV_STATUS_TIME_OUT] = "time out",
    };
    return status < sizeof(names) / sizeof(names[0]) && names[status] != NULL ? names[status]
                                                                              : "unknown";
}

void trace_status(uint32_t connection_id, hv_status status)
{
    char text[64];

    if (is_on) {
        (void)snprintf(text, sizeof(text), "refused: %s (connection %#" PRIx32 ")",
                       status_name(status), connection_id);
        print("guest <-", text, "", "");
    }
}
