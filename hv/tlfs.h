/* SPDX-License-Identifier: MIT */
#ifndef HV_TLFS_H
#define HV_TLFS_H

/*
 * Layouts and bits of the hypervisor's interface, the same on every architecture, under the names
 * of the Hyper-V Top-Level Functional Specification (TLFS). Nothing but layouts.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* ---- privileges and features, in the numbering of the PrivilegesAndFeatures register ---- */

#define HV_PRIVILEGE_TIME_REF_COUNT (UINT64_C(1) << 1)
#define HV_PRIVILEGE_SYNIC          (UINT64_C(1) << 2)
#define HV_PRIVILEGE_STIMER         (UINT64_C(1) << 3)
#define HV_PRIVILEGE_APIC_ASSIST    (UINT64_C(1) << 4) /* and the VP assist page */
#define HV_PRIVILEGE_HYPERCALL      (UINT64_C(1) << 5)
#define HV_PRIVILEGE_VP_INDEX       (UINT64_C(1) << 6)
#define HV_PRIVILEGE_REFERENCE_TSC  (UINT64_C(1) << 9)
#define HV_PRIVILEGE_FREQUENCIES    (UINT64_C(1) << 11)
#define HV_PRIVILEGE_POST_MESSAGES  (UINT64_C(1) << 36)
#define HV_PRIVILEGE_SIGNAL_EVENTS  (UINT64_C(1) << 37)
#define HV_PRIVILEGE_CPU_MANAGEMENT (UINT64_C(1) << 44)
#define HV_PRIVILEGE_ISOLATION      (UINT64_C(1) << 54)

/* Bit n here is bit 64 + n there. */
#define HV_FEATURE_FREQUENCIES   (UINT64_C(1) << 6)
#define HV_FEATURE_CRASH         (UINT64_C(1) << 8)
#define HV_FEATURE_DIRECT_STIMER (UINT64_C(1) << 13)

/* ---- registers that hold a page: overlay pages and switches ---- */

#define HV_PAGE_REGISTER_ENABLE   UINT64_C(1)
#define HV_PAGE_REGISTER_RESERVED UINT64_C(0xFFE) /* read and written back */

#define HV_SCONTROL_ENABLE UINT64_C(1)

/* ---- SINT ---- */

#define HV_SINT_COUNT       16u
#define HV_SINT_VECTOR_MASK UINT64_C(0xFF)
#define HV_SINT_MASKED      (UINT64_C(1) << 16) /* alone: the value after reset */
#define HV_SINT_AUTO_EOI    (UINT64_C(1) << 17)
#define HV_SINT_POLLING     (UINT64_C(1) << 18)

/* ---- messages: one page a virtual processor, one slot a SINT ---- */

#define HV_MESSAGE_TYPE_NONE          0u
#define HV_MESSAGE_TYPE_TIMER_EXPIRED 0x80000010u
#define HV_MESSAGE_FLAG_PENDING       1u /* another message waits behind this one */

struct hv_message_slot {
    _Atomic uint32_t type; /* 0: the slot is free */
    _Atomic uint8_t payload_size;
    _Atomic uint8_t flags;
    uint16_t reserved;
    uint64_t origin;
    uint8_t payload[240];
};
_Static_assert(sizeof(struct hv_message_slot) == 256, "a slot");
_Static_assert(offsetof(struct hv_message_slot, payload_size) == 4, "size of the payload");
_Static_assert(offsetof(struct hv_message_slot, flags) == 5, "flags");
_Static_assert(offsetof(struct hv_message_slot, origin) == 8, "origin");
_Static_assert(offsetof(struct hv_message_slot, payload) == 16, "payload");

struct hv_message_page {
    struct hv_message_slot slots[HV_SINT_COUNT];
};
_Static_assert(sizeof(struct hv_message_page) == 4096, "a page");

/* ---- event flags: one page a virtual processor, 2048 flags a SINT; flag f is bit f % 64 of word f
 * / 64 ---- */

#define HV_EVENT_FLAG_WORDS 32u

struct hv_event_flags_page {
    _Atomic uint64_t words[HV_SINT_COUNT][HV_EVENT_FLAG_WORDS];
};
_Static_assert(sizeof(struct hv_event_flags_page) == 4096, "a page");

/* ---- hypercalls ---- */

#define HV_CALL_POST_MESSAGE UINT64_C(0x005C)
#define HV_CALL_SIGNAL_EVENT UINT64_C(0x005D)
#define HV_CALL_FAST         (UINT64_C(1) << 16) /* input in registers */
#define HV_RESULT_STATUS     UINT64_C(0xFFFF)    /* the rest of the result is not for us */

struct hv_post_message_input {
    uint32_t connection_id;
    uint32_t reserved;
    uint32_t message_type;
    uint32_t payload_size;
    uint8_t payload[240];
};
_Static_assert(sizeof(struct hv_post_message_input) == 256, "input of HvCallPostMessage");
_Static_assert(offsetof(struct hv_post_message_input, message_type) == 8, "message type");
_Static_assert(offsetof(struct hv_post_message_input, payload_size) == 12, "size of the payload");
_Static_assert(offsetof(struct hv_post_message_input, payload) == 16, "payload");

/* ---- reference time ---- */

struct hv_reference_tsc_page {
    _Atomic uint32_t sequence; /* 0: not valid now */
    uint32_t reserved;
    _Atomic uint64_t scale;  /* 100 ns units a tick, times 2^64 */
    _Atomic uint64_t offset; /* 100 ns units, two's complement */
};
_Static_assert(sizeof(struct hv_reference_tsc_page) == 24, "what is used of the page");
_Static_assert(offsetof(struct hv_reference_tsc_page, scale) == 8, "scale");
_Static_assert(offsetof(struct hv_reference_tsc_page, offset) == 16, "offset");

/* ---- synthetic timers ---- */

#define HV_STIMER_COUNT        4u
#define HV_STIMER_AUTO_ENABLE  (UINT64_C(1) << 3)
#define HV_STIMER_VECTOR_SHIFT 4
#define HV_STIMER_DIRECT       (UINT64_C(1) << 12)
#define HV_STIMER_SINT_SHIFT   16

/* ---- crash report ---- */

#define HV_CRASH_NOTIFY  (UINT64_C(1) << 63)
#define HV_CRASH_MESSAGE (UINT64_C(1) << 62) /* P3: address of the text, P4: its length */
#define HV_CRASH_NO_DUMP (UINT64_C(1) << 61)

#endif
