/* SPDX-License-Identifier: MIT */
#include "tests/vmm/ports.h"

#include <stddef.h>
#include <string.h>

#include "tests/vmm/executive.h"

void ports_create(struct ports *ports)
{
    memset(ports, 0, sizeof(*ports));
    (void)pthread_mutex_init(&ports->lock, NULL);
}

void ports_add(struct ports *ports, const struct port_range *range)
{
    for (unsigned i = 0; i < ports->count; i++) {
        const struct port_range *other = &ports->ranges[i];
        if (range->first < other->first + other->count &&
            other->first < range->first + range->count) {
            die("I/O port %#x is given to two devices (see option --debug-exit)", range->first);
        }
    }
    if (ports->count == PORT_RANGES) {
        die("more than %u ranges of I/O ports", PORT_RANGES);
    }
    ports->ranges[ports->count++] = *range;
}

static const struct port_range *find(const struct ports *ports, uint16_t port, unsigned size)
{
    for (unsigned i = 0; i < ports->count; i++) {
        const struct port_range *range = &ports->ranges[i];
        if (port >= range->first && port + size <= (uint32_t)range->first + range->count) {
            return range;
        }
    }
    return NULL;
}

void ports_access(struct ports *ports, uint16_t port, void *data, unsigned size, int is_write)
{
    const struct port_range *range = find(ports, port, size);
    uint32_t value = is_write ? 0 : UINT32_MAX;

    (void)pthread_mutex_lock(&ports->lock);
    if (is_write) {
        memcpy(&value, data, size);
        if (range != NULL && range->write != NULL) {
            range->write(range->context, (uint16_t)(port - range->first), value, size);
        }
    } else {
        if (range != NULL && range->read != NULL) {
            value = range->read(range->context, (uint16_t)(port - range->first), size);
        }
        memcpy(data, &value, size);
    }
    (void)pthread_mutex_unlock(&ports->lock);
}
