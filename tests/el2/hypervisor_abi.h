/* SPDX-License-Identifier: MIT */
#ifndef EL2_HYPERVISOR_ABI_H
#define EL2_HYPERVISOR_ABI_H

/*
 * What only ARM64 has of the hypervisor's interface, under the names of the Hyper-V Top-Level
 * Functional Specification; the rest is in hv/tlfs.h. Layouts and numbers only.
 */

#include <stddef.h>
#include <stdint.h>

/* HVC #0, SMC calling convention, vendor-specific hypervisor service. */
#define HV_SMCCC_HYPERCALL  UINT64_C(0x46000001)
#define HV_SMCCC_VENDOR_UID 0x8600FF01u
#define HV_SMCCC_VENDOR_UID_WORDS                                                                  \
    {                                                                                              \
        0x4D32BA58, 0xCD244764, 0x8EEF6C75, 0x16597024                                             \
    }

#define HV_CALL_GET_VP_REGISTERS UINT64_C(0x0050)
#define HV_CALL_SET_VP_REGISTERS UINT64_C(0x0051)

#define HV_PARTITION_SELF (~UINT64_C(0))
#define HV_VP_SELF        0xFFFFFFFEu

#define HV_CALL_INPUT_MAXIMUM 256u

struct hv_vp_registers_header {
    uint64_t partition;
    uint32_t vp;
    uint8_t vtl;
    uint8_t reserved[3];
};
_Static_assert(sizeof(struct hv_vp_registers_header) == 16, "head of the register calls");

struct hv_vp_register_value {
    uint32_t name;
    uint32_t reserved;
    uint64_t reserved_2;
    uint64_t low;
    uint64_t high;
};
_Static_assert(sizeof(struct hv_vp_register_value) == 32, "element of HvCallSetVpRegisters");
_Static_assert(offsetof(struct hv_vp_register_value, low) == 16, "value");

struct hv_signal_event_input {
    uint32_t connection_id;
    uint16_t flag;
    uint16_t reserved;
};
_Static_assert(sizeof(struct hv_signal_event_input) == 8, "input of HvCallSignalEvent");

/* Register names. */
#define HV_ARM64_VERSION         0x00000100u
#define HV_ARM64_PRIVILEGES      0x00000200u
#define HV_ARM64_RECOMMENDATIONS 0x00000201u
#define HV_ARM64_LIMITS          0x00000202u
#define HV_ARM64_HARDWARE        0x00000203u
#define HV_ARM64_CRASH_P0        0x00000210u
#define HV_ARM64_CRASH_CTL       0x00000215u
#define HV_ARM64_GUEST_OS_ID     0x00090002u
#define HV_ARM64_VP_INDEX        0x00090003u
#define HV_ARM64_TIME_REF_COUNT  0x00090004u
#define HV_ARM64_SINT0           0x000A0000u
#define HV_ARM64_SCONTROL        0x000A0010u
#define HV_ARM64_SVERSION        0x000A0011u
#define HV_ARM64_SIEFP           0x000A0012u
#define HV_ARM64_SIMP            0x000A0013u
#define HV_ARM64_EOM             0x000A0014u

#endif
