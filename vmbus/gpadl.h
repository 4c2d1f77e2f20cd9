/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_GPADL_H
#define VMBUS_GPADL_H

/*
 * GPADLs: lists of guest pages given to the host under a number. For this folder only; the users'
 * functions are in vmbus/vmbus.h.
 */

#include <stddef.h>
#include <stdint.h>

#include "vmbus/messages.h"
#include "vmbus/vmbus.h"

/* The 16-bit length of the ranges, in whole 64-bit words, bounds a GPADL: one range of 8190 pages.
 */
#define VMBUS_GPADL_WORDS_MAXIMUM 8191u
#define VMBUS_GPADL_PAGES_MAXIMUM (VMBUS_GPADL_WORDS_MAXIMUM - 1u)

/* 64-bit words that fit behind the header of each message: 27 and 28. */
#define VMBUS_GPADL_HEADER_WORDS                                                                   \
    ((VMBUS_MESSAGE_SIZE_MAXIMUM - (uint32_t)sizeof(struct vmbus_message_gpadl_header)) / 8u)
#define VMBUS_GPADL_BODY_WORDS                                                                     \
    ((VMBUS_MESSAGE_SIZE_MAXIMUM - (uint32_t)sizeof(struct vmbus_message_gpadl_body)) / 8u)

/* Writes the messages of one GPADL, one after the other. Pure: no state but its own. */
struct vmbus_gpadl_writer {
    const struct vmbus_gpa_range *range; /* the one being written */
    uint32_t page;                       /* of it, next */
    bool in_range;                       /* its byte count and offset are written */
    bool started;                        /* GPADL_HEADER is written */
    uint16_t range_count;
    uint32_t words_left;
    uint32_t relid;
    uint32_t gpadl;
};

/* Pages that a range touches. */
static inline uint64_t vmbus_gpa_range_pages(const struct vmbus_gpa_range *range)
{
    return ((uint64_t)range->byte_offset + range->byte_count + 4095u) / 4096u;
}

/* False: no range, an empty one, an offset beyond the first page, or more than a GPADL can hold. */
bool vmbus_gpadl_writer_start(struct vmbus_gpadl_writer *writer, uint32_t relid, uint32_t gpadl,
                              const struct vmbus_gpa_range *ranges, size_t range_count);

/* The size of the next message, written to `message`; 0 after the last. */
uint32_t vmbus_gpadl_writer_next(struct vmbus_gpadl_writer *writer,
                                 unsigned char message[VMBUS_MESSAGE_SIZE_MAXIMUM]);

/* A rescind or the end of the connection: releases the waits for this channel's GPADLs. Under the
 * bus lock. */
void vmbus_gpadl_release_waits(const struct vmbus_channel *channel);

vmbus_message_handler vmbus_gpadl_created_received;
vmbus_message_handler vmbus_gpadl_torndown_received;

#endif
