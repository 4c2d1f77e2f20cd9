/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_INSTRUCTIONS_H
#define ARCH_AARCH64_INSTRUCTIONS_H

#include <stdint.h>

/* Instructions that C has no words for. Nothing here knows what it is used for. */

#define SYSTEM_REGISTER_READ(function, name)                                                       \
    static inline uint64_t function(void)                                                          \
    {                                                                                              \
        uint64_t value;                                                                            \
                                                                                                   \
        __asm__ volatile("mrs %0, " name : "=r"(value) : : "memory");                              \
        return value;                                                                              \
    }

/* What comes behind it sees the new value. */
#define SYSTEM_REGISTER_WRITE(function, name)                                                      \
    static inline void function(uint64_t value)                                                    \
    {                                                                                              \
        __asm__ volatile("msr " name ", %0; isb" : : "r"(value) : "memory");                       \
    }

SYSTEM_REGISTER_READ(processor_affinity_read, "mpidr_el1")
#define PROCESSOR_AFFINITY_MASK UINT64_C(0xff00ffffff)
SYSTEM_REGISTER_READ(current_level_read, "currentel")
SYSTEM_REGISTER_READ(thread_pointer_read, "tpidr_el1")
SYSTEM_REGISTER_WRITE(thread_pointer_write, "tpidr_el1")
SYSTEM_REGISTER_WRITE(library_thread_pointer_write, "tpidr_el0")
SYSTEM_REGISTER_WRITE(vector_base_write, "vbar_el1")
SYSTEM_REGISTER_READ(translation_control_read, "tcr_el1")
SYSTEM_REGISTER_READ(translation_base_read, "ttbr0_el1")
SYSTEM_REGISTER_READ(system_control_read, "sctlr_el1")
SYSTEM_REGISTER_READ(memory_features_read, "id_aa64mmfr0_el1")
SYSTEM_REGISTER_READ(counter_frequency_read, "cntfrq_el0")
SYSTEM_REGISTER_WRITE(timer_control_write, "cntv_ctl_el0")
SYSTEM_REGISTER_WRITE(timer_deadline_write, "cntv_cval_el0")

/* The interrupt controller's processor interface, by names that every assembler knows. */
SYSTEM_REGISTER_READ(interrupt_acknowledge_read, "s3_0_c12_c12_0")         /* ICC_IAR1_EL1 */
SYSTEM_REGISTER_WRITE(interrupt_end_write, "s3_0_c12_c12_1")               /* ICC_EOIR1_EL1 */
SYSTEM_REGISTER_WRITE(interrupt_priority_mask_write, "s3_0_c4_c6_0")       /* ICC_PMR_EL1 */
SYSTEM_REGISTER_WRITE(interrupt_binary_point_write, "s3_0_c12_c12_3")      /* ICC_BPR1_EL1 */
SYSTEM_REGISTER_WRITE(interrupt_interface_control_write, "s3_0_c12_c12_4") /* ICC_CTLR_EL1 */
SYSTEM_REGISTER_READ(interrupt_interface_enable_read, "s3_0_c12_c12_5")    /* ICC_SRE_EL1 */
SYSTEM_REGISTER_WRITE(interrupt_interface_enable_write, "s3_0_c12_c12_5")
SYSTEM_REGISTER_WRITE(interrupt_group_enable_write, "s3_0_c12_c12_7") /* ICC_IGRPEN1_EL1 */

/* From here on a system error (SError) is an exception, also one that came before. */
static inline void system_errors_enable(void)
{
    __asm__ volatile("msr daifclr, #4" : : : "memory");
}

/* The virtual counter, not before all that stands ahead of it (Arm ARM, "Counter accesses"). */
static inline uint64_t counter_read(void)
{
    uint64_t value;

    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(value) : : "memory");
    return value;
}

/* Device registers: one plain access each, which every monitor can emulate. */
static inline uint32_t device_read32(uint64_t address)
{
    uint32_t value;

    __asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void device_write32(uint64_t address, uint32_t value)
{
    __asm__ volatile("str %w0, [%1]" : : "r"(value), "r"(address) : "memory");
}

static inline uint64_t device_read64(uint64_t address)
{
    uint64_t value;

    __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void device_write8(uint64_t address, uint8_t value)
{
    __asm__ volatile("strb %w0, [%1]" : : "r"(value), "r"(address) : "memory");
}

/* All stores and loads ahead are done, for every observer and the processor itself. */
static inline void barrier_all(void)
{
    __asm__ volatile("dsb sy; isb" : : : "memory");
}

#endif
