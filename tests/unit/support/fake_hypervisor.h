/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FAKE_HYPERVISOR_H
#define TESTS_FAKE_HYPERVISOR_H

/*
 * A hypervisor for tests of hv/, at the seam of arch/hypervisor.h: registers that remember, timers
 * and interrupts that come when a test lets time pass, and a host that queues messages and follows
 * the slot's protocol.
 */

#include <stdbool.h>
#include <stdint.h>

#include "arch/hypervisor.h"
#include "hv/hypercall.h"
#include "hv/tlfs.h"

#define FAKE_LOG_LENGTH   512u
#define FAKE_VECTOR_FIRST 0x30u
#define FAKE_VECTORS      8u
#define FAKE_QUEUE_LENGTH 128u

struct fake_register_write {
    enum hv_register name;
    uint64_t value;
};

struct fake_hypervisor {
    struct arch_hypervisor words;

    uint64_t registers[HV_REGISTER_COUNT];
    void (*on_write)(enum hv_register name); /* after each write that was taken */
    struct fake_register_write
        log[FAKE_LOG_LENGTH]; /* writes in order; the last entries are lost */
    unsigned log_count;

    /* Hypercalls. */
    const char *hypercall_failure; /* arch_hypercall_enable() fails with this */
    hv_status statuses[8];         /* what the next calls answer, then success */
    unsigned statuses_count;
    void (*on_hypercall)(void); /* before a call is answered */
    unsigned hypercalls;
    uint64_t last_control, last_input, last_output;
    struct hv_post_message_input last_post; /* copy of the input of the last HvCallPostMessage */

    /* Reference time is test_time(), and goes on by one with each read of the counter register.
     */
    uint64_t counter; /* what arch_reference_counter() reads */
    void (*on_counter_read)(void);
    uint64_t handed_counter_frequency, handed_timer_frequency;

    /* Interrupts. */
    struct {
        void (*handler)(void *context);
        void *context;
        bool pending;
        unsigned raised;
    } vectors[FAKE_VECTORS];
    unsigned vectors_available;

    /* Messages the host wants to deliver to a SINT, oldest first. */
    struct {
        uint32_t sint;
        uint32_t type;
        uint8_t size;
        uint8_t payload[240];
    } queue[FAKE_QUEUE_LENGTH];
    unsigned queue_count;
    unsigned end_of_messages;

    bool refuses[HV_REGISTER_COUNT]; /* writes of these do nothing */
    bool strict;                     /* access to what discovery does not announce fails the test */
    bool hypercalls_enabled;
    bool time_stands_still; /* the counter register does not go on */
    bool endless;           /* every message that is delivered is queued again */
};

extern struct fake_hypervisor fake;

/* A hypervisor like a current one, with everything on offer; nothing of the last test is left. */
void fake_hypervisor_reset(void);

/* The host sends a message, or as much of it as the slot's protocol allows now. */
void fake_host_send(uint32_t sint, uint32_t type, const void *payload, uint8_t size);

/* The host sets a flag of SINT 2, with an interrupt if it was clear. */
void fake_host_set_flag(uint32_t flag);

/* Runs the handlers of pending interrupts, if interrupts are on. Returns whether there was one. */
bool fake_interrupts_deliver(void);

/* The same for one pending interrupt. */
bool fake_interrupt_deliver_one(void);

/* One step of the world for a processor that waits: pending interrupts, else time goes on to the
 * next timer. False: nothing will ever happen. */
bool fake_hypervisor_step(void);

/* Lets time pass, with everything that happens in it. */
void fake_time_pass(uint64_t delay);

/* The slots and flags as the host sees them; NULL while the page is off. */
struct hv_message_slot *fake_slot(uint32_t sint);
_Atomic uint64_t *fake_flags(uint32_t sint);

/* How many writes of the log name this register; the place of the first one at or behind `from`, or
 * -1. */
unsigned fake_writes(enum hv_register name);
int fake_write_at(enum hv_register name, unsigned from);

#endif
