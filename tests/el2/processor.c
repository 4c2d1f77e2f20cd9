/* SPDX-License-Identifier: MIT */
#include "tests/el2/processor.h"

#include <stddef.h>
#include <string.h>

#include "arch/cpu.h"
#include "tests/el2/bus.h"
#include "tests/el2/configuration.h"
#include "tests/el2/executive.h"
#include "tests/el2/gic.h"
#include "tests/el2/instructions.h"
#include "tests/el2/machine.h"
#include "tests/el2/psci.h"
#include "tests/el2/semihosting.h"
#include "tests/el2/stage2.h"
#include "tests/el2/stimer.h"
#include "tests/el2/trap.h"

/* Arm ARM, D19. */
#define HCR_STAGE2        (UINT64_C(1) << 0)
#define HCR_FIQ           (UINT64_C(1) << 3)
#define HCR_SERROR        (UINT64_C(1) << 5 | UINT64_C(1) << 8) /* goes to EL2; the guest has one */
#define HCR_TRAP_WAIT     (UINT64_C(1) << 13)
#define HCR_TRAP_SMC      (UINT64_C(1) << 19)
#define HCR_AARCH64       (UINT64_C(1) << 31)
#define PSTATE_EL1_MASKED UINT64_C(0x3c5)
#define SCTLR_EL1_RESET   UINT64_C(0x30c50830)
#define CPTR_NO_TRAPS     UINT64_C(0x33ff)
#define CNTHCTL_NO_TRAPS  UINT64_C(3)
#define ICC_SRE_NO_TRAPS  UINT64_C(0xf)

static struct processor guest[PROCESSORS_LIMIT];
static struct boot_info info;
static atomic_bool guest_ready;
static atomic_bool guest_ended;
static int guest_status;

/* start.S */
void boot_processor_main(void);
void processor_main(uint32_t index);
extern char image_end[];

struct processor *processor_find(uint32_t index)
{
    return index < configuration()->processors ? &guest[index] : NULL;
}

/* ---- the guest's ---- */

/* What of EL1 and EL2 the host sets before the guest's first instruction on a processor. */
static void prepare(void)
{
    uint64_t traps = HCR_STAGE2 | HCR_TRAP_SMC | HCR_AARCH64;

    if (configuration()->delivery != DELIVERY_IN_PARALLEL) {
        traps |= HCR_TRAP_WAIT | HCR_FIQ;
        gic_prepare_guest_processor();
    }
    if (configuration()->system_error) {
        traps |= HCR_SERROR;
    }
    stage2_use();
    hypervisor_control_write(traps);
    feature_traps_write(CPTR_NO_TRAPS);
    system_traps_write(0);
    counter_traps_write(CNTHCTL_NO_TRAPS);
    virtual_counter_offset_write(0);
    interrupt_registers_write(ICC_SRE_NO_TRAPS);
    virtual_identity_write(processor_identity_read());
    virtual_affinity_write(processor_affinity_read());
    guest_system_control_write(SCTLR_EL1_RESET);
}

/*
 * What the guest did is worked on so much later, a tick more each time: where a tick of the counter
 * is an instruction, a guest that does the same again and again is met at each of them in turn. But
 * at its end of a message it gets the next at once, always at the same instruction: from there on
 * the ticks count for the message behind that one.
 */
static void plan_work(struct processor *processor)
{
    static _Atomic uint64_t times;

    if (configuration()->delivery != DELIVERY_LATER || !bus_is_pending()) {
        processor->work_at = UINT64_MAX;
    } else if (bus_guest_takes()) {
        processor->work_at = arch_counter();
    } else if (processor->work_at == UINT64_MAX) {
        processor->work_at = arch_counter() + configuration()->later +
                             atomic_fetch_add_explicit(&times, 1, memory_order_relaxed);
    }
}

/* When this processor is to work for the host next, in ticks of the counter. */
static uint64_t host_deadline(const struct processor *processor)
{
    const uint64_t deadline = executive_deadline();

    return processor->work_at < deadline ? processor->work_at : deadline;
}

static bool bus_is_due(const struct processor *processor, bool guest_waits)
{
    switch (configuration()->delivery) {
    case DELIVERY_AT_ONCE:
        return bus_is_pending();
    case DELIVERY_AT_WAIT:
        return guest_waits && bus_is_pending();
    default:
        return processor->work_at <= arch_counter();
    }
}

/* False: there was nothing to do. */
static bool work_for_host(struct processor *processor, bool guest_waits)
{
    const bool bus = bus_is_due(processor, guest_waits);

    if (bus) {
        bus_release();
        processor->work_at = UINT64_MAX;
    }
    if (bus || stimers_are_written() || executive_deadline() <= arch_counter()) {
        executive_run();
        return true;
    }
    return false;
}

/* The guest waits for an interrupt on this processor, and the host's clock goes on. */
static void wait_with_host(struct processor *processor)
{
    while (!gic_is_pending()) {
        plan_work(processor);
        if (!work_for_host(processor, true)) {
            gic_claim_timer(processor->index);
            gic_wait(host_deadline(processor));
        }
    }
}

/* Behind a stay in the guest, where the host has no processor of its own. */
static void lend_to_host(struct processor *processor, bool guest_waits)
{
    plan_work(processor);
    (void)work_for_host(processor, guest_waits);
    if (guest_waits) {
        wait_with_host(processor);
    }
}

/* Before one: the guest has the processor until it traps, or until then. */
static void plan_return(struct processor *processor)
{
    plan_work(processor);
    const uint64_t deadline = host_deadline(processor);
    if (deadline != UINT64_MAX) {
        gic_claim_timer(processor->index);
    }
    gic_timer_arm(deadline);
}

static _Noreturn void run_guest(struct processor *processor)
{
    const bool lends = configuration()->delivery != DELIVERY_IN_PARALLEL;

    prepare();
    for (;;) {
        if (lends) {
            plan_return(processor);
        }
        const uint32_t why = guest_enter(&processor->registers);
        const bool waits = trap_handle(processor, why);
        if (lends) {
            lend_to_host(processor, waits);
        }
    }
}

bool processor_start(uint32_t index, uint64_t entry, uint64_t argument)
{
    struct processor *processor = processor_find(index);
    bool running = false;

    if (processor == NULL ||
        !atomic_compare_exchange_strong_explicit(&processor->started, &running, true,
                                                 memory_order_acq_rel, memory_order_relaxed)) {
        return false;
    }
    memset(&processor->registers, 0, sizeof(processor->registers));
    processor->registers.pc = entry;
    processor->registers.pstate = PSTATE_EL1_MASKED;
    processor->registers.x[0] = argument;
    processor->work_at = UINT64_MAX;
    if (index != 0) {
        psci_start_processor(index);
    }
    return true;
}

_Noreturn void processor_stop(struct processor *processor)
{
    atomic_store_explicit(&processor->started, false, memory_order_release);
    psci_stop_processor();
}

_Noreturn void processors_guest_ends(int status)
{
    guest_status = status;
    atomic_store_explicit(&guest_ended, true, memory_order_release);
    processors_notify_host();
    for (;;) {
        if (configuration()->delivery != DELIVERY_IN_PARALLEL) {
            bus_release();
            executive_run(); /* which ends the host, or still has something to do first */
        }
        arch_relax();
    }
}

bool processors_guest_has_ended(int *status)
{
    *status = guest_status;
    return atomic_load_explicit(&guest_ended, memory_order_acquire);
}

/* ---- the host's ---- */

static bool guest_wants_host(void)
{
    return bus_is_pending() || stimers_are_written();
}

void processors_notify_host(void)
{
    if (configuration()->delivery == DELIVERY_IN_PARALLEL) {
        gic_wake(configuration()->processors);
    }
}

/*
 * A host that sleeps is slow: whatever it does, the guest has long gone to sleep too. To meet the
 * guest at any of its instructions it stays awake, and takes its time by chance.
 */
static _Noreturn void run_host_awake(uint64_t jitter)
{
    uint64_t chance = arch_counter() | 1;

    for (;;) {
        while (!guest_wants_host() && executive_deadline() > arch_counter() &&
               !atomic_load_explicit(&guest_ended, memory_order_acquire)) {
            arch_relax();
        }
        /* Marsaglia, "Xorshift RNGs", 2003. */
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        for (const uint64_t end = arch_counter() + chance % jitter; arch_counter() < end;) {
        }
        bus_release();
        executive_run();
    }
}

static _Noreturn void run_host(uint32_t index)
{
    const uint64_t jitter = configuration()->jitter * arch_counter_frequency() / 1000000;

    gic_prepare_host_processor(index);
    if (jitter != 0) {
        executive_run(); /* its start, which nothing is pending for */
        run_host_awake(jitter);
    }
    for (;;) {
        /* Whatever happens from here on ends the wait below. */
        gic_wake_acknowledge(index);
        bus_release();
        executive_run();
        if (!guest_wants_host() && executive_deadline() > arch_counter()) {
            gic_wait(executive_deadline());
        }
    }
}

void machine_start_guest(void)
{
    atomic_store_explicit(&guest_ready, true, memory_order_release);
}

void boot_processor_main(void)
{
    info.protocol = "semihosting at EL2";
    info.counter_at_entry = arch_counter();
    semihosting_command_line(info.command_line, sizeof(info.command_line));
    memory_map_add(&info.memory, (uintptr_t)image_end, HOST_MEMORY_END - (uintptr_t)image_end);
    configuration_read(&info);
    for (uint32_t i = 0; i < configuration()->processors; i++) {
        guest[i].index = i;
    }
    executive_initialise(&info);
    if (configuration()->delivery == DELIVERY_IN_PARALLEL) {
        psci_start_processor(configuration()->processors);
    } else {
        executive_run();
    }
    while (!atomic_load_explicit(&guest_ready, memory_order_acquire)) {
        arch_relax();
    }
    run_guest(&guest[0]);
}

void processor_main(uint32_t index)
{
    if (index == configuration()->processors) {
        run_host(index);
    }
    run_guest(&guest[index]);
}
