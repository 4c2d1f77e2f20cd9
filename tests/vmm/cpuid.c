/* SPDX-License-Identifier: MIT */
#include "tests/vmm/cpuid.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tests/vmm/executive.h"

#define ENTRIES 256u /* KVM's own limit */

#define LEAF_FEATURES             0x1u
#define LEAF_TOPOLOGY             0xBu
#define LEAF_CORES                0x80000008u
#define LEAF_AMD_TOPOLOGY         0x8000001Eu
#define FEATURES_ECX_TSC_DEADLINE (1u << 24)
#define FEATURES_ECX_HYPERVISOR   (1u << 31)
#define FEATURES_EDX_THREADS      (1u << 28)

/* Those of hypervisors: KVM's own are left out, for Linux as a guest would prefer them. */
#define LEAF_HYPERVISOR_FIRST 0x40000000u
#define LEAF_HYPERVISOR_LAST  0x400000FFu

/* TLFS, Feature and Interface Discovery. */
#define LEAF_HV_VENDOR          0x40000000u
#define LEAF_HV_FEATURES        0x40000003u
#define LEAF_HV_RECOMMENDATIONS 0x40000004u
#define LEAF_HV_LIMITS          0x40000005u
#define LEAF_HV_HARDWARE        0x40000006u
#define LEAF_HV_LAST            LEAF_HV_HARDWARE

/*
 * Of what KVM offers, that which Hyper-V's Generation 2 guests see as well: no reset register, no
 * nesting, no synthetic debugger.
 * Privileges: run time, reference counter, SynIC, timers, APIC registers, hypercalls, VP index;
 * reference TSC, frequencies, invariant TSC. Then PostMessages and SignalEvents. Features:
 * parameters in XMM registers, frequencies, crash registers, direct timers.
 */
#define PRIVILEGES_LOW         0x00008A7Fu
#define PRIVILEGES_HIGH        0x00000030u
#define FEATURES               0x00080510u
#define PRIVILEGES_LOW_TIMERS  (1u << 3)
#define FEATURES_DIRECT_TIMERS (1u << 19)
/* Remote TLB flushes, APIC registers, relaxed timing, no AutoEOI, cluster IPIs, sets of processors.
 */
#define RECOMMENDATIONS        0x00000E2Cu
#define NEVER_SPIN             0xFFFFFFFFu /* never tell of long waits for a spin lock */

static struct kvm_cpuid2 *table_new(void)
{
    struct kvm_cpuid2 *table = calloc(1, sizeof(*table) + ENTRIES * sizeof(table->entries[0]));

    if (table == NULL) {
        die("no memory for CPUID");
    }
    table->nent = ENTRIES;
    return table;
}

static void add(struct kvm_cpuid2 *table, const struct kvm_cpuid_entry2 *entry)
{
    if (table->nent == ENTRIES) {
        die("KVM: more CPUID leaves than it takes itself");
    }
    table->entries[table->nent++] = *entry;
}

static void adjust(struct kvm_cpuid_entry2 *entry, uint32_t processor, bool deadline)
{
    switch (entry->function) {
    case LEAF_FEATURES:
        entry->ebx = (entry->ebx & 0x0000FFFFu) | 1u << 16 | processor << 24;
        entry->edx &= ~FEATURES_EDX_THREADS;
        entry->ecx |= FEATURES_ECX_HYPERVISOR;
        if (deadline) {
            entry->ecx |= FEATURES_ECX_TSC_DEADLINE;
        }
        break;
    case LEAF_TOPOLOGY:
        entry->eax = 0;
        entry->ebx = entry->index < 2 ? 1 : 0;
        entry->edx = processor;
        break;
    case LEAF_CORES:
        entry->ecx &= ~0xFFFFu;
        break;
    case LEAF_AMD_TOPOLOGY:
        entry->eax = processor;
        entry->ebx = 0;
        entry->ecx = 0;
        break;
    default:
        break;
    }
}

static void adjust_hyperv(struct kvm_cpuid_entry2 *entry, uint32_t processors, bool timers)
{
    switch (entry->function) {
    case LEAF_HV_VENDOR:
        entry->eax = LEAF_HV_LAST;
        memcpy(&entry->ebx, "Micr", 4);
        memcpy(&entry->ecx, "osof", 4);
        memcpy(&entry->edx, "t Hv", 4);
        break;
    case LEAF_HV_FEATURES:
        entry->eax &= PRIVILEGES_LOW;
        entry->ebx &= PRIVILEGES_HIGH;
        entry->ecx = 0;
        entry->edx &= FEATURES;
        if (!timers) {
            entry->eax &= ~PRIVILEGES_LOW_TIMERS;
            entry->edx &= ~FEATURES_DIRECT_TIMERS;
        }
        break;
    case LEAF_HV_RECOMMENDATIONS:
        entry->eax &= RECOMMENDATIONS;
        entry->ebx = NEVER_SPIN;
        break;
    case LEAF_HV_LIMITS:
        entry->eax = processors;
        entry->ebx = processors;
        break;
    default:
        break;
    }
}

void cpuid_set(const struct kvm *kvm, int vcpu, uint32_t processor, uint32_t processors,
               bool timers)
{
    bool deadline =
        ioctl(kvm->system, KVM_CHECK_EXTENSION, (uintptr_t)KVM_CAP_TSC_DEADLINE_TIMER) > 0;
    struct kvm_cpuid2 *supported = table_new();
    struct kvm_cpuid2 *hyperv = table_new();
    struct kvm_cpuid2 *table = table_new();

    table->nent = 0;
    (void)kvm_must(kvm->system, KVM_GET_SUPPORTED_CPUID, supported, "CPUID");
    (void)kvm_must(kvm->system, KVM_GET_SUPPORTED_HV_CPUID, hyperv, "Hyper-V's CPUID");
    for (uint32_t i = 0; i < supported->nent; i++) {
        struct kvm_cpuid_entry2 *entry = &supported->entries[i];
        if (entry->function < LEAF_HYPERVISOR_FIRST || entry->function > LEAF_HYPERVISOR_LAST) {
            adjust(entry, processor, deadline);
            add(table, entry);
        }
    }
    bool hardware = false;
    for (uint32_t i = 0; i < hyperv->nent; i++) {
        struct kvm_cpuid_entry2 *entry = &hyperv->entries[i];
        if (entry->function <= LEAF_HV_LAST) {
            adjust_hyperv(entry, processors, timers);
            add(table, entry);
            hardware = hardware || entry->function == LEAF_HV_HARDWARE;
        }
    }
    if (!hardware) {
        const struct kvm_cpuid_entry2 empty = {.function = LEAF_HV_HARDWARE};
        add(table, &empty);
    }
    (void)kvm_must(vcpu, KVM_SET_CPUID2, table, "CPUID");
    free(supported);
    free(hyperv);
    free(table);
}
