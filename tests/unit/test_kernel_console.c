/* SPDX-License-Identifier: MIT */
/* Where console text goes: the log memory and the sinks. */
#include "kernel/console.h"

#include <stdio.h>
#include <string.h>

#include "arch/cpu.h"
#include "kernel/log_memory.h"
#include "test_arch.h"

static char seen[3 * LOG_MEMORY_SIZE];
static size_t seen_used;
static bool interrupts_were_on;
static const char *nested;

static void see(const char *text, size_t length)
{
    bool on = arch_interrupts_disable();

    interrupts_were_on = interrupts_were_on || on;
    arch_interrupts_restore(on);
    memcpy(seen + seen_used, text, length);
    seen_used += length;
    if (nested != NULL) {
        const char *once = nested;
        nested = NULL;
        console_write(once, strlen(once));
    }
}

/* Sinks stay for ever: one for all tests, registered by the first that needs it. */
static struct console_sink sink = {.write = see};

static void watch(void)
{
    static bool registered;

    memset(seen, 0, sizeof(seen));
    seen_used = 0;
    if (!registered) {
        registered = true;
        console_sink_register(&sink);
    }
}

static void say(const char *text)
{
    console_write(text, strlen(text));
}

/* Everything from a position on. */
static const char *read_from(uint64_t from)
{
    static char text[LOG_MEMORY_SIZE + 1];
    size_t used = 0;
    size_t now;

    while ((now = log_memory_read(&from, text + used, 100)) > 0) {
        used += now;
    }
    text[used] = '\0';
    return text;
}

static uint64_t end_of_log(void)
{
    char piece[4096];
    uint64_t from = 0;

    while (log_memory_read(&from, piece, sizeof(piece)) > 0) {
    }
    return from;
}

static void a_new_sink_sees_what_came_before(void **state)
{
    (void)state;
    say("first\r\n");
    say("second\r\n");
    watch();
    assert_string_equal(seen, "first\nsecond\n");
    say("third\r\n");
    assert_string_equal(seen, "first\nsecond\nthird\r\n");
}

static void text_goes_to_console_memory_and_sink(void **state)
{
    (void)state;
    watch();
    uint64_t from = end_of_log();
    say("line\r\n");
    assert_string_equal(test_console(), "line\n");
    assert_string_equal(seen, "line\r\n");
    assert_string_equal(read_from(from), "line\n");
    assert_false(interrupts_were_on);
}

static void interrupts_stay_as_they_are(void **state)
{
    (void)state;
    watch();
    say("x");
    assert_true(arch_interrupts_disable());
    say("y");
    assert_false(arch_interrupts_disable());
    arch_interrupts_enable();
}

/* An exception in a sink is reported on the console. */
static void a_sink_that_writes_itself_is_passed_over(void **state)
{
    (void)state;
    watch();
    uint64_t from = end_of_log();
    nested = "exception";
    say("line");
    assert_string_equal(seen, "line");
    assert_string_equal(read_from(from), "lineexception");
    say("next");
    assert_string_equal(seen, "linenext");
}

static void memory_keeps_the_last_64_kib(void **state)
{
    (void)state;
    watch();
    uint64_t from = end_of_log();
    char line[32];

    for (unsigned i = 0; i < 10000; i++) {
        (void)snprintf(line, sizeof(line), "line %06u\r\n", i);
        say(line);
    }
    const char *text = read_from(from);
    assert_int_equal(strlen(text), LOG_MEMORY_SIZE);
    assert_string_equal(text + LOG_MEMORY_SIZE - 12, "line 009999\n");
    assert_string_equal(read_from(0), text);
    /* Positions count all that was ever written. */
    assert_int_equal(end_of_log(), from + 10000 * 12);
    assert_string_equal(read_from(end_of_log() - 12), "line 009999\n");
}

static void one_text_longer_than_the_memory_leaves_its_end(void **state)
{
    (void)state;
    static char text[LOG_MEMORY_SIZE + 1000];

    watch();
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = 'z';
    console_write(text, sizeof(text));
    const char *kept = read_from(0);
    assert_int_equal(strlen(kept), LOG_MEMORY_SIZE);
    assert_int_equal(kept[0], 'a');
    assert_int_equal(kept[LOG_MEMORY_SIZE - 1], 'z');
}

static void reading_beyond_the_end_gives_nothing(void **state)
{
    (void)state;
    char byte;
    uint64_t from = UINT64_MAX;

    assert_int_equal(log_memory_read(&from, &byte, 1), 0);
    assert_int_equal(from, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_sink_sees_what_came_before, test_arch_setup),
        cmocka_unit_test_setup(text_goes_to_console_memory_and_sink, test_arch_setup),
        cmocka_unit_test_setup(interrupts_stay_as_they_are, test_arch_setup),
        cmocka_unit_test_setup(a_sink_that_writes_itself_is_passed_over, test_arch_setup),
        cmocka_unit_test_setup(memory_keeps_the_last_64_kib, test_arch_setup),
        cmocka_unit_test_setup(one_text_longer_than_the_memory_leaves_its_end, test_arch_setup),
        cmocka_unit_test_setup(reading_beyond_the_end_gives_nothing, test_arch_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
