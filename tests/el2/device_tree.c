/* SPDX-License-Identifier: MIT */
#include "tests/el2/device_tree.h"

#include <stdarg.h>
#include <string.h>

#include "kernel/format.h"
#include "tests/el2/machine.h"

#define MAGIC      0xd00dfeedu
#define VERSION    17u
#define COMPATIBLE 16u
#define BEGIN_NODE 1u
#define END_NODE   2u
#define PROPERTY   3u
#define END        9u

/* Offsets of the parts of a blob; the strings stand behind the structure. */
#define RESERVATIONS_AT 40u
#define STRUCTURE_AT    56u
#define STRINGS_SIZE    512u

#define INTERRUPT_PRIVATE 1u /* devicetree binding of the GICv3 */
#define INTERRUPT_EDGE    1u
#define INTERRUPT_LEVEL   4u
#define HANDLE_GIC        1u
#define HANDLE_CLOCK      2u
#define UART_CLOCK        24000000u

struct tree {
    uint8_t *bytes;
    size_t used;
    size_t capacity;
    char strings[STRINGS_SIZE];
    size_t strings_used;
    bool overflow;
};

static void put_bytes(struct tree *tree, const void *bytes, size_t size)
{
    const size_t padded = (size + 3) / 4 * 4;

    if (tree->capacity - tree->used < padded) {
        tree->overflow = true;
        return;
    }
    memset(tree->bytes + tree->used, 0, padded);
    memcpy(tree->bytes + tree->used, bytes, size);
    tree->used += padded;
}

static void put(struct tree *tree, uint32_t word)
{
    word = __builtin_bswap32(word);
    put_bytes(tree, &word, sizeof(word));
}

__attribute__((format(printf, 2, 3))) static void begin(struct tree *tree, const char *format, ...)
{
    char name[40];
    va_list arguments;

    va_start(arguments, format);
    (void)format_text(name, sizeof(name), format, arguments);
    va_end(arguments);
    put(tree, BEGIN_NODE);
    put_bytes(tree, name, strlen(name) + 1);
}

static void end(struct tree *tree)
{
    put(tree, END_NODE);
}

/* Where a property's name is in the strings; each is there once. */
static uint32_t name_of(struct tree *tree, const char *name)
{
    size_t at = 0;

    while (at < tree->strings_used) {
        if (strcmp(tree->strings + at, name) == 0) {
            return (uint32_t)at;
        }
        at += strlen(tree->strings + at) + 1;
    }
    if (STRINGS_SIZE - at <= strlen(name)) {
        tree->overflow = true;
        return 0;
    }
    strcpy(tree->strings + at, name);
    tree->strings_used = at + strlen(name) + 1;
    return (uint32_t)at;
}

static void property(struct tree *tree, const char *name, const void *value, size_t size)
{
    put(tree, PROPERTY);
    put(tree, (uint32_t)size);
    put(tree, name_of(tree, name));
    put_bytes(tree, value, size);
}

static void text(struct tree *tree, const char *name, const char *value)
{
    property(tree, name, value, strlen(value) + 1);
}

static void mark(struct tree *tree, const char *name)
{
    property(tree, name, "", 0);
}

#define CELLS_MAXIMUM 16u

static void cells(struct tree *tree, const char *name, unsigned count, ...)
{
    uint32_t words[CELLS_MAXIMUM];
    va_list arguments;

    va_start(arguments, count);
    for (unsigned i = 0; i < count; i++) {
        words[i] = __builtin_bswap32(va_arg(arguments, uint32_t));
    }
    va_end(arguments);
    property(tree, name, words, count * sizeof(words[0]));
}

/* An address and a size of two cells each. */
#define HIGH(value)       ((uint32_t)((uint64_t)(value) >> 32))
#define LOW(value)        ((uint32_t)(value))
#define PLACE(base, size) HIGH(base), LOW(base), HIGH(size), LOW(size)

static void put_processors(struct tree *tree, uint32_t count)
{
    begin(tree, "cpus");
    cells(tree, "#address-cells", 1, 1u);
    cells(tree, "#size-cells", 1, 0u);
    for (uint32_t i = 0; i < count; i++) {
        begin(tree, "cpu@%u", i);
        text(tree, "device_type", "cpu");
        text(tree, "compatible", "arm,armv8");
        cells(tree, "reg", 1, i);
        text(tree, "enable-method", "psci");
        end(tree);
    }
    end(tree);
}

static void put_firmware(struct tree *tree, bool by_smc)
{
    begin(tree, "psci");
    property(tree, "compatible", "arm,psci-1.0\0arm,psci-0.2",
             sizeof("arm,psci-1.0\0arm,psci-0.2"));
    text(tree, "method", by_smc ? "smc" : "hvc");
    end(tree);
}

static void put_interrupts(struct tree *tree, uint32_t processors)
{
    begin(tree, "intc@%x", GUEST_GICD);
    text(tree, "compatible", "arm,gic-v3");
    mark(tree, "interrupt-controller");
    cells(tree, "#interrupt-cells", 1, 3u);
    cells(tree, "reg", 8, PLACE(GUEST_GICD, GICD_SIZE),
          PLACE(GUEST_GICR, (uint64_t)processors * GICR_FRAME_SIZE));
    cells(tree, "phandle", 1, HANDLE_GIC);
    end(tree);
}

/* Secure, non-secure, virtual, EL2's: the second and the third are there (QEMU virt). */
static void put_timers(struct tree *tree)
{
    begin(tree, "timer");
    text(tree, "compatible", "arm,armv8-timer");
    mark(tree, "always-on");
    cells(tree, "interrupts", 12, INTERRUPT_PRIVATE, 13u, INTERRUPT_LEVEL, INTERRUPT_PRIVATE, 14u,
          INTERRUPT_LEVEL, INTERRUPT_PRIVATE, VIRT_TIMER_VIRTUAL - 16u, INTERRUPT_LEVEL,
          INTERRUPT_PRIVATE, VIRT_TIMER_EL2 - 16u, INTERRUPT_LEVEL);
    end(tree);
}

static void put_devices(struct tree *tree)
{
    begin(tree, "clock");
    text(tree, "compatible", "fixed-clock");
    cells(tree, "#clock-cells", 1, 0u);
    cells(tree, "clock-frequency", 1, UART_CLOCK);
    cells(tree, "phandle", 1, HANDLE_CLOCK);
    end(tree);

    begin(tree, "serial@%x", GUEST_UART);
    property(tree, "compatible", "arm,pl011\0arm,primecell", sizeof("arm,pl011\0arm,primecell"));
    cells(tree, "reg", 4, PLACE(GUEST_UART, UART_SIZE));
    cells(tree, "clocks", 2, HANDLE_CLOCK, HANDLE_CLOCK);
    property(tree, "clock-names", "uartclk\0apb_pclk", sizeof("uartclk\0apb_pclk"));
    end(tree);

    /* As OpenVMM describes it. */
    begin(tree, "vmbus");
    text(tree, "compatible", "microsoft,vmbus");
    cells(tree, "interrupts", 3, INTERRUPT_PRIVATE, GUEST_VMBUS_INTERRUPT - 16u, INTERRUPT_EDGE);
    end(tree);
}

static void put_root(struct tree *tree, const struct guest_description *guest)
{
    begin(tree, "%s", "");
    text(tree, "compatible", "barebus,el2-host");
    cells(tree, "#address-cells", 1, 2u);
    cells(tree, "#size-cells", 1, 2u);
    cells(tree, "interrupt-parent", 1, HANDLE_GIC);

    begin(tree, "chosen");
    text(tree, "bootargs", guest->boot_arguments);
    end(tree);

    begin(tree, "memory@%x", GUEST_RAM_BASE);
    text(tree, "device_type", "memory");
    cells(tree, "reg", 4, PLACE(GUEST_RAM_BASE, guest->memory));
    end(tree);

    put_processors(tree, guest->processors);
    put_firmware(tree, guest->by_smc);
    put_interrupts(tree, guest->processors);
    if (!guest->timerless) {
        put_timers(tree);
    }
    put_devices(tree);
    end(tree);
    put(tree, END);
}

size_t device_tree_write(void *memory, size_t capacity, const struct guest_description *guest)
{
    static struct tree tree;

    tree = (struct tree){.bytes = memory, .used = STRUCTURE_AT, .capacity = capacity};
    if (capacity < STRUCTURE_AT) {
        return 0;
    }
    memset(memory, 0, STRUCTURE_AT); /* one reservation, which is the end of their list */
    put_root(&tree, guest);
    const size_t strings_at = tree.used;
    put_bytes(&tree, tree.strings, tree.strings_used);

    const uint32_t header[] = {
        MAGIC,
        (uint32_t)tree.used,
        STRUCTURE_AT,
        (uint32_t)strings_at,
        RESERVATIONS_AT,
        VERSION,
        COMPATIBLE,
        0, /* the boot processor */
        (uint32_t)tree.strings_used,
        (uint32_t)(strings_at - STRUCTURE_AT),
    };
    uint32_t *words = memory;
    for (size_t i = 0; i < sizeof(header) / sizeof(header[0]); i++) {
        words[i] = __builtin_bswap32(header[i]);
    }
    return tree.overflow ? 0 : tree.used;
}
