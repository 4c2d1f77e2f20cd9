/* SPDX-License-Identifier: MIT */
/* Exceptions end the guest: nothing here causes one on purpose. This prints what it takes to find
 * the cause. */
#include "arch/x86_64/exceptions.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#include "arch/page_map.h"
#include "arch/stack_report.h"
#include "arch/x86_64/instructions.h"
#include "kernel/log.h"
#include "kernel/panic.h"

#define PAGE_FAULT_PRESENT  0x01u
#define PAGE_FAULT_WRITE    0x02u
#define PAGE_FAULT_RESERVED 0x08u
#define PAGE_FAULT_FETCH    0x10u

/* Intel SDM volume 3, "Exception and Interrupt Reference"; 28 to 30 are AMD's. */
static const char *const names[EXCEPTIONS] = {
    [0] = "divide error",
    [1] = "debug exception",
    [2] = "non-maskable interrupt",
    [3] = "breakpoint",
    [4] = "overflow",
    [5] = "bound range exceeded",
    [6] = "invalid opcode",
    [7] = "device not available",
    [8] = "double fault",
    [10] = "invalid task state",
    [11] = "segment not present",
    [12] = "stack segment fault",
    [13] = "general protection fault",
    [14] = "page fault",
    [16] = "x87 floating-point error",
    [17] = "alignment check",
    [18] = "machine check",
    [19] = "SIMD floating-point error",
    [20] = "virtualization exception",
    [21] = "control protection exception",
    [28] = "hypervisor injection exception",
    [29] = "VMM communication exception",
    [30] = "security exception",
};

static const char *name_of(uint64_t vector)
{
    return vector < EXCEPTIONS && names[vector] != NULL ? names[vector] : "reserved exception";
}

static void print_page_fault(const struct exception_frame *frame, uint64_t address)
{
    uint64_t code = frame->error_code;
    const char *access = (code & PAGE_FAULT_FETCH) != 0   ? "execution"
                         : (code & PAGE_FAULT_WRITE) != 0 ? "write"
                                                          : "read";
    const char *why = (code & PAGE_FAULT_RESERVED) != 0  ? "a reserved bit is set in its page table"
                      : (code & PAGE_FAULT_PRESENT) != 0 ? "the page does not allow it"
                                                         : "no page is there";

    log_info("exception", "%s at 0x%016" PRIx64 ": %s%s", access, address, why,
             address < PAGING_NULL_END ? " (null pointer)" : "");
}

static void print_registers(const struct exception_frame *f)
{
    log_info("exception",
             "rip %016" PRIx64 " rsp %016" PRIx64 " rflags %08" PRIx64 " cs %02" PRIx64
             " ss %02" PRIx64,
             f->rip, f->rsp, f->rflags, f->cs, f->ss);
    log_info("exception",
             "rax %016" PRIx64 " rbx %016" PRIx64 " rcx %016" PRIx64 " rdx %016" PRIx64, f->rax,
             f->rbx, f->rcx, f->rdx);
    log_info("exception",
             "rsi %016" PRIx64 " rdi %016" PRIx64 " rbp %016" PRIx64 " r8  %016" PRIx64, f->rsi,
             f->rdi, f->rbp, f->r8);
    log_info("exception",
             "r9  %016" PRIx64 " r10 %016" PRIx64 " r11 %016" PRIx64 " r12 %016" PRIx64, f->r9,
             f->r10, f->r11, f->r12);
    log_info("exception",
             "r13 %016" PRIx64 " r14 %016" PRIx64 " r15 %016" PRIx64 " cr2 %016" PRIx64, f->r13,
             f->r14, f->r15, control2_read());
    log_info("exception", "cr0 %08" PRIx64 " cr3 %016" PRIx64, control0_read(), control3_read());
}

_Noreturn void exception_report(const struct exception_frame *frame)
{
    static bool reporting;
    uint64_t fault_address = control2_read();
    const char *name = name_of(frame->vector);

    if (reporting) {
        panic("%s at 0x%" PRIx64 " while an exception was being reported", name, frame->rip);
    }
    reporting = true;
    log_info("exception", "%s (%u), error code 0x%" PRIx64 ", at 0x%" PRIx64, name,
             (unsigned)frame->vector, frame->error_code, frame->rip);
    if (frame->vector == EXCEPTION_PAGE_FAULT) {
        print_page_fault(frame, fault_address);
    }
    print_registers(frame);
    stack_report(frame->rsp);
    if (frame->vector == EXCEPTION_DOUBLE_FAULT && paging_on_stack_guard(fault_address)) {
        panic("stack overflow at 0x%" PRIx64, frame->rip);
    }
    panic("%s at 0x%" PRIx64, name, frame->rip);
}
