/* SPDX-License-Identifier: MIT */
#include "arch/stack_report.h"

#include <inttypes.h>

#include "arch/page_map.h"
#include "kernel/log.h"

#define STACK_WORDS     16u
#define CALLERS_MAXIMUM 12u

/* Only the boot stack is looked at: it is mapped, whatever the registers say. */
static void print_stack(uint64_t pointer)
{
    if (!paging_on_stack(pointer, 8)) {
        log_info("exception", "the stack pointer is not on the stack");
        return;
    }
    for (unsigned i = 0; i < STACK_WORDS; i += 4) {
        const uint64_t *words =
            (const uint64_t *)(uintptr_t)((pointer & ~UINT64_C(7)) + i * sizeof(uint64_t));
        if (!paging_on_stack((uintptr_t)words, 4 * sizeof(uint64_t))) {
            return;
        }
        log_info("exception",
                 "stack +%02x: %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64, i * 8,
                 words[0], words[1], words[2], words[3]);
    }
}

/* Words of the stack that point into the code, newest first: return addresses, and some that only
 * look like one. */
static void print_callers(uint64_t pointer)
{
    unsigned found = 0;

    for (uint64_t at = pointer & ~UINT64_C(7); found < CALLERS_MAXIMUM && paging_on_stack(at, 8);
         at += 8) {
        uint64_t word = *(const uint64_t *)(uintptr_t)at;
        if (paging_in_text(word)) {
            log_info("exception", "possible caller: %016" PRIx64, word);
            found++;
        }
    }
}

void stack_report(uint64_t stack_pointer)
{
    uint64_t stack = paging_stack_from(stack_pointer);

    print_stack(stack);
    print_callers(stack);
}
