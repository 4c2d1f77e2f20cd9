/* SPDX-License-Identifier: MIT */
/* Numbers by the TLFS, written down apart from the product's: this plays somebody else. */
#include "tests/guests/uefi/leftovers.h"

#include <stdint.h>
#include <string.h>

#include "arch/x86_64/instructions.h"

#define PAGE 4096u

#define MSR_GUEST_OS_ID 0x40000000u
#define MSR_HYPERCALL   0x40000001u
#define MSR_SCONTROL    0x40000080u
#define MSR_SIEFP       0x40000082u
#define MSR_SIMP        0x40000083u
#define MSR_EOM         0x40000084u
#define MSR_SINT0       0x40000090u
#define MSR_STIMER0     0x400000b0u
#define MSR_STIMER0_END 0x400000b1u

/* Firmware's own (mu_msvm): a timer's message on SINT 1, the bus on SINT 2. */
#define VECTOR_TIMER 0x40u
#define VECTOR_BUS   0x41u

#define TIMER_ON_PERIODIC_SINT1 (UINT64_C(1) | 2 | 8 | UINT64_C(1) << 16)
#define TIMER_10_MS             UINT64_C(100000)

#define POST_MESSAGE     UINT64_C(0x5c)
#define INITIATE_CONTACT 14u
#define REQUEST_OFFERS   3u
#define VERSION_4_0      0x40000u

struct post {
    uint32_t connection, reserved, type, size;
    uint32_t words[60];
};

static void post(const char *code, struct post *message, uint32_t size)
{
    uint64_t control = POST_MESSAGE;
    uint64_t input = (uintptr_t)message;
    uint64_t result;
    register uint64_t output __asm__("r8") = 0;

    message->connection = 1;
    message->type = 1;
    message->size = size;
    __asm__ volatile("call *%[code]"
                     : "=a"(result), "+c"(control), "+d"(input), "+r"(output)
                     : [code] "r"(code)
                     : "r9", "r10", "r11", "cc", "memory");
}

void leave_hyperv_in_use(char *pages)
{
    char *code = pages;
    volatile uint32_t *bus_slot = (volatile uint32_t *)(void *)(pages + PAGE + 2 * 256);
    struct post *message = (struct post *)(void *)(pages + 3 * PAGE);

    memset(pages, 0, LEFTOVER_PAGES * PAGE);
    msr_write(MSR_GUEST_OS_ID, UINT64_C(1) << 40);
    msr_write(MSR_HYPERCALL, (uintptr_t)code | 1);
    msr_write(MSR_SIMP, (uintptr_t)(pages + PAGE) | 1);
    msr_write(MSR_SIEFP, (uintptr_t)(pages + 2 * PAGE) | 1);
    msr_write(MSR_SCONTROL, 1);
    msr_write(MSR_SINT0 + 1, VECTOR_TIMER);
    msr_write(MSR_SINT0 + 2, VECTOR_BUS);
    msr_write(MSR_STIMER0_END, TIMER_10_MS);
    msr_write(MSR_STIMER0, TIMER_ON_PERIODIC_SINT1);

    message->words[0] = INITIATE_CONTACT;
    message->words[2] = VERSION_4_0;
    post(code, message, 40);
    for (uint64_t i = 0; i < 1000000000 && *bus_slot == 0; i++) {
    }
    *bus_slot = 0;
    msr_write(MSR_EOM, 0);
    memset(message, 0, sizeof(*message));
    message->words[0] = REQUEST_OFFERS;
    post(code, message, 8);
    /* The first offer is in the slot, the others wait for it to be free. */
    for (uint64_t i = 0; i < 1000000000 && *bus_slot == 0; i++) {
    }
}

void leave_hypercalls_locked(char *pages)
{
    msr_write(MSR_GUEST_OS_ID, UINT64_C(1) << 40);
    msr_write(MSR_HYPERCALL, (uintptr_t)pages | 3);
}
