/* SPDX-License-Identifier: MIT */
#include "tests/vmm/boot.h"

#include <string.h>

#include "kernel/pages.h"
#include "tests/vmm/acpi.h"
#include "tests/vmm/file.h"
#include "tests/vmm/machine.h"

struct boot_range boot_initrd(struct machine *machine, uint64_t kernel_end, uint64_t last)
{
    uint64_t end = last < machine->memory.low ? last + 1 : machine->memory.low;
    struct boot_range range = {0, 0, 0};

    if (machine->options->initrd == NULL) {
        return range;
    }
    struct file initrd = file_open("--initrd", machine->options->initrd);
    if (initrd.size > end || (end - initrd.size) / PAGE_SIZE * PAGE_SIZE < kernel_end) {
        die("option --initrd: %s: its %llu bytes do not fit behind the kernel; see --memory",
            initrd.name, (unsigned long long)initrd.size);
    }
    range.address = (end - initrd.size) / PAGE_SIZE * PAGE_SIZE;
    range.size = initrd.size;
    memcpy(guest_memory_at(&machine->memory, range.address, range.size), initrd.data, range.size);
    file_close(&initrd);
    return range;
}

uint32_t boot_memory_map(const struct machine *machine, struct boot_range ranges[BOOT_RANGES])
{
    const struct guest_memory *memory = &machine->memory;
    uint32_t count = 0;

    ranges[count++] = (struct boot_range){0, BOOT_LOW_MEMORY_END, BOOT_RANGE_MEMORY};
    ranges[count++] = (struct boot_range){
        BOOT_LOW_MEMORY_END, BOOT_HIGH_MEMORY - BOOT_LOW_MEMORY_END, BOOT_RANGE_RESERVED};
    ranges[count++] =
        (struct boot_range){BOOT_HIGH_MEMORY, memory->low - BOOT_HIGH_MEMORY, BOOT_RANGE_MEMORY};
    if (memory->size > memory->low) {
        ranges[count++] =
            (struct boot_range){GUEST_HOLE_END, memory->size - memory->low, BOOT_RANGE_MEMORY};
    }
    return count;
}

void boot_load(struct machine *machine)
{
    const struct options *options = machine->options;
    static struct acpi_tables acpi;
    struct file kernel = file_open("--kernel", options->kernel);

    if (strlen(options->append) >= BOOT_COMMAND_LINE_SIZE) {
        die("option --append: more than %u characters", BOOT_COMMAND_LINE_SIZE - 1);
    }
    memcpy(guest_memory_at(&machine->memory, BOOT_COMMAND_LINE, BOOT_COMMAND_LINE_SIZE),
           options->append, strlen(options->append) + 1);
    acpi_build(&acpi, machine->vcpu_count);
    acpi_place(&acpi, guest_memory_at(&machine->memory, BOOT_ACPI_TABLES, ACPI_SIZE),
               BOOT_ACPI_TABLES);
    if (boot_is_elf(&kernel)) {
        boot_elf(machine, &kernel);
    } else if (boot_is_linux(&kernel)) {
        boot_linux(machine, &kernel);
    } else {
        die("option --kernel: %s is neither an ELF file nor a Linux kernel (bzImage)", kernel.name);
    }
    file_close(&kernel);
}
