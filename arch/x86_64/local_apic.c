/* SPDX-License-Identifier: MIT */
/*
 * The local APIC (Intel SDM volume 3, "Advanced Programmable Interrupt Controller"), in the mode
 * firmware left it in: registers in memory (xAPIC) or model-specific registers (x2APIC). Going back
 * from x2APIC is not possible without a reset.
 */
#include "arch/x86_64/local_apic.h"

#include "arch/page_map.h"
#include "arch/start.h"
#include "arch/x86_64/instructions.h"
#include "arch/x86_64/interrupts.h"
#include "kernel/pages.h"
#include "kernel/panic.h"

#define MSR_APIC_BASE     0x1bu
#define APIC_BASE_X2APIC  (UINT64_C(1) << 10)
#define APIC_BASE_ENABLE  (UINT64_C(1) << 11)
#define APIC_BASE_ADDRESS UINT64_C(0x000ffffffffff000)
#define MSR_X2APIC        0x800u

#define CPUID_FEATURES          1u
#define CPUID_FEATURES_EDX_APIC (1u << 9)

/* Offsets in memory; a model-specific register's number is MSR_X2APIC + offset / 16. */
enum apic_register {
    APIC_VERSION = 0x030,
    APIC_TASK_PRIORITY = 0x080,
    APIC_END_OF_INTERRUPT = 0x0b0,
    APIC_SPURIOUS = 0x0f0,
    APIC_IN_SERVICE = 0x100, /* 8 words */
    APIC_LOCAL_TIMER = 0x320,
    APIC_LOCAL_THERMAL = 0x330,
    APIC_LOCAL_COUNTERS = 0x340,
    APIC_LOCAL_PIN0 = 0x350,
    APIC_LOCAL_PIN1 = 0x360,
    APIC_LOCAL_ERROR = 0x370,
    APIC_TIMER_START = 0x380,
    APIC_TIMER_LEFT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};

#define SPURIOUS_APIC_ENABLE  0x100u
#define LOCAL_MASKED          0x10000u
#define LOCAL_NMI             0x400u
#define TIMER_DIVIDE_16       0x3u
#define VERSION_LAST_LOCAL(v) ((v) >> 16 & 0xff)

/* The old controllers' ports. They may raise interrupts through pin 0 with vectors that are
 * exceptions here. */
#define PIC_MASTER_DATA 0x21u
#define PIC_SLAVE_DATA  0xa1u
#define PIC_ALL_MASKED  0xffu

static bool present;
static bool uses_registers; /* x2APIC */
static uint64_t base;

static uint32_t apic_read(enum apic_register name)
{
    return uses_registers ? (uint32_t)msr_read(MSR_X2APIC + name / 16) : device_read32(base + name);
}

static void apic_write(enum apic_register name, uint32_t value)
{
    if (uses_registers) {
        msr_write(MSR_X2APIC + name / 16, value);
    } else {
        device_write32(base + name, value);
    }
}

bool local_apic_present(void)
{
    return present;
}

void local_apic_end_of_interrupt(void)
{
    apic_write(APIC_END_OF_INTERRUPT, 0);
}

static void mask_local_sources(void)
{
    uint32_t last = VERSION_LAST_LOCAL(apic_read(APIC_VERSION));

    apic_write(APIC_LOCAL_TIMER, LOCAL_MASKED);
    apic_write(APIC_LOCAL_PIN0, LOCAL_MASKED);
    apic_write(APIC_LOCAL_PIN1, LOCAL_NMI);
    apic_write(APIC_LOCAL_ERROR, LOCAL_MASKED);
    if (last >= 4) {
        apic_write(APIC_LOCAL_COUNTERS, LOCAL_MASKED);
    }
    if (last >= 5) {
        apic_write(APIC_LOCAL_THERMAL, LOCAL_MASKED);
    }
}

/* An interrupt that was taken before this guest ran, and never ended, would hold back all others of
 * its priority and below. */
static void end_what_is_in_service(void)
{
    for (unsigned word = 0; word < 8; word++) {
        enum apic_register name = APIC_IN_SERVICE + word * 16;
        for (unsigned i = 0; i < 32 && apic_read(name) != 0; i++) {
            local_apic_end_of_interrupt();
        }
    }
}

void arch_initialise_interrupts(void)
{
    port_write8(PIC_MASTER_DATA, PIC_ALL_MASKED);
    port_write8(PIC_SLAVE_DATA, PIC_ALL_MASKED);
    if ((cpuid(CPUID_FEATURES, 0).edx & CPUID_FEATURES_EDX_APIC) == 0) {
        return;
    }
    uint64_t where = msr_read(MSR_APIC_BASE);
    if ((where & APIC_BASE_ENABLE) == 0) {
        where |= APIC_BASE_ENABLE;
        msr_write(MSR_APIC_BASE, where);
    }
    uses_registers = (where & APIC_BASE_X2APIC) != 0;
    base = where & APIC_BASE_ADDRESS;
    if (!uses_registers && !paging_map_device(base, PAGE_SIZE)) {
        panic("no memory to map the local APIC");
    }
    present = true;
    mask_local_sources();
    apic_write(APIC_TASK_PRIORITY, 0);
    apic_write(APIC_SPURIOUS, SPURIOUS_APIC_ENABLE | INTERRUPT_VECTOR_SPURIOUS);
    end_what_is_in_service();
}

void local_apic_timer_enable(uint32_t vector)
{
    apic_write(APIC_TIMER_DIVIDE, TIMER_DIVIDE_16);
    apic_write(APIC_LOCAL_TIMER, vector); /* one shot */
}

void local_apic_timer_start(uint32_t ticks)
{
    apic_write(APIC_TIMER_START, ticks);
}

uint32_t local_apic_timer_left(void)
{
    return apic_read(APIC_TIMER_LEFT);
}
