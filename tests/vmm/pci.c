/* SPDX-License-Identifier: MIT */
#include "tests/vmm/pci.h"

#include <string.h>
#include <time.h>

#include "tests/vmm/machine.h"
#include "tests/vmm/platform.h"

/* PCI Local Bus 3.0, 3.2.2.3.2: configuration mechanism #1. */
#define PORT_ADDRESS   0xCF8u
#define PORTS          8u
#define OFFSET_DATA    4u
#define ADDRESS_ENABLE 0x80000000u
#define CONFIG_SIZE    256u

#define FUNCTION(device, function) ((device) << 3 | (function))

/* Registers of configuration space that are not zero. Intel 82441FX and 82371AB data sheets. */
#define CONFIG_IDS        0x00u
#define CONFIG_CLASS      0x08u
#define CONFIG_PM_BASE    0x40u /* of the PIIX4 */
#define CONFIG_PM_ENABLE  0x80u
#define IDS_440FX         0x12378086u
#define CLASS_HOST_BRIDGE 0x06000000u
#define IDS_PIIX4_PM      0x71138086u
#define CLASS_BRIDGE      0x06800000u

/* Where OVMF puts it, and where it stays. */
#define PM_BASE       0xB000u
#define PM_PORTS      64u
#define PM_CONTROL    4u /* 16 bits */
#define PM_TIMER      8u /* 32 bits, of which 24 count */
#define PM_SLEEP_NOW  0x2000u
#define PM_FREQUENCY  3579545u
#define PM_TIMER_MASK 0xFFFFFFu
#define NANOSECONDS   UINT64_C(1000000000)

struct function {
    uint32_t number; /* on bus 0 */
    uint8_t config[CONFIG_SIZE];
};

static struct {
    struct machine *machine;
    uint32_t address;
    uint16_t pm_control;
    struct function functions[2];
} pci;

static void set(struct function *function, uint32_t at, uint32_t value)
{
    memcpy(function->config + at, &value, sizeof(value));
}

/* The byte of configuration space that the address and the port name; NULL: no such function. */
static uint8_t *config_at(uint16_t offset, unsigned size)
{
    uint32_t at = (pci.address & (CONFIG_SIZE - 4)) + (offset - OFFSET_DATA);

    if ((pci.address & ADDRESS_ENABLE) == 0 || at + size > CONFIG_SIZE) {
        return NULL;
    }
    for (unsigned i = 0; i < sizeof(pci.functions) / sizeof(pci.functions[0]); i++) {
        if ((pci.address >> 8 & 0xFFFF) == pci.functions[i].number) {
            return pci.functions[i].config + at;
        }
    }
    return NULL;
}

static uint32_t config_read(void *context, uint16_t offset, unsigned size)
{
    uint32_t value = UINT32_MAX;

    (void)context;
    if (offset == 0 && size == 4) {
        return pci.address;
    }
    if (offset >= OFFSET_DATA) {
        const uint8_t *from = config_at(offset, size);
        if (from != NULL) {
            memcpy(&value, from, size);
        }
    }
    return value;
}

/* What can be configured of these functions changes nothing: registers keep what they hold. */
static void config_write(void *context, uint16_t offset, uint32_t value, unsigned size)
{
    (void)context;
    if (offset == 0 && size == 4) {
        pci.address = value;
    } else if (offset == PLATFORM_RESET - PORT_ADDRESS && size == 1) {
        platform_reset_written(pci.machine, value);
    }
}

static uint32_t pm_timer(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t ticks =
        (uint64_t)now.tv_sec * PM_FREQUENCY + (uint64_t)now.tv_nsec * PM_FREQUENCY / NANOSECONDS;
    return (uint32_t)ticks & PM_TIMER_MASK;
}

static uint32_t pm_read(void *context, uint16_t offset, unsigned size)
{
    (void)context;
    if (offset == PM_TIMER && size == 4) {
        return pm_timer();
    }
    return offset == PM_CONTROL && size == 2 ? pci.pm_control : 0;
}

/* The only sleep there is is the last one (type 0). */
static void pm_write(void *context, uint16_t offset, uint32_t value, unsigned size)
{
    (void)context;
    if (offset != PM_CONTROL || size != 2) {
        return;
    }
    pci.pm_control = (uint16_t)(value & ~PM_SLEEP_NOW);
    if ((value & PM_SLEEP_NOW) != 0) {
        machine_end(pci.machine, MACHINE_POWER_OFF, 0);
    }
}

void pci_create(struct machine *machine)
{
    struct function *bridge = &pci.functions[0];
    struct function *power = &pci.functions[1];

    pci.machine = machine;
    bridge->number = FUNCTION(0, 0);
    set(bridge, CONFIG_IDS, IDS_440FX);
    set(bridge, CONFIG_CLASS, CLASS_HOST_BRIDGE);
    power->number = FUNCTION(1, 3);
    set(power, CONFIG_IDS, IDS_PIIX4_PM);
    set(power, CONFIG_CLASS, CLASS_BRIDGE);
    set(power, CONFIG_PM_BASE, PM_BASE | 1);
    set(power, CONFIG_PM_ENABLE, 1);
    ports_add(&machine->ports,
              &(struct port_range){PORT_ADDRESS, PORTS, config_read, config_write, NULL});
    ports_add(&machine->ports, &(struct port_range){PM_BASE, PM_PORTS, pm_read, pm_write, NULL});
}
