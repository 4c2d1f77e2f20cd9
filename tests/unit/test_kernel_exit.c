/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "arch/cpu.h"
#include "kernel/exit.h"
#include "kernel/irql.h"
#include "test_arch.h"

static char order[8];

static void note(char letter)
{
    order[strlen(order)] = letter;
}

static void leave_a(void)
{
    assert_int_equal(irql_current(), IRQL_PASSIVE);
    note('a');
}

static void leave_b(void)
{
    note('b');
}

/* One that thinks it has to end the guest itself. */
static void leave_and_exit(void)
{
    note('x');
    kernel_exit(9);
}

static int setup(void **state)
{
    memset(order, 0, sizeof(order));
    return test_arch_setup(state);
}

static void hooks_run_once_the_latest_first(void **state)
{
    (void)state;
    static struct exit_hook a = {.leave = leave_a}, b = {.leave = leave_b};

    exit_hook_register(&a);
    exit_hook_register(&b);
    expect_exit(kernel_exit(7), 7);
    assert_string_equal(order, "ba");
    expect_exit(kernel_exit(8), 8);
    assert_string_equal(order, "ba");
}

static void a_hook_that_exits_does_not_stop_the_others(void **state)
{
    (void)state;
    static struct exit_hook a = {.leave = leave_a}, x = {.leave = leave_and_exit};

    exit_hook_register(&a);
    exit_hook_register(&x);
    expect_exit(kernel_exit(7), 9);
    assert_string_equal(order, "xa");
}

static void exiting_at_dispatch_level_panics(void **state)
{
    (void)state;
    enum irql previous = irql_raise_to_dispatch();
    expect_exit(kernel_exit(0), EXIT_STATUS_PANIC);
    assert_non_null(strstr(test_panic_message(), "at dispatch level"));
    irql_lower(previous);
}

static void a_restart_runs_the_hooks_too(void **state)
{
    (void)state;
    static struct exit_hook a = {.leave = leave_a};

    exit_hook_register(&a);
    expect_panic(kernel_restart());
    assert_string_equal(test_panic_message(), "restart");
    assert_string_equal(order, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_restart_runs_the_hooks_too, setup),
        cmocka_unit_test_setup(hooks_run_once_the_latest_first, setup),
        cmocka_unit_test_setup(a_hook_that_exits_does_not_stop_the_others, setup),
        cmocka_unit_test_setup(exiting_at_dispatch_level_panics, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
