/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_MONITOR_PAGE_H
#define VMBUS_MONITOR_PAGE_H

/*
 * A monitor page: signals that the hypervisor collects at intervals, instead of one hypercall each.
 * A channel's monitor id m means bit m % 32 of group m / 32. A guest gives the host two such pages,
 * and sets bits in the one that goes from child to parent.
 *
 * Sources: Linux include/linux/hyperv.h, OpenVMM vmbus_server monitor.rs.
 */

#include <stdint.h>

#define VMBUS_MONITOR_GROUPS     4u
#define VMBUS_MONITOR_GROUP_SIZE 32u
#define VMBUS_MONITOR_ID_END     (VMBUS_MONITOR_GROUPS * VMBUS_MONITOR_GROUP_SIZE)

struct vmbus_monitor_group {
    _Atomic uint32_t pending; /* set by the sender, cleared by the receiver */
    uint32_t armed;
};

struct vmbus_monitor_parameter {
    uint32_t connection_id;
    uint16_t flag_number;
    uint16_t reserved;
};

struct vmbus_monitor_page {
    uint32_t trigger_state; /* bits 0 to 3 enable the groups */
    uint32_t reserved_4;
    struct vmbus_monitor_group group[VMBUS_MONITOR_GROUPS];
    uint8_t reserved_40[24];
    int32_t next_check[VMBUS_MONITOR_GROUPS][VMBUS_MONITOR_GROUP_SIZE];
    _Atomic uint16_t latency[VMBUS_MONITOR_GROUPS][VMBUS_MONITOR_GROUP_SIZE]; /* 100 ns units */
    uint8_t reserved_832[256];
    struct vmbus_monitor_parameter parameter[VMBUS_MONITOR_GROUPS][VMBUS_MONITOR_GROUP_SIZE];
    uint8_t reserved_2112[1984];
};
_Static_assert(sizeof(_Atomic uint32_t) == 4, "an atomic word has no lock beside it");
_Static_assert(sizeof(_Atomic uint16_t) == 2, "an atomic half-word has no lock beside it");
_Static_assert(sizeof(struct vmbus_monitor_page) == 4096, "monitor page");
_Static_assert(__builtin_offsetof(struct vmbus_monitor_page, group) == 8, "monitor page");
_Static_assert(__builtin_offsetof(struct vmbus_monitor_page, next_check) == 64, "monitor page");
_Static_assert(__builtin_offsetof(struct vmbus_monitor_page, latency) == 576, "monitor page");
_Static_assert(__builtin_offsetof(struct vmbus_monitor_page, parameter) == 1088, "monitor page");

#endif
