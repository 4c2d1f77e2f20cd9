/* SPDX-License-Identifier: MIT */
#include "tests/el2/gic.h"

#include "tests/el2/instructions.h"
#include "tests/el2/machine.h"
#include "tests/el2/semihosting.h"

/* Arm GIC architecture specification (IHI 0069), the redistributor's two frames of 64 KiB. */
#define GICR_WAKER            0x0014
#define GICR_WAKER_SLEEP      (1u << 1)
#define GICR_WAKER_ASLEEP     (1u << 2)
#define GICR_PRIVATE          0x10000
#define GICR_GROUP            (GICR_PRIVATE + 0x0080)
#define GICR_ENABLE           (GICR_PRIVATE + 0x0100)
#define GICR_SET_PENDING      (GICR_PRIVATE + 0x0200)
#define GICR_CLEAR_PENDING    (GICR_PRIVATE + 0x0280)
#define GICR_PRIORITY         (GICR_PRIVATE + 0x0400)
#define GICD_CONTROL          (VIRT_GICD + 0x0000)
#define GICD_CONTROL_GROUP0   (1u << 0)
#define GICD_CONTROL_GROUP1   (1u << 1)
#define GICD_CONTROL_AFFINITY (1u << 4)

#define ISR_INTERRUPT UINT64_C(0x80)

#define TIMER_ON  UINT64_C(1)
#define TIMER_OFF UINT64_C(2) /* and its interrupt masked */

#define PRIORITY_HIGHEST 0u
#define PRIORITY_LOWEST  0xffu

/* Choice: any that the host's own processor has no other use for. */
#define WAKE_INTERRUPT 16u

/* Choice: QEMU's wakes up at once. */
#define WAKE_READS 1000u

static uint64_t redistributor(uint32_t processor)
{
    return VIRT_GICR + (uint64_t)processor * GICR_FRAME_SIZE;
}

void gic_raise(uint32_t processor, uint32_t interrupt)
{
    /* What the guest is to find when it is interrupted is there before the interrupt. */
    barrier_all();
    device_write32(redistributor(processor) + GICR_SET_PENDING, 1u << interrupt);
}

bool gic_is_pending(void)
{
    return (pending_interrupts_read() & ISR_INTERRUPT) != 0;
}

/* Whether the guest has set up what takes an interrupt to this processor. */
static bool can_interrupt(void)
{
    return interrupt_group_enable_read() != 0 &&
           (device_read32(GICD_CONTROL) & GICD_CONTROL_GROUP1) != 0;
}

void gic_prepare_guest_processor(void)
{
    /* With HCR_EL2.FMO set the guest has a priority mask of its own, and this one counts. */
    interrupt_priority_mask_write(PRIORITY_LOWEST);
    interrupt_group0_enable_write(1);
}

void gic_claim_timer(uint32_t processor)
{
    const uint64_t registers = redistributor(processor);

    device_write32(registers + GICR_GROUP,
                   device_read32(registers + GICR_GROUP) & ~(1u << VIRT_TIMER_EL2));
    device_write8(registers + GICR_PRIORITY + VIRT_TIMER_EL2, PRIORITY_HIGHEST);
    device_write32(registers + GICR_ENABLE, 1u << VIRT_TIMER_EL2);
    device_write32(GICD_CONTROL, device_read32(GICD_CONTROL) | GICD_CONTROL_GROUP0);
    barrier_all();
}

void gic_timer_arm(uint64_t deadline)
{
    host_timer_deadline_write(deadline);
    host_timer_control_write(deadline != UINT64_MAX ? TIMER_ON : TIMER_OFF);
}

void gic_timer_disarm(void)
{
    host_timer_control_write(TIMER_OFF);
}

void gic_wait(uint64_t deadline)
{
    if (can_interrupt()) {
        gic_timer_arm(deadline);
        wait_for_interrupt();
        gic_timer_disarm();
    }
}

void gic_prepare_host_processor(uint32_t processor)
{
    const uint64_t registers = redistributor(processor);

    device_write32(registers + GICR_WAKER,
                   device_read32(registers + GICR_WAKER) & ~GICR_WAKER_SLEEP);
    for (unsigned reads = 0; (device_read32(registers + GICR_WAKER) & GICR_WAKER_ASLEEP) != 0;) {
        if (++reads == WAKE_READS) {
            stop(STATUS_HOST_FAILED, "the interrupt controller of processor %u does not wake up",
                 processor);
        }
    }
    device_write32(registers + GICR_GROUP, UINT32_MAX);
    device_write8(registers + GICR_PRIORITY + WAKE_INTERRUPT, PRIORITY_HIGHEST);
    device_write8(registers + GICR_PRIORITY + VIRT_TIMER_EL2, PRIORITY_HIGHEST);
    device_write32(registers + GICR_ENABLE, 1u << WAKE_INTERRUPT | 1u << VIRT_TIMER_EL2);
    /* The guest sets up the distributor again when it starts. */
    device_write32(GICD_CONTROL, GICD_CONTROL_AFFINITY | GICD_CONTROL_GROUP1);
    interrupt_priority_mask_write(PRIORITY_LOWEST);
    interrupt_group_enable_write(1);
}

void gic_wake(uint32_t processor)
{
    gic_raise(processor, WAKE_INTERRUPT);
}

void gic_wake_acknowledge(uint32_t processor)
{
    device_write32(redistributor(processor) + GICR_CLEAR_PENDING, 1u << WAKE_INTERRUPT);
    barrier_all();
}
