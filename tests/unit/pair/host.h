/* SPDX-License-Identifier: MIT */
#ifndef TESTS_PAIR_HOST_H
#define TESTS_PAIR_HOST_H

/* A host around the devices of tests/host: where their lines go, and the machine below them. */

#include "tests/host/device.h"
#include "tests/unit/pair/pair.h"

/* What was said since the last host_forget(), a line each. */
extern char host_lines[16384];
extern const struct host_output host_output;
void host_forget(void);
#define assert_said(text)     assert_non_null(strstr(host_lines, text))
#define assert_not_said(text) assert_null(strstr(host_lines, text))

/* A device on the loopback's bus; created, or created, enabled and started. */
struct host_device *host_create(const char *text);
struct host_device *host_offer(const char *text);

/* Forgets, then runs the command. */
bool host_command(struct host_device *device, const char *line);

/* Lets time pass, with all that falls due in it. */
void pass_time(UINT64 duration);

/* Saves into a buffer of its own, whatever size that takes; pauses the device and leaves it so. */
extern UINT64 host_saved[65536];
extern size_t host_saved_size;
void host_save(struct host_device *device);

/* Saves and destroys it; returns another one, created from `text` and restored from those bytes. */
struct host_device *host_move(struct host_device *device, const char *text);

/* What machine.h says, for a guest of 64 MiB. */
extern UINT64 machine_wall_offset; /* of machine_wall_clock() to test_time() */
extern bool machine_refuses;       /* to add, take or return memory */
extern UINT64 machine_taken;       /* pages the guest gave and was not given back */
extern UINT64 machine_added_at;    /* first frame of what is added next */

/* ---- a peer that does what a test says ---- */

/* One end of a pipe of some device, client or server: keeps what comes, sends any bytes. */
struct peer {
    VMBCHANNEL channel;
    bool is_open;
    UINT8 received[16384]; /* the last one */
    UINT32 length;
    unsigned count;
    unsigned fetched;
    bool reads_nothing; /* but one packet, until peer_reads() */
    VMBPACKETCOMPLETION held;
};

void peer_make(struct peer *peer, bool is_server, const GUID *device_class, const GUID *instance,
               bool is_pipe);
void peer_send(struct peer *peer, const void *bytes, UINT32 length);
void peer_end(struct peer *peer);

/* From here on it takes no more than one packet out of its ring; and it goes on. */
void peer_stops_reading(struct peer *peer);
void peer_reads(struct peer *peer);

/* The one packet that came since the last call, after everything has settled. */
const UINT8 *peer_next(struct peer *peer);

/* A message of an integration service: its header with flags and body, sent. */
void peer_send_integration(struct peer *peer, UINT16 type, UINT8 flags, UINT8 transaction_id,
                           const void *body, UINT32 size);

#endif
