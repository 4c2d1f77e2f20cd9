/* SPDX-License-Identifier: MIT */
/* What the devices of tests/host need of the machine beside the bus (tests/host/machine.h). */
#define _GNU_SOURCE
#include "tests/vmm/host_machine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/clock.h"
#include "kernel/pages.h"
#include "tests/host/machine.h"
#include "tests/vmm/machine.h"

#define NANOSECONDS_A_TICK UINT64_C(100)
/* From 1601-01-01 to 1970-01-01, both UTC. */
#define SECONDS_TO_UNIX    UINT64_C(11644473600)

static struct machine *machine;

void host_machine_create(struct machine *of)
{
    machine = of;
}

/* KVM derives the guest's counter from the same clock (get_time_ref_counter() of Linux'
 * arch/x86/kvm/hyperv.c). */
uint64_t machine_reference_time(void)
{
    struct kvm_clock_data data = {0};

    (void)kvm_must(machine->kvm.vm, KVM_GET_CLOCK, &data, "the guest's clock");
    return data.clock / NANOSECONDS_A_TICK;
}

uint64_t machine_wall_clock(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return ((uint64_t)now.tv_sec + SECONDS_TO_UNIX) * CLOCK_SECOND +
           (uint64_t)now.tv_nsec / NANOSECONDS_A_TICK;
}

uint64_t machine_memory_pages(void)
{
    return machine->memory.size >> PAGE_SHIFT;
}

bool machine_memory_take(uint64_t first_frame, uint64_t count)
{
    return guest_memory_take(&machine->memory, first_frame, count);
}

bool machine_memory_return(uint64_t first_frame, uint64_t count)
{
    return guest_memory_return(&machine->memory, first_frame, count);
}

bool machine_memory_add(uint64_t count, uint64_t alignment, uint64_t *first_frame)
{
    struct guest_memory *memory = &machine->memory;

    if (count > GUEST_ADDED_MOST >> PAGE_SHIFT || alignment == 0 ||
        alignment > GUEST_ADDED_MOST >> PAGE_SHIFT ||
        !guest_memory_add(memory, count << PAGE_SHIFT, alignment << PAGE_SHIFT)) {
        return false;
    }
    uint32_t range = atomic_load(&memory->added_count) - 1;
    machine_map_added(machine, range);
    *first_frame = memory->added[range].address >> PAGE_SHIFT;
    return true;
}
