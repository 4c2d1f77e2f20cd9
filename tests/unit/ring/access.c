/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/unit/ring/access.h"

#if defined(__x86_64__) || defined(__aarch64__)

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

static struct {
    struct test_ring *ring;
    void (*peer)(void);
    unsigned left;
    bool peer_ran;
} now;

static void protect(int protection)
{
    (void)mprotect((void *)now.ring->control, RING_PAGE_SIZE + now.ring->size, protection);
}

#if defined(__x86_64__)

/* The processor traps behind the next instruction. */
#define TRAP_FLAG 0x100

static void step_begin(ucontext_t *context)
{
    context->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void step_end(ucontext_t *context)
{
    context->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

#else

/*
 * A process cannot step itself, so a breakpoint takes the place of the next instruction: one that
 * accesses memory does not branch. An atomic operation has to be one instruction, since a processor
 * forgets its reservation of a pair of them here.
 */
#define BREAKPOINT 0xd4200000u
#define CODE_PAGE  4096u

static uint32_t replaced;

static void code_write(uint32_t *at, uint32_t instruction)
{
    char *page = (char *)((uintptr_t)at & ~(uintptr_t)(CODE_PAGE - 1));

    (void)mprotect(page, CODE_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    *at = instruction;
    __builtin___clear_cache((char *)at, (char *)(at + 1));
}

static void step_begin(ucontext_t *context)
{
    uint32_t *next = (uint32_t *)(uintptr_t)context->uc_mcontext.pc + 1;

    replaced = *next;
    code_write(next, BREAKPOINT);
}

static void step_end(ucontext_t *context)
{
    code_write((uint32_t *)(uintptr_t)context->uc_mcontext.pc, replaced);
}

#endif

/* An access: gives the memory back for one instruction. */
static void fault(int number, siginfo_t *info, void *interrupted)
{
    unsigned char *at = info->si_addr;

    if (at < (unsigned char *)now.ring->control || at >= now.ring->data + now.ring->size) {
        signal(number, SIG_DFL); /* a true fault: comes again */
        return;
    }
    protect(PROT_READ | PROT_WRITE);
    if (!now.peer_ran && now.left-- == 0) {
        now.peer_ran = true;
        now.peer();
    }
    step_begin(interrupted);
}

static void trap(int number, siginfo_t *info, void *interrupted)
{
    (void)number;
    (void)info;
    step_end(interrupted);
    protect(PROT_NONE);
}

bool access_can_be_interrupted(void)
{
    return true;
}

bool interrupt_at_access(struct test_ring *ring, void (*function)(void), void (*peer)(void),
                         unsigned k)
{
    struct sigaction action;
    struct sigaction segv;
    struct sigaction step;

    now.ring = ring;
    now.peer = peer;
    now.left = k;
    now.peer_ran = false;
    memset(&action, 0, sizeof(action));
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = fault;
    sigaction(SIGSEGV, &action, &segv);
    action.sa_sigaction = trap;
    sigaction(SIGTRAP, &action, &step);
    protect(PROT_NONE);
    function();
    protect(PROT_READ | PROT_WRITE);
    sigaction(SIGSEGV, &segv, NULL);
    sigaction(SIGTRAP, &step, NULL);
    return now.peer_ran;
}

#else

bool access_can_be_interrupted(void)
{
    return false;
}

bool interrupt_at_access(struct test_ring *ring, void (*function)(void), void (*peer)(void),
                         unsigned k)
{
    (void)ring;
    (void)function;
    (void)peer;
    (void)k;
    return false;
}

#endif
