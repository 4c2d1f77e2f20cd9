/* SPDX-License-Identifier: MIT */
#ifndef EL2_GUEST_MACHINE_H
#define EL2_GUEST_MACHINE_H

/* What a guest of these tests has instead of a kernel. On every processor, MMU off. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/hypercall.h"
#include "hv/tlfs.h"
#include "tests/el2/machine.h"

#define GUEST_MEMORY_END (UINT64_C(64) << 20) /* the host's default */
#define SINT             2u

/* ---- hostile_start.S ---- */

struct words {
    uint64_t x[18];
};

/* The instruction with x0 to x7; returns x0, and in `out`, if not NULL, all but x8 to x13. */
uint64_t call_hvc0(const uint64_t in[8], struct words *out);
uint64_t call_hvc1(const uint64_t in[8], struct words *out);
uint64_t call_hvc2(const uint64_t in[8], struct words *out);
uint64_t call_smc(const uint64_t in[8], struct words *out);

/* Where other processors start, for start_processor(). */
void other_start(void);

/* ---- this processor, this machine ---- */

uint32_t this_processor(void);
void print(const char *text);
_Noreturn void leave(unsigned status);

/* Ends the guest with the number of a check that failed. */
void check(unsigned number, bool good);

/* ---- interrupts: they end waits, and are never taken ---- */

/* Waits for the VMBus interrupt, and takes it as handled. */
void wait(void);

/* Waits for a moment, in which the host may work on what it was given. */
void relax(void);

/* As much of the interrupt controller as these need; synic_start() does it too. */
void interrupts_start(void);

/* ---- the hypervisor ---- */

/* The pages of this processor's SynIC. */
struct hv_message_slot *slot(void);

/* A fast call with its parameters; `value`: what HvCallGetVpRegisters returns, or NULL. */
hv_status call_fast(uint64_t code, uint64_t count, const uint64_t parameters[6], uint64_t *value);

hv_status register_get(uint32_t name, uint64_t *value);
hv_status register_set(uint32_t name, uint64_t value);

/* HvPostMessage with its input at this address, or of a payload. */
hv_status post_at(uint64_t address);
hv_status post(uint32_t connection_id, const void *payload, uint32_t size);

/* The same until the host has a buffer for it. */
hv_status post_patiently(uint32_t connection_id, const void *payload, uint32_t size);

/* The SynIC of this processor, with the VMBus source open. */
void synic_start(void);

#endif
