/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_KVP_KVP_DEVICE_H
#define DRIVERS_KVP_KVP_DEVICE_H

#include "drivers/integration/integration.h"
#include "drivers/kvp/kvp.h"
#include "drivers/kvp/kvp_protocol.h"
#include "drivers/kvp/kvp_store.h"

/* For the driver and its tests. */
struct kvp_driver {
    struct integration_device device;
    struct kvp_store pools[KVP_POOLS];
    uint64_t changes;
    /* Of the request that is answered, and of what fills its field: text is too long for an
     * interrupt's stack. */
    char key[KVP_KEY_SIZE / 2 * 3 + 1];
    char value[KVP_VALUE_SIZE / 2 * 3 + 1];
};
extern struct kvp_driver kvp_driver;
void kvp_start(void);

/* Fills KVP_POOL_AUTO. PASSIVE. */
void kvp_make_facts(void);

#endif
