/* SPDX-License-Identifier: MIT */
/* Which nodes of a device tree mean what: Devicetree Specification 0.4; Linux,
 * Documentation/devicetree/bindings (arm,gic-v3, arm,arch_timer, psci, arm,pl011, microsoft,vmbus).
 */
#include <string.h>

#include "boot/aarch64/machine.h"
#include "kernel/pages.h"

/* Choice: a machine's tree is no deeper; what lies deeper is not looked at. */
#define DEPTH_MAXIMUM 16u

#define INTERRUPT_PRIVATE       1u /* kind of an interrupt, its first cell */
#define INTERRUPT_PRIVATE_FIRST 16u
#define INTERRUPT_PRIVATE_COUNT 16u
#define TIMER_VIRTUAL           2u /* place in the timer's list of interrupts */

/* One node that is being read, and what was found of it so far. */
struct node {
    const char *name;
    uint32_t address_cells; /* of the nodes below */
    uint32_t size_cells;
    uint32_t interrupt_cells;
    bool translates;     /* addresses of the nodes below are not the processor's */
    bool same_addresses; /* on both sides, which is what empty ranges say */
    bool disabled;
    bool done;
    struct device_tree_item compatible;
    struct device_tree_item device_type;
    struct device_tree_item reg;
    struct device_tree_item interrupts;
    struct device_tree_item method;
};

struct reader {
    struct boot_info *info;
    struct platform *machine;
    struct node nodes[DEPTH_MAXIMUM]; /* the root and on */
    uint32_t depth;
    struct memory_map reserved;
    struct device_tree_item timer_interrupts;
    struct device_tree_item vmbus_interrupts;
    uint32_t interrupt_cells; /* of the interrupt controller */
};

static bool is_compatible(const struct node *node, const char *with)
{
    return device_tree_has_string(&node->compatible, with);
}

static bool is_named(const struct node *node, const char *name)
{
    size_t length = strlen(name);

    return strncmp(node->name, name, length) == 0 &&
           (node->name[length] == '\0' || node->name[length] == '@');
}

/* Entry `index` of a node's addresses. False: there is none, or it is no address of the processor.
 */
static bool address_of(const struct reader *reader, uint32_t index, uint64_t *base, uint64_t *size)
{
    const struct node *parent = &reader->nodes[reader->depth - 2];
    const struct node *node = &reader->nodes[reader->depth - 1];
    uint32_t cells = parent->address_cells + parent->size_cells;

    if (parent->translates || cells == 0 || index >= node->reg.length / 4 / cells) {
        return false;
    }
    *base = device_tree_cells(&node->reg, index * cells, parent->address_cells);
    *size =
        device_tree_cells(&node->reg, index * cells + parent->address_cells, parent->size_cells);
    return true;
}

static void read_memory(struct reader *reader)
{
    uint64_t base;
    uint64_t size;

    for (uint32_t i = 0; address_of(reader, i, &base, &size); i++) {
        memory_map_add(&reader->info->memory, base, size);
    }
}

static void read_reserved(struct reader *reader)
{
    uint64_t base;
    uint64_t size;

    for (uint32_t i = 0; address_of(reader, i, &base, &size); i++) {
        uint64_t end;
        if (__builtin_add_overflow(base, size, &end) || end > MEMORY_MAP_LIMIT) {
            end = MEMORY_MAP_LIMIT;
        }
        /* Every page that it touches. */
        base &= ~(uint64_t)(PAGE_SIZE - 1);
        end = (end + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
        memory_map_add(&reader->reserved, base, end > base ? end - base : 0);
    }
}

static void read_controller(struct reader *reader)
{
    struct platform *machine = reader->machine;
    uint64_t unused;

    if (machine->distributor == 0 && address_of(reader, 0, &machine->distributor, &unused)) {
        (void)address_of(reader, 1, &machine->redistributors, &machine->redistributors_size);
        reader->interrupt_cells = reader->nodes[reader->depth - 1].interrupt_cells;
    }
}

static void read_firmware(struct reader *reader)
{
    const struct node *node = &reader->nodes[reader->depth - 1];

    if (device_tree_has_string(&node->method, "hvc")) {
        reader->machine->conduit = PLATFORM_CONDUIT_HVC;
    } else if (device_tree_has_string(&node->method, "smc")) {
        reader->machine->conduit = PLATFORM_CONDUIT_SMC;
    }
}

/* All properties of the innermost node are known. */
static void read_node(struct reader *reader)
{
    struct node *node = &reader->nodes[reader->depth - 1];

    if (node->done || reader->depth < 2) {
        return;
    }
    node->done = true;
    const struct node *parent = node - 1;
    node->translates = parent->translates || !node->same_addresses;
    if (node->disabled) {
        return;
    }
    if (reader->depth == 2 && device_tree_has_string(&node->device_type, "memory")) {
        read_memory(reader);
    } else if (reader->depth == 3 && is_named(parent, "reserved-memory")) {
        read_reserved(reader);
    } else if (is_compatible(node, "arm,gic-v3")) {
        read_controller(reader);
    } else if (is_compatible(node, "arm,psci-0.2") || is_compatible(node, "arm,psci-1.0")) {
        read_firmware(reader);
    } else if (is_compatible(node, "arm,armv8-timer")) {
        reader->timer_interrupts = node->interrupts;
    } else if (is_compatible(node, "microsoft,vmbus")) {
        reader->vmbus_interrupts = node->interrupts;
    } else if (is_compatible(node, "arm,pl011") && reader->machine->console == 0) {
        uint64_t unused;
        (void)address_of(reader, 0, &reader->machine->console, &unused);
    }
}

static void read_property(struct reader *reader, const struct device_tree_item *item)
{
    struct node *node = &reader->nodes[reader->depth - 1];
    const char *name = item->name;

    if (strcmp(name, "#address-cells") == 0) {
        node->address_cells = (uint32_t)device_tree_cells(item, 0, 1);
    } else if (strcmp(name, "#size-cells") == 0) {
        node->size_cells = (uint32_t)device_tree_cells(item, 0, 1);
    } else if (strcmp(name, "#interrupt-cells") == 0) {
        node->interrupt_cells = (uint32_t)device_tree_cells(item, 0, 1);
    } else if (strcmp(name, "ranges") == 0) {
        node->same_addresses = item->length == 0;
    } else if (strcmp(name, "status") == 0) {
        node->disabled =
            !device_tree_has_string(item, "okay") && !device_tree_has_string(item, "ok");
    } else if (strcmp(name, "compatible") == 0) {
        node->compatible = *item;
    } else if (strcmp(name, "device_type") == 0) {
        node->device_type = *item;
    } else if (strcmp(name, "reg") == 0) {
        node->reg = *item;
    } else if (strcmp(name, "interrupts") == 0) {
        node->interrupts = *item;
    } else if (strcmp(name, "method") == 0) {
        node->method = *item;
    } else if (strcmp(name, "bootargs") == 0 && reader->depth == 2 && is_named(node, "chosen")) {
        boot_info_command_line(reader->info, (const char *)item->value, item->length);
    }
}

static void read_nodes(struct reader *reader, const struct device_tree *tree)
{
    struct device_tree_item item;
    uint32_t too_deep = 0;
    uint32_t at = 0;

    for (;;) {
        enum device_tree_token token = device_tree_next(tree, &at, &item);
        if (token == DEVICE_TREE_END) {
            return;
        }
        if (token == DEVICE_TREE_PROPERTY) {
            if (too_deep == 0 && reader->depth > 0) {
                read_property(reader, &item);
            }
            continue;
        }
        if (too_deep > 0 || (token == DEVICE_TREE_NODE && reader->depth == DEPTH_MAXIMUM)) {
            too_deep += token == DEVICE_TREE_NODE ? 1 : UINT32_MAX;
            continue;
        }
        if (reader->depth > 0) {
            read_node(reader);
        }
        if (token == DEVICE_TREE_NODE) {
            reader->nodes[reader->depth++] =
                (struct node){.name = item.name, .address_cells = 2, .size_cells = 1};
        } else if (reader->depth > 0) {
            reader->depth--;
        }
    }
}

/* The INTID of entry `index`, 0 if it is no private interrupt. */
static uint32_t private_interrupt(const struct reader *reader, const struct device_tree_item *list,
                                  uint32_t index)
{
    uint32_t cells = reader->interrupt_cells;

    if (cells < 3 || cells > 4 || index >= list->length / 4 / cells) {
        return 0;
    }
    uint64_t kind = device_tree_cells(list, index * cells, 1);
    uint64_t number = device_tree_cells(list, index * cells + 1, 1);
    if (kind != INTERRUPT_PRIVATE || number >= INTERRUPT_PRIVATE_COUNT) {
        return 0;
    }
    return INTERRUPT_PRIVATE_FIRST + (uint32_t)number;
}

static void remove_reserved(struct reader *reader, const struct device_tree *tree)
{
    uint64_t base;
    uint64_t size;

    for (uint32_t i = 0; device_tree_reservation(tree, i, &base, &size); i++) {
        memory_map_remove(&reader->info->memory, base, size);
    }
    for (uint32_t i = 0; i < reader->reserved.count; i++) {
        memory_map_remove(&reader->info->memory, reader->reserved.ranges[i].base,
                          reader->reserved.ranges[i].end - reader->reserved.ranges[i].base);
    }
}

void machine_from_device_tree(const struct device_tree *tree, struct boot_info *info,
                              struct platform *machine)
{
    static struct reader reader; /* too large for a stack */

    reader = (struct reader){.info = info, .machine = machine};
    read_nodes(&reader, tree);
    machine->timer_interrupt = private_interrupt(&reader, &reader.timer_interrupts, TIMER_VIRTUAL);
    machine->vmbus_interrupt = private_interrupt(&reader, &reader.vmbus_interrupts, 0);
    remove_reserved(&reader, tree);
}
