/* SPDX-License-Identifier: MIT */
#ifndef ARCH_X86_64_HYPERVISOR_WORDS_H
#define ARCH_X86_64_HYPERVISOR_WORDS_H

/* What the hypervisor's CPUID leaves and its hypercall page mean: pure functions of their values.
 */

#include <stdbool.h>
#include <stdint.h>

#include "arch/hypervisor.h"

struct cpuid_words {
    uint32_t eax, ebx, ecx, edx;
};

/*
 * Reads the leaves through `read` (TLFS, Feature and Interface Discovery). A leaf beyond the
 * highest one reported counts as zero and is never asked for.
 */
void hypervisor_words_read(struct cpuid_words (*read)(uint32_t leaf), struct arch_hypervisor *out);

#define HYPERCALL_REGISTER_ENABLE   UINT64_C(0x1)
#define HYPERCALL_REGISTER_LOCKED   UINT64_C(0x2)
#define HYPERCALL_REGISTER_RESERVED UINT64_C(0xFFC) /* read and written back */

/* Whether a page's first bytes can be an entry: not all zero, not breakpoints. */
bool hypercall_page_has_code(const uint8_t *page);

#endif
