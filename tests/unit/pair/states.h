/* SPDX-License-Identifier: MIT */
#ifndef TESTS_PAIR_STATES_H
#define TESTS_PAIR_STATES_H

/*
 * What may be called when: every function of the interface in every state of a channel and inside
 * every callback, for both roles. A row is a function, a column a state, a letter what it does
 * there: '.' works, '!' stops the guest, naming the function, 'q' the packet waits for the channel,
 * '-' there is no such state, others a status (status_letter()).
 *
 * One end of a pair is brought into the state, or into one of its callbacks, and the call is made.
 * Each time in a world of its own, which lives on to its end afterwards: nothing may be left over.
 */

#include "tests/unit/pair/pair.h"

enum column {
    IN_DISABLED,
    IN_ENABLED, /* waiting for an offer; offered */
    IN_PAUSED,
    IN_ACTIVE,
    IN_OPENED_CALLBACK,
    IN_STARTED_CALLBACK,
    IN_POST_STARTED_CALLBACK,
    IN_SUSPEND_CALLBACK, /* the other end left */
    IN_CLOSED_CALLBACK,  /* likewise */
    IN_PNP_FAILURE_CALLBACK,
    IN_PACKET_CALLBACK,         /* at DISPATCH */
    IN_PASSIVE_PACKET_CALLBACK, /* the same at PASSIVE */
    IN_BATCH_CALLBACK,          /* EvtVmbChannelProcessingComplete, at DISPATCH */
    IN_COMPLETION_CALLBACK,     /* EvtVmbPacketCompletionRoutine, at DISPATCH */
    IN_SAVE,                    /* paused, between VmbChannelSaveBegin and VmbChannelSaveEnd */
    IN_RESTORE,                 /* Disabled, behind the first part of a saved form */
    COLUMNS,
};

char status_letter(NTSTATUS status);

/* What calls may use. */
struct situation {
    struct end *end;
    VMBPACKETCOMPLETION packet; /* that this end was given; NULL: none */
    UINT32 gpadl;               /* of the client's; 0: none */
};

/* A call: returns its letter. */
typedef char action(struct situation *situation);

struct row {
    const char *name; /* of the function */
    action *call;
    const char *letters[2]; /* of a client, of a server; a letter a column, blanks do not count */
};

/* Tries every row in every column. A stop must name the function. */
void check_rows(const struct row *rows, size_t count, BOOLEAN is_server);

#endif
