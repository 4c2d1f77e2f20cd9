/* SPDX-License-Identifier: MIT */
/* The KVP driver and the host's end, against each other, and each against a peer that breaks the
 * rules. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/kvp/kvp.h"
#include "drivers/kvp/kvp_device.h"
#include "kernel/clock.h"
#include "kernel/start.h"
#include "kernel/utf16.h"
#include "tests/host/kvp.h"
#include "tests/unit/pair/host.h"

static const GUID device_class = KVP_CLASS_INITIALISER;
static const GUID instance = KVP_INSTANCE_INITIALISER;
static struct host_device *device;

static int setup(void **state)
{
    memset(&kvp_driver, 0, sizeof(kvp_driver));
    command_line_initialise("hostname=guest.example");
    return pair_setup(state);
}

static int teardown(void **state)
{
    integration_end();
    for (unsigned i = 0; i < KVP_POOLS; i++) {
        kvp_store_clear(&kvp_driver.pools[i]);
    }
    return pair_teardown(state);
}

static void start_both(const char *text)
{
    device = host_offer(text);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    kvp_start();
    settle();
    assert_int_equal(kvp_driver.device.state, INTEGRATION_NEGOTIATED);
}

static void run(const char *line)
{
    assert_true(host_command(device, line));
    settle();
}

/* ---- both ends ---- */

static void the_host_reads_what_this_guest_is(void **state)
{
    (void)state;
    start_both("kvp");
    assert_said("version 4.0");
    run("enumerate auto");
    assert_string_equal(host_lines,
                        "kvp: enumerate auto: 0: FullyQualifiedDomainName=guest.example\n"
                        "kvp: enumerate auto: 1: IntegrationServicesVersion=1.0\n"
                        "kvp: enumerate auto: 2: NetworkAddressIPv4=\n"
                        "kvp: enumerate auto: 3: NetworkAddressIPv6=\n"
                        "kvp: enumerate auto: 4: OSBuildNumber=1.0\n"
                        "kvp: enumerate auto: 5: OSName=Barebus\n"
                        "kvp: enumerate auto: 6: OSMajorVersion=1\n"
                        "kvp: enumerate auto: 7: OSMinorVersion=0\n"
                        "kvp: enumerate auto: 8: OSVersion=1.0\n"
                        "kvp: enumerate auto: 9: ProcessorArchitecture=test\n"
                        "kvp: enumerate auto: end, 10 pairs\n");
    assert_true(kvp_set_fact("NetworkAddressIPv4", "10.0.0.7;10.0.0.8"));
    assert_false(kvp_set_fact("NetworkAddressIPv5", "10.0.0.7"));
    run("get 2 NetworkAddressIPv4");
    assert_said("get auto: NetworkAddressIPv4=10.0.0.7;10.0.0.8");
    host_device_destroy(device);
}

static void the_application_reads_what_the_host_sets(void **state)
{
    char key[64];
    char value[64];

    (void)state;
    start_both("kvp,version=3.0");
    assert_int_equal(kvp_changes(), 0);
    run("set external colour \"light blue \xe2\x82\xac\"");
    assert_said("set external: done");
    run("set 3 HostName host");
    assert_int_equal(kvp_changes(), 2);
    assert_true(kvp_get(KVP_POOL_EXTERNAL, "colour", value, sizeof(value)));
    assert_string_equal(value, "light blue \xe2\x82\xac");
    assert_true(kvp_get(KVP_POOL_EXTERNAL, "colour", value, 6));
    assert_string_equal(value, "light");
    assert_true(kvp_enumerate(KVP_POOL_AUTO_EXTERNAL, 0, key, sizeof(key), value, sizeof(value)));
    assert_string_equal(key, "HostName");
    assert_string_equal(value, "host");
    assert_false(kvp_enumerate(KVP_POOL_AUTO_EXTERNAL, 1, key, sizeof(key), NULL, 0));
    assert_false(kvp_get((enum kvp_pool)KVP_POOLS, "colour", value, sizeof(value)));
    run("set external colour red");
    run("get external colour");
    assert_said("get external: colour=red");
    run("enumerate external");
    assert_said("enumerate external: end, 1 pairs");
    run("delete external colour");
    assert_said("delete external: done");
    assert_false(kvp_get(KVP_POOL_EXTERNAL, "colour", value, sizeof(value)));
    assert_int_equal(kvp_changes(), 4);
    run("delete external colour");
    assert_said("delete external: status 0x80070103 (there is none)");
    run("get external colour");
    assert_said("(there is none)");
    host_device_destroy(device);
}

static void the_host_reads_what_the_application_sets(void **state)
{
    (void)state;
    assert_true(kvp_set("early", "before the driver runs"));
    start_both("kvp");
    assert_true(kvp_set("late", "1"));
    assert_true(kvp_set("early", "anew"));
    run("enumerate guest");
    assert_string_equal(host_lines, "kvp: enumerate guest: 0: early=anew\n"
                                    "kvp: enumerate guest: 1: late=1\n"
                                    "kvp: enumerate guest: end, 2 pairs\n");
    assert_true(kvp_delete("early"));
    assert_false(kvp_delete("early"));
    run("get guest early");
    assert_said("(there is none)");
    host_device_destroy(device);
}

static void the_guests_pools_are_not_the_hosts_to_change(void **state)
{
    static const char *const lines[] = {"set guest late 2", "set auto OSName Linux",
                                        "delete guest late", "delete auto OSName",
                                        "set auto-internal a b"};

    (void)state;
    start_both("kvp");
    assert_true(kvp_set("late", "1"));
    for (unsigned i = 0; i < 5; i++) {
        run(lines[i]);
        assert_said("status 0x80004005");
    }
    assert_int_equal(kvp_changes(), 0);
    run("get guest late");
    assert_said("late=1");
    run("get auto OSName");
    assert_said("OSName=Barebus");
    host_device_destroy(device);
}

static void a_pool_has_an_end(void **state)
{
    char line[64];

    (void)state;
    start_both("kvp");
    for (unsigned i = 0; i < KVP_PAIRS_MAX; i++) {
        (void)snprintf(line, sizeof(line), "set external key%u value", i);
        run(line);
        assert_said("done");
        (void)snprintf(line, sizeof(line), "key%u", i);
        assert_true(kvp_set(line, "value"));
    }
    run("set external more value");
    assert_said("status 0x80004005");
    assert_false(kvp_set("more", "value"));
    run("set external key5 other"); /* there already */
    assert_said("done");
    run("enumerate external");
    assert_said("end, 64 pairs");
    host_device_destroy(device);
}

static void text_is_bounded_as_on_the_wire(void **state)
{
    static char text[4096];
    static char copied[4096];

    (void)state;
    start_both("kvp");
    memset(text, 'k', sizeof(text) - 1);
    text[256] = '\0';
    assert_false(kvp_set(text, "a"));
    text[255] = '\0';
    assert_true(kvp_set(text, "a"));
    assert_false(kvp_set("", "a"));
    memset(text, 'v', sizeof(text) - 1);
    text[1024] = '\0';
    assert_false(kvp_set("key", text));
    text[1023] = '\0';
    assert_true(kvp_set("key", text));
    /* Three bytes each, one unit; four bytes, two units. */
    for (unsigned i = 0; i < 1023; i++) {
        memcpy(text + (size_t)3 * i, "\xe2\x82\xac", 4);
    }
    assert_true(kvp_set("key", text));
    assert_true(kvp_get(KVP_POOL_GUEST, "key", copied, sizeof(copied)));
    assert_int_equal(strlen(copied), 3069);
    for (unsigned i = 0; i < 512; i++) {
        memcpy(text + (size_t)4 * i, "\xf0\x9f\x98\x80", 5);
    }
    assert_false(kvp_set("key", text));
    /* What is no UTF-8 takes a unit each byte. */
    for (unsigned i = 0; i < 256; i++) {
        memcpy(text + (size_t)4 * i, "a\x80\x80\x80", 4);
    }
    text[1024] = '\0';
    assert_false(kvp_set("key", text));
    text[1023] = '\0';
    assert_true(kvp_set("key", text));
    run("get guest key");
    assert_said("get guest: key=a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    for (unsigned i = 0; i < 511; i++) {
        memcpy(text + (size_t)4 * i, "\xf0\x9f\x98\x80", 5);
    }
    assert_true(kvp_set("key", text));
    run("get guest key");
    assert_said("get guest: key=\xf0\x9f\x98\x80");
    test_memory_fail(1);
    assert_false(kvp_set("key", "b"));
    test_memory_fail(0);
    assert_true(kvp_get(KVP_POOL_GUEST, "key", copied, sizeof(copied)));
    assert_string_equal(copied, text);
    host_device_destroy(device);
}

static void commands_that_cannot_be_are_refused(void **state)
{
    static char line[1024];

    (void)state;
    device = host_offer("kvp");
    assert_false(host_command(device, "enumerate auto"));
    assert_said("not now: the service is closed");
    host_device_destroy(device);
    start_both("kvp");
    assert_false(host_command(device, "enumerate all"));
    assert_said("there is no pool all");
    assert_false(host_command(device, "enumerate 5"));
    assert_false(host_command(device, "set external key"));
    (void)snprintf(line, sizeof(line), "get guest %0256d", 0);
    assert_false(host_command(device, line));
    assert_said("longer than 255 characters");
    assert_true(host_command(device, "enumerate auto"));
    assert_false(host_command(device, "enumerate auto"));
    settle();
    host_device_destroy(device);
}

static void pairs_outlive_the_channel(void **state)
{
    (void)state;
    start_both("kvp");
    run("set external colour red");
    host_device_disable(device);
    pass_time(CLOCK_SECOND);
    assert_true(host_device_enable(device, &host_output));
    host_device_start(device);
    pass_time(CLOCK_SECOND);
    run("get external colour");
    assert_said("colour=red");
    host_device_destroy(device);
}

/* ---- the driver, against a host that breaks the rules ---- */

static struct peer peer;
static struct kvp_exchange exchange;
static struct kvp_enumerate enumeration;
static struct kvp_delete deletion;

static void start_with_host_peer(void)
{
    static const UINT16 offered[] = {1, 2, 0, 0, 3, 0, 5, 0, 4, 0};

    peer_make(&peer, true, &device_class, &instance, true);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    kvp_start();
    settle();
    peer_send_integration(&peer, INTEGRATION_NEGOTIATE, 3, 1, offered, sizeof(offered));
    (void)peer_next(&peer);
    assert_int_equal(kvp_driver.device.state, INTEGRATION_NEGOTIATED);
    exchange = (struct kvp_exchange){
        .header = {.operation = KVP_SET},
        .data = {.type = KVP_TYPE_STRING, .key_size = 4, .value_size = 4, .key = "a", .value = "b"},
    };
}

static UINT32 ask(const void *body, UINT32 size)
{
    struct integration_header header;

    peer_send_integration(&peer, INTEGRATION_KVP, 3, 2, body, size);
    memcpy(&header, peer_next(&peer), sizeof(header));
    assert_int_equal(peer.length, sizeof(header) + size);
    return header.status;
}

static void messages_cut_anywhere_are_refused(void **state)
{
    static const UINT32 sizes[] = {sizeof(exchange), sizeof(exchange), sizeof(deletion),
                                   sizeof(enumeration)};

    (void)state;
    start_with_host_peer();
    for (unsigned operation = KVP_GET; operation <= KVP_ENUMERATE; operation++) {
        exchange.header.operation = (UINT8)operation;
        for (UINT32 size = 0; size < sizes[operation]; size += size < 64 ? 1 : 61) {
            assert_int_equal(ask(&exchange, size), INTEGRATION_STATUS_INVALID_ARGUMENT);
        }
    }
    assert_int_equal(kvp_changes(), 0);
    peer_end(&peer);
}

static void sizes_beyond_their_fields_are_refused(void **state)
{
    static const UINT32 bad[] = {1, 3, KVP_KEY_SIZE + 1, KVP_KEY_SIZE + 2, 0x10000, UINT32_MAX};

    (void)state;
    start_with_host_peer();
    for (unsigned i = 0; i < 6; i++) {
        exchange.data.key_size = bad[i];
        assert_int_equal(ask(&exchange, sizeof(exchange)), INTEGRATION_STATUS_INVALID_ARGUMENT);
        deletion.header.operation = KVP_DELETE;
        deletion.key_size = bad[i];
        deletion.key[0] = 'a';
        assert_int_equal(ask(&deletion, sizeof(deletion)), INTEGRATION_STATUS_INVALID_ARGUMENT);
        exchange.data.key_size = 4;
        exchange.data.value_size = bad[i] == KVP_KEY_SIZE + 2 ? KVP_VALUE_SIZE + 2 : bad[i];
        assert_int_equal(ask(&exchange, sizeof(exchange)), INTEGRATION_STATUS_INVALID_ARGUMENT);
        exchange.data.value_size = 4;
    }
    /* No key at all. */
    exchange.data.key_size = 0;
    assert_int_equal(ask(&exchange, sizeof(exchange)), INTEGRATION_STATUS_INVALID_ARGUMENT);
    exchange.data.key_size = 4;
    exchange.data.key[0] = '\0';
    assert_int_equal(ask(&exchange, sizeof(exchange)), INTEGRATION_STATUS_INVALID_ARGUMENT);
    assert_int_equal(kvp_changes(), 0);
    /* Full of text without a terminator: it could not be told again. */
    memset(exchange.data.key, 'k', KVP_KEY_SIZE);
    memset(exchange.data.value, 'v', KVP_VALUE_SIZE);
    exchange.data.key_size = KVP_KEY_SIZE;
    assert_int_equal(ask(&exchange, sizeof(exchange)), INTEGRATION_STATUS_INVALID_ARGUMENT);
    memset(exchange.data.key + KVP_KEY_SIZE - 2, 0, 2);
    exchange.data.value_size = KVP_VALUE_SIZE;
    assert_int_equal(ask(&exchange, sizeof(exchange)), INTEGRATION_STATUS_INVALID_ARGUMENT);
    assert_int_equal(kvp_changes(), 0);
    memset(exchange.data.value + KVP_VALUE_SIZE - 2, 0, 2);
    assert_int_equal(ask(&exchange, sizeof(exchange)), INTEGRATION_STATUS_OK);
    assert_int_equal(kvp_changes(), 1);
    enumeration.header.operation = KVP_ENUMERATE;
    assert_int_equal(ask(&enumeration, sizeof(enumeration)), INTEGRATION_STATUS_OK);
    memcpy(&enumeration, peer.received + sizeof(struct integration_header), sizeof(enumeration));
    assert_memory_equal(&enumeration.data, &exchange.data, sizeof(exchange.data));
    peer_end(&peer);
}

static void numbers_become_text(void **state)
{
    static const struct {
        UINT32 type;
        const char *text;
    } types[] = {
        {KVP_TYPE_U32, "4294967295"},
        {KVP_TYPE_U64_LINUX, "18446744073709551615"},
        {KVP_TYPE_U64, "18446744073709551615"},
    };
    char value[32];

    (void)state;
    start_with_host_peer();
    memset(exchange.data.value, 0xff, 8);
    for (unsigned i = 0; i < 3; i++) {
        exchange.data.type = types[i].type;
        exchange.data.value_size = UINT32_MAX; /* their type says how long they are */
        assert_int_equal(ask(&exchange, sizeof(exchange)), INTEGRATION_STATUS_OK);
        assert_true(kvp_get(KVP_POOL_EXTERNAL, "a", value, sizeof(value)));
        assert_string_equal(value, types[i].text);
    }
    for (UINT32 type = 0; type < 16; type++) {
        if (type != 1 && type != 2 && type != 4 && type != 8 && type != 11) {
            exchange.data.type = type;
            assert_int_equal(ask(&exchange, sizeof(exchange)), INTEGRATION_STATUS_INVALID_ARGUMENT);
        }
    }
    peer_end(&peer);
}

static void other_operations_and_pools_are_refused(void **state)
{
    static UINT8 addresses[KVP_IP_MESSAGE_SIZE];

    (void)state;
    start_with_host_peer();
    for (unsigned operation = KVP_GET_IP_INFO; operation < 256; operation++) {
        addresses[0] = (UINT8)operation;
        assert_int_equal(ask(addresses, operation <= KVP_SET_IP_INFO ? sizeof(addresses) : 4),
                         INTEGRATION_STATUS_NOT_SUPPORTED);
    }
    for (unsigned pool = KVP_POOLS; pool < 256; pool++) {
        exchange.header.pool = (UINT8)pool;
        assert_int_equal(ask(&exchange, sizeof(exchange)), INTEGRATION_STATUS_INVALID_ARGUMENT);
    }
    enumeration.header.operation = KVP_ENUMERATE;
    enumeration.header.pool = KVP_POOL_AUTO;
    for (unsigned bit = 4; bit < 32; bit++) {
        enumeration.index = 1u << bit;
        assert_int_equal(ask(&enumeration, sizeof(enumeration)), INTEGRATION_STATUS_NO_MORE_ITEMS);
    }
    peer_end(&peer);
}

static void random_messages_do_no_harm(void **state)
{
    static UINT8 bytes[KVP_MESSAGE_SIZE];

    (void)state;
    start_with_host_peer();
    srand(1);
    for (unsigned i = 0; i < 3000; i++) {
        for (unsigned k = 0; k < sizeof(bytes); k += 1 + (unsigned)rand() % 64) {
            bytes[k] = (UINT8)rand();
        }
        bytes[0] = (UINT8)(rand() % 6);
        bytes[1] = (UINT8)(rand() % 6);
        if (rand() % 2 == 0) {
            memset(bytes + 4, 0, 12);
            bytes[4] = 1;
            bytes[8] = (UINT8)(rand() & 0xfe);
            bytes[12] = (UINT8)(rand() & 0xfe);
        }
        (void)ask(bytes, sizeof(bytes));
    }
    assert_true(kvp_changes() > 0);
    assert_true(kvp_driver.pools[0].count <= KVP_PAIRS_MAX);
    peer_end(&peer);
}

/* ---- the host, against a guest that breaks the rules ---- */

static void start_with_guest_peer(void)
{
    static const UINT16 agreed[8] = {1, 1, 0, 0, 3, 0, 5, 0};
    struct integration_header header;

    device = host_offer("kvp");
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    peer_make(&peer, false, &device_class, NULL, true);
    memcpy(&header, peer_next(&peer), sizeof(header));
    peer_send_integration(&peer, INTEGRATION_NEGOTIATE, 5, header.transaction_id, agreed, 16);
    settle();
    assert_said("version 5.0");
}

static void answer(const void *body, UINT32 size)
{
    struct integration_header header;

    memcpy(&header, peer_next(&peer), sizeof(header));
    peer_send_integration(&peer, INTEGRATION_KVP, 5, header.transaction_id, body, size);
    settle();
}

static void answers_that_are_none_end_the_conversation(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct kvp_enumerate body = {.data = {.type = KVP_TYPE_STRING, .key_size = 2}};
        start_with_guest_peer();
        assert_true(host_command(device, "enumerate auto"));
        switch (i) {
        case 0:
            body.data.type = KVP_TYPE_U32;
            break;
        case 1:
            body.data.key_size = KVP_KEY_SIZE + 2;
            break;
        case 2:
            body.data.value_size = KVP_VALUE_SIZE + 2;
            break;
        case 3:
            body.data.key_size = 3;
            break;
        default:
            break;
        }
        answer(&body, i == 4 ? sizeof(body) - 1 : i == 5 ? 0 : sizeof(body));
        assert_said("is none; it is not listened to");
        peer_end(&peer);
        host_device_destroy(device);
        (void)teardown(state);
        (void)setup(state);
    }
}

static void a_guest_without_end_is_left(void **state)
{
    const struct kvp_enumerate body = {
        .data =
            {.type = KVP_TYPE_STRING, .key_size = 4, .value_size = 6, .key = "\n", .value = "x"},
    };

    (void)state;
    start_with_guest_peer();
    assert_true(host_command(device, "enumerate guest"));
    for (unsigned i = 0; i < 1000; i++) {
        host_forget();
        answer(&body, sizeof(body));
        assert_said("?=x"); /* no line within a line */
    }
    assert_said("enumerate guest: more than 999 pairs");
    assert_int_equal(peer.count, peer.fetched);
    peer_end(&peer);
    host_device_destroy(device);
}

int main(void)
{
#define kvp_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        kvp_test(the_host_reads_what_this_guest_is),
        kvp_test(the_application_reads_what_the_host_sets),
        kvp_test(the_host_reads_what_the_application_sets),
        kvp_test(the_guests_pools_are_not_the_hosts_to_change),
        kvp_test(a_pool_has_an_end),
        kvp_test(text_is_bounded_as_on_the_wire),
        kvp_test(commands_that_cannot_be_are_refused),
        kvp_test(pairs_outlive_the_channel),
        kvp_test(messages_cut_anywhere_are_refused),
        kvp_test(sizes_beyond_their_fields_are_refused),
        kvp_test(numbers_become_text),
        kvp_test(other_operations_and_pools_are_refused),
        kvp_test(random_messages_do_no_harm),
        kvp_test(answers_that_are_none_end_the_conversation),
        kvp_test(a_guest_without_end_is_left),
    };
    return cmocka_run_group_tests_name("pair, KVP", tests, NULL, NULL);
}
