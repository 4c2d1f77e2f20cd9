/* SPDX-License-Identifier: MIT */
#ifndef KMCL_EXTERNAL_H
#define KMCL_EXTERNAL_H

/*
 * Memory beside a packet: MDL chains and lists of pages, cut into the ranges that the wire knows.
 * Pure functions; the MDLs are the driver's and trusted, their lengths are checked against what
 * there is room for.
 */

#include <stdbool.h>
#include <stdint.h>

#include "VmbusKernelModeClientLibApi.h"
#include "vmbus/vmbus.h"

/* A part of an MDL chain, taken off range by range: one for each MDL it touches. */
struct kmcl_mdl_window {
    const MDL *mdl;
    uint32_t skip;   /* bytes before the next range, from the start of `mdl` */
    uint32_t left;   /* bytes still wanted */
    bool to_the_end; /* `left` does not count */
};

/* `length` 0: to the end of the chain. */
struct kmcl_mdl_window kmcl_mdl_window(const MDL *mdl, uint32_t offset, uint32_t length);

/* False: nothing left. The range's frames point into the MDL. */
bool kmcl_mdl_window_next(struct kmcl_mdl_window *window, struct vmbus_gpa_range *range);

/* After the last range: whether the chain held all that was wanted. */
bool kmcl_mdl_window_is_complete(const struct kmcl_mdl_window *window);

/* What a channel allows a packet. */
struct kmcl_external_limits {
    uint32_t data_size;    /* bytes, 0: no external data */
    uint32_t chain_length; /* ranges */
};

/* Bytes that the header of the largest external data within the limits takes; a multiple of 8, 0 if
 * there is none. */
uint64_t kmcl_external_header_size(const struct kmcl_external_limits *limits);

/*
 * Builds the GPA-direct header of a packet at `header`, kmcl_external_header_size() bytes.
 * STATUS_SUCCESS: *header_length bytes, a multiple of 8, are written. STATUS_INVALID_PARAMETER:
 * nothing to describe, beyond the limits, or a window that the chain does not hold.
 */
NTSTATUS kmcl_external_from_mdl(void *header, const struct kmcl_external_limits *limits,
                                const MDL *mdl, uint32_t offset, uint32_t length,
                                uint32_t *header_length);

/* The first MDL alone, and up to the end of its last page. */
NTSTATUS kmcl_external_from_forced_mdl(void *header, const struct kmcl_external_limits *limits,
                                       const MDL *mdl, uint32_t offset, uint32_t length,
                                       uint32_t *header_length);

/* `count` whole pages as one range. */
NTSTATUS kmcl_external_from_frames(void *header, const struct kmcl_external_limits *limits,
                                   const uint64_t *frames, uint32_t count, uint32_t *header_length);

#endif
