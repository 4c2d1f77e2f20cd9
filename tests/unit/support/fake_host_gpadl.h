/* SPDX-License-Identifier: MIT */
#ifndef FAKE_HOST_GPADL_H
#define FAKE_HOST_GPADL_H

/* Between the files of the fake host; tests use fake_host.h. */

#include "fake_host.h"

#define FAILURE 0x8000FFFFu /* the status of what this host refuses */

struct host_gpadl {
    uint32_t id;
    uint32_t relid;
    bool complete;
    bool in_use; /* by an open channel */
    uint32_t bytes_expected;
    uint32_t bytes;
    uint32_t range_count;
    uint8_t *list;
    uint64_t *frames;
    size_t frame_count;
};

/* NULL: there is none. */
struct host_gpadl *fake_host_find_gpadl(uint32_t id);
void fake_host_forget_gpadl(struct host_gpadl *gpadl);
void fake_host_forget_gpadls(void);
void fake_host_forget_gpadls_of(uint32_t relid);

/* Writes to what the guest must not have freed; the sanitizer tells. */
void fake_host_scribble(void);

/* The guest's messages. */
void fake_host_gpadl_header(const struct host_message *message);
void fake_host_gpadl_body(const struct host_message *message);
void fake_host_gpadl_teardown(const struct host_message *message);

/* The guest broke a rule: an error, unless the host is tolerant. */
__attribute__((format(printf, 1, 2))) void fake_host_complain(const char *format, ...);

/* A message of words, delivered after so many steps. */
void fake_host_send_words(uint32_t type, uint32_t size, uint32_t a, uint32_t b, uint32_t c,
                          unsigned steps);

#endif
