/* SPDX-License-Identifier: MIT */
/* UEFI's memory map: UEFI Specification 7.2, table "Memory Type Usage after ExitBootServices". */
#include <string.h>

#include "boot/uefi.h"

static bool is_usable(const struct efi_memory_descriptor *descriptor)
{
    switch (descriptor->type) {
    case EFI_LOADER_CODE:
    case EFI_LOADER_DATA:
    case EFI_BOOT_SERVICES_CODE:
    case EFI_BOOT_SERVICES_DATA:
    case EFI_CONVENTIONAL_MEMORY:
        break;
    default:
        return false;
    }
    /* Memory with a runtime mark is firmware's, whatever type it claims. */
    return (descriptor->attribute & EFI_MEMORY_WRITE_BACK) != 0 &&
           (descriptor->attribute & (EFI_MEMORY_RUNTIME | EFI_MEMORY_SPECIAL_PURPOSE)) == 0;
}

/* What does not fit, or makes no sense, costs the runtime services. */
static void take_runtime_range(struct boot_firmware *firmware,
                               const struct efi_memory_descriptor *descriptor, uint64_t size)
{
    uint64_t end;

    if (firmware->count == BOOT_FIRMWARE_RANGES ||
        __builtin_add_overflow(descriptor->physical_start, size, &end) || end > MEMORY_MAP_LIMIT) {
        firmware->power_off = NULL;
        return;
    }
    firmware->ranges[firmware->count++] = (struct memory_range){descriptor->physical_start, end};
}

static struct efi_memory_descriptor descriptor_at(const void *map, uint64_t descriptor_size,
                                                  uint64_t index, uint64_t *bytes)
{
    struct efi_memory_descriptor descriptor;

    memcpy(&descriptor, (const char *)map + index * descriptor_size, sizeof(descriptor));
    if (__builtin_mul_overflow(descriptor.pages, EFI_MEMORY_DESCRIPTOR_PAGE, bytes)) {
        *bytes = UINT64_MAX - EFI_MEMORY_DESCRIPTOR_PAGE + 1; /* cut where the kernel's map ends */
    }
    return descriptor;
}

bool uefi_take_memory_map(struct boot_info *info, const void *map, uint64_t size,
                          uint64_t descriptor_size)
{
    uint64_t base = 0;
    uint64_t length = 0;
    uint64_t bytes;

    if (descriptor_size < sizeof(struct efi_memory_descriptor)) {
        return false;
    }
    uint64_t count = size / descriptor_size;
    /* Neighbours go into the kernel's map as one: that leaves out small pieces when it is full. */
    for (uint64_t i = 0; i < count; i++) {
        struct efi_memory_descriptor descriptor = descriptor_at(map, descriptor_size, i, &bytes);
        if (!is_usable(&descriptor)) {
            continue;
        }
        if (length != 0 && descriptor.physical_start == base + length) {
            length += bytes;
            continue;
        }
        memory_map_add(&info->memory, base, length);
        base = descriptor.physical_start;
        length = bytes;
    }
    memory_map_add(&info->memory, base, length);
    /* Where descriptors overlap, which they must not, memory that somebody keeps stays kept. */
    for (uint64_t i = 0; i < count; i++) {
        struct efi_memory_descriptor descriptor = descriptor_at(map, descriptor_size, i, &bytes);
        if (!is_usable(&descriptor)) {
            memory_map_remove(&info->memory, descriptor.physical_start, bytes);
        }
        if ((descriptor.attribute & EFI_MEMORY_RUNTIME) != 0) {
            take_runtime_range(&info->firmware, &descriptor, bytes);
        }
    }
    return true;
}
