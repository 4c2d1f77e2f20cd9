/* SPDX-License-Identifier: MIT */
#include "tests/vmm/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/pages.h"
#include "tests/vmm/machine.h"
#include "tests/vmm/snapshot_file.h"
#include "tests/vmm/vcpu_state.h"

#define BUS_SECTION    "bus"
#define ADDED_SECTION  "memory added"
#define SERIAL_SECTION "serial port"

#define DEVICE_BYTES_MOST ((size_t)256 << 20) /* choice: no device holds more under way */

/* ---- saving ---- */

static const char *device_section(char name[SNAPSHOT_NAME], const struct host_device *device)
{
    (void)snprintf(name, SNAPSHOT_NAME, "device %s", device->name);
    return name;
}

/* How much it takes a device says only by what is too small. */
static const char *save_device(struct host_device *device, struct snapshot *snapshot)
{
    char name[SNAPSHOT_NAME];

    for (size_t capacity = 65536; capacity <= DEVICE_BYTES_MOST; capacity *= 4) {
        void *buffer = malloc(capacity);
        size_t size;
        if (buffer == NULL) {
            break;
        }
        NTSTATUS status = host_device_save(device, buffer, capacity, &size);
        if (NT_SUCCESS(status)) {
            memcpy(snapshot_add(snapshot, device_section(name, device), size), buffer, size);
        }
        free(buffer);
        if (status != STATUS_BUFFER_TOO_SMALL) {
            return NT_SUCCESS(status) ? NULL : "a device cannot be saved";
        }
    }
    return "a device's state takes too much memory";
}

static const char *save_bus(struct vmbus_server *server, struct snapshot *snapshot)
{
    size_t size = 0;

    if (vmbus_server_save(server, NULL, 0, &size) != VMBUS_NO_MEMORY) {
        return "the bus cannot be saved";
    }
    void *buffer = snapshot_add(snapshot, BUS_SECTION, size);
    return vmbus_server_save(server, buffer, size, &size) == VMBUS_OK ? NULL
                                                                      : "the bus cannot be saved";
}

static const char *save_all(struct machine *machine, struct snapshot *snapshot)
{
    const char *why = NULL;

    for (uint32_t i = 0; why == NULL && i < machine->devices.count; i++) {
        why = save_device(machine->devices.list[i], snapshot);
    }
    if (why == NULL) {
        why = save_bus(machine->bus.server, snapshot);
    }
    for (uint32_t i = 0; i < machine->vcpu_count; i++) {
        vcpu_state_save(&machine->vcpus[i], snapshot);
    }
    kvm_state_save(&machine->kvm, snapshot);
    serial_save(&machine->serial,
                snapshot_add(snapshot, SERIAL_SECTION, sizeof(struct serial_state)));
    size_t added = atomic_load(&machine->memory.added_count) * sizeof(struct guest_added);
    memcpy(snapshot_add(snapshot, ADDED_SECTION, added), machine->memory.added, added);
    return why;
}

const char *snapshot_save(struct machine *machine, const char *name)
{
    struct snapshot snapshot = {.header = {.processors = machine->vcpu_count}};

    if (machine->options->firmware != NULL) {
        return "a guest of firmware cannot be saved"; /* its clock and fw_cfg are not in it */
    }
    vcpus_want(machine, VCPUS_STAND);
    if (!machine->devices_paused) {
        host_devices_pause(&machine->devices);
        machine->devices_paused = true;
    }
    const char *why = save_all(machine, &snapshot);
    if (why == NULL) {
        why = snapshot_write(&snapshot, &machine->memory, name);
    }
    snapshot_free(&snapshot);
    return why;
}

void snapshot_continue(struct machine *machine)
{
    if (machine->devices_paused) {
        machine->devices_paused = false;
        host_devices_start(&machine->devices);
    }
    vcpus_want(machine, VCPUS_RUN);
}

/* ---- resuming ---- */

/* One of them may have pages that the guest gave: it takes them anew. */
static void restore_devices(struct machine *machine, const struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < machine->devices.count; i++) {
        struct host_device *device = machine->devices.list[i];
        char name[SNAPSHOT_NAME];
        uint64_t size;
        const void *bytes = snapshot_find(snapshot, device_section(name, device), &size);
        if (bytes == NULL) {
            say("device '%s' is not in the snapshot: the guest finds it new", device->name);
            continue;
        }
        NTSTATUS status = host_device_restore(device, bytes, size);
        if (!NT_SUCCESS(status)) {
            die("option --resume: device '%s' does not take its saved state: status 0x%08x",
                device->name, (unsigned)status);
        }
    }
}

/* Added as it was then, it lies where it lay. */
static void restore_added(struct machine *machine, const struct snapshot *snapshot)
{
    struct guest_memory *memory = &machine->memory;
    uint64_t size;
    const struct guest_added *added = snapshot_find(snapshot, ADDED_SECTION, &size);

    for (uint32_t i = 0; added != NULL && i < size / sizeof(*added); i++) {
        if (added[i].address == 0 || added[i].address % PAGE_SIZE != 0 ||
            added[i].size % PAGE_SIZE != 0 ||
            !guest_memory_add(memory, added[i].size, added[i].address) ||
            memory->added[i].address != added[i].address) {
            die("option --resume: memory of %llu bytes that was added at %#llx cannot be added",
                (unsigned long long)added[i].size, (unsigned long long)added[i].address);
        }
        machine_map_added(machine, i);
    }
    if (memory->total != snapshot->header.memory_total) {
        die("option --resume: the snapshot has other memory than it says");
    }
}

void snapshot_resume(struct machine *machine, const char *name)
{
    struct snapshot snapshot;
    uint64_t size;

    snapshot_read(&snapshot, name);
    restore_added(machine, &snapshot);
    snapshot_read_memory(&snapshot, &machine->memory, name);
    for (uint32_t i = 0; i < machine->vcpu_count; i++) {
        vcpu_state_restore(&machine->vcpus[i], &snapshot);
    }
    kvm_state_restore(&machine->kvm, &snapshot);
    if (!serial_restore(&machine->serial,
                        snapshot_get(&snapshot, SERIAL_SECTION, sizeof(struct serial_state)))) {
        die("option --resume: %s: its serial port is damaged", name);
    }
    restore_devices(machine, &snapshot);
    devices_enable(&machine->devices);
    const void *bus = snapshot_find(&snapshot, BUS_SECTION, &size);
    if (bus == NULL) {
        die("option --resume: %s has no bus", name);
    }
    enum vmbus_server_restored result = vmbus_server_restore(machine->bus.server, bus, size);
    if (result != VMBUS_SERVER_RESTORED) {
        die("option --resume: the bus cannot be restored: %s", vmbus_server_restored_name(result));
    }
    snapshot_free(&snapshot);
    /* What was on its way to a processor when it was saved may not have arrived. */
    for (uint32_t i = 0; i < machine->vcpu_count; i++) {
        synic_interrupt(&machine->vcpus[i].synic);
    }
    vmbus_server_slot_free(machine->bus.server);
}

void snapshot_peek(const char *name, uint64_t *memory_mib, uint32_t *processors)
{
    struct snapshot snapshot;

    snapshot_read(&snapshot, name);
    *memory_mib = snapshot.header.memory >> 20;
    *processors = snapshot.header.processors;
    snapshot_free(&snapshot);
}
