/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "arch/cpu.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "test_arch.h"

static void a_line_has_time_component_and_text(void **state)
{
    (void)state;
    unsigned seconds, micros;
    int used = 0;

    test_time_pass(3 * CLOCK_SECOND);
    uint64_t before = clock_now();
    test_console_clear();
    log_info("vmbus", "offer %u of %s", 3, "all");
    assert_int_equal(sscanf(test_console(), "[%u.%6u] %n", &seconds, &micros, &used), 2);
    assert_string_equal(test_console() + used, "vmbus: offer 3 of all\n");
    uint64_t printed = seconds * CLOCK_SECOND + micros * CLOCK_MICROSECOND;
    assert_in_range(printed, before - CLOCK_MICROSECOND, before + CLOCK_MICROSECOND);
}

static void a_warning_says_so(void **state)
{
    (void)state;
    log_warning("hv", "odd");
    assert_non_null(strstr(test_console(), "] hv: warning: odd\n"));
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
    (void)state;
    static char text[1000];

    memset(text, 'x', sizeof(text) - 1);
    log_info("test", "%s", text);
    assert_int_equal(strlen(test_console()), 201);
    assert_int_equal(test_console()[199], 'x');
    assert_int_equal(test_console()[200], '\n');
    log_info(text, "never seen");
    assert_int_equal(strlen(test_console()), 402);
}

static void log_a_line(void *context)
{
    (void)context;
    log_info("test", "from a handler");
}

static void handlers_may_log_and_interrupts_stay_as_they_are(void **state)
{
    (void)state;
    assert_true(test_interrupt(log_a_line, NULL));
    assert_non_null(strstr(test_console(), "from a handler"));
    bool interrupts = arch_interrupts_disable();
    assert_true(interrupts);
    log_info("test", "quiet");
    assert_false(arch_interrupts_disable());
    arch_interrupts_enable();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_has_time_component_and_text, test_arch_setup),
        cmocka_unit_test_setup(a_warning_says_so, test_arch_setup),
        cmocka_unit_test_setup(a_long_line_is_cut_and_still_ends, test_arch_setup),
        cmocka_unit_test_setup(handlers_may_log_and_interrupts_stay_as_they_are, test_arch_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
