/* SPDX-License-Identifier: MIT */
#include "tests/vmm/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "kernel/wait.h"
#include "tests/vmm/cpuid.h"
#include "tests/vmm/hypercall.h"
#include "tests/vmm/kvm_stats.h"
#include "tests/vmm/machine.h"

/* Takes a thread out of the guest. */
#define KICK SIGUSR1

#define CR0_PROTECTED 0x00000001u
#define CR0_EXTENSION 0x00000010u /* always set */
#define FLAGS_ALWAYS  0x00000002u

#define SEGMENT_CODE       0xBu /* executable, readable, accessed */
#define SEGMENT_DATA       0x3u /* writable, accessed */
#define SEGMENT_TASK       0xBu /* a 32-bit task, busy */
#define SEGMENT_TASK_LIMIT 0x67u

/* As Linux' protocol wants them; PVH does not care. */
#define SELECTOR_CODE 0x10u
#define SELECTOR_DATA 0x18u

/* ---- making ---- */

static void slot_free(void *context)
{
    struct machine *machine = context;

    vmbus_server_slot_free(machine->bus.server);
}

/* TLFS, Partition Properties. KVM lets the guest read here, and do, what its host has written once
 * (Linux, hyperv.c). */
#define MSR_CRASH_CTL 0x40000105u
#define CRASH_NOTIFY  (UINT64_C(1) << 63)

static void offer_crash_report(int vcpu)
{
    struct {
        struct kvm_msrs header;
        struct kvm_msr_entry entry;
    } one = {.header = {.nmsrs = 1}, .entry = {.index = MSR_CRASH_CTL, .data = CRASH_NOTIFY}};

    if (kvm_ioctl(vcpu, KVM_SET_MSRS, &one) != 1) {
        die("KVM: the guest cannot be offered to report its crash: %s", strerror(errno));
    }
}

void vcpu_create(struct vcpu *vcpu, struct machine *machine, uint32_t index)
{
    struct kvm_enable_cap synic = {.cap = KVM_CAP_HYPERV_SYNIC2};
    struct kvm_enable_cap enforce = {.cap = KVM_CAP_HYPERV_ENFORCE_CPUID, .args = {1}};

    vcpu->machine = machine;
    vcpu->index = index;
    vcpu->file = ioctl(machine->kvm.vm, KVM_CREATE_VCPU, (uintptr_t)index);
    int size = ioctl(machine->kvm.system, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (vcpu->file < 0 || size < 0) {
        die("KVM: virtual processor %u: %s", index, strerror(errno));
    }
    void *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->file, 0);
    if (run == MAP_FAILED) {
        die("KVM: virtual processor %u: %s", index, strerror(errno));
    }
    vcpu->run = run;
    vcpu->stats = kvm_stats_open(vcpu->file);
    (void)kvm_must(vcpu->file, KVM_ENABLE_CAP, &synic, "a SynIC");
    cpuid_set(&machine->kvm, vcpu->file, index, machine->vcpu_count,
              !machine->options->without_timers);
    (void)kvm_must(vcpu->file, KVM_ENABLE_CAP, &enforce, "Hyper-V's interface as told by CPUID");
    offer_crash_report(vcpu->file);
    synic_create(&vcpu->synic, &machine->kvm, &machine->memory, index, slot_free, machine);
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
    return (struct kvm_segment){
        .limit = UINT32_MAX,
        .selector = selector,
        .type = type,
        .present = 1,
        .db = 1,
        .s = 1,
        .g = 1,
    };
}

void vcpu_set_protected_mode(struct vcpu *vcpu, const struct kvm_regs *general)
{
    struct kvm_sregs system;
    struct kvm_regs registers = *general;

    registers.rflags = FLAGS_ALWAYS;
    (void)kvm_must(vcpu->file, KVM_GET_SREGS, &system, "registers");
    system.cs = flat_segment(SELECTOR_CODE, SEGMENT_CODE);
    system.ds = flat_segment(SELECTOR_DATA, SEGMENT_DATA);
    system.es = system.ds;
    system.fs = system.ds;
    system.gs = system.ds;
    system.ss = system.ds;
    system.tr =
        (struct kvm_segment){.limit = SEGMENT_TASK_LIMIT, .type = SEGMENT_TASK, .present = 1};
    system.cr0 = CR0_PROTECTED | CR0_EXTENSION;
    (void)kvm_must(vcpu->file, KVM_SET_SREGS, &system, "registers");
    (void)kvm_must(vcpu->file, KVM_SET_REGS, &registers, "registers");
}

/* ---- exits ---- */

static void port_exit(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;

    for (uint32_t i = 0; i < run->io.count; i++) {
        ports_access(&vcpu->machine->ports, run->io.port, data, run->io.size,
                     run->io.direction == KVM_EXIT_IO_OUT);
        data += run->io.size;
    }
}

static void hyperv_exit(struct vcpu *vcpu)
{
    struct kvm_hyperv_exit *exit = &vcpu->run->hyperv;

    switch (exit->type) {
    case KVM_EXIT_HYPERV_SYNIC:
        synic_changed(&vcpu->synic, exit->u.synic.control, exit->u.synic.msg_page,
                      exit->u.synic.evt_page);
        break;
    case KVM_EXIT_HYPERV_HCALL:
        exit->u.hcall.result =
            hypercall(vcpu->machine, exit->u.hcall.input, exit->u.hcall.params[0]);
        break;
    default:
        break;
    }
}

/* A processor that cannot go on ends the guest; what it was about is said. */
static void fault(struct vcpu *vcpu, const char *what, uint64_t number)
{
    struct kvm_regs registers = {0};

    (void)kvm_ioctl(vcpu->file, KVM_GET_REGS, &registers);
    say("virtual processor %u: %s %#llx at RIP %#llx", vcpu->index, what,
        (unsigned long long)number, (unsigned long long)registers.rip);
    machine_end(vcpu->machine, MACHINE_FAULT, 0);
}

static void system_event(struct vcpu *vcpu)
{
    switch (vcpu->run->system_event.type) {
    case KVM_SYSTEM_EVENT_CRASH:
        machine_crashed(vcpu->machine, vcpu->file);
        break;
    case KVM_SYSTEM_EVENT_RESET:
        machine_end(vcpu->machine, MACHINE_RESET, 0);
        break;
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        machine_end(vcpu->machine, MACHINE_POWER_OFF, 0);
        break;
    default:
        fault(vcpu, "system event", vcpu->run->system_event.type);
    }
}

static void handle_exit(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;

    switch (run->exit_reason) {
    case KVM_EXIT_IO:
        port_exit(vcpu);
        break;
    case KVM_EXIT_HYPERV:
        hyperv_exit(vcpu);
        break;
    case KVM_EXIT_MMIO:
        /* Nothing is there: reads give ones. */
        if (!run->mmio.is_write) {
            memset(run->mmio.data, 0xFF, sizeof(run->mmio.data));
        }
        break;
    case KVM_EXIT_SHUTDOWN:
        machine_end(vcpu->machine, MACHINE_RESET, 0); /* a triple fault */
        break;
    case KVM_EXIT_SYSTEM_EVENT:
        system_event(vcpu);
        break;
    case KVM_EXIT_INTR:
        break;
    case KVM_EXIT_FAIL_ENTRY:
        fault(vcpu, "the processor refuses to enter the guest, reason",
              run->fail_entry.hardware_entry_failure_reason);
        break;
    case KVM_EXIT_INTERNAL_ERROR:
        fault(vcpu, "KVM cannot go on, suberror", run->internal.suberror);
        break;
    default:
        fault(vcpu, "unexpected exit", run->exit_reason);
    }
}

/* ---- threads ---- */

/* Lets the thread stand while that is wanted; false: it is to end. */
static bool stand(struct vcpu *vcpu)
{
    struct vcpus_control *control = &vcpu->machine->vcpus_control;

    (void)pthread_mutex_lock(&control->lock);
    if (control->wanted != VCPUS_RUN) {
        atomic_fetch_add(&control->standing, 1);
        source_raise(&control->stood);
        while (control->wanted == VCPUS_STAND) {
            (void)pthread_cond_wait(&control->changed, &control->lock);
        }
        if (control->wanted == VCPUS_RUN) {
            atomic_fetch_sub(&control->standing, 1);
            source_raise(&control->stood);
        }
    }
    bool go_on = control->wanted == VCPUS_RUN;
    vcpu->run->immediate_exit = !go_on;
    (void)pthread_mutex_unlock(&control->lock);
    return go_on;
}

/* The guest has ended: nothing is to be run that comes behind that, until the thread is to stand.
 */
static void wait_for_the_end(struct vcpu *vcpu)
{
    struct vcpus_control *control = &vcpu->machine->vcpus_control;

    (void)pthread_mutex_lock(&control->lock);
    while (control->wanted == VCPUS_RUN) {
        (void)pthread_cond_wait(&control->changed, &control->lock);
    }
    (void)pthread_mutex_unlock(&control->lock);
}

/*
 * What an exit began, KVM completes when it is entered again: so the thread stands only where
 * KVM_RUN was interrupted. With immediate_exit set it completes, and does not run the guest.
 */
static void *run_thread(void *context)
{
    struct vcpu *vcpu = context;

    while (stand(vcpu)) {
        for (;;) {
            if (ioctl(vcpu->file, KVM_RUN, 0) == 0) {
                handle_exit(vcpu);
            } else if (errno == EINTR) {
                break;
            } else if (errno != EAGAIN) {
                fault(vcpu, "KVM_RUN fails with error", (uint64_t)errno);
            }
            if (machine_has_ended(vcpu->machine)) {
                wait_for_the_end(vcpu);
            }
        }
    }
    return NULL;
}

static void kicked(int signal)
{
    (void)signal;
}

void vcpus_start(struct machine *machine)
{
    struct vcpus_control *control = &machine->vcpus_control;
    struct sigaction action = {.sa_handler = kicked};

    (void)pthread_mutex_init(&control->lock, NULL);
    (void)pthread_cond_init(&control->changed, NULL);
    control->wanted = VCPUS_STAND;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(KICK, &action, NULL);
    if (!source_create(&control->stood, IRQL_DISPATCH, NULL, NULL)) {
        die("the processors' event: %s", strerror(errno));
    }
    for (uint32_t i = 0; i < machine->vcpu_count; i++) {
        struct vcpu *vcpu = &machine->vcpus[i];
        int error = pthread_create(&vcpu->thread, NULL, run_thread, vcpu);
        if (error != 0) {
            die("a thread for virtual processor %u: %s", i, strerror(error));
        }
    }
}

static bool all_do(void *context)
{
    struct machine *machine = context;
    bool running = machine->vcpus_control.wanted == VCPUS_RUN;

    return atomic_load(&machine->vcpus_control.standing) == (running ? 0 : machine->vcpu_count);
}

void vcpus_want(struct machine *machine, enum vcpus_wanted wanted)
{
    struct vcpus_control *control = &machine->vcpus_control;

    (void)pthread_mutex_lock(&control->lock);
    control->wanted = wanted;
    (void)pthread_cond_broadcast(&control->changed);
    (void)pthread_mutex_unlock(&control->lock);
    if (wanted != VCPUS_RUN) {
        for (uint32_t i = 0; i < machine->vcpu_count; i++) {
            machine->vcpus[i].run->immediate_exit = 1;
            (void)pthread_kill(machine->vcpus[i].thread, KICK);
        }
    }
    /* Bound to end: a thread outside of the guest is in a handler that ends, or in a call that this
     * wait answers. */
    (void)wait_until(all_do, machine, WAIT_WITHOUT_LIMIT);
    for (uint32_t i = 0; wanted == VCPUS_END && i < machine->vcpu_count; i++) {
        (void)pthread_join(machine->vcpus[i].thread, NULL);
    }
}
