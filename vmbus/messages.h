/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_MESSAGES_H
#define VMBUS_MESSAGES_H

/*
 * The channel messages, once: everything this code knows of a message as a whole is a column of
 * VMBUS_MESSAGES. The enum, the size and version checks, the printable names, the dispatch to
 * handlers and the dictionary of the random tests are made from it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "vmbus/protocol.h"

/*
 * M(number, name, sender, first version, feature it needs, smallest size, largest size, handler)
 *
 * Sizes in bytes, header included. Versions are those that OpenVMM enforces (vmbus_core
 * protocol.rs). A receiver accepts the smallest size and everything above it, and ignores what it
 * does not know: QEMU rounds every message up to a multiple of 8. A sender sends an exact size
 * between the two. The handler is in the file that owns the state it changes: for messages that a
 * host sends in this folder, for those that a guest sends in vmbus/server/. NONE: legal, but never
 * asked for by this guest, or only by those that have vmbus/channel_move.c; and never granted by
 * this host.
 */
#define VMBUS_MESSAGES(M)                                                                          \
    M(1, OFFER_CHANNEL, HOST, VMBUS_VERSION_0_13, 0, sizeof(struct vmbus_message_offer_channel),   \
      sizeof(struct vmbus_message_offer_channel), vmbus_offer_received)                            \
    M(2, RESCIND_CHANNEL_OFFER, HOST, VMBUS_VERSION_0_13, 0, sizeof(struct vmbus_message_relid),   \
      sizeof(struct vmbus_message_relid), vmbus_rescind_received)                                  \
    M(3, REQUEST_OFFERS, GUEST, VMBUS_VERSION_0_13, 0, sizeof(struct vmbus_message_bare),          \
      sizeof(struct vmbus_message_bare), server_request_offers_received)                           \
    M(4, ALL_OFFERS_DELIVERED, HOST, VMBUS_VERSION_0_13, 0, sizeof(struct vmbus_message_bare),     \
      sizeof(struct vmbus_message_bare), vmbus_all_offers_received)                                \
    M(5, OPEN_CHANNEL, GUEST, VMBUS_VERSION_0_13, 0, sizeof(struct vmbus_message_open_channel),    \
      sizeof(struct vmbus_message_open_channel_2), server_open_received)                           \
    M(6, OPEN_CHANNEL_RESULT, HOST, VMBUS_VERSION_0_13, 0,                                         \
      sizeof(struct vmbus_message_open_result), sizeof(struct vmbus_message_open_result),          \
      vmbus_open_result_received)                                                                  \
    M(7, CLOSE_CHANNEL, GUEST, VMBUS_VERSION_0_13, 0, sizeof(struct vmbus_message_relid),          \
      sizeof(struct vmbus_message_relid), server_close_received)                                   \
    M(8, GPADL_HEADER, GUEST, VMBUS_VERSION_0_13, 0,                                               \
      sizeof(struct vmbus_message_gpadl_header) + 16, VMBUS_MESSAGE_SIZE_MAXIMUM,                  \
      server_gpadl_header_received)                                                                \
    M(9, GPADL_BODY, GUEST, VMBUS_VERSION_0_13, 0, sizeof(struct vmbus_message_gpadl_body) + 8,    \
      VMBUS_MESSAGE_SIZE_MAXIMUM, server_gpadl_body_received)                                      \
    M(10, GPADL_CREATED, HOST, VMBUS_VERSION_0_13, 0, sizeof(struct vmbus_message_gpadl_created),  \
      sizeof(struct vmbus_message_gpadl_created), vmbus_gpadl_created_received)                    \
    M(11, GPADL_TEARDOWN, GUEST, VMBUS_VERSION_0_13, 0,                                            \
      sizeof(struct vmbus_message_gpadl_teardown), sizeof(struct vmbus_message_gpadl_teardown),    \
      server_gpadl_teardown_received)                                                              \
    M(12, GPADL_TORNDOWN, HOST, VMBUS_VERSION_0_13, 0,                                             \
      sizeof(struct vmbus_message_gpadl_torndown), sizeof(struct vmbus_message_gpadl_torndown),    \
      vmbus_gpadl_torndown_received)                                                               \
    M(13, RELID_RELEASED, GUEST, VMBUS_VERSION_0_13, 0, sizeof(struct vmbus_message_relid),        \
      sizeof(struct vmbus_message_relid), server_relid_released_received)                          \
    M(14, INITIATE_CONTACT, GUEST, 0, 0, sizeof(struct vmbus_message_initiate_contact),            \
      sizeof(struct vmbus_message_initiate_contact_2), server_contact_received)                    \
    M(15, VERSION_RESPONSE, HOST, 0, 0, sizeof(struct vmbus_message_version_response),             \
      sizeof(struct vmbus_message_version_response_3), vmbus_version_response_received)            \
    M(16, UNLOAD, GUEST, VMBUS_VERSION_0_13, 0, sizeof(struct vmbus_message_bare),                 \
      sizeof(struct vmbus_message_bare), server_unload_received)                                   \
    M(17, UNLOAD_COMPLETE, HOST, VMBUS_VERSION_1_1, 0, sizeof(struct vmbus_message_bare),          \
      sizeof(struct vmbus_message_bare), vmbus_unload_complete_received)                           \
    M(18, OPEN_RESERVED_CHANNEL, GUEST, VMBUS_VERSION_4_0, 0,                                      \
      sizeof(struct vmbus_message_open_reserved), sizeof(struct vmbus_message_open_reserved),      \
      NONE)                                                                                        \
    M(19, CLOSE_RESERVED_CHANNEL, GUEST, 0, 0, sizeof(struct vmbus_message_close_reserved),        \
      sizeof(struct vmbus_message_close_reserved), NONE)                                           \
    M(20, CLOSE_RESERVED_RESPONSE, HOST, VMBUS_VERSION_4_0, 0, sizeof(struct vmbus_message_relid), \
      sizeof(struct vmbus_message_relid), NONE)                                                    \
    M(21, TL_CONNECT_REQUEST, GUEST, VMBUS_VERSION_4_0, 0,                                         \
      sizeof(struct vmbus_message_tl_connect_request),                                             \
      sizeof(struct vmbus_message_tl_connect_request_2), server_tl_connect_received)               \
    M(22, MODIFY_CHANNEL, GUEST, VMBUS_VERSION_4_1, 0,                                             \
      sizeof(struct vmbus_message_modify_channel), sizeof(struct vmbus_message_modify_channel),    \
      server_modify_received)                                                                      \
    M(23, TL_CONNECT_RESULT, HOST, VMBUS_VERSION_4_1, 0,                                           \
      sizeof(struct vmbus_message_tl_connect_result),                                              \
      sizeof(struct vmbus_message_tl_connect_result), NONE)                                        \
    M(24, MODIFY_CHANNEL_RESPONSE, HOST, VMBUS_VERSION_5_3, 0,                                     \
      sizeof(struct vmbus_message_modify_channel_response),                                        \
      sizeof(struct vmbus_message_modify_channel_response), NONE)                                  \
    M(25, MODIFY_CONNECTION, GUEST, VMBUS_VERSION_6_0, VMBUS_FEATURE_MODIFY_CONNECTION,            \
      sizeof(struct vmbus_message_modify_connection),                                              \
      sizeof(struct vmbus_message_modify_connection), NONE)                                        \
    M(26, MODIFY_CONNECTION_RESPONSE, HOST, VMBUS_VERSION_6_0, VMBUS_FEATURE_MODIFY_CONNECTION,    \
      VMBUS_MODIFY_CONNECTION_RESPONSE_SIZE, VMBUS_MODIFY_CONNECTION_RESPONSE_SIZE, NONE)          \
    M(27, PAUSE, GUEST, VMBUS_VERSION_6_0, VMBUS_FEATURE_PAUSE_RESUME,                             \
      sizeof(struct vmbus_message_bare), sizeof(struct vmbus_message_bare), NONE)                  \
    M(28, PAUSE_RESPONSE, HOST, VMBUS_VERSION_6_0, VMBUS_FEATURE_PAUSE_RESUME,                     \
      sizeof(struct vmbus_message_bare), sizeof(struct vmbus_message_bare), NONE)                  \
    M(29, RESUME, GUEST, VMBUS_VERSION_6_0, VMBUS_FEATURE_PAUSE_RESUME,                            \
      sizeof(struct vmbus_message_bare), sizeof(struct vmbus_message_bare), NONE)

enum vmbus_message_type {
#define VMBUS_MESSAGE_ENUMERATOR(number, name, ...) VMBUS_MESSAGE_##name = (number),
    VMBUS_MESSAGES(VMBUS_MESSAGE_ENUMERATOR)
#undef VMBUS_MESSAGE_ENUMERATOR
        VMBUS_MESSAGE_TYPE_END,
};

/*
 * Acts on a message whose size was checked against the table; `message` is private memory, aligned
 * to 4 bytes. At
 * IRQL_DISPATCH, in order of arrival. False: well-formed, but nothing waits for it.
 */
typedef bool vmbus_message_handler(const void *message, uint32_t size);

enum vmbus_message_verdict {
    VMBUS_MESSAGE_GOOD,
    VMBUS_MESSAGE_MALFORMED,  /* shorter than its type, or no type at all */
    VMBUS_MESSAGE_UNKNOWN,    /* no such type in the negotiated version and features */
    VMBUS_MESSAGE_UNEXPECTED, /* nothing this guest asked for, or a guest's own message */
};

/*
 * Judges `size` bytes that a host sent under `version` and `features`. Reads the header only; a
 * total function of any bytes. `message` is private memory.
 */
enum vmbus_message_verdict vmbus_message_judge(const void *message, uint32_t size, uint32_t version,
                                               uint32_t features);

/* The same for bytes that a guest sent; UNEXPECTED then is a host's own message. */
enum vmbus_message_verdict vmbus_message_judge_guest(const void *message, uint32_t size,
                                                     uint32_t version, uint32_t features);

/* NULL where the table says NONE. `type` as accepted by vmbus_message_judge(). */
vmbus_message_handler *vmbus_message_handler_of(uint32_t type);

/* Whether a guest may send a message of this type and size under this version and features. */
bool vmbus_message_may_send(uint32_t type, uint32_t size, uint32_t version, uint32_t features);

/* Likewise a host. */
bool vmbus_message_host_may_send(uint32_t type, uint32_t size, uint32_t version, uint32_t features);

/* "OFFER_CHANNEL", or "unknown". */
const char *vmbus_message_name(uint32_t type);

#endif
