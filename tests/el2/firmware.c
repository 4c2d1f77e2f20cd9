/* SPDX-License-Identifier: MIT */
#include "tests/el2/firmware.h"

#include <string.h>

#include "boot/aarch64/device_tree.h"
#include "kernel/pages.h"
#include "tests/el2/guest_memory.h"
#include "tests/el2/machine.h"
#include "tests/el2/processor.h"
#include "tests/el2/semihosting.h"
#include "tests/el2/stage2.h"

/* hw/arm/virt.c: QEMU leaves its device tree at the beginning of memory. */
#define MEMORY_NODE     "memory@40000000"
#define MEMORY_PROPERTY "reg" /* base and size, 64 bits each, big-endian */
#define SIZE_AT         8u

#define MEMORY_SIZE (HOST_IMAGE - VIRT_RAM)

static uint64_t big_endian(uint64_t value)
{
    return __builtin_bswap64(value);
}

/* The size of the memory in the tree, to be written; NULL: the tree has none. */
static uint8_t *find_size(void *blob)
{
    const uint32_t size = device_tree_size(blob);
    struct device_tree_item item;
    struct device_tree tree;
    uint32_t at = 0;
    bool in_memory = false;

    if (size > MEMORY_SIZE || !device_tree_open(&tree, blob, size)) {
        return NULL;
    }
    for (;;) {
        switch (device_tree_next(&tree, &at, &item)) {
        case DEVICE_TREE_NODE:
            in_memory = strcmp(item.name, MEMORY_NODE) == 0;
            break;
        case DEVICE_TREE_PROPERTY:
            if (in_memory && strcmp(item.name, MEMORY_PROPERTY) == 0 &&
                item.length >= SIZE_AT + sizeof(uint64_t)) {
                return (uint8_t *)blob + (item.value - tree.blob) + SIZE_AT;
            }
            break;
        case DEVICE_TREE_NODE_END:
            in_memory = false;
            break;
        case DEVICE_TREE_END:
            return NULL;
        }
    }
}

/* What is the host's is no memory of the firmware's. */
static void hide_host(void)
{
    uint8_t *size = find_size((void *)(uintptr_t)VIRT_RAM);
    uint64_t value;

    if (size == NULL) {
        stop(STATUS_HOST_FAILED, "QEMU left no device tree with a memory of its own");
    }
    memcpy(&value, size, sizeof(value));
    if (big_endian(value) < HOST_MEMORY_END - VIRT_RAM) {
        stop(STATUS_HOST_FAILED, "the machine has less memory than this host needs");
    }
    value = big_endian(MEMORY_SIZE);
    memcpy(size, &value, sizeof(value));
}

void firmware_prepare(void)
{
    hide_host();
    guest_memory_create(VIRT_RAM, VIRT_RAM, MEMORY_SIZE / PAGE_SIZE, 0);
    /* Flash is read, and run, as memory is. */
    if (!stage2_map(VIRT_FLASH, VIRT_FLASH, VIRT_DEVICES - VIRT_FLASH, STAGE2_MEMORY) ||
        !stage2_map(VIRT_DEVICES, VIRT_DEVICES, VIRT_RAM - VIRT_DEVICES, STAGE2_DEVICE)) {
        stop(STATUS_HOST_FAILED, "the guest's address space cannot be made");
    }
    (void)processor_start(0, VIRT_FLASH, 0);
}
