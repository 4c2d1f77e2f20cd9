/* SPDX-License-Identifier: MIT */
#include "tests/el2/trace.h"

#include <inttypes.h>

#include "kernel/clock.h"
#include "tests/el2/configuration.h"
#include "tests/el2/semihosting.h"
#include "tests/host/device.h"
#include "tests/host/message_text.h"

static void print_line(void *context, const char *text)
{
    (void)context;
    semihosting_print_marked("", text);
}

static const struct host_output output = {print_line, NULL};

void trace_message(enum trace_direction direction, const void *payload, uint32_t size)
{
    char text[HOST_MESSAGE_TEXT_SIZE];

    if (configuration()->trace) {
        const uint64_t now = clock_now();
        host_message_text(direction == TRACE_FROM_GUEST, payload, size, text, sizeof(text));
        host_print(&output, "[%5" PRIu64 ".%06" PRIu64 "] guest %s %s%s", now / CLOCK_SECOND,
                   now % CLOCK_SECOND / CLOCK_MICROSECOND,
                   direction == TRACE_FROM_GUEST ? "->" : "<-", text,
                   direction == TRACE_LOST ? " dropped: no SynIC" : "");
    }
}
