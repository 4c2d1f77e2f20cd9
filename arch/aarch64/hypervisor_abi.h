/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_HYPERVISOR_ABI_H
#define ARCH_AARCH64_HYPERVISOR_ABI_H

/*
 * What only ARM64 has of the hypervisor's interface, under the names of the Hyper-V Top-Level
 * Functional Specification; the rest is in hv/tlfs.h. Layouts and numbers only, for both ends.
 */

#include <stddef.h>
#include <stdint.h>

/* ---- calls ---- */

/* HVC #0, Arm DEN 0028: a call of the vendor's hypervisor service, and the identity of that. */
#define HV_SMCCC_HYPERCALL  UINT64_C(0x46000001)
#define HV_SMCCC_VENDOR_UID 0x8600FF01u
#define HV_SMCCC_VENDOR_UID_WORDS                                                                  \
    {                                                                                              \
        0x4D32BA58, 0xCD244764, 0x8EEF6C75, 0x16597024                                             \
    }

/*
 * Where the value of one register comes back from a fast call: by HVC #0 in the pair behind the
 * input (Linux arch/arm64/hyperv, OpenVMM), by HVC #1 in the last pair (mu_msvm, OpenVMM).
 */
#define HV_SMCCC_VALUE 6u
#define HV_PLAIN_VALUE 15u

#define HV_CALL_GET_VP_REGISTERS UINT64_C(0x0050)
#define HV_CALL_SET_VP_REGISTERS UINT64_C(0x0051)
#define HV_CALL_ONE_ELEMENT      (UINT64_C(1) << 32)

#define HV_PARTITION_SELF (~UINT64_C(0))
#define HV_VP_SELF        0xFFFFFFFEu

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

/* ---- names of registers ---- */

#define HV_ARM64_VERSION         0x00000100u
#define HV_ARM64_PRIVILEGES      0x00000200u /* and features */
#define HV_ARM64_RECOMMENDATIONS 0x00000201u
#define HV_ARM64_LIMITS          0x00000202u
#define HV_ARM64_HARDWARE        0x00000203u
#define HV_ARM64_CRASH_P0        0x00000210u /* to P4 */
#define HV_ARM64_CRASH_CTL       0x00000215u
#define HV_ARM64_TSC_FREQUENCY   0x00000240u
#define HV_ARM64_APIC_FREQUENCY  0x00000241u
#define HV_ARM64_GUEST_OS_ID     0x00090002u
#define HV_ARM64_VP_INDEX        0x00090003u
#define HV_ARM64_TIME_REF_COUNT  0x00090004u
#define HV_ARM64_VP_ASSIST_PAGE  0x00090013u
#define HV_ARM64_REFERENCE_TSC   0x00090017u
#define HV_ARM64_SINT0           0x000A0000u /* to SINT15 */
#define HV_ARM64_SCONTROL        0x000A0010u
#define HV_ARM64_SVERSION        0x000A0011u
#define HV_ARM64_SIEFP           0x000A0012u
#define HV_ARM64_SIMP            0x000A0013u
#define HV_ARM64_EOM             0x000A0014u
#define HV_ARM64_STIMER0_CONFIG  0x000B0000u /* and the count behind it, for each of four */

#endif
