/* SPDX-License-Identifier: MIT */
#include "tests/vmm/firmware.h"

#include <endian.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kernel/pages.h"
#include "tests/vmm/acpi.h"
#include "tests/vmm/file.h"
#include "tests/vmm/fw_cfg.h"
#include "tests/vmm/machine.h"
#include "tests/vmm/pci.h"

#define FOUR_GIB  UINT64_C(0x100000000)
#define SIZE_MOST (16u << 20) /* below it are the interrupt controllers */

static struct fw_cfg fw_cfg;

/* At the end of the first 4 GiB, where the processor starts. Writes of the guest are lost, by which
 * OVMF sees that it is no flash memory, and keeps its variables in memory. */
static void map_firmware(struct machine *machine)
{
    struct file file = file_open("--firmware", machine->options->firmware);

    if (file.size % PAGE_SIZE != 0 || file.size > SIZE_MOST) {
        die("option --firmware: %s: its %llu bytes are no multiple of %u, or more than %u",
            file.name, (unsigned long long)file.size, PAGE_SIZE, SIZE_MOST);
    }
    /* A private mapping, though nobody writes: KVM wants it writable. */
    void *memory =
        mmap(NULL, file.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        die("no memory for the firmware");
    }
    memcpy(memory, file.data, file.size);
    kvm_memory(&machine->kvm, KVM_SLOT_FIRMWARE, FOUR_GIB - file.size, memory, file.size, true);
    file_close(&file);
}

/* ---- the kernel, as for QEMU's -kernel, -append and -initrd ---- */

static void add_blob(uint32_t size_number, uint32_t number, const void *bytes, uint64_t size)
{
    uint32_t size_32 = (uint32_t)size;

    fw_cfg_add_copy(&fw_cfg, size_number, &size_32, sizeof(size_32));
    fw_cfg_add(&fw_cfg, number, bytes, size_32);
}

/* The file stays open: its bytes are read when the firmware asks for them. */
static void add_file_blob(const char *option, const char *name, uint32_t size_number,
                          uint32_t number)
{
    struct file file = file_open(option, name);

    if (file.size > INT32_MAX) {
        die("option %s: %s is too large for the firmware", option, name);
    }
    add_blob(size_number, number, file.data, file.size);
}

static void add_kernel(const struct options *options)
{
    if (options->kernel == NULL) {
        return;
    }
    add_file_blob("--kernel", options->kernel, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL);
    if (options->initrd != NULL) {
        add_file_blob("--initrd", options->initrd, FW_CFG_INITRD_SIZE, FW_CFG_INITRD);
    }
    add_blob(FW_CFG_COMMAND_LINE_SIZE, FW_CFG_COMMAND_LINE, options->append,
             strlen(options->append) + 1);
}

/* ---- memory: etc/e820 ---- */

struct __attribute__((packed)) e820_entry {
    uint64_t address;
    uint64_t size;
    uint32_t type;
};
_Static_assert(sizeof(struct e820_entry) == 20, "an entry of etc/e820");
#define E820_MEMORY 1u

static void add_memory(const struct guest_memory *memory)
{
    const struct e820_entry map[2] = {
        {0, memory->low, E820_MEMORY},
        {GUEST_HOLE_END, memory->size - memory->low, E820_MEMORY},
    };

    fw_cfg_add_file(&fw_cfg, "etc/e820", map,
                    (uint32_t)(memory->size > memory->low ? 2 * sizeof(map[0]) : sizeof(map[0])));
}

/* ---- ACPI: QEMU, hw/acpi/bios-linker-loader.c ---- */

#define TABLES_FILE        "etc/acpi/tables"
#define COMMAND_ALLOCATE   1u
#define COMMAND_POINTER    2u
#define COMMAND_CHECKSUM   3u
#define ALLOCATE_HIGH      1u
#define ALLOCATE_ALIGNMENT 64u

struct __attribute__((packed)) loader_command {
    uint32_t command;
    union {
        struct __attribute__((packed)) {
            char file[56];
            uint32_t alignment;
            uint8_t zone;
        } allocate;
        struct __attribute__((packed)) {
            char file[56];
            char target[56];
            uint32_t at;
            uint8_t size;
        } pointer;
        struct __attribute__((packed)) {
            char file[56];
            uint32_t at;
            uint32_t start;
            uint32_t length;
        } checksum;
        uint8_t all[124];
    };
};
_Static_assert(sizeof(struct loader_command) == 128, "BiosLinkerLoaderEntry");

static void add_acpi(uint32_t processors)
{
    static struct acpi_tables tables;
    struct loader_command commands[1 + 2 * ACPI_PLACES];
    uint32_t count = 0;

    acpi_build(&tables, processors);
    memset(commands, 0, sizeof(commands));
    commands[count].command = htole32(COMMAND_ALLOCATE);
    strcpy(commands[count].allocate.file, TABLES_FILE);
    commands[count].allocate.alignment = htole32(ALLOCATE_ALIGNMENT);
    commands[count++].allocate.zone = ALLOCATE_HIGH;
    for (uint32_t i = 0; i < tables.pointer_count; i++, count++) {
        commands[count].command = htole32(COMMAND_POINTER);
        strcpy(commands[count].pointer.file, TABLES_FILE);
        strcpy(commands[count].pointer.target, TABLES_FILE);
        commands[count].pointer.at = htole32(tables.pointers[i].at);
        commands[count].pointer.size = (uint8_t)tables.pointers[i].size;
    }
    for (uint32_t i = 0; i < tables.checksum_count; i++, count++) {
        commands[count].command = htole32(COMMAND_CHECKSUM);
        strcpy(commands[count].checksum.file, TABLES_FILE);
        commands[count].checksum.at = htole32(tables.checksums[i].at);
        commands[count].checksum.start = htole32(tables.checksums[i].start);
        commands[count].checksum.length = htole32(tables.checksums[i].length);
    }
    fw_cfg_add_file(&fw_cfg, TABLES_FILE, tables.bytes, tables.used);
    fw_cfg_add_file(&fw_cfg, "etc/table-loader", commands, (uint32_t)(count * sizeof(commands[0])));
}

void firmware_load(struct machine *machine)
{
    const uint16_t processors = (uint16_t)machine->vcpu_count;

    map_firmware(machine);
    pci_create(machine);
    fw_cfg_create(&fw_cfg, &machine->memory, &machine->ports);
    fw_cfg_add_copy(&fw_cfg, FW_CFG_PROCESSORS, &processors, sizeof(processors));
    fw_cfg_add_copy(&fw_cfg, FW_CFG_PROCESSORS_MOST, &processors, sizeof(processors));
    add_kernel(machine->options);
    add_memory(&machine->memory);
    add_acpi(machine->vcpu_count);
}
