/* SPDX-License-Identifier: MIT */
#include "tests/host/message_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "kernel/format.h"
#include "vmbus/messages.h"

struct line {
    char *text;
    size_t capacity;
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    line->used +=
        format_text(line->text + line->used, line->capacity - line->used, format, arguments);
    va_end(arguments);
}

static void add_guid(struct line *line, const char *name, const struct vmbus_guid *guid)
{
    char text[VMBUS_GUID_TEXT_SIZE];

    vmbus_guid_format(guid, text);
    add(line, " %s=%s", name, text);
}

/* ---- a printer for each form; private memory, as long as the form at the least ---- */

static void print_relid(struct line *line, const void *message)
{
    const struct vmbus_message_relid *form = message;

    add(line, " channel=%" PRIu32, form->relid);
}

static void print_offer(struct line *line, const void *message)
{
    const struct vmbus_message_offer_channel *form = message;

    add(line, " channel=%" PRIu32 " connection=0x%" PRIx32 " sub=%u flags=0x%x", form->relid,
        form->connection_id, form->sub_channel_index, form->flags);
    add_guid(line, "type", &form->interface_type);
    add_guid(line, "instance", &form->interface_instance);
}

static void print_open(struct line *line, const void *message)
{
    const struct vmbus_message_open_channel *form = message;

    add(line,
        " channel=%" PRIu32 " open=%" PRIu32 " gpadl=0x%" PRIx32 " vp=%" PRIu32
        " downstream=%" PRIu32,
        form->relid, form->open_id, form->ring_gpadl, form->target_vp, form->downstream_page);
}

static void print_open_result(struct line *line, const void *message)
{
    const struct vmbus_message_open_result *form = message;

    add(line, " channel=%" PRIu32 " open=%" PRIu32 " status=0x%" PRIx32, form->relid, form->open_id,
        form->status);
}

static void print_gpadl_header(struct line *line, const void *message)
{
    const struct vmbus_message_gpadl_header *form = message;

    add(line, " channel=%" PRIu32 " gpadl=0x%" PRIx32 " ranges=%u bytes=%u", form->relid,
        form->gpadl, form->range_count, form->range_bytes);
}

static void print_gpadl_body(struct line *line, const void *message)
{
    const struct vmbus_message_gpadl_body *form = message;

    add(line, " gpadl=0x%" PRIx32 " number=%" PRIu32, form->gpadl, form->message_number);
}

static void print_gpadl_created(struct line *line, const void *message)
{
    const struct vmbus_message_gpadl_created *form = message;

    add(line, " channel=%" PRIu32 " gpadl=0x%" PRIx32 " status=0x%" PRIx32, form->relid,
        form->gpadl, form->status);
}

static void print_gpadl_teardown(struct line *line, const void *message)
{
    const struct vmbus_message_gpadl_teardown *form = message;

    add(line, " channel=%" PRIu32 " gpadl=0x%" PRIx32, form->relid, form->gpadl);
}

static void print_gpadl_torndown(struct line *line, const void *message)
{
    const struct vmbus_message_gpadl_torndown *form = message;

    add(line, " gpadl=0x%" PRIx32, form->gpadl);
}

static void print_contact(struct line *line, const void *message)
{
    const struct vmbus_message_initiate_contact *form = message;

    add(line, " version=%" PRIu32 ".%" PRIu32 " vp=%" PRIu32, form->version >> 16,
        form->version & 0xFFFF, form->target_vp);
    if (form->version >= VMBUS_VERSION_5_0) {
        add(line, " sint=%u vtl=%u features=0x%" PRIx32, form->target.sint, form->target.vtl,
            form->target.features);
    }
}

static void print_version(struct line *line, const void *message)
{
    const struct vmbus_message_version_response *form = message;

    add(line, " supported=%u state=%u connection=0x%" PRIx32, form->supported,
        form->connection_state, form->connection_id);
}

static void print_modify(struct line *line, const void *message)
{
    const struct vmbus_message_modify_channel *form = message;

    add(line, " channel=%" PRIu32 " vp=%" PRIu32, form->relid, form->target_vp);
}

static void print_modified(struct line *line, const void *message)
{
    const struct vmbus_message_modify_channel_response *form = message;

    add(line, " channel=%" PRIu32 " status=0x%" PRIx32, form->relid, form->status);
}

static void print_connect(struct line *line, const void *message)
{
    const struct vmbus_message_tl_connect_request *form = message;

    add_guid(line, "endpoint", &form->endpoint);
    add_guid(line, "service", &form->service);
}

static void print_connected(struct line *line, const void *message)
{
    const struct vmbus_message_tl_connect_result *form = message;

    add_guid(line, "endpoint", &form->endpoint);
    add_guid(line, "service", &form->service);
    add(line, " status=0x%" PRIx32, form->status);
}

/* What this host never sends and its guests never may is left to its name. */
static void (*const printers[VMBUS_MESSAGE_TYPE_END])(struct line *line, const void *message) = {
    [VMBUS_MESSAGE_OFFER_CHANNEL] = print_offer,
    [VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER] = print_relid,
    [VMBUS_MESSAGE_OPEN_CHANNEL] = print_open,
    [VMBUS_MESSAGE_OPEN_CHANNEL_RESULT] = print_open_result,
    [VMBUS_MESSAGE_CLOSE_CHANNEL] = print_relid,
    [VMBUS_MESSAGE_GPADL_HEADER] = print_gpadl_header,
    [VMBUS_MESSAGE_GPADL_BODY] = print_gpadl_body,
    [VMBUS_MESSAGE_GPADL_CREATED] = print_gpadl_created,
    [VMBUS_MESSAGE_GPADL_TEARDOWN] = print_gpadl_teardown,
    [VMBUS_MESSAGE_GPADL_TORNDOWN] = print_gpadl_torndown,
    [VMBUS_MESSAGE_RELID_RELEASED] = print_relid,
    [VMBUS_MESSAGE_INITIATE_CONTACT] = print_contact,
    [VMBUS_MESSAGE_VERSION_RESPONSE] = print_version,
    [VMBUS_MESSAGE_TL_CONNECT_REQUEST] = print_connect,
    [VMBUS_MESSAGE_MODIFY_CHANNEL] = print_modify,
    [VMBUS_MESSAGE_TL_CONNECT_RESULT] = print_connected,
    [VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE] = print_modified,
};

void host_message_text(bool from_guest, const void *message, uint32_t size, char *text,
                       size_t capacity)
{
    _Alignas(8) uint8_t copy[VMBUS_MESSAGE_SIZE_MAXIMUM];
    struct vmbus_message_header header;
    struct line line = {text, capacity, 0};

    memset(copy, 0, sizeof(copy));
    memcpy(copy, message, size < sizeof(copy) ? size : sizeof(copy));
    memcpy(&header, copy, sizeof(header));
    add(&line, "%s", vmbus_message_name(header.type));
    /* Whether it makes sense under the version agreed on is the server's to judge: what is printed
     * is whatever its bytes say. */
    enum vmbus_message_verdict verdict =
        from_guest ? vmbus_message_judge_guest(copy, size, UINT32_MAX, UINT32_MAX)
                   : vmbus_message_judge(copy, size, UINT32_MAX, UINT32_MAX);
    if (verdict == VMBUS_MESSAGE_UNKNOWN) {
        add(&line, " type=%" PRIu32, header.type);
    } else if (verdict == VMBUS_MESSAGE_MALFORMED) {
        add(&line, " too short");
    } else if (printers[header.type] != NULL) {
        printers[header.type](&line, copy);
    }
    add(&line, " (%" PRIu32 " bytes)", size);
}
