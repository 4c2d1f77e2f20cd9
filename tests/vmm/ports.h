/* SPDX-License-Identifier: MIT */
#ifndef VMM_PORTS_H
#define VMM_PORTS_H

/*
 * I/O ports. Devices register ranges before the guest runs; accesses come on the threads of its
 * processors, one at a time over all devices: what a device keeps is guarded by the ports' lock.
 */

#include <pthread.h>
#include <stdint.h>

struct port_range {
    uint16_t first;
    uint16_t count;
    /* `offset` from the first port, `size` 1, 2 or 4 bytes, all of them in the range. NULL: reads
     * give ones, writes are lost. */
    uint32_t (*read)(void *context, uint16_t offset, unsigned size);
    void (*write)(void *context, uint16_t offset, uint32_t value, unsigned size);
    void *context;
};

#define PORT_RANGES 16u /* choice: more than there are devices */

struct ports {
    pthread_mutex_t lock;
    struct port_range ranges[PORT_RANGES];
    unsigned count;
};

void ports_create(struct ports *ports);

/* Ends the process if the range overlaps another one. */
void ports_add(struct ports *ports, const struct port_range *range);

/* One access. A port nobody has reads as ones. */
void ports_access(struct ports *ports, uint16_t port, void *data, unsigned size, int is_write);

#endif
