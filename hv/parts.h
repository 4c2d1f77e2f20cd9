/* SPDX-License-Identifier: MIT */
#ifndef HV_PARTS_H
#define HV_PARTS_H

/*
 * What the files of this folder know of each other. Each part is started once, in the order of
 * hv/hypervisor.c, and stopped in the reverse order. All at IRQL_PASSIVE unless said otherwise.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/hypervisor.h"
#include "hv/tlfs.h"

/* What this layer keeps for one processor; its pages belong to that processor alone. */
struct hv_processor {
    uint32_t vp_index;
    struct hv_post_message_input *post_input; /* NULL while hypercalls are off */
    struct hv_message_page *messages;         /* NULL while the SynIC is off */
    struct hv_event_flags_page *events;
};

/* Of the processor this runs on. Any IRQL. */
struct hv_processor *hv_this_processor(void);

/* The discovery words, as read once at start. Any IRQL. */
const struct arch_hypervisor *hv_words(void);
static inline bool hv_has_privilege(uint64_t bits)
{
    return (hv_words()->privileges & bits) == bits;
}
static inline bool hv_has_feature(uint64_t bits)
{
    return (hv_words()->features & bits) == bits;
}

/*
 * All of this layer, once a boot: two init entries, the first of which takes what somebody left in
 * use off memory that is not used yet, and an exit hook that runs after those of the layers above.
 */
void hv_look(void);
void hv_start(void);
void hv_stop(void);

/* Counters of struct hv_statistics; counted at every IRQL. */
struct hv_counters {
    _Atomic uint64_t messages_received;
    _Atomic uint64_t messages_dropped;
    _Atomic uint64_t end_of_messages;
    _Atomic uint64_t interrupts;
    _Atomic uint64_t posts;
    _Atomic uint64_t post_retries;
    _Atomic uint64_t post_failures;
    _Atomic uint64_t signals;
    _Atomic uint64_t signal_failures;
};
extern struct hv_counters hv_counters;
static inline void hv_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/*
 * Registers that hold a page of ours (hv/hypervisor.c). enable() keeps the reserved bits; false:
 * the hypervisor did not take the page, and the register is off again. disable() returns whether
 * it was on. At or below DISPATCH.
 */
bool hv_page_register_enable(enum hv_register name, const void *page);
bool hv_page_register_disable(enum hv_register name);

/* Hypercalls (hv/hypercall.c). False: no page for their input. */
bool hv_hypercalls_start(struct hv_processor *processor);
void hv_hypercalls_stop(struct hv_processor *processor);

/*
 * The SynIC of this processor (hv/synic.c). False, with `why` a constant text: it could not be
 * brought up, and nothing of it is left behind.
 */
bool hv_synic_start(struct hv_processor *processor, const char **why);
void hv_synic_stop(struct hv_processor *processor);

/* A second SINT, for timers that tell of their expiry by a message: `expired` is called for each,
 * at IRQL_DEVICE. False: no vector. */
#define HV_SYNIC_SINT_TIMER 5u /* the first that is free by convention */
bool hv_synic_timer_start(struct hv_processor *processor, void (*expired)(void));
void hv_synic_timer_stop(struct hv_processor *processor);

/* Reference time (hv/clocks.c): 100 ns units since the partition was created. */
void hv_clocks_start(void);
void hv_clocks_stop(void);
bool hv_reference_time_available(void);
uint64_t hv_reference_time(void); /* any IRQL; only if available */

/* Synthetic timer 0 of this processor as the kernel's alarm (hv/stimer.c). Needs the SynIC and
 * reference time. */
void hv_stimer_start(struct hv_processor *processor);
void hv_stimer_stop(struct hv_processor *processor);

/* Crash report (hv/crash.c): nothing to stop, a panic may still come. */
void hv_crash_start(void);

/* Who this guest says it is. */
#define HV_GUEST_OS_ID_TYPE    UINT64_C(0x42) /* of open-source systems; no published list has it */
#define HV_GUEST_OS_ID_VERSION UINT64_C(0x000100) /* 0.1.0 */
#define HV_GUEST_OS_ID                                                                             \
    ((UINT64_C(1) << 63) | (HV_GUEST_OS_ID_TYPE << 56) | (HV_GUEST_OS_ID_VERSION << 16))

#endif
