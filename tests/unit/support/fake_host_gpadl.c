/* SPDX-License-Identifier: MIT */
/* The GPADLs of the fake host: collected, checked, scribbled on, torn down. */
#include "fake_host_gpadl.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/pages.h"

#define GPADLS 64u

static struct host_gpadl gpadls[GPADLS];

void fake_host_forget_gpadl(struct host_gpadl *gpadl)
{
    free(gpadl->list);
    free(gpadl->frames);
    memset(gpadl, 0, sizeof(*gpadl));
}

void fake_host_forget_gpadls(void)
{
    for (size_t i = 0; i < GPADLS; i++) {
        fake_host_forget_gpadl(&gpadls[i]);
    }
}

struct host_gpadl *fake_host_find_gpadl(uint32_t id)
{
    for (size_t i = 0; i < GPADLS; i++) {
        if (gpadls[i].id == id && id != 0) {
            return &gpadls[i];
        }
    }
    return NULL;
}

const uint64_t *host_gpadl_frames(uint32_t id, size_t *count)
{
    struct host_gpadl *gpadl = fake_host_find_gpadl(id);

    if (gpadl == NULL || !gpadl->complete) {
        return NULL;
    }
    *count = gpadl->frame_count;
    return gpadl->frames;
}

void fake_host_forget_gpadls_of(uint32_t relid)
{
    for (size_t i = 0; i < GPADLS; i++) {
        if (gpadls[i].relid == relid) {
            fake_host_forget_gpadl(&gpadls[i]);
        }
    }
}

void fake_host_scribble(void)
{
    for (size_t i = 0; host.scribble && i < GPADLS; i++) {
        for (size_t page = 0; page < gpadls[i].frame_count; page++) {
            volatile uint8_t *byte =
                (volatile uint8_t *)page_address(gpadls[i].frames[page]) + PAGE_SIZE - 1;
            *byte ^= 0x80; /* and back, for the guest may look */
            *byte ^= 0x80;
        }
    }
}

/* Splits the collected list; false: it breaks a rule. */
static bool complete_gpadl(struct host_gpadl *gpadl)
{
    size_t at = 0;

    gpadl->frames = calloc(gpadl->bytes_expected / 8 + 1, 8);
    for (uint32_t range = 0; range < gpadl->range_count; range++) {
        uint32_t count;
        uint32_t offset;
        if (at + 8 > gpadl->bytes_expected) {
            return false;
        }
        memcpy(&count, gpadl->list + at, 4);
        memcpy(&offset, gpadl->list + at + 4, 4);
        at += 8;
        size_t frames = (size_t)(((uint64_t)count + offset + 4095) / 4096);
        if (count == 0 || offset > 0xFFF || at + frames * 8 > gpadl->bytes_expected) {
            return false;
        }
        memcpy(gpadl->frames + gpadl->frame_count, gpadl->list + at, frames * 8);
        gpadl->frame_count += frames;
        at += frames * 8;
    }
    gpadl->complete = true;
    return at == gpadl->bytes_expected;
}

static void take_list(struct host_gpadl *gpadl, const struct host_message *message, size_t from)
{
    size_t bytes = message->size - from;

    if (bytes > gpadl->bytes_expected - gpadl->bytes) {
        bytes = gpadl->bytes_expected - gpadl->bytes;
        fake_host_complain("GPADL %x: more than announced", gpadl->id);
    }
    memcpy(gpadl->list + gpadl->bytes, message->bytes + from, bytes);
    gpadl->bytes += (uint32_t)bytes;
    if (gpadl->bytes < gpadl->bytes_expected) {
        return;
    }
    uint32_t status = host.gpadl_status;
    uint32_t id = gpadl->id;
    uint32_t relid = gpadl->relid;
    if (!complete_gpadl(gpadl)) {
        fake_host_complain("GPADL %x: bad ranges", id);
        status = FAILURE;
    }
    if (status != 0 || host.gpadl == HOST_IGNORES) {
        fake_host_forget_gpadl(gpadl);
    }
    if (host.gpadl == HOST_ANSWERS) {
        fake_host_send_words(HOST_GPADL_CREATED, 20, relid, id, status, 0);
    }
}

void fake_host_gpadl_header(const struct host_message *message)
{
    uint32_t relid = host_word(message, 8);
    uint32_t id = host_word(message, 12);
    struct host_gpadl *gpadl = gpadls;

    if (message->size < 36 || (message->size - 20) % 8 != 0) {
        fake_host_complain("GPADL_HEADER of %u bytes", message->size);
        return;
    }
    if (id == 0 || fake_host_find_gpadl(id) != NULL || host_channel(relid) == NULL) {
        fake_host_complain("GPADL_HEADER: id %x, channel %u", id, relid);
        return;
    }
    while (gpadl < gpadls + GPADLS && gpadl->id != 0) {
        gpadl++;
    }
    if (gpadl == gpadls + GPADLS) {
        fake_host_complain("too many GPADLs for this host");
        return;
    }
    gpadl->id = id;
    gpadl->relid = relid;
    gpadl->bytes_expected = host_word(message, 16) & 0xFFFF;
    gpadl->range_count = host_word(message, 16) >> 16;
    gpadl->list = calloc(1, gpadl->bytes_expected + 1);
    take_list(gpadl, message, 20);
}

void fake_host_gpadl_body(const struct host_message *message)
{
    struct host_gpadl *gpadl = fake_host_find_gpadl(host_word(message, 12));

    if (gpadl == NULL || gpadl->complete || message->size < 24) {
        /* The guest may not have read yet that the list was refused or dropped. */
        if (gpadl != NULL) {
            fake_host_complain("GPADL_BODY: id %x", host_word(message, 12));
        }
        return;
    }
    take_list(gpadl, message, 16);
}

void fake_host_gpadl_teardown(const struct host_message *message)
{
    struct host_gpadl *gpadl = fake_host_find_gpadl(host_word(message, 12));

    if (gpadl == NULL || !gpadl->complete || gpadl->relid != host_word(message, 8)) {
        fake_host_complain("GPADL_TEARDOWN: id %x, channel %u", host_word(message, 12),
                           host_word(message, 8));
        return;
    }
    struct host_channel *channel = host_channel(gpadl->relid);
    if (channel != NULL && channel->open && channel->gpadl == gpadl->id) {
        if (!channel->rescinded) {
            fake_host_complain("GPADL_TEARDOWN of the rings of an open channel %u", gpadl->relid);
        }
        channel->open = false;
    }
    fake_host_scribble();
    if (host.teardown != HOST_IGNORES) {
        uint32_t id = gpadl->id;
        fake_host_forget_gpadl(gpadl);
        if (host.teardown == HOST_ANSWERS) {
            fake_host_send_words(HOST_GPADL_TORNDOWN, 12, id, 0, 0, host.teardown_steps);
        }
    }
}

unsigned host_gpadls(void)
{
    unsigned count = 0;

    for (size_t i = 0; i < GPADLS; i++) {
        count += gpadls[i].id != 0;
    }
    return count;
}
