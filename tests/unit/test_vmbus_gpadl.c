/* SPDX-License-Identifier: MIT */
/* How page lists are cut into messages, and what becomes of the pages when the host does not play
 * along. */
#include "vmbus_test.h"

#include <string.h>

#include "kernel/clock.h"
#include "kernel/pages.h"
#include "kernel/work.h"
#include "vmbus/connection.h"
#include "vmbus/gpadl.h"

/* ---- arithmetic ---- */

static uint64_t frames[VMBUS_GPADL_PAGES_MAXIMUM];

static void make_frames(void)
{
    for (size_t i = 0; i < VMBUS_GPADL_PAGES_MAXIMUM; i++) {
        frames[i] = 0x123456000000 + 3 * i;
    }
}

static uint32_t u32_at(const unsigned char *bytes, size_t offset)
{
    uint32_t value;

    memcpy(&value, bytes + offset, sizeof(value));
    return value;
}

struct joined {
    unsigned messages;
    uint32_t last_size;
    size_t words;
    uint64_t list[VMBUS_GPADL_WORDS_MAXIMUM];
};

/* Writes all messages, checks their headers, and puts the list together again. */
static void join(struct joined *joined, const struct vmbus_gpa_range *ranges, size_t count)
{
    struct vmbus_gpadl_writer writer;
    unsigned char message[240];
    uint32_t announced = 0;
    uint32_t size;

    joined->messages = 0;
    joined->words = 0;
    assert_true(vmbus_gpadl_writer_start(&writer, 7, 0xABC, ranges, count));
    while ((size = vmbus_gpadl_writer_next(&writer, message)) != 0) {
        size_t from = joined->messages == 0 ? 20 : 16;
        assert_true(size > from && size <= 240 && (size - from) % 8 == 0);
        assert_int_equal(u32_at(message, 0), joined->messages == 0 ? 8 : 9);
        assert_int_equal(u32_at(message, 4), 0);
        assert_int_equal(u32_at(message, 8), joined->messages == 0 ? 7 : 0);
        assert_int_equal(u32_at(message, 12), 0xABC);
        if (joined->messages == 0) {
            announced = u32_at(message, 16) & 0xFFFF;
            assert_int_equal(u32_at(message, 16) >> 16, count);
        }
        assert_true(joined->words + (size - from) / 8 <= VMBUS_GPADL_WORDS_MAXIMUM);
        memcpy(joined->list + joined->words, message + from, size - from);
        joined->words += (size - from) / 8;
        joined->messages++;
        joined->last_size = size;
    }
    assert_int_equal(announced, joined->words * 8);
    assert_int_equal(vmbus_gpadl_writer_next(&writer, message), 0);
}

static void assert_list(const struct joined *joined, const struct vmbus_gpa_range *ranges,
                        size_t count)
{
    size_t word = 0;

    for (size_t i = 0; i < count; i++) {
        size_t pages = ((size_t)ranges[i].byte_offset + ranges[i].byte_count + 4095) / 4096;
        assert_int_equal(joined->list[word++],
                         ranges[i].byte_count | (uint64_t)ranges[i].byte_offset << 32);
        assert_memory_equal(joined->list + word, ranges[i].frames, pages * 8);
        word += pages;
    }
    assert_int_equal(joined->words, word);
}

static void one_range_of_any_number_of_pages(void **state)
{
    static struct joined joined;

    (void)state;
    for (uint32_t pages = 1; pages <= 8190; pages++) {
        const struct vmbus_gpa_range range = {.byte_count = pages * 4096, .frames = frames};
        join(&joined, &range, 1);
        assert_list(&joined, &range, 1);
        assert_int_equal(joined.messages, pages <= 26 ? 1 : 1 + (pages - 26 + 27) / 28);
    }
}

static void pages_in_a_row_need_no_list(void **state)
{
    static uint64_t row[8190];
    static struct joined joined;

    (void)state;
    for (size_t i = 0; i < 8190; i++) {
        row[i] = 0x7777 + i;
    }
    for (uint32_t pages = 1; pages <= 8190; pages += 91) {
        const struct vmbus_gpa_range range = {
            .byte_count = pages * 4096 - 5, .byte_offset = 5, .first_frame = 0x7777};
        const struct vmbus_gpa_range listed = {pages * 4096 - 5, 5, row, 0};
        join(&joined, &range, 1);
        assert_list(&joined, &listed, 1);
    }
}

/* M20: a number of messages that is rounded the wrong way. */
static void m20_message_counts_of_well_known_sizes(void **state)
{
    static const struct {
        uint32_t pages, messages, bytes, last;
    } known[] = {
        {4, 1, 40, 0},        {26, 1, 216, 0},        {27, 2, 224, 1},        {32, 2, 264, 6},
        {64, 3, 520, 10},     {128, 5, 1032, 18},     {256, 10, 2056, 6},     {512, 19, 4104, 10},
        {1024, 37, 8200, 18}, {4096, 147, 32776, 10}, {8190, 293, 65528, 16},
    };
    static struct joined joined;

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const struct vmbus_gpa_range range = {.byte_count = known[i].pages * 4096,
                                              .frames = frames};
        join(&joined, &range, 1);
        assert_int_equal(joined.messages, known[i].messages);
        assert_int_equal(joined.words * 8, known[i].bytes);
        if (known[i].messages > 1) {
            assert_int_equal(joined.last_size, 16 + known[i].last * 8);
        }
    }
}

static void odd_counts_and_offsets_touch_the_right_pages(void **state)
{
    static const struct {
        uint32_t count, offset, pages;
    } cases[] = {
        {1, 0, 1},    {1, 4095, 1},    {2, 4095, 2},    {4096, 0, 1},    {4096, 1, 2},
        {4097, 0, 2}, {4097, 4095, 2}, {4098, 4095, 3}, {8192, 4095, 3}, {0x1FFFFFF, 1, 8192 - 0}};
    static struct joined joined;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct vmbus_gpa_range range = {cases[i].count, cases[i].offset, frames, 0};
        assert_int_equal(vmbus_gpa_range_pages(&range), cases[i].pages);
        join(&joined, &range, 1);
        assert_list(&joined, &range, 1);
        assert_int_equal(joined.words, 1 + cases[i].pages);
    }
}

static void several_ranges_follow_each_other(void **state)
{
    static struct joined joined;
    struct vmbus_gpa_range ranges[600];

    (void)state;
    for (size_t count = 1; count <= 600; count += count < 40 ? 1 : 56) {
        for (size_t i = 0; i < count; i++) {
            ranges[i] = (struct vmbus_gpa_range){
                .byte_count = (uint32_t)(1 + (i * 4099) % 9000),
                .byte_offset = (uint32_t)(i * 517 % 4096),
                .frames = frames + i,
            };
        }
        join(&joined, ranges, count);
        assert_list(&joined, ranges, count);
    }
}

static void the_largest_list_of_many_ranges(void **state)
{
    static struct vmbus_gpa_range ranges[4096];
    static struct joined joined;
    struct vmbus_gpadl_writer writer;

    (void)state;
    for (size_t i = 0; i < 4096; i++) {
        ranges[i] =
            (struct vmbus_gpa_range){.byte_count = 512, .byte_offset = 512, .frames = frames};
    }
    join(&joined, ranges, 4095); /* two words each: 8190 */
    assert_list(&joined, ranges, 4095);
    assert_false(vmbus_gpadl_writer_start(&writer, 7, 1, ranges, 4096));
}

static void lists_that_no_host_takes_are_refused(void **state)
{
    struct vmbus_gpadl_writer writer;
    struct vmbus_gpa_range ranges[2] = {{4096, 0, frames, 0}, {4096, 0, frames, 0}};

    (void)state;
    assert_false(vmbus_gpadl_writer_start(&writer, 7, 1, ranges, 0));
    ranges[1].byte_count = 0;
    assert_false(vmbus_gpadl_writer_start(&writer, 7, 1, ranges, 2));
    ranges[1] = (struct vmbus_gpa_range){1, 4096, frames, 0};
    assert_false(vmbus_gpadl_writer_start(&writer, 7, 1, ranges, 2));
    ranges[0].byte_count = 8191 * 4096;
    assert_false(vmbus_gpadl_writer_start(&writer, 7, 1, ranges, 1));
    ranges[1] = ranges[0]; /* too long before the last of them */
    assert_false(vmbus_gpadl_writer_start(&writer, 7, 1, ranges, 2));
    ranges[0].byte_count = UINT32_MAX;
    ranges[0].byte_offset = 4095;
    assert_false(vmbus_gpadl_writer_start(&writer, 7, 1, ranges, 1));
}

/* ---- with a host ---- */

static struct test_owner owner;
static struct vmbus_gpa_range range;

/* A claimed channel, and three pages to share. */
static void prepare(void)
{
    vmbus_test_claim(&owner, 5);
    unsigned char *memory = pages_allocate_zeroed(3);
    frames[0] = page_frame_of(memory);
    frames[1] = frames[0] + 1;
    frames[2] = frames[0] + 2;
    range = (struct vmbus_gpa_range){.byte_count = 3 * 4096, .frames = frames};
}

static void give_back(void)
{
    vmbus_test_give_back(&owner);
    pages_free(page_address(frames[0]), 3);
    make_frames();
}

/* Pages that a test keeps for ever, as a driver would have to: until the connection ends. */
static int end_with_kept_pages(void **state)
{
    host.post_status = HV_STATUS_SUCCESS;
    (void)vmbus_disconnect();
    pages_free(page_address(frames[0]), 3);
    make_frames();
    return vmbus_test_teardown(state);
}

static void a_list_is_created_and_torn_down(void **state)
{
    uint32_t id = 0;
    size_t count;

    (void)state;
    prepare();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_OK);
    assert_int_not_equal(id, 0);
    const uint64_t *seen = host_gpadl_frames(id, &count);
    assert_int_equal(count, 3);
    assert_memory_equal(seen, frames, 24);
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_OK);
    assert_int_equal(host_gpadls(), 0);
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_BAD_ARGUMENT);
    give_back();
}

static void ids_are_unique_over_the_connection(void **state)
{
    struct test_owner other;
    uint32_t ids[8];

    (void)state;
    prepare();
    vmbus_test_claim(&other, 6);
    for (size_t i = 0; i < 8; i++) {
        struct vmbus_channel *channel = i % 2 != 0 ? other.channel : owner.channel;
        assert_int_equal(vmbus_gpadl_create(channel, &range, 1, &ids[i]), VMBUS_OK);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(ids[i], ids[j]);
        }
    }
    /* The number alone does not do: it belongs to a channel. */
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, ids[1]), VMBUS_BAD_ARGUMENT);
    for (size_t i = 0; i < 8; i++) {
        struct vmbus_channel *channel = i % 2 != 0 ? other.channel : owner.channel;
        assert_int_equal(vmbus_gpadl_teardown(channel, ids[i]), VMBUS_OK);
    }
    vmbus_test_give_back(&other);
    give_back();
}

static void ids_go_round_without_meeting_those_in_use(void **state)
{
    uint32_t ids[3];

    (void)state;
    prepare();
    uint32_t made = vmbus_bus.gpadls_made;
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &ids[0]), VMBUS_OK);
    vmbus_bus.gpadls_made = made;
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &ids[1]), VMBUS_OK);
    assert_int_not_equal(ids[0], ids[1]);
    vmbus_bus.gpadls_made = made - ids[0]; /* the next would be 0 */
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &ids[2]), VMBUS_OK);
    assert_int_equal(ids[2], 1);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(vmbus_gpadl_teardown(owner.channel, ids[i]), VMBUS_OK);
    }
    vmbus_bus.gpadls_made = made + 2;
    give_back();
}

static void a_bad_list_is_the_callers_mistake(void **state)
{
    uint32_t id;

    (void)state;
    prepare();
    range.byte_count = 0;
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_BAD_ARGUMENT);
    assert_int_equal(host_count(HOST_GPADL_HEADER), 0);
    give_back();
}

static void no_memory_is_no_list(void **state)
{
    uint32_t id;

    (void)state;
    prepare();
    test_memory_fail(1);
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_NO_MEMORY);
    give_back();
}

/* M4: a failure of the host must cost the channel, not the guest. */
static void m4_a_refused_list_is_the_guests_again(void **state)
{
    uint32_t id;

    (void)state;
    prepare();
    host.gpadl_status = 0x8000FFFF;
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_REFUSED);
    host.gpadl_status = 0;
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_OK);
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_OK);
    give_back();
}

static void no_answer_to_a_list_has_a_limit(void **state)
{
    uint64_t start;
    uint32_t id;

    (void)state;
    prepare();
    start = clock_now();
    host.gpadl = HOST_IGNORES;
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_NO_ANSWER);
    assert_true(clock_now() - start >= VMBUS_ANSWER_LIMIT);
    assert_true(clock_now() - start < VMBUS_ANSWER_LIMIT + CLOCK_SECOND);
    /* An answer that comes after all fits nothing. */
    host_send_words(HOST_GPADL_CREATED, 20, 5, id, 0);
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, 1);
    vmbus_test_give_back(&owner);
}

static void no_answer_to_a_tear_down_keeps_the_pages(void **state)
{
    uint64_t start;
    uint32_t id;

    (void)state;
    prepare();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_OK);
    host.teardown = HOST_IGNORES;
    start = clock_now();
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_NO_ANSWER);
    assert_true(clock_now() - start >= VMBUS_ANSWER_LIMIT);
    assert_true(clock_now() - start < VMBUS_ANSWER_LIMIT + CLOCK_SECOND);
    host_send_words(HOST_GPADL_TORNDOWN, 12, id, 0, 0);
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, 1);
    vmbus_test_give_back(&owner);
}

static void a_late_answer_within_the_limit_does(void **state)
{
    uint32_t id;

    (void)state;
    prepare();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_OK);
    host.teardown_steps = 1000;
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_OK);
    give_back();
}

/* What fits a list that is being made in all numbers but one. */
static bool answer_wrongly(void *context, const struct host_message *message)
{
    uint32_t id = host_word(message, 12);

    (void)context;
    if (host_word(message, 0) == HOST_GPADL_HEADER) {
        host_send_words(HOST_GPADL_CREATED, 20, 6, id, 0);     /* another channel */
        host_send_words(HOST_GPADL_CREATED, 20, 5, id + 1, 0); /* another list */
        host_send_words(HOST_GPADL_TORNDOWN, 12, id, 0, 0);    /* another question */
    }
    return false;
}

static void answers_must_match_in_every_number(void **state)
{
    uint32_t id = 0;

    (void)state;
    prepare();
    host.gpadl = HOST_IS_SILENT;
    host.hook = answer_wrongly;
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_NO_ANSWER);
    assert_int_equal(vmbus_test_counts().messages_unexpected, 3);
    vmbus_test_give_back(&owner);
}

static uint32_t list_in_work;
static enum vmbus_status second_status;

static void tear_down_too(void *context)
{
    (void)context;
    second_status = vmbus_gpadl_teardown(owner.channel, list_in_work);
}

/* Passive work runs inside of waits: somebody else may ask for the same. */
static void a_list_is_torn_down_once(void **state)
{
    static struct work_item work = {.run = tear_down_too};

    (void)state;
    prepare();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &list_in_work), VMBUS_OK);
    host.teardown_steps = 5;
    passive_work_queue(&work);
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, list_in_work), VMBUS_OK);
    assert_int_equal(second_status, VMBUS_BAD_ARGUMENT);
    assert_int_equal(host_count(HOST_GPADL_TEARDOWN), 1);
    give_back();
}

static void a_list_of_another_channel_is_left_alone(void **state)
{
    struct test_owner other;
    uint32_t id;

    (void)state;
    prepare();
    vmbus_test_claim(&other, 6);
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_OK);
    assert_int_equal(vmbus_gpadl_teardown(other.channel, id), VMBUS_BAD_ARGUMENT);
    assert_int_equal(host_count(HOST_GPADL_TEARDOWN), 0);
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_OK);
    vmbus_test_give_back(&other);
    give_back();
}

static void the_post_that_fails_first_leaves_nothing(void **state)
{
    uint32_t id;

    (void)state;
    prepare();
    host.post_status = HV_STATUS_INVALID_PARAMETER;
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_POST_FAILED);
    host.post_status = HV_STATUS_SUCCESS;
    give_back();
}

static void half_a_list_is_never_taken_back(void **state)
{
    uint32_t id;

    (void)state;
    vmbus_test_claim(&owner, 5);
    range = (struct vmbus_gpa_range){.byte_count = 100 * 4096, .frames = frames};
    host.scribble = false;
    host.post_limit = host_attempts() + 2;
    host.post_status_late = HV_STATUS_INVALID_PARAMETER;
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_NO_ANSWER);
    host.post_limit = UINT32_MAX;
    vmbus_test_give_back(&owner);
}

static void a_tear_down_that_nobody_takes(void **state)
{
    uint32_t id;

    (void)state;
    prepare();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_OK);
    host.post_status = HV_STATUS_INVALID_PARAMETER;
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_NO_ANSWER);
    host.post_status = HV_STATUS_SUCCESS;
    vmbus_test_give_back(&owner);
}

/* ---- rescinds ---- */

static void rescind_between_the_messages_of_a_list(void **state)
{
    uint32_t id;

    (void)state;
    vmbus_test_claim(&owner, 5);
    range = (struct vmbus_gpa_range){.byte_count = 1000 * 4096, .frames = frames};
    host.scribble = false;
    host.fail_every = 2; /* so that messages come in between */
    host.rescind_type = HOST_GPADL_BODY;
    host.rescind_count = 3;
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_RESCINDED);
    assert_true(host_count(HOST_GPADL_BODY) < 10);
    vmbus_test_give_back(&owner);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
}

static void rescind_instead_of_the_answer(void **state)
{
    uint64_t start;
    uint32_t id;

    (void)state;
    prepare();
    start = clock_now();
    host.gpadl = HOST_IGNORES;
    host.rescind_type = HOST_GPADL_HEADER;
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_RESCINDED);
    assert_true(clock_now() - start < CLOCK_SECOND);
    give_back();
}

/* Its owner has not heard of it yet: nobody is left to end a wait. */
static void rescind_before_the_list_is_no_wait(void **state)
{
    uint64_t start;
    uint32_t id;

    (void)state;
    prepare();
    host_rescind(5);
    host_run();
    start = clock_now();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_RESCINDED);
    assert_true(clock_now() - start < CLOCK_SECOND);
    assert_int_equal(host_count(HOST_GPADL_HEADER), 0);
    give_back();
}

static void rescind_instead_of_torndown_frees_with_the_number(void **state)
{
    uint64_t start;
    uint32_t id;

    (void)state;
    prepare();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_OK);
    start = clock_now();
    host.teardown = HOST_IGNORES;
    host.rescind_type = HOST_GPADL_TEARDOWN;
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_RESCINDED);
    assert_true(clock_now() - start < CLOCK_SECOND);
    assert_true(vmbus_channel_unclaim(owner.channel));
    pages_free(page_address(frames[0]), 3);
    make_frames();
}

static void rescind_together_with_the_answer(void **state)
{
    uint32_t id;

    (void)state;
    prepare();
    host.burst = true;
    host.rescind_type = HOST_GPADL_HEADER;
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_RESCINDED);
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_BAD_ARGUMENT);
    give_back();
}

static void rescind_together_with_torndown(void **state)
{
    uint32_t id;

    (void)state;
    prepare();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_OK);
    host.burst = true;
    host.rescind_type = HOST_GPADL_TEARDOWN;
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_OK);
    give_back();
}

static void tear_down_after_a_rescind_is_tried_for_a_short_time(void **state)
{
    uint64_t start;
    uint32_t id;

    (void)state;
    prepare();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_OK);
    host_rescind(5);
    host_run();
    host.teardown = HOST_IGNORES;
    start = clock_now();
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_RESCINDED);
    assert_true(clock_now() - start >= VMBUS_RESCINDED_LIMIT);
    assert_true(clock_now() - start < 2 * VMBUS_RESCINDED_LIMIT);
    give_back();
}

static void tear_down_after_a_rescind_that_is_answered(void **state)
{
    uint32_t id;

    (void)state;
    prepare();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_OK);
    host_rescind(5);
    host_run();
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_OK);
    give_back();
}

static void no_list_for_a_rescinded_channel(void **state)
{
    uint32_t id;

    (void)state;
    prepare();
    host_rescind(5);
    host_run();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_RESCINDED);
    assert_int_equal(host_count(HOST_GPADL_HEADER), 0);
    give_back();
}

/* ---- the connection ends first ---- */

static void unload_gives_back_what_was_shared(void **state)
{
    uint32_t id;

    (void)state;
    prepare();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_OK);
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_OK);
    assert_int_equal(host_count(HOST_GPADL_TEARDOWN), 0);
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_RESCINDED);
    give_back();
}

static void an_unload_without_answer_gives_nothing_back(void **state)
{
    uint32_t id;

    (void)state;
    prepare();
    assert_int_equal(vmbus_gpadl_create(owner.channel, &range, 1, &id), VMBUS_OK);
    host.unload = HOST_IGNORES;
    assert_int_equal(vmbus_disconnect(), VMBUS_NO_ANSWER);
    assert_int_equal(vmbus_gpadl_teardown(owner.channel, id), VMBUS_NO_ANSWER);
    assert_false(vmbus_channel_unclaim(owner.channel));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_range_of_any_number_of_pages),
        cmocka_unit_test(pages_in_a_row_need_no_list),
        cmocka_unit_test(m20_message_counts_of_well_known_sizes),
        cmocka_unit_test(odd_counts_and_offsets_touch_the_right_pages),
        cmocka_unit_test(several_ranges_follow_each_other),
        cmocka_unit_test(the_largest_list_of_many_ranges),
        cmocka_unit_test(lists_that_no_host_takes_are_refused),
        bus_test(a_list_is_created_and_torn_down),
        bus_test(ids_are_unique_over_the_connection),
        bus_test(ids_go_round_without_meeting_those_in_use),
        bus_test(a_bad_list_is_the_callers_mistake),
        bus_test(no_memory_is_no_list),
        bus_test(m4_a_refused_list_is_the_guests_again),
        cmocka_unit_test_setup_teardown(no_answer_to_a_list_has_a_limit, vmbus_test_setup,
                                        end_with_kept_pages),
        cmocka_unit_test_setup_teardown(no_answer_to_a_tear_down_keeps_the_pages, vmbus_test_setup,
                                        end_with_kept_pages),
        bus_test(a_late_answer_within_the_limit_does),
        cmocka_unit_test_setup_teardown(answers_must_match_in_every_number, vmbus_test_setup,
                                        end_with_kept_pages),
        bus_test(a_list_is_torn_down_once),
        bus_test(a_list_of_another_channel_is_left_alone),
        bus_test(the_post_that_fails_first_leaves_nothing),
        bus_test(half_a_list_is_never_taken_back),
        cmocka_unit_test_setup_teardown(a_tear_down_that_nobody_takes, vmbus_test_setup,
                                        end_with_kept_pages),
        bus_test(rescind_between_the_messages_of_a_list),
        bus_test(rescind_instead_of_the_answer),
        bus_test(rescind_before_the_list_is_no_wait),
        bus_test(rescind_instead_of_torndown_frees_with_the_number),
        bus_test(rescind_together_with_the_answer),
        bus_test(rescind_together_with_torndown),
        bus_test(tear_down_after_a_rescind_is_tried_for_a_short_time),
        bus_test(tear_down_after_a_rescind_that_is_answered),
        bus_test(no_list_for_a_rescinded_channel),
        bus_test(unload_gives_back_what_was_shared),
        cmocka_unit_test_setup_teardown(an_unload_without_answer_gives_nothing_back,
                                        vmbus_test_setup, end_with_kept_pages),
    };

    make_frames();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
