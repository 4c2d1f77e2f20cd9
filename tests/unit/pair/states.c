/* SPDX-License-Identifier: MIT */
#include "tests/unit/pair/states.h"

#include <string.h>

#include "kernel/pages.h"

static struct {
    enum column column;
    action *call;
    const char *name;
    struct situation situation;
    char result;
} trial;

char status_letter(NTSTATUS status)
{
    static const struct {
        NTSTATUS status;
        char letter;
    } letters[] = {
        {STATUS_SUCCESS, '.'},
        {STATUS_INVALID_PARAMETER_1, '1'},
        {STATUS_INVALID_PARAMETER_2, '2'},
        {STATUS_INVALID_PARAMETER_3, '3'},
        {STATUS_INVALID_PARAMETER, 'p'},
        {STATUS_INVALID_DEVICE_REQUEST, 'd'},
        {STATUS_DEVICE_REMOVED, 'r'},
        {STATUS_NOT_SUPPORTED, 'n'},
        {STATUS_BUFFER_OVERFLOW, 'o'},
        {STATUS_CANCELLED, 'c'},
        {STATUS_INVALID_BUFFER_SIZE, 'b'},
        {STATUS_BUFFER_TOO_SMALL, 't'},
    };

    for (unsigned i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        if (letters[i].status == status) {
            return letters[i].letter;
        }
    }
    return '?';
}

/* Once. */
static void make_call(void)
{
    action *call = trial.call;

    if (call == NULL) {
        return;
    }
    trial.call = NULL;
    if (setjmp(*test_expect_end()) == 0) {
        trial.result = call(&trial.situation);
        test_expect_no_end();
        return;
    }
    test_end_seen();
    trial.result = '!';
    if (strstr(test_panic_message(), trial.name) == NULL) {
        fail_msg("%s stops the guest without its name: %s", trial.name, test_panic_message());
    }
}

/* ---- the moments ---- */

static UINT8 *memory; /* of the client's GPADL */

static void on_state(struct end *end, char letter)
{
    static const char letters[COLUMNS] = {
        [IN_OPENED_CALLBACK] = 'O',  [IN_STARTED_CALLBACK] = 'S', [IN_POST_STARTED_CALLBACK] = 'P',
        [IN_SUSPEND_CALLBACK] = 'U', [IN_CLOSED_CALLBACK] = 'C',  [IN_PNP_FAILURE_CALLBACK] = 'F',
    };

    if (end == &client && letter == 'O') {
        assert_int_equal(VmbChannelCreateGpadlFromBuffer(client.channel, 0, memory, PAGE_SIZE,
                                                         &trial.situation.gpadl),
                         STATUS_SUCCESS);
    }
    if (end == trial.situation.end && letter == letters[trial.column]) {
        make_call();
    }
    if (letter == 'U' && end == trial.situation.end && trial.situation.packet != NULL) {
        VmbChannelPacketComplete(trial.situation.packet, NULL, 0);
        trial.situation.packet = NULL;
    }
}

static void on_packet(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                      UINT32 flags)
{
    (void)buffer, (void)length, (void)flags;
    if (end != trial.situation.end || trial.call == NULL) {
        VmbChannelPacketComplete(packet, "answer..", 8);
        return;
    }
    trial.situation.packet = packet;
    if (trial.column == IN_ACTIVE || trial.column == IN_SUSPEND_CALLBACK) {
        return; /* kept */
    }
    if (trial.column == IN_PACKET_CALLBACK || trial.column == IN_PASSIVE_PACKET_CALLBACK) {
        make_call();
    }
    if (trial.situation.packet != NULL) { /* or the call has ended it */
        VmbChannelPacketComplete(packet, "answer..", 8);
        trial.situation.packet = NULL;
    }
}

static void on_batch(struct end *end)
{
    if (end == trial.situation.end && trial.column == IN_BATCH_CALLBACK) {
        make_call();
    }
}

static VOID on_completion(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    (void)status, (void)buffer, (void)length;
    VmbPacketFree(packet);
    make_call();
}

/* ---- the lives ---- */

static void send(struct end *end, PFN_VMB_PACKET_COMPLETION_ROUTINE routine)
{
    VMBPACKET packet = VmbPacketAllocate(end->channel);
    UINT64 word = 1;

    assert_non_null(packet);
    if (routine != NULL) {
        VmbPacketSetCompletionRoutine(packet, routine);
    }
    assert_int_equal(VmbPacketSend(packet, &word, sizeof(word), NULL, WAIT), STATUS_SUCCESS);
}

/* The first part of what a paused server saves. */
static ULONG save_first_part(UINT8 *bytes, ULONG size)
{
    ULONG filled = 0;
    ULONG required = 0;

    assert_int_equal(VmbChannelSaveBegin(server.channel), STATUS_SUCCESS);
    assert_int_equal(VmbChannelSaveContinue(server.channel, bytes, size, &filled, &required),
                     STATUS_BUFFER_OVERFLOW);
    VmbChannelSaveEnd(server.channel);
    return filled;
}

static void call_in_save(void)
{
    pair_start();
    VmbChannelPause(server.channel);
    assert_int_equal(VmbChannelSaveBegin(server.channel), STATUS_SUCCESS);
    make_call();
}

static void call_in_restore(void)
{
    UINT8 part[80]; /* the end of the form fits no more */

    pair_start();
    VmbChannelPause(server.channel);
    const ULONG size = save_first_part(part, sizeof(part));
    VmbChannelDisable(server.channel);
    settle();
    assert_int_equal(VmbChannelRestoreFromBuffer(server.channel, part, size),
                     STATUS_MORE_PROCESSING_REQUIRED);
    make_call();
    settle();
}

/* Up to a state in which nothing happens by itself, and the call; or through the callback with it.
 */
static void live(struct end *end, struct end *other)
{
    switch (trial.column) {
    case IN_DISABLED:
        break;
    case IN_ENABLED:
        if (end == &client) {
            assert_int_equal(vmbus_connect(), VMBUS_OK);
        }
        assert_int_equal(VmbChannelEnable(end->channel), STATUS_SUCCESS);
        settle();
        break;
    case IN_SAVE:
        call_in_save();
        return;
    case IN_RESTORE:
        call_in_restore();
        return;
    case IN_PNP_FAILURE_CALLBACK:
        other->opened_status = STATUS_UNSUCCESSFUL;
        pair_start();
        return;
    default:
        if (trial.column == IN_PASSIVE_PACKET_CALLBACK) {
            VmbChannelSetIncomingProcessingAtPassive(end->channel, TRUE);
        }
        pair_start();
        if (trial.column == IN_PAUSED) {
            VmbChannelPause(end->channel);
        } else if (trial.column == IN_COMPLETION_CALLBACK) {
            send(end, on_completion);
            settle();
        } else if (trial.column >= IN_PACKET_CALLBACK || trial.column == IN_ACTIVE ||
                   trial.column == IN_SUSPEND_CALLBACK) {
            send(other, NULL);
            settle();
        }
        if (trial.column == IN_SUSPEND_CALLBACK || trial.column == IN_CLOSED_CALLBACK) {
            VmbChannelDisable(other->channel);
            settle();
        }
        break;
    }
    if (trial.column <= IN_ACTIVE) {
        make_call();
        settle();
    }
}

static char try_in(enum column column, BOOLEAN is_server, const char *name, action *call)
{
    void *state = NULL;

    if ((column == IN_PNP_FAILURE_CALLBACK && is_server) || (column >= IN_SAVE && !is_server)) {
        return '-';
    }
    (void)pair_setup(&state);
    memset(&trial, 0, sizeof(trial));
    trial.column = column;
    trial.name = name;
    trial.call = call;
    trial.situation.end = is_server ? &server : &client;
    trial.result = '-';
    pair_make(&server, TRUE);
    pair_make(&client, FALSE);
    memory = pages_allocate(1);
    for (unsigned i = 0; i < 2; i++) {
        struct end *end = i == 0 ? &client : &server;
        end->on_state = on_state;
        end->on_packet = on_packet;
        end->on_batch = on_batch;
    }
    live(trial.situation.end, is_server ? &client : &server);
    assert_null(trial.call); /* it was made */
    if (trial.situation.packet != NULL) {
        VmbChannelPacketComplete(trial.situation.packet, NULL, 0);
        trial.situation.packet = NULL;
    }
    const char result = trial.result;
    if (client.channel != NULL) {
        pair_end(&client); /* the GPADL with it */
    }
    pages_free(memory, 1);
    (void)pair_teardown(&state);
    return result;
}

/* Whether the next letter of `text`, from *at on, is this one. */
static bool is_next(const char *text, unsigned *at, char letter)
{
    while (text[*at] == ' ') {
        (*at)++;
    }
    return text[*at] != '\0' && text[(*at)++] == letter;
}

void check_rows(const struct row *rows, size_t count, BOOLEAN is_server)
{
    bool good = true;

    for (size_t i = 0; i < count; i++) {
        const char *expected = rows[i].letters[is_server];
        char found[COLUMNS + 1] = {0};
        bool same = true;
        unsigned at = 0;

        for (unsigned column = 0; column < COLUMNS; column++) {
            found[column] = try_in((enum column)column, is_server, rows[i].name, rows[i].call);
            same = is_next(expected, &at, found[column]) && same;
        }
        if (!same || expected[at] != '\0') {
            print_error("%s: %s, expected %s\n", rows[i].name, found, expected);
            good = false;
        }
    }
    assert_true(good);
}
