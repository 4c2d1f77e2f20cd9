/* SPDX-License-Identifier: MIT */
#include "tests/vmm/vcpu_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/machine.h"

#define MSRS 1024u /* more than KVM has */

/* TLFS, Partition Properties. Of the SynIC and the timers KVM's list of registers names one each.
 */
#define MSR_SCONTROL       0x40000080u
#define MSR_SIEFP          0x40000082u
#define MSR_SIMP           0x40000083u
#define MSR_SINT0          0x40000090u
#define MSR_SINT_COUNT     16u
#define MSR_STIMER0_CONFIG 0x400000B0u
#define MSR_STIMER_COUNT   8u /* configuration and count of four */

/* ---- model specific registers ---- */

static struct kvm_msrs *new_msrs(void)
{
    struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + MSRS * sizeof(msrs->entries[0]));

    if (msrs == NULL) {
        die("no memory for a snapshot's registers");
    }
    return msrs;
}

static bool add_msr(struct kvm_msrs *msrs, uint32_t index)
{
    for (uint32_t i = 0; i < msrs->nmsrs; i++) {
        if (msrs->entries[i].index == index) {
            return true;
        }
    }
    if (msrs->nmsrs == MSRS) {
        return false;
    }
    msrs->entries[msrs->nmsrs++] = (struct kvm_msr_entry){.index = index};
    return true;
}

/* All registers of which a processor consists, in the order in which they have to be restored: that
 * of KVM's list, then the SynIC's, then each timer's configuration before its count. */
static void list_msrs(const struct kvm *kvm, struct kvm_msrs *msrs)
{
    struct kvm_msr_list *list = calloc(1, sizeof(*list) + MSRS * sizeof(list->indices[0]));
    bool fits = list != NULL;

    if (fits) {
        list->nmsrs = MSRS;
        (void)kvm_must(kvm->system, KVM_GET_MSR_INDEX_LIST, list, "the list of registers");
        for (uint32_t i = 0; fits && i < list->nmsrs; i++) {
            fits = add_msr(msrs, list->indices[i]);
        }
    }
    for (uint32_t i = 0; fits && i < MSR_SINT_COUNT; i++) {
        fits = add_msr(msrs, MSR_SINT0 + i);
    }
    fits =
        fits && add_msr(msrs, MSR_SIEFP) && add_msr(msrs, MSR_SIMP) && add_msr(msrs, MSR_SCONTROL);
    for (uint32_t i = 0; fits && i < MSR_STIMER_COUNT; i++) {
        fits = add_msr(msrs, MSR_STIMER0_CONFIG + i);
    }
    if (!fits) {
        die("KVM has more registers than fit into a snapshot");
    }
    free(list);
}

static bool get_msr(const struct vcpu *vcpu, struct kvm_msr_entry *entry)
{
    struct {
        struct kvm_msrs header;
        struct kvm_msr_entry entry;
    } one = {.header = {.nmsrs = 1}, .entry = {.index = entry->index}};

    if (kvm_ioctl(vcpu->file, KVM_GET_MSRS, &one) != 1) {
        return false;
    }
    entry->data = one.entry.data;
    return true;
}

static bool set_msr(const struct vcpu *vcpu, const struct kvm_msr_entry *entry)
{
    struct {
        struct kvm_msrs header;
        struct kvm_msr_entry entry;
    } one = {.header = {.nmsrs = 1}, .entry = *entry};

    return kvm_ioctl(vcpu->file, KVM_SET_MSRS, &one) == 1;
}

/* One by one: those that this guest's CPUID does not give it cannot be read, and are left out. */
static void save_msrs(const struct vcpu *vcpu, struct snapshot *snapshot, const char *name)
{
    struct kvm_msrs *msrs = new_msrs();
    uint32_t kept = 0;

    list_msrs(&vcpu->machine->kvm, msrs);
    for (uint32_t i = 0; i < msrs->nmsrs; i++) {
        if (get_msr(vcpu, &msrs->entries[i])) {
            msrs->entries[kept++] = msrs->entries[i];
        }
    }
    memcpy(snapshot_add(snapshot, name, kept * sizeof(msrs->entries[0])), msrs->entries,
           kept * sizeof(msrs->entries[0]));
    free(msrs);
}

/* A register that cannot be written has to hold its value already, as read-only ones do. */
static void restore_msrs(struct vcpu *vcpu, const struct snapshot *snapshot, const char *name)
{
    uint64_t size;
    const struct kvm_msr_entry *entries = snapshot_find(snapshot, name, &size);
    uint64_t control = 0;
    uint64_t message_page = 0;
    uint64_t event_page = 0;

    if (entries == NULL) {
        die("option --resume: the snapshot has no section '%s'", name);
    }
    for (uint64_t i = 0; i < size / sizeof(*entries); i++) {
        struct kvm_msr_entry now = {.index = entries[i].index};
        if (!set_msr(vcpu, &entries[i]) && (!get_msr(vcpu, &now) || now.data != entries[i].data)) {
            die("option --resume: register %#x of processor %u cannot be restored to %#llx",
                entries[i].index, vcpu->index, (unsigned long long)entries[i].data);
        }
        control = entries[i].index == MSR_SCONTROL ? entries[i].data : control;
        message_page = entries[i].index == MSR_SIMP ? entries[i].data : message_page;
        event_page = entries[i].index == MSR_SIEFP ? entries[i].data : event_page;
    }
    synic_changed(&vcpu->synic, control, message_page, event_page);
}

/* ---- the rest: structures of KVM, each a section ---- */

struct state {
    const char *name;
    unsigned long get;
    unsigned long set;
    uint64_t size;
};

/* In the order in which they have to be restored: the local APIC is where SREGS says, and what is
 * pending (EVENTS) comes last. Model specific registers go behind the first two. */
static const struct state before_msrs[] = {
    {"sregs", KVM_GET_SREGS, KVM_SET_SREGS, sizeof(struct kvm_sregs)},
    {"lapic", KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(struct kvm_lapic_state)},
};
static const struct state behind_msrs[] = {
    {"regs", KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs)},
    {"xcrs", KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs)},
    {"xsave", KVM_GET_XSAVE, KVM_SET_XSAVE, sizeof(struct kvm_xsave)},
    {"debugregs", KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs)},
    {"mp_state", KVM_GET_MP_STATE, KVM_SET_MP_STATE, sizeof(struct kvm_mp_state)},
    {"events", KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events)},
};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *section_name(char name[SNAPSHOT_NAME], uint32_t processor, const char *what)
{
    (void)snprintf(name, SNAPSHOT_NAME, "processor %u %s", (unsigned)processor, what);
    return name;
}

static void save_states(const struct vcpu *vcpu, struct snapshot *snapshot,
                        const struct state *states, size_t count)
{
    char name[SNAPSHOT_NAME];

    for (size_t i = 0; i < count; i++) {
        void *bytes =
            snapshot_add(snapshot, section_name(name, vcpu->index, states[i].name), states[i].size);
        (void)kvm_must(vcpu->file, states[i].get, bytes, name);
    }
}

static void restore_states(const struct vcpu *vcpu, const struct snapshot *snapshot,
                           const struct state *states, size_t count)
{
    char name[SNAPSHOT_NAME];

    for (size_t i = 0; i < count; i++) {
        const void *bytes =
            snapshot_get(snapshot, section_name(name, vcpu->index, states[i].name), states[i].size);
        (void)kvm_must(vcpu->file, states[i].set, (void *)(uintptr_t)bytes, name);
    }
}

/* MP_STATE first: reading it makes KVM act on an INIT or SIPI that waits. */
void vcpu_state_save(struct vcpu *vcpu, struct snapshot *snapshot)
{
    struct kvm_mp_state state;
    char name[SNAPSHOT_NAME];

    (void)kvm_must(vcpu->file, KVM_GET_MP_STATE, &state, "a processor's state");
    save_states(vcpu, snapshot, before_msrs, COUNT(before_msrs));
    save_msrs(vcpu, snapshot, section_name(name, vcpu->index, "msrs"));
    save_states(vcpu, snapshot, behind_msrs, COUNT(behind_msrs));
}

void vcpu_state_restore(struct vcpu *vcpu, const struct snapshot *snapshot)
{
    char name[SNAPSHOT_NAME];

    restore_states(vcpu, snapshot, before_msrs, COUNT(before_msrs));
    restore_msrs(vcpu, snapshot, section_name(name, vcpu->index, "msrs"));
    restore_states(vcpu, snapshot, behind_msrs, COUNT(behind_msrs));
}

static const char *const controllers[] = {"pic master", "pic slave", "io apic"};

void kvm_state_save(const struct kvm *kvm, struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < KVM_NR_IRQCHIPS; i++) {
        struct kvm_irqchip *chip = snapshot_add(snapshot, controllers[i], sizeof(*chip));
        chip->chip_id = i;
        (void)kvm_must(kvm->vm, KVM_GET_IRQCHIP, chip, controllers[i]);
    }
    (void)kvm_must(kvm->vm, KVM_GET_PIT2,
                   snapshot_add(snapshot, "timer", sizeof(struct kvm_pit_state2)), "the timer");
    (void)kvm_must(kvm->vm, KVM_GET_CLOCK,
                   snapshot_add(snapshot, "clock", sizeof(struct kvm_clock_data)), "the clock");
}

void kvm_state_restore(const struct kvm *kvm, const struct snapshot *snapshot)
{
    struct kvm_clock_data clock = {0};
    const struct kvm_clock_data *saved = snapshot_get(snapshot, "clock", sizeof(*saved));

    for (uint32_t i = 0; i < KVM_NR_IRQCHIPS; i++) {
        const void *chip = snapshot_get(snapshot, controllers[i], sizeof(struct kvm_irqchip));
        (void)kvm_must(kvm->vm, KVM_SET_IRQCHIP, (void *)(uintptr_t)chip, controllers[i]);
    }
    const void *timer = snapshot_get(snapshot, "timer", sizeof(struct kvm_pit_state2));
    (void)kvm_must(kvm->vm, KVM_SET_PIT2, (void *)(uintptr_t)timer, "the timer");
    /* The guest's time stood while nobody ran it. */
    clock.clock = saved->clock;
    (void)kvm_must(kvm->vm, KVM_SET_CLOCK, &clock, "the clock");
}
