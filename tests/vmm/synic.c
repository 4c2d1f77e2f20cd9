/* SPDX-License-Identifier: MIT */
#include "tests/vmm/synic.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hv/hypercall.h"
#include "hv/shared_memory.h"
#include "hv/tlfs.h"
#include "kernel/pages.h"

/* Of a register that holds a page. */
#define PAGE_ADDRESS (~(uint64_t)(PAGE_SIZE - 1))

static void acknowledged(void *context)
{
    struct synic *synic = context;

    synic->slot_free(synic->context);
}

void synic_create(struct synic *synic, const struct kvm *kvm, const struct guest_memory *memory,
                  uint32_t processor, void (*slot_free)(void *context), void *context)
{
    *synic = (struct synic){.memory = memory, .slot_free = slot_free, .context = context};
    synic->interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (synic->interrupt < 0 || resample < 0 ||
        !source_watch(&synic->acknowledged, resample, IRQL_DISPATCH, acknowledged, synic)) {
        die("a SynIC's interrupt: %s", strerror(errno));
    }
    struct kvm_irqfd request = {
        .fd = (uint32_t)synic->interrupt,
        .gsi = KVM_LINE_SINT + processor,
        .flags = KVM_IRQFD_FLAG_RESAMPLE,
        .resamplefd = (uint32_t)resample,
    };
    (void)kvm_must(kvm->vm, KVM_IRQFD, &request, "a SynIC's interrupt");
}

static uint64_t page_of(uint64_t control, uint64_t page_register)
{
    return (control & HV_SCONTROL_ENABLE) != 0 && (page_register & HV_PAGE_REGISTER_ENABLE) != 0
               ? page_register & PAGE_ADDRESS
               : 0;
}

/* Page 0 is no place for either: to be off is the answer that a guest notices. */
void synic_changed(struct synic *synic, uint64_t control, uint64_t message_page,
                   uint64_t event_page)
{
    atomic_store(&synic->message_page, page_of(control, message_page));
    atomic_store(&synic->event_page, page_of(control, event_page));
}

void synic_interrupt(const struct synic *synic)
{
    static const uint64_t one = 1;

    (void)!write(synic->interrupt, &one, sizeof(one));
}

/* From here on an EOM is noticed. The kernel's EOIs that came before are of no interest. */
static void arm(struct synic *synic)
{
    uint64_t count;

    (void)!read(synic->acknowledged.file, &count, sizeof(count));
    source_rearm(&synic->acknowledged);
}

/*
 * The flag says that a message waits, so the guest writes EOM when it has taken this one. It may
 * take it at this very moment, without having seen the flag: hence one more look, behind a barrier
 * (hv/message_slot.h has the other end).
 */
static bool is_busy(struct synic *synic, struct hv_message_slot *slot)
{
    if (shared_load_u32_acquire(&slot->type) == HV_MESSAGE_TYPE_NONE) {
        return false;
    }
    arm(synic);
    (void)atomic_fetch_or(&slot->flags, HV_MESSAGE_FLAG_PENDING);
    shared_full_fence();
    return shared_load_u32_acquire(&slot->type) != HV_MESSAGE_TYPE_NONE;
}

enum synic_posted synic_post(struct synic *synic, const void *payload, uint32_t size)
{
    uint64_t address = atomic_load(&synic->message_page);
    struct hv_message_page *page =
        address == 0 ? NULL : guest_memory_at(synic->memory, address, sizeof(*page));

    if (page == NULL) {
        return SYNIC_OFF;
    }
    struct hv_message_slot *slot = &page->slots[SYNIC_SINT];
    if (is_busy(synic, slot)) {
        return SYNIC_BUSY;
    }
    memcpy(slot->payload, payload, size);
    slot->origin = 0;
    atomic_store_explicit(&slot->payload_size, (uint8_t)size, memory_order_relaxed);
    atomic_store_explicit(&slot->flags, 0, memory_order_relaxed);
    shared_store_u32_release(&slot->type, HV_MESSAGE_TYPE_VMBUS);
    synic_interrupt(synic);
    return SYNIC_POSTED;
}

bool synic_event(struct synic *synic, uint32_t flag)
{
    uint64_t address = atomic_load(&synic->event_page);
    struct hv_event_flags_page *page =
        address == 0 ? NULL : guest_memory_at(synic->memory, address, sizeof(*page));

    if (page == NULL) {
        return false;
    }
    uint64_t bit = UINT64_C(1) << flag % 64;
    if ((atomic_fetch_or(&page->words[SYNIC_SINT][flag / 64], bit) & bit) == 0) {
        synic_interrupt(synic);
    }
    return true;
}
