/* SPDX-License-Identifier: MIT */
#include "tests/vmm/machine.h"

#include <errno.h>
#include <string.h>

#include "hv/tlfs.h"
#include "kernel/wait.h"
#include "tests/vmm/boot.h"
#include "tests/vmm/cmos.h"
#include "tests/vmm/control.h"
#include "tests/vmm/firmware.h"
#include "tests/vmm/host_machine.h"
#include "tests/vmm/platform.h"
#include "tests/vmm/snapshot.h"

/* TLFS, Partition Properties: crash registers. Linux does not export their numbers. */
#define MSR_CRASH_P0    0x40000100u
#define CRASH_REGISTERS 6u /* P0 to P4, CTL */
#define CRASH_TEXT      4096u

void machine_create(struct machine *machine, const struct options *options)
{
    machine->options = options;
    machine->vcpu_count = options->processors;
    if (!source_create(&machine->ended, IRQL_DISPATCH, NULL, NULL)) {
        die("the machine's event: %s", strerror(errno));
    }
    kvm_open(&machine->kvm);
    if (options->firmware != NULL) {
        kvm_slow_apic_timer(&machine->kvm);
    }
    if (!guest_memory_create(&machine->memory, options->memory_mib << 20)) {
        die("%u MiB of guest memory: %s", (unsigned)options->memory_mib, strerror(errno));
    }
    const struct guest_memory *memory = &machine->memory;
    kvm_memory(&machine->kvm, KVM_SLOT_LOW, 0, memory->base, memory->low, false);
    if (memory->size > memory->low) {
        kvm_memory(&machine->kvm, KVM_SLOT_HIGH, GUEST_HOLE_END, memory->base + memory->low,
                   memory->size - memory->low, false);
    }
    ports_create(&machine->ports);
    serial_create(&machine->serial, &machine->kvm, &machine->ports);
    platform_create(machine);
    /* Linux asks for the time whatever ACPI says, and waits seconds for a clock that is not there.
     */
    cmos_create(&machine->ports, &machine->memory);
    bus_create(&machine->bus, machine);
    for (uint32_t i = 0; i < machine->vcpu_count; i++) {
        vcpu_create(&machine->vcpus[i], machine, i);
    }
    kvm_route(&machine->kvm, machine->vcpu_count, SYNIC_SINT);
    host_machine_create(machine);
    control_start(machine, options);
    host_devices_initialise(&machine->devices, machine->bus.server);
    devices_create(&machine->devices, options->devices, options->device_count, &control_events);
    if (options->resume != NULL) {
        snapshot_resume(machine, options->resume);
    } else if (options->firmware != NULL) {
        firmware_load(machine);
    } else {
        boot_load(machine);
    }
    devices_enable(&machine->devices);
    host_devices_start(&machine->devices);
    vcpus_start(machine);
}

void machine_map_added(struct machine *machine, uint32_t range)
{
    kvm_memory(&machine->kvm, KVM_SLOT_ADDED + range, machine->memory.added[range].address,
               guest_memory_of_added(&machine->memory, range), machine->memory.added[range].size,
               false);
}

void machine_end(struct machine *machine, enum machine_end end, int status)
{
    unsigned runs = MACHINE_RUNS;

    /* The status counts only with MACHINE_STATUS, of which one processor alone can be the first. */
    if (end == MACHINE_STATUS && !machine_has_ended(machine)) {
        atomic_store(&machine->status, status);
    }
    if (atomic_compare_exchange_strong(&machine->end, &runs, end)) {
        source_raise(&machine->ended);
    }
}

bool machine_has_ended(struct machine *machine)
{
    return atomic_load(&machine->end) != MACHINE_RUNS;
}

static bool has_ended(void *context)
{
    return machine_has_ended(context);
}

enum machine_end machine_run(struct machine *machine)
{
    vcpus_want(machine, VCPUS_RUN);
    /* The guest may run for ever. */
    (void)wait_until(has_ended, machine, WAIT_WITHOUT_LIMIT);
    vcpus_want(machine, VCPUS_END);
    serial_flush(&machine->serial);
    host_devices_destroy(&machine->devices);
    return (enum machine_end)atomic_load(&machine->end);
}

void machine_crashed(struct machine *machine, int vcpu)
{
    struct {
        struct kvm_msrs header;
        struct kvm_msr_entry entries[CRASH_REGISTERS];
    } registers = {.header = {.nmsrs = CRASH_REGISTERS}};

    for (uint32_t i = 0; i < CRASH_REGISTERS; i++) {
        registers.entries[i].index = MSR_CRASH_P0 + i;
    }
    if (kvm_ioctl(vcpu, KVM_GET_MSRS, &registers) != CRASH_REGISTERS) {
        say("the guest crashed; its registers cannot be read");
        return;
    }
    const struct kvm_msr_entry *p = registers.entries;
    say("the guest crashed: %#llx %#llx %#llx %#llx %#llx", (unsigned long long)p[0].data,
        (unsigned long long)p[1].data, (unsigned long long)p[2].data, (unsigned long long)p[3].data,
        (unsigned long long)p[4].data);
    if ((p[5].data & HV_CRASH_MESSAGE) != 0 && p[4].data <= CRASH_TEXT) {
        const char *text = guest_memory_at(&machine->memory, p[3].data, p[4].data);
        if (text != NULL) {
            say("the guest's last words: %.*s", (int)p[4].data, text);
        }
    }
}
