/* SPDX-License-Identifier: MIT */
#include "boot/aarch64/direct.h"

#include "arch/aarch64/boot_map.h"
#include "boot/aarch64/machine.h"

/* First and one past the last byte of the image in memory (linker script). */
extern char image_start[], image_end[];

/* No larger one is allowed (Linux, Documentation/arch/arm64/booting.rst). */
#define TREE_SIZE_MAXIMUM (UINT32_C(2) << 20)

static struct boot_info info;

/* False: there is none that this can read. */
static bool open_tree(struct device_tree *tree, uint64_t address)
{
    const void *blob = (const void *)(uintptr_t)address;

    if (address == 0 || address % 8 != 0 || !boot_map_memory(address, DEVICE_TREE_HEADER_SIZE)) {
        return false;
    }
    uint32_t size = device_tree_size(blob);
    return size <= TREE_SIZE_MAXIMUM && boot_map_memory(address, size) &&
           device_tree_open(tree, blob, size);
}

struct boot_info *boot_collect(uint64_t tree_address, uint64_t counter)
{
    struct device_tree tree;

    info.counter_at_entry = counter;
    info.protocol = "device tree";
    if (open_tree(&tree, tree_address)) {
        machine_from_device_tree(&tree, &info, &platform);
    } /* else no map: the kernel says so and leaves, if it can */
    uintptr_t image = (uintptr_t)image_start;
    memory_map_remove(&info.memory, image, (uintptr_t)image_end - image);
    return &info;
}
