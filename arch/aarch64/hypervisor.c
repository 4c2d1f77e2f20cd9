/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's interface as ARM64 has it: everything is a hypercall, the registers too (TLFS,
 * "Hypercall Interface" and "HvCallGetVpRegisters"). Two conventions exist: that of firmware calls
 * (HVC #0, which Linux uses) and one of its own (HVC #1, which Hyper-V's firmware uses).
 */
#include "arch/hypervisor.h"

#include <stddef.h>
#include <string.h>

#include "arch/aarch64/firmware.h"
#include "arch/aarch64/hypervisor_abi.h"
#include "arch/aarch64/instructions.h"
#include "arch/aarch64/interrupts.h"
#include "arch/aarch64/platform.h"
#include "kernel/log.h"

static const uint64_t vendor_identity[] = HV_SMCCC_VENDOR_UID_WORDS;

#define CALL_FAST     (UINT64_C(1) << 16) /* input in registers */
#define RESULT_STATUS UINT64_C(0xffff)

/* Bits of HV_ARM64_PRIVILEGES, and of the register that announces crash reports. */
#define PRIVILEGES_ALWAYS                                                                          \
    (UINT64_C(1) << 2 | UINT64_C(1) << 5 | UINT64_C(1) << 6) /* SynIC, hypercalls, VP index */
#define FEATURE_FREQUENCIES (UINT64_C(1) << 6)
#define CRASH_NOTIFY        (UINT64_C(1) << 63)
#define CRASH_MESSAGE       (UINT64_C(1) << 62)

static const uint32_t register_numbers[] = {
    [HV_REGISTER_GUEST_OS_ID] = HV_ARM64_GUEST_OS_ID,
    [HV_REGISTER_VP_INDEX] = HV_ARM64_VP_INDEX,
    [HV_REGISTER_TIME_REF_COUNT] = HV_ARM64_TIME_REF_COUNT,
    [HV_REGISTER_REFERENCE_TSC] = HV_ARM64_REFERENCE_TSC,
    [HV_REGISTER_TSC_FREQUENCY] = HV_ARM64_TSC_FREQUENCY,
    [HV_REGISTER_APIC_FREQUENCY] = HV_ARM64_APIC_FREQUENCY,
    [HV_REGISTER_VP_ASSIST_PAGE] = HV_ARM64_VP_ASSIST_PAGE,
    [HV_REGISTER_SCONTROL] = HV_ARM64_SCONTROL,
    [HV_REGISTER_SIEFP] = HV_ARM64_SIEFP,
    [HV_REGISTER_SIMP] = HV_ARM64_SIMP,
    [HV_REGISTER_EOM] = HV_ARM64_EOM,
    [HV_REGISTER_CRASH_P0] = HV_ARM64_CRASH_P0,
    [HV_REGISTER_CRASH_P1] = HV_ARM64_CRASH_P0 + 1,
    [HV_REGISTER_CRASH_P2] = HV_ARM64_CRASH_P0 + 2,
    [HV_REGISTER_CRASH_P3] = HV_ARM64_CRASH_P0 + 3,
    [HV_REGISTER_CRASH_P4] = HV_ARM64_CRASH_P0 + 4,
    [HV_REGISTER_CRASH_CTL] = HV_ARM64_CRASH_CTL,
};
_Static_assert(sizeof(register_numbers) / sizeof(register_numbers[0]) == HV_REGISTER_SINT0,
               "a number each");

/* The interrupt of VMBus where no table names it, and that of synthetic timers: what Hyper-V's own
 * firmware uses (mu_msvm). */
#define INTERRUPT_VMBUS 18u
#define INTERRUPT_TIMER 17u

static enum { BY_FIRMWARE_CALL, BY_OWN_CALL } convention;

/* ---- the instruction ---- */

struct answer {
    uint64_t result;
    uint64_t low, high;
};

static struct answer call(uint64_t control, const uint64_t input[5])
{
    bool own = convention == BY_OWN_CALL;
    struct call_registers registers = {.x = {HV_SMCCC_HYPERCALL}};
    uint64_t *at = &registers.x[own ? 0 : 1];

    at[0] = control;
    memcpy(&at[1], input, 5 * sizeof(input[0]));
    if (own) {
        call_hvc1(&registers);
    } else {
        call_hvc0(&registers);
    }
    const uint64_t *value = &registers.x[own ? HV_PLAIN_VALUE : HV_SMCCC_VALUE];
    return (struct answer){registers.x[0], value[0], value[1]};
}

/* The hypervisor may write to memory or read it: the call is ordered like any access to it. */
uint64_t arch_hypercall(uint64_t control, uint64_t input, uint64_t output)
{
    const uint64_t words[5] = {input, output};

    barrier_all();
    return call(control, words).result;
}

/* ---- registers ---- */

static uint32_t register_number(enum hv_register name)
{
    if (name >= HV_REGISTER_STIMER0_CONFIG) {
        return HV_ARM64_STIMER0_CONFIG + (uint32_t)(name - HV_REGISTER_STIMER0_CONFIG);
    }
    if (name >= HV_REGISTER_SINT0) {
        return HV_ARM64_SINT0 + (uint32_t)(name - HV_REGISTER_SINT0);
    }
    return register_numbers[name];
}

static struct answer register_get(uint32_t number)
{
    const uint64_t words[5] = {HV_PARTITION_SELF, HV_VP_SELF, number};

    return call(HV_CALL_GET_VP_REGISTERS | CALL_FAST | HV_CALL_ONE_ELEMENT, words);
}

static bool succeeded(const struct answer *answer)
{
    return (answer->result & RESULT_STATUS) == 0;
}

uint64_t arch_hv_register_read(enum hv_register name)
{
    struct answer answer = register_get(register_number(name));
    bool known = succeeded(&answer);

    /* Hosts take crash reports though some do not let the register be read that announces it
     * (mu_msvm). */
    if (name == HV_REGISTER_CRASH_CTL && (!known || answer.low == 0)) {
        return CRASH_NOTIFY | CRASH_MESSAGE;
    }
    return known ? answer.low : 0;
}

/* A refused write is noticed where it matters: there the caller reads the register back. */
void arch_hv_register_write(enum hv_register name, uint64_t value)
{
    const uint64_t words[5] = {HV_PARTITION_SELF, HV_VP_SELF, register_number(name), 0, value};

    barrier_all();
    (void)call(HV_CALL_SET_VP_REGISTERS | CALL_FAST | HV_CALL_ONE_ELEMENT, words);
}

/* ---- discovery ---- */

/* Where nothing but a device tree describes the machine, the hypervisor is asked; by HVC only,
 * since without one that instruction is not defined. */
static bool firmware_names_hyperv(void)
{
    if (platform.conduit != PLATFORM_CONDUIT_HVC) {
        return false;
    }
    struct call_registers identity = firmware_call(HV_SMCCC_VENDOR_UID, 0);
    for (unsigned n = 0; n < 4; n++) {
        if ((identity.x[n] & UINT32_MAX) != vendor_identity[n]) {
            return false;
        }
    }
    return true;
}

/* Zero where the hypervisor does not tell. */
static struct answer told(uint32_t number)
{
    struct answer answer = register_get(number);

    return succeeded(&answer) ? answer : (struct answer){0};
}

static void choose_convention(void)
{
    convention = BY_FIRMWARE_CALL;
    struct answer answer = register_get(HV_ARM64_PRIVILEGES);
    if (answer.result == FIRMWARE_NOT_SUPPORTED) {
        convention = BY_OWN_CALL;
        log_info("hv", "hypercalls by HVC #1: HVC #0 does not know them");
    }
}

/*
 * The identity decides; a host may leave all the words zero and yet have the interface (OpenVMM on
 * macOS), so what cannot be missing is not asked for.
 */
void arch_hypervisor_read(struct arch_hypervisor *out)
{
    *out = (struct arch_hypervisor){0};
    if (!platform.names_hyperv && !firmware_names_hyperv()) {
        return;
    }
    out->present = true;
    out->is_hyperv = true;
    memcpy(out->vendor, "MsHyperV", sizeof("MsHyperV"));
    choose_convention();

    struct answer version = told(HV_ARM64_VERSION);
    out->version[0] = (uint32_t)version.low;
    out->version[1] = (uint32_t)(version.low >> 32);

    struct answer features = told(HV_ARM64_PRIVILEGES);
    out->privileges = features.low | PRIVILEGES_ALWAYS;
    /* The processor has its counter's frequency in a register; in what unit these have it is not
     * certain. */
    out->features = features.high & ~FEATURE_FREQUENCIES;

    out->recommendations = (uint32_t)told(HV_ARM64_RECOMMENDATIONS).low;
    struct answer limits = told(HV_ARM64_LIMITS);
    out->limits[0] = (uint32_t)limits.low;
    out->limits[1] = (uint32_t)(limits.low >> 32);
    out->hardware = (uint32_t)told(HV_ARM64_HARDWARE).low;
    if (platform.vmbus_interrupt == 0) {
        log_info("hv", "no table names the interrupt of VMBus: taking %u", INTERRUPT_VMBUS);
    }
}

bool arch_hypercall_enable(const char **why)
{
    (void)why; /* nothing to enable, so nothing can go wrong */
    return true;
}

void arch_hypercall_disable(void)
{
}

/* ---- interrupts ---- */

/*
 * The first one is VMBus's, whose number the tables name; for timers only the number that Hyper-V's
 * firmware uses is known to be free.
 */
uint32_t arch_synic_interrupt_attach(void (*handler)(void *context), void *context)
{
    const uint32_t numbers[] = {
        platform.vmbus_interrupt != 0 ? platform.vmbus_interrupt : INTERRUPT_VMBUS,
        INTERRUPT_TIMER,
    };

    for (unsigned n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
        if (interrupt_attach(numbers[n], true, handler, context)) {
            return numbers[n];
        }
    }
    return 0;
}

void arch_synic_interrupt_detach(uint32_t number)
{
    interrupt_detach(number);
}

uint64_t arch_reference_counter(void)
{
    return counter_read();
}
