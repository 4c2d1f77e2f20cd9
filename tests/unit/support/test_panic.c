/* SPDX-License-Identifier: MIT */
/* panic() of the host build: a test may expect it. */
#include <stdio.h>
#include <stdlib.h>

#include "arch/cpu.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "test_arch.h"

static jmp_buf end;
static bool expected;
static enum irql level;
static bool interrupts;
static char last_message[512];
static int last_status;

jmp_buf *test_expect_end(void)
{
    expected = true;
    level = irql_current();
    interrupts = arch_interrupts_disable();
    arch_interrupts_restore(interrupts);
    return &end;
}

void test_end_seen(void)
{
    irql_set(arch_this_cpu(), level);
    (void)arch_interrupts_disable();
    arch_interrupts_restore(interrupts);
}

void test_expect_no_end(void)
{
    expected = false;
}

_Noreturn void test_end(const char *message, int status)
{
    (void)snprintf(last_message, sizeof(last_message), "%s", message);
    last_status = status;
    if (!expected) {
        fail_msg("unexpected end of the guest, status %d: %s", status, message);
        abort(); /* fail_msg() does not return */
    }
    expected = false;
    longjmp(end, 1);
}

const char *test_panic_message(void)
{
    return last_message;
}

int test_exit_status(void)
{
    return last_status;
}
