/* SPDX-License-Identifier: MIT */
/* Linux' zero page: Documentation/arch/x86/zero-page.rst, boot.rst. Fields are read by offset: most
 * of it is not for us. */
#include <string.h>

#include "boot/x86_64/direct.h"

#define ZERO_PAGE_RSDP                 0x070u /* u64 */
#define ZERO_PAGE_COMMAND_LINE_HIGH    0x0c8u /* u32 */
#define ZERO_PAGE_E820_ENTRIES         0x1e8u /* u8 */
#define ZERO_PAGE_COMMAND_LINE         0x228u /* u32 */
#define ZERO_PAGE_COMMAND_LINE_MAXIMUM 0x238u /* u32, 0 if the monitor does not say */
#define ZERO_PAGE_E820_TABLE           0x2d0u

#define E820_ENTRIES_MAX 128u
#define E820_TYPE_RAM    1u

struct e820_entry {
    uint64_t base;
    uint64_t size;
    uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct e820_entry) == 20, "layout of boot_e820_entry");

static uint32_t read32(const char *field)
{
    uint32_t value;

    memcpy(&value, field, sizeof(value));
    return value;
}

void boot_collect_linux(struct boot_info *info, uint64_t zero_page)
{
    const char *page = (const char *)(uintptr_t)zero_page;

    info->protocol = "Linux 64-bit";
    if (page == NULL) {
        return; /* no map: the kernel says so and leaves */
    }
    memcpy(&info->acpi_rsdp, page + ZERO_PAGE_RSDP, sizeof(info->acpi_rsdp));
    uint64_t command_line = (uint64_t)read32(page + ZERO_PAGE_COMMAND_LINE_HIGH) << 32 |
                            read32(page + ZERO_PAGE_COMMAND_LINE);
    if (command_line != 0) {
        uint32_t maximum = read32(page + ZERO_PAGE_COMMAND_LINE_MAXIMUM);
        boot_info_command_line(info, (const char *)(uintptr_t)command_line,
                               maximum != 0 ? maximum : SIZE_MAX);
    }
    uint32_t count = (uint8_t)page[ZERO_PAGE_E820_ENTRIES];
    if (count > E820_ENTRIES_MAX) {
        count = E820_ENTRIES_MAX;
    }
    /* Where entries overlap, memory that somebody reserved stays reserved. */
    for (unsigned pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < count; i++) {
            struct e820_entry entry;
            memcpy(&entry, page + ZERO_PAGE_E820_TABLE + i * sizeof(entry), sizeof(entry));
            if (pass == 0 && entry.type == E820_TYPE_RAM) {
                memory_map_add(&info->memory, entry.base, entry.size);
            } else if (pass == 1 && entry.type != E820_TYPE_RAM) {
                memory_map_remove(&info->memory, entry.base, entry.size);
            }
        }
    }
}
