/* SPDX-License-Identifier: MIT */
#ifndef TESTS_PAIR_TRAFFIC_H
#define TESTS_PAIR_TRAFFIC_H

/*
 * Packets of every kind between the two ends of a pair, and a model of what may become of them:
 * each ends exactly once; what arrives is what was sent, in that order; what asked for an answer
 * and ended well was answered.
 */

#include "tests/unit/pair/pair.h"

#define UNDER_WAY      400u /* at most, of one end */
#define KEPT           64u
#define EXTERNAL_PAGES 8u
#define TRANSFER_SET   0x1234u
#define TRANSFER_BYTES 12345u

/* One direction, by its sender. */
struct side {
    struct end *end;
    UINT64 sent;      /* numbers from 1 */
    UINT64 ended;     /* how many */
    UINT64 delivered; /* the last that arrived */
    UINT64 arrived;   /* how many, since somebody began to count */
    UINT64 empty_sent;
    UINT64 empty_arrived;
    struct {
        UINT64 number;
        UINT8 waits;
        UINT8 answered;
        UINT8 used;
    } under_way[UNDER_WAY];
    VMBPACKETCOMPLETION kept[KEPT]; /* of the other side's packets, at this one */
    UINT64 kept_numbers[KEPT];
    UINT32 kept_count;
    bool paused;
    bool failed; /* refuses all until the channel is opened anew */
};

extern struct side sides[2]; /* the client's, the server's */
extern bool traffic_may_keep;
extern bool traffic_is_pipe;
extern unsigned traffic_kinds[16]; /* how many were sent, by kind: see traffic.c */

/* Both ends with nothing under way; gives memory back. */
void traffic_begin(bool is_pipe);
void traffic_end(void);

struct side *other_side(struct side *side);

/* Sends one packet of any kind and size, if there are not too many under way. */
void traffic_send(struct side *side);

/* The client waits for an answer, or does not wait. */
void traffic_ask(void);

void traffic_complete_one(struct side *side);

/* So that nobody waits for a packet that one of us has; keeps none until told otherwise. */
void traffic_complete_all(void);

#endif
