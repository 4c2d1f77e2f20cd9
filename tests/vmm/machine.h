/* SPDX-License-Identifier: MIT */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

/*
 * The virtual machine: KVM, memory, processors, the few devices of a PC, and the bus. One a
 * process. Two kinds of threads: the executive's (executive.h), which owns the bus with all its
 * devices and everything that is not marked, and one for each virtual processor, which runs the
 * guest and what its I/O ports do.
 *
 *   kvm.c, cpuid.c, vcpu.c, kvm_stats.c   KVM's machine and processors
 *   guest_memory.c           memory, and its frames in any order as one piece
 *   synic.c, hypercall.c     the hypervisor's interface as far as KVM leaves it to us
 *   bus.c, devices.c         VMBus: vmbus/server with KVM below and KMCL's servers above
 *   host_machine.c           what those ask of the machine
 *   control.c, trace.c, trace_packets.c   commands from outside; what goes over the bus
 *   ports.c, serial.c, platform.c   a PC's devices
 *   snapshot.c, snapshot_file.c, vcpu_state.c   all of it to a file, and back
 *   boot*.c, acpi.c          how a kernel is loaded and told of the machine
 *   firmware.c, fw_cfg.c, pci.c, cmos.c   what firmware needs in its place
 */

#include <stdatomic.h>

#include "tests/vmm/bus.h"
#include "tests/vmm/devices.h"
#include "tests/vmm/guest_memory.h"
#include "tests/vmm/kvm.h"
#include "tests/vmm/options.h"
#include "tests/vmm/ports.h"
#include "tests/vmm/serial.h"
#include "tests/vmm/vcpu.h"

enum machine_end {
    MACHINE_RUNS,
    MACHINE_STATUS, /* the guest wrote one to the debug-exit port */
    MACHINE_POWER_OFF,
    MACHINE_RESET,
    MACHINE_FAULT, /* it cannot go on */
    MACHINE_QUIT,  /* somebody outside wants it to end */
};

struct machine {
    const struct options *options;
    struct kvm kvm;
    struct guest_memory memory;
    struct ports ports;
    struct serial serial;
    struct bus bus;
    struct host_device_set devices;
    bool devices_paused; /* by snapshot_save() */
    uint32_t vcpu_count;
    struct vcpu vcpus[VCPUS_MAXIMUM];
    struct vcpus_control vcpus_control;
    atomic_uint end; /* enum machine_end; the first one counts */
    atomic_int status;
    struct source ended;
};

/* Everything, ready to run: the kernel is loaded and the devices are offered. Ends the process with
 * one line if that cannot be. */
void machine_create(struct machine *machine, const struct options *options);

/* Runs the guest until it ends. IRQL_PASSIVE. */
enum machine_end machine_run(struct machine *machine);

/* Gives the guest a range that was added to its memory. */
void machine_map_added(struct machine *machine, uint32_t range);

/* Any thread. */
void machine_end(struct machine *machine, enum machine_end end, int status);
bool machine_has_ended(struct machine *machine);

/* The guest wrote its crash registers: says what is in them. On the thread of the processor. */
void machine_crashed(struct machine *machine, int vcpu);

#endif
