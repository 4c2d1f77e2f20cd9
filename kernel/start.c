/* SPDX-License-Identifier: MIT */
#include "kernel/start.h"

#include <stdlib.h>

#include "arch/cpu.h"
#include "arch/start.h"
#include "kernel/acpi.h"
#include "kernel/boot_info.h"
#include "kernel/exit.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/screen.h"

/*
 * Choice: below this a guest with VMBus, its rings and a driver does not come up; refusing at once
 * says so better than the first allocation that fails. Usable bytes beside the image.
 */
#define MEMORY_MINIMUM (UINT64_C(4) << 20)

#define KIB(bytes) ((unsigned long long)((bytes) >> 10))

/* Linker script. */
extern const struct init_entry init_entries_start[], init_entries_end[];

/* The application. */
int main(void);

static _Noreturn void leave_for_lack_of_memory(uint64_t usable)
{
    log_info("kernel", "too little memory: %llu KiB usable, %llu KiB needed%s", KIB(usable),
             KIB(MEMORY_MINIMUM), usable == 0 ? " (boot handed over no memory map)" : "");
    arch_exit(EXIT_STATUS_TOO_LITTLE_MEMORY);
}

static void run_init_stage(enum init_stage stage)
{
    for (const struct init_entry *entry = init_entries_start; entry < init_entries_end; entry++) {
        if (entry->stage == stage) {
            entry->start();
        }
    }
}

static void report_boot(const struct boot_info *info)
{
    log_info("kernel", "Barebus, started by %s, %llu KiB of memory in %u ranges", info->protocol,
             KIB(memory_map_total(&info->memory)), info->memory.count);
    if (info->memory.left_out != 0) {
        log_warning("kernel", "memory map has too many pieces, %llu KiB are not used",
                    KIB(info->memory.left_out));
    }
    if (info->command_line_cut) {
        log_warning("kernel", "command line is cut after %u characters", COMMAND_LINE_SIZE - 1);
    }
    for (uint32_t i = 0; i < info->remark_count; i++) {
        log_info("kernel", "%s", info->remarks[i]);
    }
}

_Noreturn void kernel_start(struct boot_info *info)
{
    clock_initialise(info->counter_at_entry);
    command_line_initialise(info->command_line);
    arch_initialise_processor();
    report_boot(info);
    run_init_stage(INIT_BEFORE_MEMORY);

    uint64_t usable = memory_map_total(&info->memory);
    if (usable < MEMORY_MINIMUM || !arch_initialise_memory(&info->memory)) {
        leave_for_lack_of_memory(usable);
    }
    pages_initialise(&info->memory);
    if (info->framebuffer.base != 0) {
        screen_start(&info->framebuffer);
    }
    acpi_initialise(info->acpi_rsdp);
    arch_initialise_power(info);
    arch_initialise_interrupts();
    arch_interrupts_enable();

    for (enum init_stage stage = INIT_HYPERVISOR; stage < INIT_STAGES; stage++) {
        run_init_stage(stage);
        if (stage == INIT_HYPERVISOR) {
            arch_register_clocks();
        }
    }
    exit(main());
}
