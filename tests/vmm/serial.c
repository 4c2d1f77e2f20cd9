/* SPDX-License-Identifier: MIT */
#include "tests/vmm/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define COM1           0x3F8u
#define COM1_PORTS     8u
#define COM1_INTERRUPT 4u

enum serial_register {
    REGISTER_DATA,               /* DIVISOR_LOW with LINE_DIVISOR_ACCESS */
    REGISTER_INTERRUPT_ENABLE,   /* DIVISOR_HIGH */
    REGISTER_INTERRUPT_IDENTITY, /* written: FIFO control */
    REGISTER_LINE_CONTROL,
    REGISTER_MODEM_CONTROL,
    REGISTER_LINE_STATUS,
    REGISTER_MODEM_STATUS,
    REGISTER_SCRATCH,
};

#define ENABLE_RECEIVED    0x01u
#define ENABLE_TRANSMITTED 0x02u
#define ENABLE_BITS        0x0Fu

#define IDENTITY_NONE        0x01u
#define IDENTITY_TRANSMITTED 0x02u
#define IDENTITY_RECEIVED    0x04u
#define IDENTITY_FIFO        0xC0u

#define FIFO_ENABLE         0x01u
#define FIFO_CLEAR_RECEIVED 0x02u

#define LINE_DIVISOR_ACCESS 0x80u

#define STATUS_RECEIVED      0x01u
#define STATUS_TRANSMITTED   0x60u /* holding register and shifter are empty: always */
#define MODEM_STATUS_PRESENT 0xB0u /* carrier, ready, clear to send */
#define MODEM_LOOP           0x10u
#define MODEM_BITS           0x1Fu

/* Choice: how long the start of a line waits for its end. Bytes come one an exit, and each write is
 * a system call. */
#define FLUSH_AFTER (5 * CLOCK_MILLISECOND)

/* ---- all with the ports' lock held ---- */

static uint8_t identity(const struct serial *serial)
{
    uint8_t fifo = (serial->state.fifo_control & FIFO_ENABLE) != 0 ? IDENTITY_FIFO : 0;

    if (serial->state.input_count != 0 && (serial->state.interrupt_enable & ENABLE_RECEIVED) != 0) {
        return fifo | IDENTITY_RECEIVED;
    }
    if (serial->state.transmit_interrupt &&
        (serial->state.interrupt_enable & ENABLE_TRANSMITTED) != 0) {
        return fifo | IDENTITY_TRANSMITTED;
    }
    return fifo | IDENTITY_NONE;
}

static void update_line(struct serial *serial)
{
    bool level = (identity(serial) & IDENTITY_NONE) == 0;

    if (level != serial->state.line) {
        serial->state.line = level;
        kvm_line(serial->kvm, COM1_INTERRUPT, level);
    }
}

/* A reader that went away loses the console, not the guest. */
static void write_out(struct serial *serial)
{
    const char *from = serial->output;

    while (serial->output_count > 0) {
        ssize_t done = write(STDOUT_FILENO, from, serial->output_count);
        if (done < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = STDOUT_FILENO, .events = POLLOUT};
            (void)poll(&room, 1, -1);
        } else if (done < 0 && errno != EINTR) {
            serial->output_count = 0;
        } else if (done > 0) {
            from += done;
            serial->output_count -= (uint32_t)done;
        }
    }
}

static void transmit(struct serial *serial, uint8_t byte)
{
    if ((serial->state.modem_control & MODEM_LOOP) != 0) {
        return;
    }
    serial->output[serial->output_count++] = (char)byte;
    if (byte == '\n' || serial->output_count == SERIAL_OUTPUT) {
        write_out(serial);
    } else if (!serial->flush_wanted) {
        serial->flush_wanted = true;
        source_raise(&serial->unfinished);
    }
    serial->state.transmit_interrupt = true;
}

static uint8_t receive(struct serial *serial)
{
    if (serial->state.input_count == 0) {
        return 0;
    }
    uint8_t byte = serial->state.input[serial->state.input_first];
    serial->state.input_first = (serial->state.input_first + 1) % SERIAL_INPUT;
    if (serial->state.input_count-- == SERIAL_INPUT) {
        source_rearm(&serial->typed);
    }
    return byte;
}

static uint8_t read_register(struct serial *serial, uint16_t number)
{
    bool divisor = (serial->state.line_control & LINE_DIVISOR_ACCESS) != 0;
    uint8_t value;

    switch ((enum serial_register)number) {
    case REGISTER_DATA:
        return divisor ? (uint8_t)serial->state.divisor : receive(serial);
    case REGISTER_INTERRUPT_ENABLE:
        return divisor ? (uint8_t)(serial->state.divisor >> 8) : serial->state.interrupt_enable;
    case REGISTER_INTERRUPT_IDENTITY:
        value = identity(serial);
        if ((value & 0x0F) == IDENTITY_TRANSMITTED) {
            serial->state.transmit_interrupt = false; /* asking is what takes it back */
        }
        return value;
    case REGISTER_LINE_CONTROL:
        return serial->state.line_control;
    case REGISTER_MODEM_CONTROL:
        return serial->state.modem_control;
    case REGISTER_LINE_STATUS:
        return STATUS_TRANSMITTED | (serial->state.input_count != 0 ? STATUS_RECEIVED : 0);
    case REGISTER_MODEM_STATUS:
        return (serial->state.modem_control & MODEM_LOOP) != 0
                   /* RTS comes back as CTS, DTR as DSR, OUT1 as RI, OUT2 as DCD. */
                   ? (uint8_t)((serial->state.modem_control & 0x0C) << 4 |
                               (serial->state.modem_control & 0x02) << 3 |
                               (serial->state.modem_control & 0x01) << 5)
                   : MODEM_STATUS_PRESENT;
    case REGISTER_SCRATCH:
        return serial->state.scratch;
    }
    return UINT8_MAX;
}

static void write_register(struct serial *serial, uint16_t number, uint8_t value)
{
    bool divisor = (serial->state.line_control & LINE_DIVISOR_ACCESS) != 0;

    switch ((enum serial_register)number) {
    case REGISTER_DATA:
        if (divisor) {
            serial->state.divisor = (uint16_t)((serial->state.divisor & 0xFF00u) | value);
        } else {
            transmit(serial, value);
        }
        break;
    case REGISTER_INTERRUPT_ENABLE:
        if (divisor) {
            serial->state.divisor = (uint16_t)((serial->state.divisor & 0x00FFu) | value << 8);
        } else {
            /* To turn it on is to hear of a register that is empty already. */
            if ((value & ~serial->state.interrupt_enable & ENABLE_TRANSMITTED) != 0) {
                serial->state.transmit_interrupt = true;
            }
            serial->state.interrupt_enable = value & ENABLE_BITS;
        }
        break;
    case REGISTER_INTERRUPT_IDENTITY:
        serial->state.fifo_control = value;
        if ((value & FIFO_CLEAR_RECEIVED) != 0 && serial->state.input_count != 0) {
            bool was_full = serial->state.input_count == SERIAL_INPUT;
            serial->state.input_count = 0;
            if (was_full) {
                source_rearm(&serial->typed);
            }
        }
        break;
    case REGISTER_LINE_CONTROL:
        serial->state.line_control = value;
        break;
    case REGISTER_MODEM_CONTROL:
        serial->state.modem_control = value & MODEM_BITS;
        break;
    case REGISTER_SCRATCH:
        serial->state.scratch = value;
        break;
    case REGISTER_LINE_STATUS:
    case REGISTER_MODEM_STATUS:
        break;
    }
}

static uint32_t port_read(void *context, uint16_t offset, unsigned size)
{
    struct serial *serial = context;

    if (size != 1) {
        return UINT32_MAX;
    }
    uint8_t value = read_register(serial, offset);
    update_line(serial);
    return value;
}

static void port_write(void *context, uint16_t offset, uint32_t value, unsigned size)
{
    struct serial *serial = context;

    if (size == 1) {
        write_register(serial, offset, (uint8_t)value);
        update_line(serial);
    }
}

/* ---- the executive's thread ---- */

void serial_flush(struct serial *serial)
{
    (void)pthread_mutex_lock(&serial->ports->lock);
    serial->flush_wanted = false;
    write_out(serial);
    (void)pthread_mutex_unlock(&serial->ports->lock);
}

static void flush_expired(void *context)
{
    serial_flush(context);
}

static void line_unfinished(void *context)
{
    struct serial *serial = context;

    timer_arm(&serial->flush, clock_after(FLUSH_AFTER));
}

/* Takes what there is room for. At the end of input nothing is typed any more. */
static void typed(void *context)
{
    struct serial *serial = context;
    uint8_t bytes[SERIAL_INPUT];

    (void)pthread_mutex_lock(&serial->ports->lock);
    ssize_t count = read(STDIN_FILENO, bytes, SERIAL_INPUT - serial->state.input_count);
    for (ssize_t i = 0; i < count; i++) {
        serial->state
            .input[(serial->state.input_first + serial->state.input_count++) % SERIAL_INPUT] =
            bytes[i];
    }
    if ((count > 0 && serial->state.input_count < SERIAL_INPUT) || (count < 0 && errno == EAGAIN)) {
        source_rearm(&serial->typed);
    }
    update_line(serial);
    (void)pthread_mutex_unlock(&serial->ports->lock);
}

void serial_save(struct serial *serial, void *state)
{
    (void)pthread_mutex_lock(&serial->ports->lock);
    memcpy(state, &serial->state, sizeof(serial->state));
    (void)pthread_mutex_unlock(&serial->ports->lock);
}

/* What was typed and not read then is all there is: nobody typed since. */
bool serial_restore(struct serial *serial, const void *state)
{
    struct serial_state saved;

    memcpy(&saved, state, sizeof(saved));
    if (saved.input_first >= SERIAL_INPUT || saved.input_count >= SERIAL_INPUT) {
        return false;
    }
    (void)pthread_mutex_lock(&serial->ports->lock);
    serial->state = saved;
    (void)pthread_mutex_unlock(&serial->ports->lock);
    return true;
}

void serial_create(struct serial *serial, const struct kvm *kvm, struct ports *ports)
{
    memset(serial, 0, sizeof(*serial));
    serial->kvm = kvm;
    serial->ports = ports;
    serial->state.divisor = 1;
    timer_initialise(&serial->flush, flush_expired, serial);
    if (!source_create(&serial->unfinished, IRQL_DISPATCH, line_unfinished, serial)) {
        die("the console: %s", strerror(errno));
    }
    /* A file or /dev/null is no place to type at: Linux does not wait for those (EPERM). */
    if (!source_watch(&serial->typed, STDIN_FILENO, IRQL_PASSIVE, typed, serial) &&
        errno != EPERM) {
        die("standard input: %s", strerror(errno));
    }
    ports_add(ports, &(struct port_range){COM1, COM1_PORTS, port_read, port_write, serial});
}
