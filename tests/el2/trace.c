/* SPDX-License-Identifier: MIT */
#include "tests/el2/trace.h"

#include <string.h>

#include "kernel/log.h"
#include "tests/el2/configuration.h"
#include "vmbus/messages.h"

#define WORDS 8u /* of a message behind its header that are shown */

void trace_message(enum trace_direction direction, uint32_t vp, const void *payload, uint32_t size)
{
    static const char *const directions[] = {
        [TRACE_FROM_GUEST] = "<-", [TRACE_TO_GUEST] = "->", [TRACE_LOST] = "-x"};
    uint32_t words[2 + WORDS] = {0};
    char text[WORDS * 9 + 1] = "";
    uint32_t shown = 0;

    if (!configuration()->trace) {
        return;
    }
    memcpy(words, payload, size < sizeof(words) ? size : sizeof(words));
    for (uint32_t i = 2; i < 2 + WORDS && i * 4 < size; i++) {
        static const char digits[] = "0123456789abcdef";
        text[shown++] = ' ';
        for (int shift = 28; shift >= 0; shift -= 4) {
            text[shown++] = digits[words[i] >> shift & 0xf];
        }
    }
    text[shown] = '\0';
    log_info("bus", "vp %u %s %s, %u bytes:%s%s", vp, directions[direction],
             vmbus_message_name(words[0]), size, text, size > sizeof(words) ? " ..." : "");
}
