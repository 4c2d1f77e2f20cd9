/* SPDX-License-Identifier: MIT */
#include "tests/vmm/cmos.h"

#include <string.h>
#include <time.h>

/* Motorola MC146818A; the places of sizes and century are QEMU's and OVMF's. */
#define PORT_INDEX  0x70u
#define PORTS       2u
#define OFFSET_DATA 1u
#define SIZE        128u

enum cmos_register {
    REGISTER_SECOND = 0x00,
    REGISTER_MINUTE = 0x02,
    REGISTER_HOUR = 0x04,
    REGISTER_WEEKDAY = 0x06,
    REGISTER_DAY = 0x07,
    REGISTER_MONTH = 0x08,
    REGISTER_YEAR = 0x09,
    REGISTER_A = 0x0A,
    REGISTER_B = 0x0B,
    REGISTER_C = 0x0C,
    REGISTER_D = 0x0D,
    REGISTER_CENTURY = 0x32,
    REGISTER_MEMORY_ABOVE_16_MIB = 0x34, /* 16 bits, 64 KiB each */
    REGISTER_MEMORY_ABOVE_4_GIB = 0x5B,  /* 24 bits, likewise */
};

#define A_DIVIDER  0x26u /* 32768 Hz, 1024 a second; no update is ever in progress */
#define B_24_HOURS 0x02u
#define D_VALID    0x80u

#define UNIT_SHIFT 16
#define MIB_16     (UINT64_C(16) << 20)

static struct {
    uint8_t index;
    uint8_t bytes[SIZE];
} cmos;

static uint8_t decimal(int value)
{
    return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

static uint8_t read_register(uint8_t index)
{
    time_t now = time(NULL);
    struct tm utc;

    (void)gmtime_r(&now, &utc);
    switch (index) {
    case REGISTER_SECOND:
        return decimal(utc.tm_sec);
    case REGISTER_MINUTE:
        return decimal(utc.tm_min);
    case REGISTER_HOUR:
        return decimal(utc.tm_hour);
    case REGISTER_WEEKDAY:
        return decimal(utc.tm_wday + 1);
    case REGISTER_DAY:
        return decimal(utc.tm_mday);
    case REGISTER_MONTH:
        return decimal(utc.tm_mon + 1);
    case REGISTER_YEAR:
        return decimal(utc.tm_year);
    case REGISTER_CENTURY:
        return decimal((utc.tm_year + 1900) / 100);
    case REGISTER_A:
        return A_DIVIDER;
    case REGISTER_B:
        return B_24_HOURS;
    case REGISTER_C:
        return 0; /* it interrupts nobody */
    case REGISTER_D:
        return D_VALID;
    default:
        return cmos.bytes[index];
    }
}

static uint32_t port_read(void *context, uint16_t offset, unsigned size)
{
    (void)context;
    return size == 1 && offset == OFFSET_DATA ? read_register(cmos.index) : UINT32_MAX;
}

static void port_write(void *context, uint16_t offset, uint32_t value, unsigned size)
{
    (void)context;
    if (size != 1) {
        return;
    }
    if (offset == OFFSET_DATA) {
        cmos.bytes[cmos.index] = (uint8_t)value;
    } else {
        cmos.index =
            (uint8_t)(value % SIZE); /* the bit above masks interrupts that are not there */
    }
}

void cmos_create(struct ports *ports, const struct guest_memory *memory)
{
    uint64_t low = memory->low > MIB_16 ? (memory->low - MIB_16) >> UNIT_SHIFT : 0;
    uint64_t high = (memory->size - memory->low) >> UNIT_SHIFT;

    memcpy(cmos.bytes + REGISTER_MEMORY_ABOVE_16_MIB, &low, 2);
    memcpy(cmos.bytes + REGISTER_MEMORY_ABOVE_4_GIB, &high, 3);
    ports_add(ports, &(struct port_range){PORT_INDEX, PORTS, port_read, port_write, NULL});
}
