/* SPDX-License-Identifier: MIT */
#include "tests/el2/trace.h"

#include <inttypes.h>

#include "kernel/clock.h"
#include "tests/el2/configuration.h"
#include "tests/el2/semihosting.h"
#include "tests/host/message_text.h"

void trace_message(enum trace_direction direction, const void *payload, uint32_t size)
{
    char text[HOST_MESSAGE_TEXT_SIZE];

    if (configuration()->trace) {
        const uint64_t now = clock_now();
        host_message_text(direction == TRACE_FROM_GUEST, payload, size, text, sizeof(text));
        semihosting_print("[%5" PRIu64 ".%06" PRIu64 "] guest %s %s%s", now / CLOCK_SECOND,
                          now % CLOCK_SECOND / CLOCK_MICROSECOND,
                          direction == TRACE_FROM_GUEST ? "->" : "<-", text,
                          direction == TRACE_LOST ? " dropped: no SynIC" : "");
    }
}
