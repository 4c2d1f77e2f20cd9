/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/unit/ring/access.h"

#if defined(__x86_64__)

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#define TRAP_FLAG 0x100

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

/* An access: gives the memory back for one instruction. */
static void fault(int number, siginfo_t *info, void *interrupted)
{
    ucontext_t *context = interrupted;
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
    context->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void trap(int number, siginfo_t *info, void *interrupted)
{
    ucontext_t *context = interrupted;

    (void)number;
    (void)info;
    context->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
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
