/* SPDX-License-Identifier: MIT */
#include "tests/vmm/trace.h"

#include <inttypes.h>
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

void trace_status(uint32_t connection_id, hv_status status)
{
    char text[64];

    if (is_on) {
        (void)snprintf(text, sizeof(text), "refused: %s (connection %#" PRIx32 ")",
                       hv_status_name(status), connection_id);
        print("guest <-", text, "", "");
    }
}
