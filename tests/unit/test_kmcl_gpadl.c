/* SPDX-License-Identifier: MIT */
/* GPADLs of a driver: what the host is told, when they may be made, and what becomes of them. */

#include <string.h>

#include "kernel/clock.h"
#include "kernel/pages.h"
#include "kernel/wait.h"
#include "tests/unit/kmcl/kmcl_test.h"

static UINT8 memory[8 * PAGE_SIZE] __attribute__((aligned(4096)));
static UINT32 handles[4];

static void a_buffer_of_any_alignment_is_shared_page_by_page(void **state)
{
    struct driver driver = {0};
    size_t count;

    (void)state;
    driver_start(&driver);
    assert_int_equal(VmbChannelCreateGpadlFromBuffer(driver.channel,
                                                     VMBUS_CHANNEL_GPADL_FLAG_READ_ONLY,
                                                     memory + 4000, 200, &handles[0]),
                     STATUS_SUCCESS);
    assert_true(handles[0] != 0);
    const uint64_t *frames = host_gpadl_frames(handles[0], &count);
    assert_non_null(frames);
    assert_int_equal(count, 2);
    assert_int_equal(frames[0], (uintptr_t)memory >> 12);
    assert_int_equal(frames[1], ((uintptr_t)memory >> 12) + 1);
    VmbChannelDeleteGpadl(driver.channel, handles[0]);
    assert_null(host_gpadl_frames(handles[0], &count));
    driver_end(&driver);
}

static void a_mdl_chain_becomes_a_range_each(void **state)
{
    struct driver driver = {0};
    UINT64 space[2][16];
    PMDL first = (PMDL)(void *)space[0];
    size_t count;

    (void)state;
    driver_start(&driver);
    MmInitializeMdl(first, memory, 2 * PAGE_SIZE);
    MmBuildMdlForNonPagedPool(first);
    first->Next = (PMDL)(void *)space[1];
    MmInitializeMdl(first->Next, memory + 4 * PAGE_SIZE, PAGE_SIZE);
    MmBuildMdlForNonPagedPool(first->Next);
    assert_int_equal(VmbChannelCreateGpadlFromMdl(driver.channel, 0, first, 0, 0, &handles[0]),
                     STATUS_SUCCESS);
    const uint64_t *frames = host_gpadl_frames(handles[0], &count);
    assert_int_equal(count, 3);
    assert_int_equal(frames[2], ((uintptr_t)memory >> 12) + 4);
    assert_int_equal(
        VmbChannelCreateGpadlFromMdl(driver.channel, 0, first, PAGE_SIZE + 1, 4000, &handles[1]),
        STATUS_SUCCESS);
    frames = host_gpadl_frames(handles[1], &count);
    assert_int_equal(count, 1);
    assert_int_equal(frames[0], ((uintptr_t)memory >> 12) + 1);
    assert_int_equal(
        VmbChannelCreateGpadlFromMdl(driver.channel, 0, first, 0, 3 * PAGE_SIZE + 1, &handles[2]),
        STATUS_INVALID_PARAMETER);
    VmbChannelDeleteGpadl(driver.channel, handles[1]);
    VmbChannelDeleteGpadl(driver.channel, handles[0]);
    driver_end(&driver);
}

static void bad_arguments_are_refused(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    VMBCHANNEL c = driver.channel;
    assert_int_equal(VmbChannelCreateGpadlFromBuffer(c, 2, memory, 8, handles),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelCreateGpadlFromBuffer(c, 0, memory, 0, handles),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelCreateGpadlFromBuffer(c, 0, NULL, 8, handles),
                     STATUS_INVALID_PARAMETER);
    for (unsigned nth = 1; nth <= 4; nth++) {
        test_memory_fail(nth);
        assert_int_equal(VmbChannelCreateGpadlFromBuffer(c, 0, memory, 8, handles),
                         STATUS_INSUFFICIENT_RESOURCES);
        test_memory_fail(0);
    }
    expect_panic(VmbChannelDeleteGpadl(c, 12345));
    assert_non_null(strstr(test_panic_message(), "VmbChannelDeleteGpadl"));
    driver_end(&driver);
}

static NTSTATUS create_status[128];

static void create_in_callback(struct driver *driver, char letter)
{
    UINT32 handle;

    create_status[(unsigned char)letter] =
        VmbChannelCreateGpadlFromBuffer(driver->channel, 0, memory, PAGE_SIZE, &handle);
    if (create_status[(unsigned char)letter] == STATUS_SUCCESS) {
        VmbChannelDeleteGpadl(driver->channel, handle);
    }
}

static void gpadls_can_be_made_from_opened_until_the_close(void **state)
{
    struct driver driver = {0};
    UINT32 handle;

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbChannelCreateGpadlFromBuffer(driver.channel, 0, memory, PAGE_SIZE, &handle),
                     STATUS_INVALID_DEVICE_REQUEST);
    driver.on_state = create_in_callback;
    driver_start(&driver);
    VmbChannelDisable(driver.channel);
    assert_int_equal(create_status['O'], STATUS_SUCCESS);
    assert_int_equal(create_status['S'], STATUS_SUCCESS);
    assert_int_equal(create_status['P'], STATUS_SUCCESS);
    assert_int_equal(create_status['U'], STATUS_SUCCESS);
    assert_int_equal(create_status['C'], STATUS_INVALID_DEVICE_REQUEST);
    driver_end(&driver);
}

/* M4 */
static void a_gpadl_that_the_host_refuses_costs_that_call_alone(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    host.gpadl_status = 0xC0000001;
    assert_int_equal(
        VmbChannelCreateGpadlFromBuffer(driver.channel, 0, memory, PAGE_SIZE, &handles[0]),
        STATUS_INSUFFICIENT_RESOURCES);
    host.gpadl_status = 0;
    assert_int_equal(
        VmbChannelCreateGpadlFromBuffer(driver.channel, 0, memory, PAGE_SIZE, &handles[0]),
        STATUS_SUCCESS);
    VmbChannelDeleteGpadl(driver.channel, handles[0]);
    driver_end(&driver);
}

/* M16 */
static void no_answer_ends_after_the_limit_and_is_said(void **state)
{
    struct driver driver = {0};
    uint64_t before = clock_now();

    (void)state;
    driver_start(&driver);
    host.gpadl = HOST_IGNORES;
    assert_int_equal(
        VmbChannelCreateGpadlFromBuffer(driver.channel, 0, memory, PAGE_SIZE, &handles[0]),
        STATUS_IO_TIMEOUT);
    host.gpadl = HOST_ANSWERS;
    assert_int_equal(
        VmbChannelCreateGpadlFromBuffer(driver.channel, 0, memory, PAGE_SIZE, &handles[0]),
        STATUS_SUCCESS);
    host.teardown = HOST_IGNORES;
    VmbChannelDeleteGpadl(driver.channel, handles[0]);
    assert_int_equal(vmbus_test_lines("must not be reused"), 1);
    assert_true(clock_now() - before < 3 * VMBUS_ANSWER_LIMIT);
    host.teardown = HOST_ANSWERS;
    driver_end(&driver);
}

static void make_in_opened_delete_in_closed(struct driver *driver, char letter)
{
    size_t count;

    if (letter == 'O') {
        assert_int_equal(
            VmbChannelCreateGpadlFromBuffer(driver->channel, 0, memory, PAGE_SIZE, &handles[0]),
            STATUS_SUCCESS);
    }
    if (letter == 'C') {
        assert_non_null(host_gpadl_frames(handles[0], &count));
        VmbChannelDeleteGpadl(driver->channel, handles[0]);
        assert_null(host_gpadl_frames(handles[0], &count));
    }
}

static void gpadls_are_deleted_in_closed(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_state = make_in_opened_delete_in_closed;
    driver_start(&driver);
    driver_end(&driver);
    assert_int_equal(vmbus_test_lines("the driver left"), 0);
}

static void gpadls_are_deleted_in_closed_after_a_rescind_too(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_state = make_in_opened_delete_in_closed;
    driver_start(&driver);
    host_rescind(RELID);
    settle();
    assert_trace(&driver, "opened started post-started suspend closed ");
    driver_end(&driver);
    settle();
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
    assert_int_equal(host_gpadls(), 0);
}

static void make_and_forget(struct driver *driver, char letter)
{
    if (letter == 'O') {
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(VmbChannelCreateGpadlFromBuffer(driver->channel, 0,
                                                             memory + i * PAGE_SIZE, PAGE_SIZE,
                                                             &handles[i]),
                             STATUS_SUCCESS);
        }
    }
}

static void gpadls_that_a_driver_leaves_are_deleted_with_a_warning(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_state = make_and_forget;
    driver_start(&driver);
    driver_end(&driver);
    assert_int_equal(vmbus_test_lines("the driver left"), 3);
    assert_int_equal(host_gpadls(), 0);
}

static void gpadls_of_an_opened_callback_that_fails_are_deleted(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_state = make_and_forget;
    driver.opened_status = STATUS_UNSUCCESSFUL;
    driver_start(&driver);
    assert_int_equal(host_gpadls(), 0);
    driver_end(&driver);
}

static void rescind_in_teardown(struct driver *driver)
{
    (void)driver;
    host_rescind(RELID);
}

static void a_rescind_releases_a_delete_that_waits(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    driver_start(&driver);
    assert_int_equal(
        VmbChannelCreateGpadlFromBuffer(driver.channel, 0, memory, PAGE_SIZE, &handles[0]),
        STATUS_SUCCESS);
    host.teardown = HOST_IGNORES;
    script_start(&script, &driver, rescind_in_teardown);
    uint64_t before = clock_now();
    VmbChannelDeleteGpadl(driver.channel, handles[0]);
    assert_true(clock_now() - before < VMBUS_ANSWER_LIMIT);
    host.teardown = HOST_ANSWERS;
    driver_end(&driver);
}

static bool is_disabled(void *context)
{
    struct driver *driver = context;

    return strcmp(KmclChannelStateName(driver->channel), "disabled") == 0;
}

/* Other work, which happens to run in the middle of a wait for the host and waits itself. */
static void rescind_and_see_the_channel_go(struct driver *driver)
{
    host_rescind(RELID);
    assert_true(wait_until(is_disabled, driver, clock_after(CLOCK_SECOND)));
}

static void the_channel_may_go_while_a_gpadl_is_created(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    driver_start(&driver);
    host.gpadl = HOST_IGNORES;
    script_start(&script, &driver, rescind_and_see_the_channel_go);
    assert_int_equal(
        VmbChannelCreateGpadlFromBuffer(driver.channel, 0, memory, PAGE_SIZE, &handles[0]),
        STATUS_DEVICE_REMOVED);
    driver_end(&driver);
}

static void the_channel_may_go_while_a_gpadl_is_deleted(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    driver_start(&driver);
    assert_int_equal(
        VmbChannelCreateGpadlFromBuffer(driver.channel, 0, memory, PAGE_SIZE, &handles[0]),
        STATUS_SUCCESS);
    script_start(&script, &driver, rescind_and_see_the_channel_go);
    VmbChannelDeleteGpadl(driver.channel, handles[0]);
    driver_end(&driver);
}

static void break_and_see_the_channel_go(struct driver *driver)
{
    host.tolerant = true;
    host_set_write_index(RELID, 3);
    assert_true(wait_until(is_disabled, driver, clock_after(CLOCK_SECOND)));
}

static void a_gpadl_of_a_channel_that_closed_meanwhile_is_taken_back(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    driver_start(&driver);
    script_start(&script, &driver, break_and_see_the_channel_go);
    assert_int_equal(
        VmbChannelCreateGpadlFromBuffer(driver.channel, 0, memory, PAGE_SIZE, &handles[0]),
        STATUS_DEVICE_REMOVED);
    assert_int_equal(vmbus_test_lines("write index out of range 0x3\n"), 1);
    assert_int_equal(host_gpadls(), 0);
    driver_end(&driver);
}

static void gpadl_calls_above_passive_stop_the_guest(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    enum irql level = irql_raise_to_dispatch();
    expect_panic((void)VmbChannelCreateGpadlFromBuffer(driver.channel, 0, memory, 8, &handles[0]));
    expect_panic(VmbChannelDeleteGpadl(driver.channel, 1));
    irql_lower(level);
    driver_end(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(a_buffer_of_any_alignment_is_shared_page_by_page),
        kmcl_test(a_mdl_chain_becomes_a_range_each),
        kmcl_test(bad_arguments_are_refused),
        kmcl_test(gpadls_can_be_made_from_opened_until_the_close),
        kmcl_test(a_gpadl_that_the_host_refuses_costs_that_call_alone),
        kmcl_test(no_answer_ends_after_the_limit_and_is_said),
        kmcl_test(gpadls_are_deleted_in_closed),
        kmcl_test(gpadls_are_deleted_in_closed_after_a_rescind_too),
        kmcl_test(gpadls_that_a_driver_leaves_are_deleted_with_a_warning),
        kmcl_test(gpadls_of_an_opened_callback_that_fails_are_deleted),
        kmcl_test(a_rescind_releases_a_delete_that_waits),
        kmcl_test(the_channel_may_go_while_a_gpadl_is_created),
        kmcl_test(the_channel_may_go_while_a_gpadl_is_deleted),
        kmcl_test(a_gpadl_of_a_channel_that_closed_meanwhile_is_taken_back),
        kmcl_test(gpadl_calls_above_passive_stop_the_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
