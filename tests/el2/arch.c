/* SPDX-License-Identifier: MIT */
/* What of an architecture the executive asks for and a host at EL2 has nothing, or little, to do
 * for; the rest is in executive.c. */
#include <string.h>

#include "arch/cpu.h"
#include "arch/hypervisor.h"
#include "arch/start.h"
#include "hv/hypercall.h"
#include "tests/el2/semihosting.h"

#define WRITE_AT_ONCE 256u

_Noreturn void arch_exit(int status)
{
    semihosting_exit(status);
}

_Noreturn void arch_restart(void)
{
    stop(STATUS_HOST_FAILED, "the host asks for a restart, which it has no reason for");
}

bool arch_console_write(const char *text, uint32_t length)
{
    char part[WRITE_AT_ONCE + 1];

    while (length != 0) {
        uint32_t now = length < WRITE_AT_ONCE ? length : WRITE_AT_ONCE;
        memcpy(part, text, now);
        part[now] = '\0';
        semihosting_write(part);
        text += now;
        length -= now;
    }
    return true;
}

/* All memory is mapped from the start (start.S). */
bool arch_map_memory(uint64_t base, uint64_t size)
{
    (void)base;
    (void)size;
    return false;
}

bool arch_map_range(uint64_t base, uint64_t size, enum arch_mapping mapping)
{
    (void)base;
    (void)size;
    (void)mapping;
    return false;
}

bool arch_initialise_memory(struct memory_map *map)
{
    (void)map;
    return true;
}

void arch_initialise_interrupts(void)
{
}

void arch_initialise_power(const struct boot_info *info)
{
    (void)info;
}

/* KMCL's other role is linked, though nobody takes it: a host is no guest. */
uint64_t arch_hypercall(uint64_t control, uint64_t input, uint64_t output)
{
    (void)control;
    (void)input;
    (void)output;
    return HV_STATUS_ACCESS_DENIED;
}
