/* SPDX-License-Identifier: MIT */
#ifndef TESTS_PAIR_SAVE_H
#define TESTS_PAIR_SAVE_H

/* What the tests of saved packets share: a server whose driver saves its packets' numbers and some
 * bytes more, and what it saved. */

#include "tests/unit/pair/pair.h"

#define PARTS      512u
#define FORM_LIMIT 0x200000u

/* What was saved: the channel, part by part, and the bus. */
extern struct form {
    UINT32 part_count;
    UINT32 sizes[PARTS];
    UINT32 size;
    UINT8 bytes[FORM_LIMIT];
    size_t bus_size;
    UINT8 bus[FORM_LIMIT];
} form;

/* What the driver's callbacks did, and what they are to do. */
extern unsigned save_calls;
extern NTSTATUS save_failure;
extern bool save_nothing;
extern unsigned restored;
extern unsigned fail_restore_at; /* the nth, from 1 */
extern VMBPACKET made[256];
extern unsigned made_count;
extern PFN_VMB_PACKET_COMPLETION_ROUTINE restored_routine;

int save_setup(void **state);
#define save_test(function) cmocka_unit_test_setup_teardown(function, save_setup, pair_teardown)

/* A Disabled server with those callbacks; the same, running with a client. */
void make_server(void);
void start_to_save(void);

/* Saves the server into parts of at most `limit` bytes, or what a chunk needs; the other way. */
void save(UINT32 limit);
NTSTATUS restore(void);

/* Another Disabled server in place of the running one; the running one again. */
void put_aside(void);
void put_back(void);

/* Requests in the guest's hands, in the ring, and queued; completions that found no room. Of the
 * first five the second is completed. */
void make_traffic(unsigned requests);

/* Saves a channel with some of everything in its hands, and puts it aside; lets it go on. */
void save_some(UINT32 limit);
void go_back(void);

/* Nothing was restored. */
void expect_untouched(void);

#endif
