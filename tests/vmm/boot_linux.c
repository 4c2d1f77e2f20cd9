/* SPDX-License-Identifier: MIT */
/*
 * A packed Linux kernel (bzImage), entered by Linux' 32-bit boot protocol: Linux,
 * Documentation/arch/x86/boot.rst, zero-page.rst. Fields are written by offset: most of the zero
 * page is not for us.
 */
#include "tests/vmm/boot.h"

#include <string.h>

#include "tests/vmm/file.h"
#include "tests/vmm/machine.h"

/* In the file and, from the setup header on, in the zero page. */
#define SETUP_SECTORS      0x1F1u /* u8, of 512 bytes, the first not counted */
#define SETUP_HEADER_END   0x201u /* u8, from 0x202 on */
#define SETUP_MAGIC        0x202u /* "HdrS" */
#define SETUP_VERSION      0x206u /* u16 */
#define SETUP_LOADER       0x210u /* u8 */
#define SETUP_FLAGS        0x211u /* u8 */
#define SETUP_INITRD       0x218u /* u32 */
#define SETUP_INITRD_SIZE  0x21Cu /* u32 */
#define SETUP_COMMAND_LINE 0x228u /* u32 */
#define SETUP_INITRD_MOST  0x22Cu /* u32, the last byte an initial file system may occupy */
#define SETUP_ADDRESS      0x258u /* u64, where it unpacks itself to */
#define SETUP_SIZE         0x260u /* u32, what it takes there */
#define SETUP_END          0x264u
#define ZERO_PAGE_RSDP     0x070u /* u64 */
#define ZERO_PAGE_RANGES   0x1E8u /* u8 */
#define ZERO_PAGE_MAP      0x2D0u /* 20 bytes each */
#define ZERO_PAGE_SIZE     0x1000u

#define VERSION_NEEDED  0x20Au /* Linux 2.6.31: the first that says how much memory it takes */
#define LOADER_UNKNOWN  0xFFu
#define FLAG_LOAD_HIGH  0x01u
#define SECTOR          512u
#define SECTORS_DEFAULT 4u /* what 0 means */

static uint64_t field(const struct file *kernel, uint32_t at, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, kernel->data + at, size);
    return value;
}

bool boot_is_linux(const struct file *kernel)
{
    return kernel->size >= SETUP_END && memcmp(kernel->data + SETUP_MAGIC, "HdrS", 4) == 0;
}

static void check(const struct file *kernel)
{
    if (field(kernel, SETUP_VERSION, 2) < VERSION_NEEDED ||
        (kernel->data[SETUP_FLAGS] & FLAG_LOAD_HIGH) == 0) {
        die("option %s: %s is a kernel of boot protocol %#llx, or one that is loaded low; newer "
            "ones are needed",
            kernel->option, kernel->name, (unsigned long long)field(kernel, SETUP_VERSION, 2));
    }
}

/* Everything behind the setup sectors, to 1 MiB: it moves and unpacks itself. Returns one past what
 * it occupies then. */
static uint64_t load(struct machine *machine, const struct file *kernel)
{
    uint64_t sectors = kernel->data[SETUP_SECTORS];
    uint64_t offset = (1 + (sectors != 0 ? sectors : SECTORS_DEFAULT)) * SECTOR;
    uint64_t size = kernel->size > offset ? kernel->size - offset : 0;
    uint64_t end = field(kernel, SETUP_ADDRESS, 8) + field(kernel, SETUP_SIZE, 4);
    const void *from = file_part(kernel, offset, size, "kernel");
    void *to = guest_memory_at(&machine->memory, BOOT_HIGH_MEMORY, size);

    if (size == 0 || to == NULL || end > machine->memory.low) {
        die("option %s: %s: its %llu bytes, or what it unpacks to below %#llx, do not fit into the "
            "guest's memory; see --memory",
            kernel->option, kernel->name, (unsigned long long)size, (unsigned long long)end);
    }
    memcpy(to, from, size);
    return end > BOOT_HIGH_MEMORY + size ? end : BOOT_HIGH_MEMORY + size;
}

static void put(uint8_t *page, uint32_t at, uint64_t value, size_t size)
{
    memcpy(page + at, &value, size);
}

void boot_linux(struct machine *machine, const struct file *kernel)
{
    uint8_t *page = guest_memory_at(&machine->memory, BOOT_START_INFO, ZERO_PAGE_SIZE);
    struct boot_range ranges[BOOT_RANGES];
    uint32_t count = boot_memory_map(machine, ranges);

    check(kernel);
    uint64_t kernel_end = load(machine, kernel);
    struct boot_range initrd =
        boot_initrd(machine, kernel_end, field(kernel, SETUP_INITRD_MOST, 4));
    uint32_t header_end = SETUP_MAGIC + kernel->data[SETUP_HEADER_END];
    memset(page, 0, ZERO_PAGE_SIZE);
    memcpy(page + SETUP_SECTORS,
           file_part(kernel, SETUP_SECTORS, header_end - SETUP_SECTORS, "setup header"),
           header_end - SETUP_SECTORS);
    put(page, SETUP_LOADER, LOADER_UNKNOWN, 1);
    put(page, SETUP_INITRD, initrd.address, 4);
    put(page, SETUP_INITRD_SIZE, initrd.size, 4);
    put(page, SETUP_COMMAND_LINE, BOOT_COMMAND_LINE, 4);
    put(page, ZERO_PAGE_RSDP, BOOT_ACPI_TABLES, 8);
    put(page, ZERO_PAGE_RANGES, count, 1);
    for (uint32_t i = 0; i < count; i++) {
        put(page, ZERO_PAGE_MAP + 20 * i, ranges[i].address, 8);
        put(page, ZERO_PAGE_MAP + 20 * i + 8, ranges[i].size, 8);
        put(page, ZERO_PAGE_MAP + 20 * i + 16, ranges[i].type, 4);
    }
    const struct kvm_regs registers = {.rip = BOOT_HIGH_MEMORY, .rsi = BOOT_START_INFO};
    vcpu_set_protected_mode(&machine->vcpus[0], &registers);
}
