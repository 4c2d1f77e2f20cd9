/* SPDX-License-Identifier: MIT */
#ifndef HV_HYPERVISOR_H
#define HV_HYPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

/* What discovery decided (TLFS, Feature and Interface Discovery). */
enum hv_presence {
    HV_ABSENT,  /* no hypervisor, or not this interface */
    HV_REFUSED, /* the interface is there but this guest must not use it: hv_presence_reason() */
    HV_WITHOUT_SYNIC, /* hypercalls, clocks and crash registers, but no VMBus */
    HV_PRESENT,
};

/* From the end of INIT_HYPERVISOR to the exit. All here at any IRQL. */
enum hv_presence hv_presence(void);

/* One line that says why it is not HV_PRESENT, a constant text. Empty if it is. */
const char *hv_presence_reason(void);

/* The VP index of this processor, which VMBus messages name. 0 where there is no interface. */
uint32_t hv_vp_index(void);

/* Counters a user can read at run time. */
struct hv_statistics {
    uint64_t messages_received;
    uint64_t messages_dropped; /* not of type 1, or nobody attached */
    uint64_t end_of_messages;  /* EOM writes: one for each message with the pending flag */
    uint64_t interrupts;
    uint64_t posts;
    uint64_t post_retries;
    uint64_t post_failures;
    uint64_t signals;
    uint64_t signal_failures;
};
void hv_statistics(struct hv_statistics *out);

/* Prints identity, version, features, clock: the lines of the boot report. */
void hv_report(void);

#endif
