/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "fake_hypervisor.h"
#include "hv/hypervisor.h"
#include "hv/parts.h"
#include "hv/reference_page.h"
#include "kernel/clock.h"
#include "kernel/pages.h"
#include "kernel/wait.h"
#include "test_arch.h"
#include "test_memory.h"

/* ---- the product of ticks and scale ---- */

/* The upper half by long multiplication in base 2^32, as on paper. */
static uint64_t upper_half(uint64_t a, uint64_t b)
{
    uint64_t a_low = (uint32_t)a, a_high = a >> 32;
    uint64_t b_low = (uint32_t)b, b_high = b >> 32;
    uint64_t middle = a_high * b_low + (a_low * b_low >> 32);
    uint64_t other = a_low * b_high + (uint32_t)middle;
    return a_high * b_high + (middle >> 32) + (other >> 32);
}

static void the_product_keeps_all_its_bits(void **state)
{
    (void)state;
    static const uint64_t values[] = {
        0,
        1,
        2,
        0xFFFFFFFF,
        0x100000000,
        0x7FFFFFFFFFFFFFFF,
        0x8000000000000000,
        0xFFFFFFFFFFFFFFFF,
        0xA000000000000000,
        0x0123456789ABCDEF,
    };
    for (size_t n = 0; n < 10; n++) {
        for (size_t m = 0; m < 10; m++) {
            assert_int_equal(hv_reference_scale(values[n], values[m]),
                             upper_half(values[n], values[m]));
        }
    }
    uint64_t a = 88172645463325252u, b = 1;
    for (unsigned n = 0; n < 100000; n++) {
        a ^= a << 13, a ^= a >> 7, a ^= a << 17;
        b = b * 6364136223846793005u + 1442695040888963407u;
        assert_int_equal(hv_reference_scale(a, b), upper_half(a, b));
    }
}

/* 2.5 GHz: 250 ticks make one unit. A product of 64 bits would be wrong from the first second on.
 */
static void a_real_scale_gives_real_time_for_centuries(void **state)
{
    (void)state;
    uint64_t scale = UINT64_MAX / 250 + 1;
    for (uint64_t seconds = 1; seconds < UINT64_C(6000000000); seconds *= 10) {
        uint64_t time = hv_reference_scale(seconds * UINT64_C(2500000000), scale);
        assert_in_range(time, seconds * CLOCK_SECOND, seconds * CLOCK_SECOND + 1);
    }
}

/* ---- the page ---- */

static struct hv_reference_tsc_page page;
static unsigned reads;

static void change_the_page_once(void)
{
    if (reads++ == 0) {
        page.scale = UINT64_C(1) << 63;
        page.offset = 1000;
        page.sequence = 8;
    }
}

static void change_the_page_always(void)
{
    reads++;
    page.sequence++;
}

static void invalidate_the_page(void)
{
    reads++;
    page.sequence = 0;
}

static int page_setup(void **state)
{
    (void)test_arch_setup(state);
    fake_hypervisor_reset();
    memset(&page, 0, sizeof(page));
    page.sequence = 7;
    page.scale = UINT64_C(1) << 62;
    page.offset = 50;
    fake.counter = 400;
    reads = 0;
    return 0;
}

static void time_is_scaled_and_shifted(void **state)
{
    (void)state;
    uint64_t time;
    assert_true(hv_reference_page_read(&page, &time));
    assert_int_equal(time, 150);
    page.offset = (uint64_t)-30;
    assert_true(hv_reference_page_read(&page, &time));
    assert_int_equal(time, 70);
}

static void only_sequence_0_is_invalid(void **state)
{
    (void)state;
    uint64_t time = 12345;
    page.sequence = 0;
    assert_false(hv_reference_page_read(&page, &time));
    assert_int_equal(time, 12345);
    page.sequence = UINT32_MAX;
    assert_true(hv_reference_page_read(&page, &time));
    assert_int_equal(time, 150);
}

static void a_change_during_the_read_is_read_again(void **state)
{
    (void)state;
    uint64_t time;
    fake.on_counter_read = change_the_page_once;
    assert_true(hv_reference_page_read(&page, &time));
    assert_int_equal(time, 1200); /* all of the new values, none of the old */
    assert_int_equal(reads, 2);
}

static void a_page_that_becomes_invalid_during_the_read_is_not_used(void **state)
{
    (void)state;
    uint64_t time;
    fake.on_counter_read = invalidate_the_page;
    assert_false(hv_reference_page_read(&page, &time));
    assert_int_equal(reads, 1);
}

static void a_page_that_never_settles_is_given_up(void **state)
{
    (void)state;
    uint64_t time;
    fake.on_counter_read = change_the_page_always;
    assert_false(hv_reference_page_read(&page, &time));
    assert_int_equal(reads, HV_REFERENCE_PAGE_ATTEMPTS);
}

/* ---- the clock sources ---- */

static int setup(void **state)
{
    (void)test_arch_setup(state);
    test_memory_reset();
    fake_hypervisor_reset();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hv_stop();
    assert_int_equal(test_pages_held(), 0);
    return 0;
}

static struct hv_reference_tsc_page *page_of_the_guest(void)
{
    uint64_t value = fake.registers[HV_REGISTER_REFERENCE_TSC];
    assert_true((value & 1) != 0);
    return (void *)(uintptr_t)(value & ~UINT64_C(0xFFF));
}

static void the_page_is_preferred_and_falls_back_for_each_read(void **state)
{
    (void)state;
    hv_start();
    assert_string_equal(clock_source_name(), "Hyper-V reference TSC page");
    struct hv_reference_tsc_page *shared = page_of_the_guest();

    uint64_t now = test_time();
    assert_in_range(hv_reference_time(), now, now + 1); /* sequence 0: the counter register */

    shared->scale = UINT64_C(1) << 63;
    shared->offset = 0;
    shared->sequence = 5;
    fake.counter = 2000000;
    assert_int_equal(hv_reference_time(), 1000000);
    fake.counter = 2000010;
    assert_int_equal(hv_reference_time(), 1000005);

    shared->sequence = 0;
    assert_true(hv_reference_time() >= now);
    shared->sequence = 6;
    assert_int_equal(hv_reference_time(), 1000005);
    shared->sequence = 0;
}

static void the_counter_alone_is_a_clock(void **state)
{
    (void)state;
    fake.words.privileges &= ~HV_PRIVILEGE_REFERENCE_TSC;
    hv_start();
    assert_string_equal(clock_source_name(), "Hyper-V reference counter");
    assert_true(hv_reference_time_available());
    uint64_t now = test_time();
    assert_in_range(hv_reference_time(), now, now + 1);
    uint64_t before = clock_now();
    fake_time_pass(CLOCK_SECOND);
    assert_in_range(clock_now() - before, CLOCK_SECOND, CLOCK_SECOND + 100);
}

static void a_page_without_the_counter_is_not_used(void **state)
{
    (void)state;
    fake.words.privileges &= ~HV_PRIVILEGE_TIME_REF_COUNT;
    hv_start();
    assert_string_equal(clock_source_name(), "virtual clock");
    assert_false(hv_reference_time_available());
    assert_int_equal(fake_writes(HV_REGISTER_REFERENCE_TSC), 0);
}

static void a_counter_that_stands_still_is_not_used(void **state)
{
    (void)state;
    fake.time_stands_still = true;
    hv_start();
    assert_string_equal(clock_source_name(), "virtual clock");
    assert_non_null(strstr(test_console(), "stands still"));
}

static void a_page_the_hypervisor_does_not_take_is_given_back(void **state)
{
    (void)state;
    fake.refuses[HV_REGISTER_REFERENCE_TSC] = true;
    hv_start();
    assert_string_equal(clock_source_name(), "Hyper-V reference counter");
    assert_non_null(strstr(test_console(), "did not take the reference TSC page"));
    assert_int_equal(fake_writes(HV_REGISTER_REFERENCE_TSC), 2);
    int last = fake_write_at(HV_REGISTER_REFERENCE_TSC,
                             (unsigned)fake_write_at(HV_REGISTER_REFERENCE_TSC, 0) + 1);
    assert_int_equal(fake.log[last].value & 1, 0);
    assert_true(fake.log[last].value >> 12 != 0);
}

static void frequencies_are_handed_on_only_with_both_of_their_bits(void **state)
{
    (void)state;
    hv_start();
    assert_int_equal(fake.handed_counter_frequency, 2500000000u);
    assert_int_equal(fake.handed_timer_frequency, 200000000u);
    hv_stop();
    for (unsigned missing = 0; missing < 2; missing++) {
        fake_hypervisor_reset();
        if (missing == 0) {
            fake.words.privileges &= ~HV_PRIVILEGE_FREQUENCIES;
        } else {
            fake.words.features &= ~HV_FEATURE_FREQUENCIES;
        }
        hv_start(); /* the registers must not be touched: the fake would fail the test */
        assert_int_equal(fake.handed_counter_frequency, 0);
        hv_stop();
    }
}

static void reserved_bits_of_the_register_are_kept(void **state)
{
    (void)state;
    fake.registers[HV_REGISTER_REFERENCE_TSC] = 0x5A0;
    hv_start();
    assert_int_equal(fake.registers[HV_REGISTER_REFERENCE_TSC] & 0xFFF, 0x5A1);
    hv_stop();
    assert_int_equal(fake.registers[HV_REGISTER_REFERENCE_TSC] & 0xFFF, 0x5A0);
}

static void kernel_time_goes_on_when_the_clock_leaves(void **state)
{
    (void)state;
    hv_start();
    fake_time_pass(10 * CLOCK_SECOND);
    uint64_t before = clock_now();
    hv_stop();
    assert_string_equal(clock_source_name(), "virtual clock");
    uint64_t after = clock_now();
    assert_in_range(after - before, 0, CLOCK_MILLISECOND);
}

#define PAGE_TEST(name) cmocka_unit_test_setup(name, page_setup)
#define TEST(name)      cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_product_keeps_all_its_bits),
        cmocka_unit_test(a_real_scale_gives_real_time_for_centuries),
        PAGE_TEST(time_is_scaled_and_shifted),
        PAGE_TEST(only_sequence_0_is_invalid),
        PAGE_TEST(a_change_during_the_read_is_read_again),
        PAGE_TEST(a_page_that_becomes_invalid_during_the_read_is_not_used),
        PAGE_TEST(a_page_that_never_settles_is_given_up),
        TEST(the_page_is_preferred_and_falls_back_for_each_read),
        TEST(the_counter_alone_is_a_clock),
        TEST(a_page_without_the_counter_is_not_used),
        TEST(a_counter_that_stands_still_is_not_used),
        TEST(a_page_the_hypervisor_does_not_take_is_given_back),
        TEST(frequencies_are_handed_on_only_with_both_of_their_bits),
        TEST(reserved_bits_of_the_register_are_kept),
        TEST(kernel_time_goes_on_when_the_clock_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
