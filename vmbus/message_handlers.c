/* SPDX-License-Identifier: MIT */
/* Who acts on a host's message: a column of the table, apart from the rest of it so that whoever
 * uses that needs no guest's end of the bus. */
#include <stddef.h>

#include "vmbus/channel.h"
#include "vmbus/connection.h"
#include "vmbus/gpadl.h"
#include "vmbus/messages.h"
#include "vmbus/offers.h"

#define NONE                          NULL
#define HANDLER_HOST(number, handler) [number] = (handler),
#define HANDLER_GUEST(number, handler)
#define ENTRY(number, name, sender, version, features, smallest, largest, handler)                 \
    HANDLER_##sender(number, handler)
static vmbus_message_handler *const handlers[VMBUS_MESSAGE_TYPE_END] = {VMBUS_MESSAGES(ENTRY)};
#undef ENTRY
#undef HANDLER_GUEST
#undef HANDLER_HOST
#undef NONE

vmbus_message_handler *vmbus_message_handler_of(uint32_t type)
{
    return handlers[type];
}
