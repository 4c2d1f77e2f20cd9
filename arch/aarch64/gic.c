/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controller (Arm IHI 0069, "GIC architecture version 3"): its registers for this
 * processor, the redistributor, and what the processor has of it as system registers.
 */
#include "arch/aarch64/gic.h"

#include "arch/aarch64/instructions.h"
#include "arch/aarch64/platform.h"
#include "arch/page_map.h"
#include "arch/start.h"
#include "kernel/log.h"
#include "kernel/pages.h"
#include "kernel/panic.h"

/* The distributor. */
#define DISTRIBUTOR_CONTROL UINT64_C(0x0000)
#define CONTROL_GROUP1      0x03u /* in each of the two layouts that the register may have */
#define CONTROL_AFFINITY    0x10u
#define CONTROL_WRITING     (1u << 31)

/* A redistributor: two frames of 64 KiB, or four where it serves virtual interrupts as well. */
#define FRAME                  UINT64_C(0x10000)
#define REDISTRIBUTOR_CONTROL  UINT64_C(0x0000)
#define REDISTRIBUTOR_WRITING  (1u << 3)
#define REDISTRIBUTOR_TYPE     UINT64_C(0x0008)
#define TYPE_VIRTUAL           (UINT64_C(1) << 1)
#define TYPE_LAST              (UINT64_C(1) << 4)
#define TYPE_AFFINITY(type)    ((uint32_t)((type) >> 32))
#define REDISTRIBUTOR_WAKER    UINT64_C(0x0014)
#define WAKER_SLEEP            0x2u
#define WAKER_ASLEEP           0x4u
#define REDISTRIBUTORS_MAXIMUM 512u /* choice: bounds a walk without an end */
#define PRIVATE_GROUP          (FRAME + 0x0080)
#define PRIVATE_ENABLE         (FRAME + 0x0100)
#define PRIVATE_DISABLE        (FRAME + 0x0180)
#define PRIVATE_CLEAR_PENDING  (FRAME + 0x0280)
#define PRIVATE_CLEAR_ACTIVE   (FRAME + 0x0380)
#define PRIVATE_PRIORITY       (FRAME + 0x0400) /* a byte each */
#define PRIVATE_CONFIGURATION  (FRAME + 0x0c04) /* two bits each, of 16 to 31 */
#define CONFIGURATION_EDGE     2u
#define PRIVATE_GROUP_MODIFIER (FRAME + 0x0d00)

/* The processor interface. */
#define INTERFACE_BY_REGISTERS 0x1u
#define PRIORITY_LOWEST        0xffu
#define PRIORITY_ALL           0xa0a0a0a0u /* choice: one priority, nothing interrupts a handler */
#define NUMBER_MASK            0xffffffu
#define NUMBERS_SPECIAL        1020u /* from here on: nothing to serve */

/* Choice: reads of a register that should change within microseconds. */
#define READS_MAXIMUM 1000000u

static uint64_t redistributor; /* of this processor; 0: there is none */

bool gic_present(void)
{
    return redistributor != 0;
}

/* Affinity as a redistributor has it: four bytes. */
static uint32_t own_affinity(void)
{
    uint64_t affinity = processor_affinity_read();

    return (uint32_t)((affinity >> 8 & 0xff000000u) | (affinity & 0xffffffu));
}

static bool wait_for_clear(uint64_t address, uint32_t bits)
{
    for (uint32_t i = 0; i < READS_MAXIMUM; i++) {
        if ((device_read32(address) & bits) == 0) {
            return true;
        }
    }
    return false;
}

/* Frames are mapped as they are looked at: the region may be larger than what is there. */
static uint64_t find_redistributor(void)
{
    uint64_t at = platform.redistributors;
    uint64_t end = at + platform.redistributors_size;
    uint32_t own = own_affinity();

    for (uint32_t i = 0; i < REDISTRIBUTORS_MAXIMUM && at + 2 * FRAME <= end; i++) {
        if (!paging_map_device(at, 2 * FRAME)) {
            panic("no memory to map the interrupt controller");
        }
        uint64_t type = device_read64(at + REDISTRIBUTOR_TYPE);
        if (TYPE_AFFINITY(type) == own) {
            return at;
        }
        if ((type & TYPE_LAST) != 0) {
            break;
        }
        at += (type & TYPE_VIRTUAL) != 0 ? 4 * FRAME : 2 * FRAME;
    }
    return 0;
}

static bool wake(uint64_t at)
{
    device_write32(at + REDISTRIBUTOR_WAKER,
                   device_read32(at + REDISTRIBUTOR_WAKER) & ~WAKER_SLEEP);
    return wait_for_clear(at + REDISTRIBUTOR_WAKER, WAKER_ASLEEP);
}

/* Off and forgotten: no interrupt of these comes any more. */
static void turn_off(uint64_t at, uint32_t interrupts)
{
    device_write32(at + PRIVATE_DISABLE, interrupts);
    (void)wait_for_clear(at + REDISTRIBUTOR_CONTROL, REDISTRIBUTOR_WRITING);
    device_write32(at + PRIVATE_CLEAR_PENDING, interrupts);
}

/* Everything off, in the group that comes as an ordinary interrupt. */
static void reset_private(uint64_t at)
{
    turn_off(at, UINT32_MAX);
    device_write32(at + PRIVATE_CLEAR_ACTIVE, UINT32_MAX);
    device_write32(at + PRIVATE_GROUP, UINT32_MAX);
    device_write32(at + PRIVATE_GROUP_MODIFIER, 0);
    for (unsigned i = 0; i < 32; i += 4) {
        device_write32(at + PRIVATE_PRIORITY + i, PRIORITY_ALL);
    }
}

static void start_interface(void)
{
    interrupt_interface_enable_write(interrupt_interface_enable_read() | INTERFACE_BY_REGISTERS);
    interrupt_priority_mask_write(PRIORITY_LOWEST);
    interrupt_binary_point_write(0);
    interrupt_interface_control_write(0); /* one write ends and deactivates an interrupt */
    interrupt_group_enable_write(1);
}

void arch_initialise_interrupts(void)
{
    if (platform.distributor == 0 || platform.redistributors == 0) {
        log_warning("kernel", "no interrupt controller of version 3: waits poll, and no VMBus");
        return;
    }
    if (!paging_map_device(platform.distributor, FRAME)) {
        panic("no memory to map the interrupt controller");
    }
    uint64_t own = find_redistributor();
    if (own == 0 || !wake(own)) {
        log_warning("kernel", "the interrupt controller has no part for this processor that wakes");
        return;
    }
    device_write32(platform.distributor + DISTRIBUTOR_CONTROL, CONTROL_AFFINITY | CONTROL_GROUP1);
    (void)wait_for_clear(platform.distributor + DISTRIBUTOR_CONTROL, CONTROL_WRITING);
    reset_private(own);
    barrier_all();
    start_interface();
    redistributor = own;
}

void gic_enable(uint32_t number, bool edge)
{
    uint64_t configuration = redistributor + PRIVATE_CONFIGURATION;
    unsigned shift = (number - 16) * 2;
    uint32_t value = device_read32(configuration) & ~(CONFIGURATION_EDGE << shift);

    device_write32(configuration, value | (edge ? CONFIGURATION_EDGE << shift : 0));
    device_write32(redistributor + PRIVATE_ENABLE, 1u << number);
    barrier_all();
}

void gic_disable(uint32_t number)
{
    turn_off(redistributor, 1u << number);
    barrier_all();
}

bool gic_acknowledge(uint32_t *number)
{
    *number = (uint32_t)interrupt_acknowledge_read() & NUMBER_MASK;
    /* The interrupt counts as taken before anything is done about it. */
    barrier_all();
    return *number < NUMBERS_SPECIAL;
}

void gic_end_of_interrupt(uint32_t number)
{
    interrupt_end_write(number);
}
