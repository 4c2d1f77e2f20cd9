/* SPDX-License-Identifier: MIT */
#include "arch/x86_64/hypervisor_words.h"

#include <string.h>

#define LEAF_PROCESSOR       0x00000001u
#define LEAF_RANGE           0x40000000u
#define LEAF_INTERFACE       0x40000001u
#define LEAF_VERSION         0x40000002u
#define LEAF_FEATURES        0x40000003u
#define LEAF_RECOMMENDATIONS 0x40000004u
#define LEAF_LIMITS          0x40000005u
#define LEAF_HARDWARE        0x40000006u

#define LEAF_HIGHEST_SMALLEST 0x40000005u
#define LEAF_HIGHEST_LARGEST  0x4000FFFFu

#define PROCESSOR_HYPERVISOR (1u << 31)  /* ECX of leaf 1 */
#define SIGNATURE            0x31237648u /* "Hv#1" */

/* EDX of the features leaf, which has a numbering of its own, against the 128-bit register's bits
 * minus 64. */
static const struct {
    uint8_t edx;
    uint8_t feature;
} feature_bits[] = {
    {1, 0},   /* guest debugging */
    {2, 1},   /* performance monitor */
    {3, 2},   /* dynamic partitioning of processors */
    {5, 3},   /* guest idle state */
    {6, 4},   /* hypervisor sleep state */
    {7, 5},   /* NUMA distances */
    {8, 6},   /* timer frequencies */
    {9, 7},   /* synthetic machine checks */
    {10, 8},  /* crash registers */
    {11, 9},  /* debug registers */
    {13, 10}, /* disabling the hypervisor */
    {14, 11}, /* extended flush lists */
    {17, 12}, /* polling mode of a SINT */
    {19, 13}, /* direct mode of timers */
};

static uint64_t features_from_edx(uint32_t edx)
{
    uint64_t features = 0;
    for (unsigned n = 0; n < sizeof(feature_bits) / sizeof(feature_bits[0]); n++) {
        if ((edx >> feature_bits[n].edx & 1) != 0) {
            features |= UINT64_C(1) << feature_bits[n].feature;
        }
    }
    return features;
}

/* Only for display: whatever cannot be shown becomes a question mark. */
static void vendor_copy(const struct cpuid_words *range, char vendor[13])
{
    memcpy(vendor, &range->ebx, 4);
    memcpy(vendor + 4, &range->ecx, 4);
    memcpy(vendor + 8, &range->edx, 4);
    vendor[12] = '\0';
    for (unsigned n = 0; n < 12 && vendor[n] != '\0'; n++) {
        if (vendor[n] < ' ' || vendor[n] > '~') {
            vendor[n] = '?';
        }
    }
}

void hypervisor_words_read(struct cpuid_words (*read)(uint32_t leaf), struct arch_hypervisor *out)
{
    *out = (struct arch_hypervisor){0};
    out->present = (read(LEAF_PROCESSOR).ecx & PROCESSOR_HYPERVISOR) != 0;
    if (!out->present) {
        return;
    }
    struct cpuid_words range = read(LEAF_RANGE);
    uint32_t highest = range.eax;
    vendor_copy(&range, out->vendor);
    if (highest < LEAF_HIGHEST_SMALLEST || highest > LEAF_HIGHEST_LARGEST ||
        read(LEAF_INTERFACE).eax != SIGNATURE) {
        return;
    }
    out->is_hyperv = true;

    struct cpuid_words version = read(LEAF_VERSION);
    out->version[0] = version.eax;
    out->version[1] = version.ebx;

    struct cpuid_words features = read(LEAF_FEATURES);
    out->privileges = (uint64_t)features.ebx << 32 | features.eax;
    out->features = features_from_edx(features.edx);

    out->recommendations = read(LEAF_RECOMMENDATIONS).eax;

    struct cpuid_words limits = read(LEAF_LIMITS);
    out->limits[0] = limits.eax;
    out->limits[1] = limits.ebx;

    if (highest >= LEAF_HARDWARE) {
        out->hardware = read(LEAF_HARDWARE).eax;
    }
}

bool hypercall_page_has_code(const uint8_t *page)
{
    bool zero = true;
    bool breakpoints = true;
    for (unsigned n = 0; n < 16; n++) {
        zero = zero && page[n] == 0x00;
        breakpoints = breakpoints && page[n] == 0xCC;
    }
    return !zero && !breakpoints;
}
