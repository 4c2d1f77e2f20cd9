/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_PLATFORM_H
#define ARCH_AARCH64_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What an ARM64 machine does not tell by its processor: boot takes it out of the device tree or the
 * ACPI tables before the kernel starts. Zero is "not told".
 */
enum platform_conduit {
    PLATFORM_CONDUIT_NONE,
    PLATFORM_CONDUIT_HVC,
    PLATFORM_CONDUIT_SMC,
};

struct platform {
    enum platform_conduit conduit; /* by which PSCI and other firmware calls go */
    bool names_hyperv;             /* the FADT's hypervisor identity says so */
    uint64_t console;              /* a PL011's registers */
    uint64_t distributor;          /* of a GICv3 */
    uint64_t redistributors;       /* one region, each processor has a part of it */
    uint64_t redistributors_size;
    uint32_t timer_interrupt; /* of the virtual timer, an INTID */
    uint32_t vmbus_interrupt; /* an INTID, a private peripheral interrupt */
};

extern struct platform platform;

#endif
