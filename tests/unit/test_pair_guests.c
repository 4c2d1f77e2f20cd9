/* SPDX-License-Identifier: MIT */
/* The devices of a host, each against a guest that answers anything at any time, while commands
 * come: none takes the host with it, and each serves the next guest. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/balloon/dynamic_memory_protocol.h"
#include "drivers/heartbeat/heartbeat_protocol.h"
#include "drivers/integration/integration_protocol.h"
#include "drivers/kvp/kvp_protocol.h"
#include "drivers/load/load_protocol.h"
#include "drivers/shutdown/shutdown_protocol.h"
#include "drivers/timesync/timesync_protocol.h"
#include "kernel/clock.h"
#include "tests/unit/pair/host.h"

#define ROUNDS 4000u

static uint64_t seed;
static struct peer guest;
static struct host_device *device;
static UINT8 message[8192];

static unsigned below(unsigned limit)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % limit;
}

/* ---- what a guest may say ---- */

static void spoil(UINT32 *length)
{
    for (unsigned i = below(3); i > 0 && *length > 0; i--) {
        message[below(2) == 0 ? below(*length) : below(*length < 64 ? *length : 64)] =
            (UINT8)below(256);
    }
    if (below(4) == 0) {
        *length = below(2) == 0 ? below(*length + 1) : *length + below(200);
    }
}

/* The answer to what came last, more or less. */
static UINT32 answer_of_a_service(void)
{
    static const UINT16 versions[] = {1, 3, 4, 5};
    struct integration_header header = {.body_size = 16};
    UINT32 length = guest.length > sizeof(header) ? guest.length : sizeof(header) + 16;

    memcpy(message, guest.received, length);
    memcpy(&header, message, sizeof(header));
    if (below(20) != 0) {
        header.flags = INTEGRATION_FLAG_TRANSACTION | INTEGRATION_FLAG_RESPONSE;
        header.status = below(4) == 0 ? INTEGRATION_STATUS_NO_MORE_ITEMS : INTEGRATION_STATUS_OK;
    }
    if (header.type == INTEGRATION_NEGOTIATE && below(20) != 0) {
        const UINT16 body[8] = {1, 1, 0, 0, 3, 0, versions[below(4)], 0};
        memcpy(message + sizeof(header), body, sizeof(body));
        header.body_size = sizeof(body);
    } else if (header.type == INTEGRATION_HEARTBEAT && below(8) != 0) {
        message[sizeof(header)]++;
    }
    memcpy(message, &header, sizeof(header));
    return length;
}

/* What may come next, after what came last. */
static UINT16 type_for_a_balloon(void)
{
    struct dynamic_memory_header last;

    memcpy(&last, guest.received, sizeof(last));
    if (below(20) == 0) {
        return (UINT16)below(16);
    }
    switch (guest.length != 0 ? last.type : DYNAMIC_MEMORY_ERROR) {
    case DYNAMIC_MEMORY_VERSION_RESPONSE:
        return DYNAMIC_MEMORY_CAPABILITIES_REPORT;
    case DYNAMIC_MEMORY_CAPABILITIES_RESPONSE:
        return DYNAMIC_MEMORY_STATUS_REPORT;
    case DYNAMIC_MEMORY_BALLOON_REQUEST:
    case DYNAMIC_MEMORY_UNBALLOON_REQUEST:
    case DYNAMIC_MEMORY_HOT_ADD_REQUEST:
        return below(3) == 0 ? DYNAMIC_MEMORY_STATUS_REPORT : (UINT16)(last.type + 1);
    default:
        return DYNAMIC_MEMORY_VERSION_REQUEST;
    }
}

static UINT32 word_of_a_balloon(void)
{
    static const UINT32 versions[] = {DYNAMIC_MEMORY_VERSION_2_0, DYNAMIC_MEMORY_VERSION_1_0, 7};
    const UINT32 ranges = below(4);
    UINT32 words[64] = {0};
    struct dynamic_memory_header header = {.type = type_for_a_balloon()};
    UINT32 length = 16;

    switch (header.type) {
    case DYNAMIC_MEMORY_VERSION_REQUEST:
        words[2] = versions[below(3)];
        break;
    case DYNAMIC_MEMORY_CAPABILITIES_REPORT:
        words[2] = below(4) == 0 ? below(1u << 31) : 3 | 7 << 2;
        length = 32;
        break;
    case DYNAMIC_MEMORY_STATUS_REPORT:
        length = 48;
        break;
    case DYNAMIC_MEMORY_UNBALLOON_RESPONSE:
        length = 8;
        break;
    case DYNAMIC_MEMORY_HOT_ADD_RESPONSE:
        words[2] = below(2) * 32768;
        words[3] = below(2);
        break;
    default:
        words[3] = ranges << 1 | below(2);
        for (UINT32 i = 0; i < ranges; i++) {
            const uint64_t range = dynamic_memory_range(below(1u << 14), below(100));
            memcpy(&words[4 + 2 * i], &range, sizeof(range));
        }
        length = 16 + 8 * ranges;
    }
    header.size = (UINT16)length;
    memcpy(message, words, sizeof(words));
    memcpy(message, &header, sizeof(header));
    return length;
}

static UINT32 packet_of_a_load(void)
{
    const UINT32 size = LOAD_SIZE_MIN + below(200);

    load_make_message((UINT64 *)(void *)message, size, below(50));
    return size;
}

/* ---- devices ---- */

static const struct subject {
    const char *text;
    GUID device_class;
    bool is_pipe;
    UINT32 (*say)(void);
    const char *commands[8];
} subjects[] = {
    {"heartbeat,interval=500", HEARTBEAT_CLASS_INITIALISER, true, answer_of_a_service, {"status"}},
    {"shutdown",
     SHUTDOWN_CLASS_INITIALISER,
     true,
     answer_of_a_service,
     {"shutdown", "shutdown reboot force 3", "status"}},
    {"timesync,interval=500",
     TIMESYNC_CLASS_INITIALISER,
     true,
     answer_of_a_service,
     {"step 10", "step -1000", "status"}},
    {"kvp",
     KVP_CLASS_INITIALISER,
     true,
     answer_of_a_service,
     {"enumerate auto", "get external a", "set external a b", "delete external a", "status"}},
    {"balloon",
     DYNAMIC_MEMORY_CLASS_INITIALISER,
     false,
     word_of_a_balloon,
     {"resize 63", "resize 64", "resize 1", "add 128", "status"}},
    {"load",
     LOAD_CLASS_INITIALISER,
     false,
     packet_of_a_load,
     {"run 20 100 4", "run 200 16 16", "stop", "status"}},
};

static unsigned command_count(const struct subject *subject)
{
    unsigned count = 1;

    while (count < 8 && subject->commands[count] != NULL) {
        count++;
    }
    return count;
}

static void start(const struct subject *subject)
{
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    device = host_offer(subject->text);
    peer_make(&guest, false, &subject->device_class, NULL, subject->is_pipe);
    settle();
}

static void stop(void)
{
    peer_end(&guest);
    host_device_destroy(device);
}

static void speak(const struct subject *subject)
{
    UINT32 length = subject->say();

    if (below(20) == 0) {
        spoil(&length);
    }
    /* A device that listens no more takes nothing out of its ring. */
    for (unsigned i = below(16) == 0 ? 20 : 1; i > 0 && guest.is_open; i--) {
        peer_send(&guest, message, length);
    }
}

static void open_anew(void)
{
    VmbChannelDisable(guest.channel);
    settle();
    guest.length = 0;
    assert_int_equal(VmbChannelEnable(guest.channel), STATUS_SUCCESS);
}

/* Into another device of the same kind, which the guest finds anew. */
static void save_and_restore(const struct subject *subject)
{
    device = host_move(device, subject->text);
    assert_true(host_device_enable(device, &host_output));
    host_device_start(device);
    open_anew();
}

static void play(const struct subject *subject)
{
    switch (below(40)) {
    case 0:
        open_anew();
        break;
    case 1:
        host_device_pause(device);
        speak(subject);
        host_device_start(device);
        break;
    case 2:
        save_and_restore(subject);
        break;
    case 3:
        pass_time(below(70) * CLOCK_SECOND);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        (void)host_command(device, subject->commands[below(command_count(subject))]);
        break;
    default:
        speak(subject);
    }
    settle();
    if (strstr(host_lines, "not listened to") != NULL && below(4) != 0) {
        open_anew();
    }
    host_forget();
}

static void a_guest_that_answers_anything(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        const struct subject *subject = &subjects[i];
        start(subject);
        for (unsigned round = 0; round < ROUNDS; round++) {
            play(subject);
        }
        open_anew();
        settle();
        assert_true(guest.is_open);
        assert_true(host_command(device, "status"));
        stop();
        (void)pair_teardown(state);
        (void)pair_setup(state);
    }
}

int main(void)
{
    const char *given = getenv("TEST_SEED");
    const struct CMUnitTest tests[] = {pair_test(a_guest_that_answers_anything)};

    seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests_name("pair, guests of the devices", tests, NULL, NULL);
}
