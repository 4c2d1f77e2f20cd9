/* SPDX-License-Identifier: MIT */
/*
 * A driver's whole life, with something from the host at each moment of it: at every point where
 * interrupts come on, between any two critical sections of the guest, in every state. Every packet
 * still ends once, every call comes back, and nothing is left over.
 */

#include <string.h>

#include "arch/cpu.h"
#include "callback_order.h"
#include "kernel/clock.h"
#include "kernel/pages.h"
#include "tests/unit/kmcl/kmcl_test.h"

#define WAIT VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION

static UINT8 memory[2 * PAGE_SIZE] __attribute__((aligned(4096)));

static struct driver driver;
static UINT32 gpadl;
static unsigned sent;
static unsigned asked; /* by the host */
static bool moment_is_over;
static void (*host_does)(void);
static struct work_item host_work;
static char letters[64];      /* of the callbacks */
static size_t letters_before; /* the moment */

/* ---- the driver ---- */

/* One more moment, inside a callback. */
static void gap(void)
{
    arch_interrupts_restore(arch_interrupts_disable());
}

static void delete_gpadl(void)
{
    UINT32 handle = gpadl;

    gpadl = 0; /* first: what runs in the middle must not delete it too */
    if (handle != 0) {
        VmbChannelDeleteGpadl(driver.channel, handle);
    }
}

static void keep(struct driver *own, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length)
{
    (void)buffer, (void)length;
    gap();
    if (own->packets % 2 == 0) {
        VmbChannelPacketComplete(packet, NULL, 0);
    } else {
        own->kept[own->kept_count++] = packet;
    }
}

static void complete_kept(void)
{
    while (driver.kept_count > 0) {
        VmbChannelPacketComplete(driver.kept[--driver.kept_count], NULL, 0);
    }
}

static void on_state(struct driver *own, char letter)
{
    (void)own;
    assert_true(strlen(letters) + 1 < sizeof(letters));
    letters[strlen(letters)] = letter;
    gap();
    if (letter == 'C') {
        delete_gpadl();
    }
    if (letter == 'U') {
        complete_kept();
    }
}

static void on_batch(struct driver *own, UINT32 count)
{
    (void)own, (void)count;
    gap();
}

static void send_some(void)
{
    for (unsigned i = 0; i < 4; i++) {
        sent += driver_send(&driver, i, 400, i % 2 == 0 ? 0 : WAIT) == STATUS_SUCCESS;
    }
}

/* ---- the host ---- */

/* Answers what it is asked, and asks something itself. */
static void host_works(void)
{
    UINT8 bytes[4096];
    struct ring_packet_in packet;

    if (!host_is_open(RELID)) {
        return;
    }
    while (host_is_open(RELID) && host_get(RELID, bytes, sizeof(bytes), &packet) == RING_OK) {
        if ((packet.flags & RING_PACKET_FLAG_COMPLETION_REQUESTED) != 0) {
            (void)host_put_completion(RELID, packet.transaction_id, bytes, 8);
        }
    }
    asked += host_put_inband(RELID, 0x77, true, bytes, 64) == RING_OK;
}

static void host_takes_it_away(void)
{
    host_rescind(RELID);
}

static void host_breaks_the_ring(void)
{
    if (host_is_open(RELID)) {
        host.tolerant = true;
        host_set_write_index(RELID, 12);
    }
}

/* IRQL_DISPATCH. What is due at the guest comes at once. */
static void host_moves(void *context)
{
    (void)context;
    moment_is_over = true;
    letters_before = strlen(letters);
    host_does();
    for (unsigned i = 0; i < 8 && test_host_step(); i++) {
    }
}

static void moment_comes(void *context)
{
    (void)context;
    deferred_work_queue(&host_work);
}

/* The host of an ordinary life. After the moment it does nothing more, that would hide that the
 * guest missed something. */
static void host_works_until_then(struct driver *own)
{
    (void)own;
    if (!moment_is_over) {
        host_works();
    }
}

/* ---- a life ---- */

static void live(bool at_passive)
{
    struct host_offer offer = host_plain_offer(RELID);
    LARGE_INTEGER limit = {.QuadPart = -(int64_t)CLOCK_SECOND};
    struct script script;
    UINT64 question = 1;
    UINT64 answer[2];
    UINT32 size = sizeof(answer);

    driver_make(&driver);
    VmbChannelSetIncomingProcessingAtPassive(driver.channel, at_passive);
    driver.on_packet = keep;
    driver.on_state = on_state;
    driver.on_batch = on_batch;
    sent = 0;
    asked = 0;
    gpadl = 0;
    moment_is_over = false;
    memset(letters, 0, sizeof(letters));
    host_add(&offer);
    send_some();
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    settle();
    host_works_until_then(&driver);
    settle();
    send_some();
    complete_kept();

    UINT32 handle;
    if (VmbChannelCreateGpadlFromBuffer(driver.channel, 0, memory, sizeof(memory), &handle) ==
        STATUS_SUCCESS) {
        gpadl = handle;
    }
    script_start(&script, &driver, host_works_until_then);
    (void)VmbChannelSendSynchronousRequest(driver.channel, &question, sizeof(question), NULL, WAIT,
                                           answer, &size, &limit);
    (void)passive_work_cancel(&script.item);
    send_some();
    complete_kept();
    VmbChannelPause(driver.channel);
    send_some();
    VmbChannelStart(driver.channel);
    host_works_until_then(&driver);
    settle();
    const bool all_is_said = moment_is_over;
    settle();
    if (host_does == host_works && all_is_said) {
        assert_int_equal(driver.packets, asked);
    }
    delete_gpadl();
    complete_kept();
    VmbChannelDisable(driver.channel);
    complete_kept();
    VmbChannelCleanup(driver.channel);
    driver.channel = NULL;
}

static void at_each_moment(void (*does)(void), bool at_passive)
{
    unsigned moment = 0;
    bool over = false;

    host_does = does;
    while (!over) {
        void *state = NULL;
        (void)kmcl_test_setup(&state);
        memset(&driver, 0, sizeof(driver));
        work_item_initialise(&host_work, host_moves, NULL);
        vmbus_test_connect();
        test_interrupt_later(++moment, moment_comes, NULL);
        live(at_passive);
        over = test_interrupt_still_to_come();
        assert_int_equal(driver.completions, sent);
        check_callback_order("driver", letters);
        if (host_does == host_takes_it_away && !over) {
            check_callbacks_of_close(letters, letters_before);
        }
        assert_int_equal(kmcl_test_teardown(&state), 0);
    }
    assert_true(moment > 150);
}

static void packets_and_completions_may_come_at_any_moment(void **state)
{
    (void)state;
    at_each_moment(host_works, false);
    at_each_moment(host_works, true);
}

static void a_rescind_may_come_at_any_moment(void **state)
{
    (void)state;
    at_each_moment(host_takes_it_away, false);
    at_each_moment(host_takes_it_away, true);
}

static void a_ring_may_break_at_any_moment(void **state)
{
    (void)state;
    at_each_moment(host_breaks_the_ring, false);
    at_each_moment(host_breaks_the_ring, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_and_completions_may_come_at_any_moment),
        cmocka_unit_test(a_rescind_may_come_at_any_moment),
        cmocka_unit_test(a_ring_may_break_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
