/* SPDX-License-Identifier: MIT */
/* The two sample drivers talk to each other. */

#include <string.h>

#include "drivers/echo/echo_client.h"
#include "tests/host/echo_server.h"
#include "tests/unit/pair/pair.h"

static struct echo_client guest;
static struct echo_server host;
static const GUID instance = {0x11111111, 0x2222, 0x3333, {4, 4, 5, 5, 5, 5, 5, 5}};

static void every_length_comes_back(void **state)
{
    UINT8 data[ECHO_DATA_SIZE + 1];
    UINT8 answer[ECHO_DATA_SIZE];

    (void)state;
    for (UINT32 i = 0; i < sizeof(data); i++) {
        data[i] = (UINT8)(i * 31);
    }
    assert_int_equal(echo_server_start(&host, KmclServerHandle(loopback_server), instance),
                     STATUS_SUCCESS);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    assert_int_equal(echo_client_start(&guest), STATUS_SUCCESS);
    settle();
    assert_true(guest.is_ready && host.is_open);
    for (UINT32 length = 0; length <= ECHO_DATA_SIZE; length++) {
        memset(answer, 0, sizeof(answer));
        assert_int_equal(echo_client_exchange(&guest, data, length, answer), STATUS_SUCCESS);
        assert_memory_equal(answer, data, length);
    }
    assert_int_equal(host.echoed, ECHO_DATA_SIZE + 1);
    assert_int_equal(echo_client_exchange(&guest, data, ECHO_DATA_SIZE + 1, answer),
                     STATUS_INVALID_PARAMETER);
    echo_server_stop(&host);
    settle();
    assert_false(guest.is_ready);
    assert_int_equal(echo_client_exchange(&guest, data, 8, answer), STATUS_DEVICE_REMOVED);
    echo_client_stop(&guest);
}

static void a_request_that_is_none_gets_an_empty_answer(void **state)
{
    const UINT32 lie[2] = {999, 1};

    (void)state;
    assert_int_equal(echo_server_start(&host, KmclServerHandle(loopback_server), instance),
                     STATUS_SUCCESS);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    assert_int_equal(echo_client_start(&guest), STATUS_SUCCESS);
    settle();
    UINT32 size = 8;
    UINT64 answer;
    assert_int_equal(VmbChannelSendSynchronousRequest(guest.channel, (void *)(uintptr_t)lie,
                                                      sizeof(lie), NULL, WAIT, &answer, &size,
                                                      NULL),
                     STATUS_SUCCESS);
    assert_int_equal(size, 0);
    assert_int_equal(host.malformed, 1);
    echo_client_stop(&guest);
    settle();
    assert_false(host.is_open);
    echo_server_stop(&host);
}

static void without_memory_nothing_is_left(void **state)
{
    (void)state;
    HANDLE bus = KmclServerHandle(loopback_server);
    for (unsigned n = 1; n <= 3; n++) {
        test_memory_fail(n);
        assert_int_equal(echo_server_start(&host, bus, instance), STATUS_INSUFFICIENT_RESOURCES);
    }
    test_memory_fail(1);
    assert_int_equal(echo_client_start(&guest), STATUS_INSUFFICIENT_RESOURCES);
    test_memory_fail(0);
    assert_int_equal(echo_server_start(&host, NULL, instance), STATUS_INVALID_PARAMETER_2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pair_test(every_length_comes_back),
        pair_test(a_request_that_is_none_gets_an_empty_answer),
        pair_test(without_memory_nothing_is_left),
    };
    return cmocka_run_group_tests_name("pair, the sample drivers", tests, NULL, NULL);
}
