/* SPDX-License-Identifier: MIT */
#include "tests/el2/synic.h"

#include <stddef.h>
#include <string.h>

#include "arch/aarch64/hypervisor_abi.h"
#include "hv/shared_memory.h"
#include "hv/tlfs.h"
#include "kernel/pages.h"
#include "tests/el2/bus.h"
#include "tests/el2/gic.h"
#include "tests/el2/lock.h"
#include "tests/el2/machine.h"
#include "tests/el2/stage2.h"

#define SVERSION UINT64_C(1)

/* ARM64 has no automatic end of interrupt; intercepts and proxies are not for guests. */
#define SINT_BITS (HV_SINT_VECTOR_MASK | HV_SINT_MASKED | HV_SINT_POLLING)

/* What a page has in it when it is laid over the guest's: nobody specifies that, so nobody may
 * count on it. */
#define PAGE_CONTENTS 0xa5

/* A page of the host's that lies over one of the guest's while the guest has it enabled. */
struct cover {
    uint64_t value; /* of its register: the guest's page, and whether it is enabled */
    uint64_t under;
    _Alignas(PAGE_SIZE) union {
        struct hv_message_page messages;
        struct hv_event_flags_page events;
    } page;
};

struct synic {
    /* The registers are written by the guest's processor, and read by the host's. */
    struct machine_lock lock;
    uint64_t control;
    struct cover events;    /* SIEFP */
    struct cover messages;  /* SIMP */
    uint64_t written_sints; /* a bit each; the others have their value after reset */
    uint64_t sint[HV_SINT_COUNT];
};

static struct synic synics[PROCESSORS_LIMIT];

static uint64_t sint_of(const struct synic *synic, uint32_t sint)
{
    return (synic->written_sints >> sint & 1) != 0 ? synic->sint[sint] : HV_SINT_MASKED;
}

/* ---- the guest's registers ---- */

hv_status synic_register_get(uint32_t vp, uint32_t name, uint64_t *value)
{
    const struct synic *synic = &synics[vp];

    switch (name) {
    case HV_ARM64_SCONTROL:
        *value = synic->control;
        break;
    case HV_ARM64_SVERSION:
        *value = SVERSION;
        break;
    case HV_ARM64_SIEFP:
        *value = synic->events.value;
        break;
    case HV_ARM64_SIMP:
        *value = synic->messages.value;
        break;
    case HV_ARM64_EOM:
        *value = 0;
        break;
    default:
        *value = sint_of(synic, name - HV_ARM64_SINT0);
        break;
    }
    return HV_STATUS_SUCCESS;
}

/* An unmasked source must have a private interrupt of the GIC, and no bits that this host lacks. */
static bool sint_is_valid(uint64_t value)
{
    const uint64_t vector = value & HV_SINT_VECTOR_MASK;

    return (value & ~SINT_BITS) == 0 && ((value & HV_SINT_MASKED) != 0 ||
                                         (vector >= GIC_PRIVATE_BEGIN && vector < GIC_PRIVATE_END));
}

static bool is_enabled(const struct cover *cover)
{
    return (cover->value & HV_PAGE_REGISTER_ENABLE) != 0;
}

static uint64_t address_of(uint64_t value)
{
    return value & ~(uint64_t)(PAGE_SIZE - 1);
}

/* Reserved bits are refused, as OpenVMM does; so is a page that is no memory of the guest. */
static bool set_page(struct cover *cover, uint64_t value)
{
    uint64_t under = 0;

    if ((value & HV_PAGE_REGISTER_RESERVED) != 0) {
        return false;
    }
    if (value == cover->value) {
        return true;
    }
    if ((value & HV_PAGE_REGISTER_ENABLE) != 0) {
        memset(&cover->page, PAGE_CONTENTS, sizeof(cover->page));
        if (!stage2_cover(address_of(value), &cover->page, &under)) {
            return false;
        }
    }
    if (is_enabled(cover)) {
        stage2_uncover(address_of(cover->value), cover->under);
    }
    cover->value = value;
    cover->under = under;
    return true;
}

static bool set(struct synic *synic, uint32_t name, uint64_t value)
{
    switch (name) {
    case HV_ARM64_SCONTROL:
        synic->control = value & HV_SCONTROL_ENABLE;
        return value == synic->control;
    case HV_ARM64_SIEFP:
        return set_page(&synic->events, value);
    case HV_ARM64_SIMP:
        return set_page(&synic->messages, value);
    case HV_ARM64_EOM:
        return true;
    default:
        if (name - HV_ARM64_SINT0 >= HV_SINT_COUNT || !sint_is_valid(value)) {
            return false;
        }
        synic->sint[name - HV_ARM64_SINT0] = value;
        synic->written_sints |= UINT64_C(1) << (name - HV_ARM64_SINT0);
        return true;
    }
}

hv_status synic_register_set(uint32_t vp, uint32_t name, uint64_t value)
{
    struct synic *synic = &synics[vp];

    machine_lock(&synic->lock);
    const bool taken = set(synic, name, value);
    machine_unlock(&synic->lock);
    if (name == HV_ARM64_EOM) {
        bus_slot_free();
    }
    return taken ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}

/* ---- the host's side ---- */

/* Whether something may come to the source. Locked. */
static bool is_open(const struct synic *synic, const struct cover *cover, uint32_t sint)
{
    return (synic->control & HV_SCONTROL_ENABLE) != 0 && is_enabled(cover) &&
           (sint_of(synic, sint) & HV_SINT_MASKED) == 0;
}

/* Locked. */
static void interrupt(const struct synic *synic, uint32_t vp, uint32_t sint)
{
    const uint64_t value = sint_of(synic, sint);

    if ((value & HV_SINT_POLLING) == 0) {
        gic_raise(vp, (uint32_t)(value & HV_SINT_VECTOR_MASK));
    }
}

/*
 * The host's part of the rule that hv/message_slot.h tells: it marks a slot that is occupied, and
 * looks once more, for the guest may have freed it before it could see the mark.
 */
static bool slot_is_busy(struct hv_message_slot *slot)
{
    if (shared_load_u32_acquire(&slot->type) == HV_MESSAGE_TYPE_NONE) {
        return false;
    }
    atomic_fetch_or_explicit(&slot->flags, HV_MESSAGE_FLAG_PENDING, memory_order_relaxed);
    shared_full_fence();
    return shared_load_u32_acquire(&slot->type) != HV_MESSAGE_TYPE_NONE;
}

static void fill_slot(struct hv_message_slot *slot, uint32_t type, const void *payload,
                      uint32_t size)
{
    atomic_store_explicit(&slot->payload_size, (uint8_t)size, memory_order_relaxed);
    atomic_store_explicit(&slot->flags, 0, memory_order_relaxed);
    slot->reserved = 0;
    slot->origin = 0;
    memcpy(slot->payload, payload, size);
    shared_store_u32_release(&slot->type, type);
}

enum synic_posted synic_post(uint32_t vp, uint32_t sint, uint32_t type, const void *payload,
                             uint32_t size)
{
    enum synic_posted posted = SYNIC_OFF;

    if (vp >= PROCESSORS_LIMIT || sint >= HV_SINT_COUNT) {
        return SYNIC_OFF;
    }
    struct synic *synic = &synics[vp];
    machine_lock(&synic->lock);
    if (is_open(synic, &synic->messages, sint)) {
        struct hv_message_page *page = &synic->messages.page.messages;
        if (slot_is_busy(&page->slots[sint])) {
            posted = SYNIC_SLOT_BUSY;
        } else {
            fill_slot(&page->slots[sint], type, payload, size);
            interrupt(synic, vp, sint);
            posted = SYNIC_POSTED;
        }
    }
    machine_unlock(&synic->lock);
    return posted;
}

bool synic_event(uint32_t vp, uint32_t sint, uint32_t flag)
{
    bool on = false;

    if (vp >= PROCESSORS_LIMIT) {
        return false;
    }
    struct synic *synic = &synics[vp];
    machine_lock(&synic->lock);
    if (is_open(synic, &synic->events, sint)) {
        struct hv_event_flags_page *page = &synic->events.page.events;
        const uint64_t bit = UINT64_C(1) << flag % 64;
        on = true;
        if ((atomic_fetch_or_explicit(&page->words[sint][flag / 64], bit, memory_order_seq_cst) &
             bit) == 0) {
            interrupt(synic, vp, sint);
        }
    }
    machine_unlock(&synic->lock);
    return on;
}
