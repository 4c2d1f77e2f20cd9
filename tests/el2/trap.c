/* SPDX-License-Identifier: MIT */
#include "tests/el2/trap.h"

#include "tests/el2/gic.h"
#include "tests/el2/hypercall.h"
#include "tests/el2/instructions.h"
#include "tests/el2/psci.h"
#include "tests/el2/semihosting.h"

/* Arm ARM, D19, ESR_EL2. */
#define CLASS_OF(syndrome)          ((syndrome) >> 26 & 0x3fu)
#define CLASS_WAIT                  0x01u
#define CLASS_HVC                   0x16u
#define CLASS_SMC                   0x17u
#define CLASS_INSTRUCTION_ABORT     0x20u
#define CLASS_DATA_ABORT            0x24u
#define IMMEDIATE_OF(syndrome)      ((syndrome)&0xffffu)
#define ABORT_IS_WRITE(syndrome)    (((syndrome) >> 6 & 1u) != 0)
#define WAIT_IS_FOR_EVENT(syndrome) (((syndrome)&1u) != 0)

#define INSTRUCTION_SIZE 4u
#define PAGE_MASK        UINT64_C(0xfff)

void report_host_fault(uint64_t syndrome, uint64_t at, uint64_t address);

void report_host_fault(uint64_t syndrome, uint64_t at, uint64_t address)
{
    stop(STATUS_HOST_FAILED, "a fault of the host's own: ESR 0x%llx at 0x%llx, FAR 0x%llx",
         (unsigned long long)syndrome, (unsigned long long)at, (unsigned long long)address);
}

static _Noreturn void stray(const struct processor *processor, uint64_t syndrome)
{
    const uint32_t class = CLASS_OF(syndrome);
    const uint64_t address = fault_address_read();
    const uint64_t page = (fault_page_read() >> 4) << 12;
    const char *what = class == CLASS_INSTRUCTION_ABORT ? "execution outside of its memory"
                       : class != CLASS_DATA_ABORT      ? "what it must not do"
                       : ABORT_IS_WRITE(syndrome)       ? "write outside of its memory"
                                                        : "read outside of its memory";

    stop(STATUS_GUEST_STRAY,
         "processor %u: %s at guest-physical 0x%llx (ESR 0x%llx, FAR 0x%llx, HPFAR 0x%llx), "
         "instruction at 0x%llx",
         processor->index, what, (unsigned long long)(page | (address & PAGE_MASK)),
         (unsigned long long)syndrome, (unsigned long long)address,
         (unsigned long long)fault_page_read(), (unsigned long long)processor->registers.pc);
}

bool trap_handle(struct processor *processor, uint32_t why)
{
    const uint64_t syndrome = syndrome_read();

    if (why == GUEST_LEFT_INTERRUPT) {
        gic_timer_disarm(); /* it has said all it had to say */
        return false;
    }
    if (why != GUEST_LEFT_SYNCHRONOUS) {
        stop(STATUS_GUEST_STRAY, "processor %u: unexpected exception, ESR 0x%llx at 0x%llx",
             processor->index, (unsigned long long)syndrome,
             (unsigned long long)processor->registers.pc);
    }
    switch (CLASS_OF(syndrome)) {
    case CLASS_WAIT:
        processor->registers.pc += INSTRUCTION_SIZE;
        return !WAIT_IS_FOR_EVENT(syndrome);
    case CLASS_HVC:
        hypercall_handle(processor, IMMEDIATE_OF(syndrome));
        return false;
    case CLASS_SMC:
        /* Unlike HVC it is trapped before it is done. */
        processor->registers.pc += INSTRUCTION_SIZE;
        if (IMMEDIATE_OF(syndrome) != 0 || !psci_call(processor)) {
            hypercall_unknown(processor, "SMC");
        }
        return false;
    default:
        stray(processor, syndrome);
    }
}
