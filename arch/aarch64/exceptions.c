/* SPDX-License-Identifier: MIT */
/* Exceptions end the guest: nothing here causes one on purpose. This prints what it takes to find
 * the cause. */
#include "arch/aarch64/exceptions.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#include "arch/aarch64/instructions.h"
#include "arch/page_map.h"
#include "arch/stack_report.h"
#include "kernel/log.h"
#include "kernel/panic.h"

/* The four kinds of a group of vectors (Arm ARM, "Exception vectors"). */
#define VECTOR_KIND(vector) ((vector)&3)
#define VECTOR_SYNCHRONOUS  0u
#define VECTOR_SYSTEM_ERROR 3u

/* ESR_EL1. */
#define SYNDROME_CLASS(syndrome) ((unsigned)((syndrome) >> 26 & 0x3f))
#define CLASS_INSTRUCTION_ABORT  0x21u
#define CLASS_DATA_ABORT         0x25u
#define SYNDROME_FAULT(syndrome) ((unsigned)((syndrome)&0x3f))
#define SYNDROME_WRITE           0x40u
#define SYNDROME_NO_ADDRESS      0x400u

/* Arm ARM, "ESR_EL1": classes that can come from this level. */
static const struct {
    uint8_t class;
    const char *name;
} classes[] = {
    {0x00, "invalid instruction"},
    {0x07, "vector registers are off"},
    {0x0d, "branch target exception"},
    {0x0e, "illegal state"},
    {0x15, "supervisor call"},
    {0x16, "hypervisor call without a hypervisor"},
    {0x17, "secure monitor call without a monitor"},
    {0x18, "system register that is not there"},
    {CLASS_INSTRUCTION_ABORT, "instruction abort"},
    {0x22, "misaligned program counter"},
    {CLASS_DATA_ABORT, "data abort"},
    {0x26, "misaligned stack pointer"},
    {0x2c, "floating-point exception"},
    {0x31, "breakpoint"},
    {0x33, "single step"},
    {0x35, "watchpoint"},
    {0x3c, "breakpoint instruction"},
};

/* Linker script: what addresses in the image's ELF file count from. */
extern const char image_start[];

static const char *name_of(const struct exception_frame *frame)
{
    if (VECTOR_KIND(frame->vector) == VECTOR_SYSTEM_ERROR) {
        return "system error";
    }
    if (VECTOR_KIND(frame->vector) != VECTOR_SYNCHRONOUS) {
        return "interrupt of a kind that nobody asked for";
    }
    for (unsigned i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (classes[i].class == SYNDROME_CLASS(frame->syndrome)) {
            return classes[i].name;
        }
    }
    return "exception of a class that is not known";
}

static bool is_abort(const struct exception_frame *frame)
{
    unsigned class = SYNDROME_CLASS(frame->syndrome);

    return VECTOR_KIND(frame->vector) == VECTOR_SYNCHRONOUS &&
           (class == CLASS_DATA_ABORT || class == CLASS_INSTRUCTION_ABORT);
}

/* The four lowest codes stand for four kinds of fault, with the level of the table below. */
static const char *fault_name(unsigned fault)
{
    switch (fault >> 2) {
    case 0:
        return "the address is too long";
    case 1:
        return "no page is there";
    case 2:
        return "the page's entry lacks the access flag";
    case 3:
        return "the page does not allow it";
    default:
        return fault == 0x21 ? "it is misaligned for this memory"
                             : "the machine does not answer it";
    }
}

static void print_abort(const struct exception_frame *frame)
{
    const char *access = SYNDROME_CLASS(frame->syndrome) == CLASS_INSTRUCTION_ABORT ? "execution"
                         : (frame->syndrome & SYNDROME_WRITE) != 0                  ? "write"
                                                                                    : "read";

    if ((frame->syndrome & SYNDROME_NO_ADDRESS) != 0) {
        log_info("exception", "%s at an unknown address", access);
        return;
    }
    log_info("exception", "%s at 0x%016" PRIx64 ": %s%s", access, frame->fault_address,
             fault_name(SYNDROME_FAULT(frame->syndrome)),
             frame->fault_address < PAGING_NULL_END ? " (null pointer)" : "");
}

static void print_registers(const struct exception_frame *f)
{
    log_info("exception",
             "pc  %016" PRIx64 " sp  %016" PRIx64 " lr  %016" PRIx64 " spsr %08" PRIx64, f->address,
             f->stack_pointer, f->x[30], f->state);
    for (unsigned i = 0; i < 28; i += 4) {
        log_info("exception",
                 "x%-2u %016" PRIx64 " x%-2u %016" PRIx64 " x%-2u %016" PRIx64 " x%-2u %016" PRIx64,
                 i, f->x[i], i + 1, f->x[i + 1], i + 2, f->x[i + 2], i + 3, f->x[i + 3]);
    }
    log_info("exception", "x28 %016" PRIx64 " x29 %016" PRIx64 " esr %08" PRIx64 " far %016" PRIx64,
             f->x[28], f->x[29], f->syndrome, f->fault_address);
    log_info("exception", "sctlr %08" PRIx64 " ttbr0 %016" PRIx64 " tcr %016" PRIx64,
             system_control_read(), translation_base_read(), translation_control_read());
}

_Noreturn void exception_report(const struct exception_frame *frame)
{
    static bool reporting;
    const char *name = name_of(frame);

    if (reporting) {
        panic("%s at 0x%" PRIx64 " while an exception was being reported", name, frame->address);
    }
    reporting = true;
    log_info("exception",
             "%s, vector %u, syndrome 0x%08" PRIx64 ", at 0x%" PRIx64 " (image at 0x%" PRIx64 ")",
             name, (unsigned)frame->vector, frame->syndrome, frame->address,
             (uint64_t)(uintptr_t)image_start);
    if (is_abort(frame)) {
        print_abort(frame);
    }
    print_registers(frame);
    stack_report(frame->stack_pointer);
    if (is_abort(frame) && paging_on_stack_guard(frame->fault_address)) {
        panic("stack overflow at 0x%" PRIx64, frame->address);
    }
    panic("%s at 0x%" PRIx64, name, frame->address);
}
