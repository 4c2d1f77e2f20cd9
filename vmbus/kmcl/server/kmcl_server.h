/* SPDX-License-Identifier: MIT */
#ifndef KMCL_SERVER_H
#define KMCL_SERVER_H

/*
 * The inside of KMCL's server role, for the files of this folder alone. Hosts have it beside
 * vmbus/server; no guest image does.
 *
 *   kmcl_server.c            what a server does differently from a client; its configuration
 *   kmcl_server_memory.c     the guest's memory: of packets, and GPADLs
 *   kmcl_server_transfer.c   packets that name parts of a GPADL
 *   kmcl_server_interface.c  the tables of functions
 *   kmcl_save.c              packets as bytes; kmcl_restore.c from bytes
 */

#include "vmbus/kmcl/kmcl.h"
#include "vmbus/server/server.h"

/* What the bus was told, and told us, about the guest's request to open. */
enum kmcl_server_phase {
    KMCL_SERVER_CLOSED,
    KMCL_SERVER_ASKED,    /* to be answered with vmbus_server_open_done() */
    KMCL_SERVER_ANSWERED, /* to be ended with vmbus_server_close_done(), after `close` came */
};

/* A GPADL that the driver has mapped. */
struct kmcl_server_gpadl {
    struct kmcl_server_gpadl *next;
    uint32_t id;
    MDL *mdls;
};

/* Offers whose channel is a pipe. */
#define KMCL_SERVER_PIPE_FLAGS (VMBUS_OFFER_FLAG_NAMED_PIPE | VMBUS_OFFER_FLAG_TLNPI)

struct kmcl_save;
struct kmcl_restore;

/* What a server has besides struct kmcl_channel, whose marks [lock] and so on apply. */
struct kmcl_server_channel {
    struct vmbus_server *host;       /* [setup] */
    struct vmbus_server_offer offer; /* [setup] */
    PFN_VMB_CHANNEL_SAVE_PACKET save_packet;
    PFN_VMB_CHANNEL_RESTORE_PACKET restore_packet;
    struct vmbus_server_channel *bus; /* [worker] while it is offered */
    enum kmcl_server_phase phase;     /* [lock] */
    bool close_came;                  /* [lock] */
    bool revoked;                     /* [worker] */
    bool released;                    /* [lock] the bus has no more to say */
    struct work_item kick_work;
    struct kmcl_server_gpadl *gpadls; /* [lock] */
    struct kmcl_save *save;           /* from VmbChannelSaveBegin() to VmbChannelSaveEnd() */
    struct kmcl_restore *restore;     /* a saved form that is not complete yet */
    bool has_restored;                /* [worker] packets of an open channel of before */
    bool restored_failed;             /* [worker] whose intake was INTAKE_FAILED */
    bool goes_on;                     /* [lock] what the guest has open is that channel */
};

/* The server channel behind a handle; NULL if it is none. */
struct kmcl_channel *kmcl_server_find(VMBCHANNEL handle);

/* ---- kmcl_server_memory.c ---- */

NTSTATUS kmcl_server_external_map(struct kmcl_incoming *incoming, bool writable);
void kmcl_server_external_unmap(struct kmcl_incoming *incoming);

/* Unmaps what the driver left. PASSIVE. */
void kmcl_server_unmap_all(struct kmcl_channel *channel);

/* ---- kmcl_server_transfer.c ---- */

/* Header and ranges of a packet of transfer pages, bytes. */
#define KMCL_TRANSFER_HEADER_SIZE(count)                                                           \
    (sizeof(struct ring_transfer_pages_header) +                                                   \
     (uint64_t)(count) * sizeof(struct ring_transfer_page_range))

/* Makes a prepared packet one of transfer pages; header and ranges, `length` bytes, stand at the
 * start of its storage. */
void kmcl_server_add_transfer_pages(struct kmcl_packet *packet, uint32_t length);

/* ---- kmcl_save.c, kmcl_restore.c ---- */

void kmcl_save_free(struct kmcl_channel *channel);
void kmcl_restore_free(struct kmcl_channel *channel);

/* Gives a restored packet the room that an answer may take, once the channel's limits are settled.
 * False: no memory. Before opening. */
bool kmcl_restore_prepare(struct kmcl_channel *channel);

#endif
