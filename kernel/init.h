/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_INIT_H
#define KERNEL_INIT_H

/*
 * How layers above the kernel are started without the kernel knowing them: each places an entry in
 * a linker section, and the kernel runs them stage by stage at IRQL_PASSIVE, interrupts on, before
 * main(). What is linked in is started. A layer that cannot start says so on the console and
 * returns; it must leave the guest able to run without it.
 */
enum init_stage {
    /* Nothing of the map of memory is in use yet, and nothing can be had of it; interrupts are off.
     * For what lies over memory, or writes to it, and has to be taken off first. */
    INIT_BEFORE_MEMORY,
    INIT_HYPERVISOR,
    INIT_BUS,
    INIT_DRIVERS,
    INIT_STAGES,
};

struct init_entry {
    enum init_stage stage;
    void (*start)(void);
};

#define INIT_ENTRY(stage_, start_)                                                                 \
    static const struct init_entry init_entry_##start_                                             \
        __attribute__((used, section(".init_entries"))) = {(stage_), (start_)}

#endif
