/* SPDX-License-Identifier: MIT */
#ifndef HV_MESSAGE_SLOT_H
#define HV_MESSAGE_SLOT_H

/*
 * Our end of the protocol of a SynIC message slot and of a SINT's event flags (TLFS,
 * Inter-Partition Communication, "SynIC Message Page" and "SynIC Event Flags Page"). Memory in,
 * values out: the caller owns the end-of-message register. Any IRQL, on the processor that owns the
 * page.
 */

#include <stdbool.h>
#include <stdint.h>

#include "hv/shared_memory.h"
#include "hv/synic.h"
#include "hv/tlfs.h"

enum hv_slot_taken {
    HV_SLOT_EMPTY,         /* nothing was there */
    HV_SLOT_TAKEN,         /* one message; none waits behind it */
    HV_SLOT_TAKEN_PENDING, /* one message; the end-of-message register must be written now */
};

/*
 * Frees the slot and says whether the end-of-message register must be written.
 *
 * The order is the protocol. A host that finds the slot occupied sets the pending flag, looks at
 * the type once more, and if it is still occupied waits for our end-of-message. So we free the slot
 * first and look at the flag afterwards, with a full barrier in between: a processor may let the
 * load overtake the store otherwise, x86 too. Then either the host's second look sees the slot
 * free, or we see its flag.
 */
static inline bool hv_message_slot_release(struct hv_message_slot *slot)
{
    shared_store_u32_release(&slot->type, HV_MESSAGE_TYPE_NONE);
    shared_full_fence();
    return (shared_load_u8(&slot->flags) & HV_MESSAGE_FLAG_PENDING) != 0;
}

/*
 * Takes one message. The copy is complete before the slot is released, since from then on the next
 * message may be written into it. The host stores the type last, so the rest is read only after it.
 */
static inline enum hv_slot_taken hv_message_slot_take(struct hv_message_slot *slot,
                                                      struct hv_message *out)
{
    uint32_t type = shared_load_u32_acquire(&slot->type);
    if (type == HV_MESSAGE_TYPE_NONE) {
        return HV_SLOT_EMPTY;
    }
    uint32_t size = shared_load_u8(&slot->payload_size);
    out->type = type;
    out->size = size < HV_MESSAGE_PAYLOAD_MAXIMUM ? size : HV_MESSAGE_PAYLOAD_MAXIMUM;
    shared_copy_in(out->payload, slot->payload, out->size);
    return hv_message_slot_release(slot) ? HV_SLOT_TAKEN_PENDING : HV_SLOT_TAKEN;
}

/*
 * Takes the flags of one word. The host sets a flag with an atomic operation and interrupts only if
 * it was clear: so the word is cleared in one atomic step, and before anything is done about the
 * flags.
 */
static inline uint64_t hv_event_word_take(_Atomic uint64_t *word)
{
    return shared_load_u64(word) == 0 ? 0 : shared_exchange_u64(word, 0);
}

#endif
