/* SPDX-License-Identifier: MIT */
/* Segments, task state, interrupt table (Intel SDM volume 3, "Protected-Mode Memory Management",
 * "Interrupt and Exception Handling"). */
#include "arch/x86_64/descriptors.h"

#include <stddef.h>

#include "arch/x86_64/exceptions.h"
#include "arch/x86_64/interrupts.h"

#define SELECTOR_CODE 0x08u
#define SELECTOR_DATA 0x10u
#define SELECTOR_TASK 0x18u

#define SEGMENT_CODE           0x00af9b000000ffffu /* 64 bit, execute and read, accessed */
#define SEGMENT_DATA           0x00cf93000000ffffu
#define TASK_PRESENT_AVAILABLE 0x89u
#define GATE_PRESENT_INTERRUPT 0x8eu

/* Choice: the deepest way through the exception report takes 1.3 KiB (gcc -fstack-usage). */
#define OWN_STACK_SIZE 4096u

struct task_state {
    uint32_t reserved0;
    uint64_t privileged_stacks[3];
    uint64_t reserved1;
    uint64_t own_stacks[7]; /* [0] is number 1 */
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t port_map;
} __attribute__((packed));
_Static_assert(sizeof(struct task_state) == 104, "layout of the 64-bit task state");

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t own_stack;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
_Static_assert(sizeof(struct gate) == 16, "layout of a 64-bit gate");

struct __attribute__((packed)) table_register {
    uint16_t limit;
    uint64_t base;
};

static uint8_t own_stacks[OWN_STACKS - 1][OWN_STACK_SIZE] __attribute__((aligned(16)));
static struct task_state task_state;
static uint64_t segments[5];
static struct gate gates[INTERRUPT_GATES] __attribute__((aligned(16)));

static void set_task_segment(void)
{
    uint64_t base = (uintptr_t)&task_state;

    segments[SELECTOR_TASK / 8] = (sizeof(task_state) - 1) | (base & 0xffffff) << 16 |
                                  (uint64_t)TASK_PRESENT_AVAILABLE << 40 |
                                  (base >> 24 & 0xff) << 56;
    segments[SELECTOR_TASK / 8 + 1] = base >> 32;
}

static void set_gate(unsigned vector, uint64_t entry, enum own_stack own_stack)
{
    gates[vector] = (struct gate){
        .offset_low = (uint16_t)entry,
        .selector = SELECTOR_CODE,
        .own_stack = (uint8_t)own_stack,
        .type = GATE_PRESENT_INTERRUPT,
        .offset_middle = (uint16_t)(entry >> 16),
        .offset_high = (uint32_t)(entry >> 32),
    };
}

static enum own_stack own_stack_of(unsigned vector)
{
    switch (vector) {
    case EXCEPTION_DOUBLE_FAULT:
        return OWN_STACK_DOUBLE_FAULT;
    case EXCEPTION_NON_MASKABLE:
        return OWN_STACK_NON_MASKABLE;
    case EXCEPTION_MACHINE_CHECK:
        return OWN_STACK_MACHINE_CHECK;
    default:
        return OWN_STACK_NONE;
    }
}

static void load(const struct table_register *segment_table,
                 const struct table_register *gate_table)
{
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %2\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "movl %3, %%eax\n\t"
                     "movl %%eax, %%ds\n\t"
                     "movl %%eax, %%es\n\t"
                     "movl %%eax, %%ss\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "movl %%eax, %%fs\n\t"
                     "movl %%eax, %%gs\n\t"
                     "movl %4, %%eax\n\t"
                     "ltr %%ax\n\t"
                     "lidt %1"
                     :
                     : "m"(*segment_table), "m"(*gate_table), "i"(SELECTOR_CODE),
                       "i"(SELECTOR_DATA), "i"(SELECTOR_TASK)
                     : "rax", "memory");
}

void descriptors_load(void)
{
    segments[SELECTOR_CODE / 8] = SEGMENT_CODE;
    segments[SELECTOR_DATA / 8] = SEGMENT_DATA;
    task_state.port_map = sizeof(task_state); /* none */
    for (unsigned i = 0; i < OWN_STACKS - 1; i++) {
        task_state.own_stacks[i] = (uintptr_t)own_stacks[i] + OWN_STACK_SIZE;
    }
    set_task_segment();
    for (unsigned vector = 0; vector < EXCEPTIONS; vector++) {
        set_gate(vector, (uintptr_t)exception_entries + (size_t)vector * EXCEPTION_ENTRY_SIZE,
                 own_stack_of(vector));
    }
    for (unsigned vector = INTERRUPT_VECTORS_BEGIN; vector < INTERRUPT_GATES; vector++) {
        unsigned entry = vector < INTERRUPT_VECTORS_END ? vector : INTERRUPT_VECTOR_FOREIGN;
        set_gate(vector,
                 (uintptr_t)interrupt_entries +
                     (size_t)(entry - INTERRUPT_VECTORS_BEGIN) * INTERRUPT_ENTRY_SIZE,
                 OWN_STACK_NONE);
    }
    const struct table_register segment_table = {sizeof(segments) - 1, (uintptr_t)segments};
    const struct table_register gate_table = {sizeof(gates) - 1, (uintptr_t)gates};
    load(&segment_table, &gate_table);
}
