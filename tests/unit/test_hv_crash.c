/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "fake_hypervisor.h"
#include "hv/parts.h"
#include "kernel/pages.h"
#include "kernel/panic.h"
#include "test_arch.h"

/* In place of the kernel's: the hook is called by the test. */
static struct panic_hook *reporter;

void panic_hook_register(struct panic_hook *hook)
{
    reporter = hook;
}

_Noreturn void panic(const char *format, ...)
{
    fail_msg("panic: %s", format);
    abort();
}

static int setup(void **state)
{
    (void)test_arch_setup(state);
    fake_hypervisor_reset();
    reporter = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hv_stop();
    return 0;
}

static void start_and_panic(const char *message)
{
    hv_start();
    assert_non_null(reporter);
    fake.log_count = 0;
    reporter->report(message);
}

static void the_text_reaches_a_host_that_takes_it(void **state)
{
    (void)state;
    start_and_panic("the ring is broken");
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_P0], 0);
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_P1], 0);
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_P2], 0);
    uint64_t address = fake.registers[HV_REGISTER_CRASH_P3];
    assert_int_equal(address % PAGE_SIZE, 0);
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_P4], 18);
    assert_memory_equal((const void *)(uintptr_t)address, "the ring is broken", 18);
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_CTL],
                     HV_CRASH_NOTIFY | HV_CRASH_MESSAGE | HV_CRASH_NO_DUMP);
}

/* KVM has the notification alone. */
static void a_host_without_text_gets_its_beginning_in_the_parameters(void **state)
{
    (void)state;
    fake.registers[HV_REGISTER_CRASH_CTL] = HV_CRASH_NOTIFY;
    start_and_panic("0123456789abcdefghijklmnopqrstuvwxyz");
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_P0], 1);
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_P1], HV_GUEST_OS_ID);
    assert_memory_equal(&fake.registers[HV_REGISTER_CRASH_P2], "01234567", 8);
    assert_memory_equal(&fake.registers[HV_REGISTER_CRASH_P3], "89abcdef", 8);
    assert_memory_equal(&fake.registers[HV_REGISTER_CRASH_P4], "ghijklmn", 8);
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_CTL], HV_CRASH_NOTIFY);
}

static void a_short_text_is_padded_with_zeros(void **state)
{
    (void)state;
    fake.registers[HV_REGISTER_CRASH_CTL] = HV_CRASH_NOTIFY | HV_CRASH_NO_DUMP;
    start_and_panic("oops");
    assert_memory_equal(&fake.registers[HV_REGISTER_CRASH_P2], "oops\0\0\0\0", 8);
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_P3], 0);
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_CTL], HV_CRASH_NOTIFY | HV_CRASH_NO_DUMP);
}

static void a_panic_without_a_word_is_reported_too(void **state)
{
    (void)state;
    start_and_panic("");
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_P4], 0);
    hv_stop();
    fake_hypervisor_reset();
    fake.registers[HV_REGISTER_CRASH_CTL] = HV_CRASH_NOTIFY;
    start_and_panic("");
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_P2], 0);
}

static void the_parameters_are_complete_before_the_one_control_write(void **state)
{
    (void)state;
    start_and_panic("text");
    assert_int_equal(fake_writes(HV_REGISTER_CRASH_CTL), 1);
    assert_int_equal(fake_write_at(HV_REGISTER_CRASH_CTL, 0), (int)fake.log_count - 1);
    assert_int_equal(fake.log_count, 6);
}

static void a_second_panic_is_not_reported(void **state)
{
    (void)state;
    start_and_panic("first");
    reporter->report("second");
    assert_int_equal(fake_writes(HV_REGISTER_CRASH_CTL), 1);
    assert_memory_equal((const void *)(uintptr_t)fake.registers[HV_REGISTER_CRASH_P3], "first", 5);
}

static void a_long_text_is_cut_at_a_page(void **state)
{
    (void)state;
    static char text[3 * PAGE_SIZE];
    memset(text, 'x', sizeof(text) - 1);
    start_and_panic(text);
    assert_int_equal(fake.registers[HV_REGISTER_CRASH_P4], PAGE_SIZE);
}

static void a_host_without_the_feature_or_the_notification_is_left_alone(void **state)
{
    (void)state;
    fake.registers[HV_REGISTER_CRASH_CTL] = HV_CRASH_MESSAGE;
    hv_start();
    assert_null(reporter);
    hv_stop();
    fake_hypervisor_reset();
    fake.words.features &= ~HV_FEATURE_CRASH;
    hv_start(); /* the fake fails on an access */
    assert_null(reporter);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_text_reaches_a_host_that_takes_it),
        TEST(a_host_without_text_gets_its_beginning_in_the_parameters),
        TEST(a_short_text_is_padded_with_zeros),
        TEST(a_panic_without_a_word_is_reported_too),
        TEST(the_parameters_are_complete_before_the_one_control_write),
        TEST(a_second_panic_is_not_reported),
        TEST(a_long_text_is_cut_at_a_page),
        TEST(a_host_without_the_feature_or_the_notification_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
