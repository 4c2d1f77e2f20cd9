/* SPDX-License-Identifier: MIT */
#include "tests/vmm/bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/machine.h"
#include "tests/vmm/trace.h"
#include "tests/vmm/trace_packets.h"

/* ---- guest memory ---- */

static void *map(void *context, const uint64_t *frames, size_t count, bool writable)
{
    const struct bus *bus = context;

    (void)writable; /* it is the guest's either way */
    return guest_memory_map_frames(&bus->machine->memory, frames, count);
}

static void unmap(void *context, void *address, size_t count)
{
    const struct bus *bus = context;

    guest_memory_unmap_frames(&bus->machine->memory, address, count);
}

/* ---- to the guest ---- */

static struct synic *synic_of(const struct bus *bus, uint32_t vp)
{
    return vp < bus->machine->vcpu_count ? &bus->machine->vcpus[vp].synic : NULL;
}

static enum vmbus_server_posted post(void *context, uint32_t vp, uint32_t sint, const void *payload,
                                     uint32_t size)
{
    const struct bus *bus = context;
    struct synic *synic = sint == SYNIC_SINT ? synic_of(bus, vp) : NULL;
    enum synic_posted posted = synic != NULL ? synic_post(synic, payload, size) : SYNIC_OFF;

    if (posted == SYNIC_BUSY) {
        return VMBUS_SERVER_SLOT_BUSY;
    }
    trace_message(TRACE_TO_GUEST, payload, size, posted == SYNIC_POSTED ? NULL : "no SynIC");
    return posted == SYNIC_POSTED ? VMBUS_SERVER_POSTED : VMBUS_SERVER_POST_FAILED;
}

static bool event(void *context, uint32_t vp, uint32_t flag)
{
    struct synic *synic = synic_of(context, vp);

    trace_packets_signalled(flag);
    return synic != NULL && synic_event(synic, flag);
}

/* The number of the channel behind a connection id. */
static uint32_t relid_of(uint32_t connection_id)
{
    return connection_id - VMBUS_SERVER_CONNECTION_ID_BASE;
}

/* ---- doorbells: signals that KVM counts without leaving the guest's processor ---- */

struct doorbell {
    struct doorbell *next;
    struct bus *bus;
    uint32_t connection_id;
    struct source source;
};

/* The server takes it back itself when the channel is gone. IRQL_DISPATCH. */
static void rung(void *context)
{
    const struct doorbell *doorbell = context;

    trace_packets_signalled(relid_of(doorbell->connection_id));
    (void)vmbus_server_signal(doorbell->bus->server, doorbell->connection_id, 0);
}

static bool register_doorbell(const struct doorbell *doorbell, bool wanted)
{
    struct kvm_hyperv_eventfd request = {
        .conn_id = doorbell->connection_id,
        .fd = wanted ? doorbell->source.file : -1,
        .flags = wanted ? 0 : KVM_HYPERV_EVENTFD_DEASSIGN,
    };

    return kvm_ioctl(doorbell->bus->machine->kvm.vm, KVM_HYPERV_EVENTFD, &request) == 0;
}

static void doorbell_add(struct bus *bus, uint32_t connection_id)
{
    struct doorbell *doorbell = calloc(1, sizeof(*doorbell));

    if (doorbell == NULL) {
        return; /* its signals are exits, then */
    }
    doorbell->bus = bus;
    doorbell->connection_id = connection_id;
    if (!source_create(&doorbell->source, IRQL_DISPATCH, rung, doorbell)) {
        free(doorbell);
        return;
    }
    if (!register_doorbell(doorbell, true)) {
        source_remove(&doorbell->source);
        free(doorbell);
        return;
    }
    doorbell->next = bus->doorbells;
    bus->doorbells = doorbell;
}

static void doorbell_remove(struct bus *bus, uint32_t connection_id)
{
    for (struct doorbell **at = &bus->doorbells; *at != NULL; at = &(*at)->next) {
        struct doorbell *doorbell = *at;
        if (doorbell->connection_id == connection_id) {
            *at = doorbell->next;
            (void)register_doorbell(doorbell, false);
            source_remove(&doorbell->source);
            free(doorbell);
            return;
        }
    }
}

static void doorbell(void *context, uint32_t connection_id, bool wanted)
{
    struct bus *bus = context;

    if (wanted) {
        trace_packets_opened(bus->server, relid_of(connection_id));
        doorbell_add(bus, connection_id);
    } else {
        doorbell_remove(bus, connection_id);
        trace_packets_closed(relid_of(connection_id));
    }
}

/* ---- from the guest ---- */

struct guest_call {
    struct bus *bus;
    uint32_t connection_id;
    const void *payload;
    uint32_t size;
    uint32_t flag;
    hv_status status;
};

static void message(void *context)
{
    struct guest_call *call = context;

    uint32_t size = call->size;

    trace_message(TRACE_FROM_GUEST, call->payload, size, NULL);
    call->status =
        vmbus_server_message(call->bus->server, call->connection_id, call->payload, size);
    if (call->status != HV_STATUS_SUCCESS) {
        trace_status(call->connection_id, call->status);
    }
}

hv_status bus_message(struct bus *bus, uint32_t connection_id, const void *payload, uint32_t size)
{
    struct guest_call call = {
        .bus = bus, .connection_id = connection_id, .payload = payload, .size = size};

    executive_call(message, &call);
    return call.status;
}

static void signal(void *context)
{
    struct guest_call *call = context;

    trace_packets_signalled(relid_of(call->connection_id));
    call->status = vmbus_server_signal(call->bus->server, call->connection_id, call->flag);
}

hv_status bus_signal(struct bus *bus, uint32_t connection_id, uint32_t flag)
{
    struct guest_call call = {.bus = bus, .connection_id = connection_id, .flag = flag};

    executive_call(signal, &call);
    return call.status;
}

void bus_create(struct bus *bus, struct machine *machine)
{
    const struct vmbus_server_host host = {
        .map = map,
        .unmap = unmap,
        .post = post,
        .event = event,
        .doorbell = doorbell,
        .context = bus,
    };
    const struct vmbus_server_options options = {
        .version_maximum = machine->options->vmbus_version,
    };

    *bus = (struct bus){.machine = machine};
    bus->server = vmbus_server_create(&host, &options);
    if (bus->server == NULL) {
        die("the bus cannot be made: no memory, or no version as in option --vmbus-version");
    }
}
