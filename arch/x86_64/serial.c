/* SPDX-License-Identifier: MIT */
/* The console: a 16550 at COM1's legacy address (National Semiconductor PC16550D), if one answers
 * there. */
#include "arch/x86_64/serial.h"

#include "arch/cpu.h"
#include "arch/x86_64/instructions.h"

#define COM1 0x3f8u

enum serial_register {
    SERIAL_DATA = 0,
    SERIAL_DIVISOR_LOW = 0,
    SERIAL_INTERRUPT_ENABLE = 1,
    SERIAL_DIVISOR_HIGH = 1,
    SERIAL_FIFO_CONTROL = 2,
    SERIAL_INTERRUPT_IDENTITY = 2,
    SERIAL_LINE_CONTROL = 3,
    SERIAL_MODEM_CONTROL = 4,
    SERIAL_LINE_STATUS = 5,
    SERIAL_SCRATCH = 7,
};

#define FIFO_ENABLE_AND_CLEAR 0x07u
#define IDENTITY_FIFO         0xc0u
#define LINE_8N1              0x03u
#define LINE_DIVISOR_ACCESS   0x80u
#define MODEM_DTR_RTS         0x03u
#define STATUS_HOLDING_EMPTY  0x20u
#define DIVISOR_115200        1u
#define FIFO_SIZE             16u

/*
 * Choice: how often the line status is read before a byte is given up. A read costs a microsecond
 * at the least on real hardware and under a monitor, 16 bytes at 115200 baud take 1.4 ms; this is
 * ten times that.
 */
#define HOLDING_EMPTY_READS 16384u

/* Bytes the device takes at once when its holding register is empty; 0: no device. */
static uint32_t burst;

static uint8_t serial_read(enum serial_register name)
{
    return port_read8((uint16_t)(COM1 + name));
}

static void serial_write(enum serial_register name, uint8_t value)
{
    port_write8((uint16_t)(COM1 + name), value);
}

/* Nothing decodes the address: reads give all ones. A 16550 keeps what is written to its scratch
 * register. */
static bool serial_answers(void)
{
    static const uint8_t patterns[] = {0x5a, 0xa5};

    for (unsigned i = 0; i < sizeof(patterns); i++) {
        serial_write(SERIAL_SCRATCH, patterns[i]);
        if (serial_read(SERIAL_SCRATCH) != patterns[i]) {
            return false;
        }
    }
    return true;
}

void serial_initialise(void)
{
    if (!serial_answers()) {
        return;
    }
    serial_write(SERIAL_INTERRUPT_ENABLE, 0);
    serial_write(SERIAL_LINE_CONTROL, LINE_DIVISOR_ACCESS);
    serial_write(SERIAL_DIVISOR_LOW, DIVISOR_115200);
    serial_write(SERIAL_DIVISOR_HIGH, 0);
    serial_write(SERIAL_LINE_CONTROL, LINE_8N1);
    serial_write(SERIAL_FIFO_CONTROL, FIFO_ENABLE_AND_CLEAR);
    serial_write(SERIAL_MODEM_CONTROL, MODEM_DTR_RTS);
    bool has_fifo = (serial_read(SERIAL_INTERRUPT_IDENTITY) & IDENTITY_FIFO) == IDENTITY_FIFO;
    burst = has_fifo ? FIFO_SIZE : 1;
}

static bool wait_for_holding_empty(void)
{
    for (uint32_t i = 0; i < HOLDING_EMPTY_READS; i++) {
        if ((serial_read(SERIAL_LINE_STATUS) & STATUS_HOLDING_EMPTY) != 0) {
            return true;
        }
        arch_relax();
    }
    return false;
}

/* The line status is read once for a burst. */
bool arch_console_write(const char *text, uint32_t length)
{
    if (burst == 0) {
        return false;
    }
    while (length > 0) {
        uint32_t now = length < burst ? length : burst;
        if (!wait_for_holding_empty()) {
            return false;
        }
        for (uint32_t i = 0; i < now; i++) {
            serial_write(SERIAL_DATA, (uint8_t)text[i]);
        }
        text += now;
        length -= now;
    }
    return true;
}
