/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "loopback.h"
#include "test_arch.h"
#include "vmbus/server/internal.h"

struct totals {
    uint32_t in_use;
    uint32_t gpadls;
    uint32_t words;
    uint32_t collecting;
    uint32_t unnumbered;
    uint32_t dues;
    unsigned maps;
};

static void check_due(const struct vmbus_server *server, const struct due *due,
                      struct totals *totals)
{
    bool found = false;

    for (const struct due *at = server->dues; at != NULL; at = at->next) {
        found |= at == due;
    }
    assert_int_equal(found, due->listed);
    assert_int_equal(due->listed, due->messages != 0);
    totals->dues += due->listed;
}

static void check_gpadl(const struct gpadl *gpadl, struct totals *totals)
{
    const struct vmbus_server_channel *channel = gpadl->channel;

    totals->gpadls++;
    totals->words += gpadl->word_count;
    totals->collecting += gpadl->state == GPADL_COLLECTING;
    assert_int_not_equal(gpadl->id, 0);
    assert_int_equal(gpadl->words_missing != 0, gpadl->state == GPADL_COLLECTING);
    assert_int_equal(gpadl->is_ring, channel->ring == gpadl);
    assert_int_equal(gpadl->mapped, gpadl->ranges != NULL);
    assert_false(gpadl->mapped && gpadl->is_ring);
    if (gpadl->mapped) {
        totals->in_use++;
        totals->maps += gpadl->range_count;
    }
    /* What nobody holds and nobody is to be told of is gone; who is told is told at once. */
    if (!gpadl->mapped && !gpadl->is_ring) {
        assert_int_not_equal(gpadl->state, GPADL_FORGOTTEN);
        assert_int_equal(gpadl->state == GPADL_LEAVING, (gpadl->due.messages & DUE_TORNDOWN) != 0);
    }
    check_due(channel->server, &gpadl->due, totals);
}

static void check_channel(const struct vmbus_server_channel *channel, struct totals *totals)
{
    const struct vmbus_server *server = channel->server;
    bool active = server_state_is_active(channel->state);
    uint32_t mapped = 0;

    totals->in_use += active;
    assert_int_equal(channel->ring != NULL, active);
    assert_true(active || channel->ring_memory == NULL);
    totals->maps += channel->ring_memory != NULL;
    totals->unnumbered += channel->relid == 0;
    assert_true(channel->owned || channel->state == VMBUS_SERVER_REVOKED);
    assert_int_equal(channel->event_users, 0);
    assert_false(channel->notices_listed);
    assert_int_equal(channel->notices, 0);
    if (channel->state == VMBUS_SERVER_GONE) {
        assert_ptr_not_equal(server->by_relid[channel->relid], channel);
    } else if (channel->relid != 0) {
        assert_ptr_equal(server->by_relid[channel->relid], channel);
    }
    if (server->state != CONNECTED) {
        assert_true(channel->state == VMBUS_SERVER_WAITING || channel->state == VMBUS_SERVER_GONE ||
                    channel->state == VMBUS_SERVER_CLOSING);
    }
    if (channel->state == VMBUS_SERVER_WAITING && channel->relid != 0) {
        assert_false(server->state == CONNECTED && server->offers_requested &&
                     !channel->guest_released);
    }
    /* Released as soon as it can be. */
    assert_true(!channel->revoked || !channel->owned || active || channel->gpadls_mapped != 0);
    check_due(server, &channel->due, totals);
    for (const struct gpadl *gpadl = channel->gpadls; gpadl != NULL; gpadl = gpadl->next) {
        assert_ptr_equal(gpadl->channel, channel);
        mapped += gpadl->mapped;
        check_gpadl(gpadl, totals);
    }
    assert_int_equal(channel->gpadls_mapped, mapped);
    bool events = atomic_load(&channel->event_vp) != NO_EVENTS;
    assert_true(!events || channel->state == VMBUS_SERVER_OPENING ||
                channel->state == VMBUS_SERVER_OPEN);
    assert_int_equal(loopback_doorbell(VMBUS_SERVER_CONNECTION_ID_BASE + channel->relid),
                     channel->doorbell);
}

void check_server(struct vmbus_server *server, unsigned mapped_frames)
{
    struct totals totals = {0};
    uint32_t numbered = 0;
    uint32_t standing = 0;
    uint32_t dues = 0;
    uint32_t collecting = 0;

    for (struct vmbus_server_channel *channel = server->channels; channel != NULL;
         channel = channel->next) {
        numbered += channel->relid != 0 && channel->state != VMBUS_SERVER_GONE;
        check_channel(channel, &totals);
    }
    for (uint32_t relid = 0; relid < VMBUS_RELID_END; relid++) {
        standing += server->by_relid[relid] != NULL;
    }
    for (struct due *due = server->dues; due != NULL; due = due->next) {
        dues++;
    }
    for (struct gpadl *gpadl = server->collecting; gpadl != NULL; gpadl = gpadl->next_collecting) {
        collecting++;
    }
    check_due(server, &server->due, &totals);
    assert_int_equal(standing, numbered);
    assert_int_equal(server->unnumbered, totals.unnumbered);
    assert_int_equal(server->in_use, totals.in_use);
    assert_int_equal(server->gpadls, totals.gpadls);
    assert_int_equal(server->gpadl_words, totals.words);
    assert_int_equal(server->collecting_count, totals.collecting);
    assert_int_equal(collecting, totals.collecting);
    assert_int_equal(dues, totals.dues);
    assert_true(server->gpadls <= server->options.gpadls);
    assert_true(server->gpadl_words <= server->options.gpadl_pages);
    assert_true(server->collecting_count <= server->options.gpadls_in_progress);
    assert_true(server->queue_count <= VMBUS_SERVER_QUEUE_SIZE);
    assert_true(server->dues == NULL || server->queue_count == VMBUS_SERVER_QUEUE_SIZE);
    assert_false(server->posting || server->noticing);
    assert_null(server->noticed);
    assert_true(server->state != DISCONNECTING || server->in_use != 0);
    assert_int_equal(loopback_maps(), totals.maps + mapped_frames);
}
