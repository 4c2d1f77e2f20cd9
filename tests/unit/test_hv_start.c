/* SPDX-License-Identifier: MIT */
/* How the interface is brought up, what is found there, and how it is left. */
#include <string.h>

#include "arch/cpu.h"
#include "fake_hypervisor.h"
#include "hv/hypercall.h"
#include "hv/hypervisor.h"
#include "hv/parts.h"
#include "hv/synic.h"
#include "kernel/clock.h"
#include "kernel/exit.h"
#include "kernel/irql.h"
#include "kernel/wait.h"
#include "test_arch.h"
#include "test_memory.h"

static int setup(void **state)
{
    (void)test_arch_setup(state);
    test_memory_reset();
    fake_hypervisor_reset();
    return 0;
}

static void nothing_is_left_behind(void)
{
    assert_int_equal(test_pages_held(), 0);
    for (unsigned n = 0; n < FAKE_VECTORS; n++) {
        assert_null(fake.vectors[n].handler);
    }
    assert_false(fake.hypercalls_enabled);
    assert_int_equal(fake.registers[HV_REGISTER_GUEST_OS_ID], 0);
    static const enum hv_register pages[] = {HV_REGISTER_SIMP, HV_REGISTER_SIEFP,
                                             HV_REGISTER_REFERENCE_TSC};
    for (unsigned n = 0; n < 3; n++) {
        assert_int_equal(fake.registers[pages[n]] & 1, 0);
    }
    for (unsigned n = 0; n < HV_SINT_COUNT; n++) {
        assert_true((fake.registers[HV_REGISTER_SINT0 + n] & HV_SINT_MASKED) != 0);
    }
    for (unsigned n = 0; n < 8; n++) {
        assert_int_equal(fake.registers[HV_REGISTER_STIMER0_CONFIG + n], 0);
    }
    assert_string_equal(clock_source_name(), "virtual clock");
    assert_string_equal(clock_event_name(), "virtual timer");
    assert_int_equal(hv_signal_event(1), HV_STATUS_INVALID_HYPERCALL_CODE);
}

static int teardown(void **state)
{
    (void)state;
    hv_stop();
    return 0;
}

/* ---- bring-up ---- */

/* The place of the first write of a register with this value. */
static int write_of(enum hv_register name, uint64_t value)
{
    for (unsigned n = 0; n < fake.log_count; n++) {
        if (fake.log[n].name == name && fake.log[n].value == value) {
            return (int)n;
        }
    }
    fail_msg("register %d was never written with this value", (int)name);
    return -1;
}

static void the_synic_comes_up_in_the_order_of_its_specification(void **state)
{
    (void)state;
    hv_start();
    assert_int_equal(hv_presence(), HV_PRESENT);
    assert_string_equal(hv_presence_reason(), "");
    assert_int_equal(hv_vp_index(), 3);
    int identity = write_of(HV_REGISTER_GUEST_OS_ID, HV_GUEST_OS_ID);
    int simp = write_of(HV_REGISTER_SIMP, fake.registers[HV_REGISTER_SIMP]);
    int siefp = write_of(HV_REGISTER_SIEFP, fake.registers[HV_REGISTER_SIEFP]);
    int sint = write_of(HV_REGISTER_SINT0 + 2, fake.registers[HV_REGISTER_SINT0 + 2]);
    int control = write_of(HV_REGISTER_SCONTROL, 1);
    assert_true(identity < simp && simp < siefp && siefp < sint && sint < control);
    assert_true((fake.registers[HV_REGISTER_SIMP] ^ fake.registers[HV_REGISTER_SIEFP]) >> 12 != 0);
    /* The vector, and neither automatic end of interrupt nor polling. */
    assert_int_equal(fake.registers[HV_REGISTER_SINT0 + 2], FAKE_VECTOR_FIRST);
    for (unsigned n = 0; n < HV_SINT_COUNT; n++) {
        uint64_t value = fake.registers[HV_REGISTER_SINT0 + n];
        assert_int_equal((value & HV_SINT_MASKED) != 0, n != 2);
    }
}

/* Bit 63 marks an open-source system; the type is none of those that are published. */
static void the_guest_says_it_is_itself(void **state)
{
    (void)state;
    hv_start();
    uint64_t id = fake.registers[HV_REGISTER_GUEST_OS_ID];
    assert_int_equal(id >> 63, 1);
    assert_int_equal(id >> 56 & 0x7F, 0x42);
    assert_int_equal(id >> 16 & 0xFFFFFFFF, HV_GUEST_OS_ID_VERSION);
}

static void reserved_bits_of_registers_are_kept(void **state)
{
    (void)state;
    fake.registers[HV_REGISTER_SIMP] = 0xA50;
    fake.registers[HV_REGISTER_SIEFP] = 0x5A0;
    fake.registers[HV_REGISTER_SCONTROL] = 0xF0;
    fake.registers[HV_REGISTER_SINT0 + 2] = UINT64_C(0x1200000000000000) | HV_SINT_MASKED | 0x41;
    hv_start();
    assert_int_equal(fake.registers[HV_REGISTER_SIMP] & 0xFFF, 0xA51);
    assert_int_equal(fake.registers[HV_REGISTER_SIEFP] & 0xFFF, 0x5A1);
    assert_int_equal(fake.registers[HV_REGISTER_SCONTROL], 0xF1);
    assert_int_equal(fake.registers[HV_REGISTER_SINT0 + 2],
                     UINT64_C(0x1200000000000000) | FAKE_VECTOR_FIRST);
}

static void automatic_end_of_interrupt_is_never_used(void **state)
{
    (void)state;
    fake.words.recommendations = 0; /* not even where it is not advised against */
    fake.registers[HV_REGISTER_SINT0 + 2] = HV_SINT_MASKED | HV_SINT_AUTO_EOI | HV_SINT_POLLING;
    hv_start();
    assert_int_equal(fake.registers[HV_REGISTER_SINT0 + 2], FAKE_VECTOR_FIRST);
}

/* QEMU's pages keep their contents while they are off. */
static void fill_pages_when_they_are_enabled(enum hv_register name)
{
    if (name != HV_REGISTER_SIEFP || fake_flags(0) == NULL) {
        return;
    }
    for (unsigned n = 0; n < HV_SINT_COUNT; n++) {
        struct hv_message_slot *slot = fake_slot(n);
        slot->type = 1;
        slot->flags = n == 7;
        for (unsigned word = 0; word < HV_EVENT_FLAG_WORDS; word++) {
            fake_flags(n)[word] = UINT64_MAX;
        }
    }
}

static void client_hears_nothing(void *context, const struct hv_message *message)
{
    (void)context;
    fail_msg("message of type %u", message->type);
}

static void client_sees_nothing(void *context, uint32_t flag)
{
    (void)context;
    fail_msg("event %u", flag);
}

static const struct hv_synic_client quiet = {.message = client_hears_nothing,
                                             .event = client_sees_nothing};

static void what_the_pages_hold_when_enabled_is_never_taken_for_new(void **state)
{
    (void)state;
    fake.on_write = fill_pages_when_they_are_enabled;
    hv_start();
    assert_true(hv_synic_attach(&quiet));
    fake.vectors[0].pending = true;
    (void)fake_interrupts_deliver();
    for (unsigned n = 0; n < HV_SINT_COUNT; n++) {
        assert_int_equal(fake_slot(n)->type, 0);
        for (unsigned word = 0; word < HV_EVENT_FLAG_WORDS; word++) {
            assert_int_equal(fake_flags(n)[word], 0);
        }
    }
    assert_int_equal(fake.end_of_messages, 1); /* for the one with the pending flag */
    hv_synic_detach(&quiet);
}

static void send_without_an_interrupt(enum hv_register name)
{
    if (name == HV_REGISTER_SINT0 + 2 && fake.registers[HV_REGISTER_SCONTROL] == 0) {
        fake_slot(2)->type = HV_MESSAGE_TYPE_VMBUS;
        fake_flags(2)[3] = 1;
    }
}

static void what_came_before_the_sint_was_unmasked_is_found_without_an_interrupt(void **state)
{
    (void)state;
    fake.on_write = send_without_an_interrupt;
    hv_start();
    assert_int_equal(fake_slot(2)->type, 0);
    assert_int_equal(fake_flags(2)[3], 0);
    assert_true(arch_interrupts_disable());
    arch_interrupts_restore(true);
}

/* ---- what somebody left behind ---- */

static void leftovers_of_firmware_are_cleared_first(void **state)
{
    (void)state;
    fake.registers[HV_REGISTER_GUEST_OS_ID] = UINT64_C(1) << 40;
    fake.registers[HV_REGISTER_SIMP] = 0x5001;
    fake.registers[HV_REGISTER_SIEFP] = 0x6001;
    fake.registers[HV_REGISTER_REFERENCE_TSC] = 0x7001;
    fake.registers[HV_REGISTER_VP_ASSIST_PAGE] = 0x8001;
    fake.registers[HV_REGISTER_SINT0] = 0x42;
    fake.registers[HV_REGISTER_SINT0 + 1] = 0x40;
    fake.registers[HV_REGISTER_SINT0 + 2] = 0x41;
    fake.registers[HV_REGISTER_STIMER0_CONFIG + 4] = 0x1000B & ~UINT64_C(1);
    fake.registers[HV_REGISTER_STIMER0_CONFIG + 5] = 100000;
    fake.registers[HV_REGISTER_STIMER0_CONFIG] = 0x8000;
    hv_start();
    assert_int_equal(hv_presence(), HV_PRESENT);
    assert_non_null(strstr(test_console(), "guest OS id 0x0000010000000000 was there before"));
    assert_non_null(strstr(test_console(), "cleared 9 registers"));
    assert_int_equal(fake.registers[HV_REGISTER_VP_ASSIST_PAGE], 0x8000);
    assert_int_equal(fake.registers[HV_REGISTER_SINT0], HV_SINT_MASKED);
    assert_int_equal(fake.registers[HV_REGISTER_SINT0 + 1], HV_SINT_MASKED);
    assert_int_equal(fake.registers[HV_REGISTER_STIMER0_CONFIG + 4], 0);
    assert_int_equal(fake.registers[HV_REGISTER_STIMER0_CONFIG + 5], 0);
    assert_true(write_of(HV_REGISTER_STIMER0_CONFIG, 0) <
                write_of(HV_REGISTER_GUEST_OS_ID, HV_GUEST_OS_ID));
    assert_true(write_of(HV_REGISTER_SIMP, 0x5000) <
                write_of(HV_REGISTER_GUEST_OS_ID, HV_GUEST_OS_ID));
    assert_true(write_of(HV_REGISTER_REFERENCE_TSC, 0x7000) <
                write_of(HV_REGISTER_GUEST_OS_ID, HV_GUEST_OS_ID));
}

/* Before the map of memory is in use: nothing can be had of it, and nothing is to be put under a
 * page of somebody else's. */
static void leftovers_are_cleared_before_any_memory_is_used(void **state)
{
    (void)state;
    fake.registers[HV_REGISTER_SIMP] = 0x5001;
    fake.registers[HV_REGISTER_REFERENCE_TSC] = 0x7001;
    fake.registers[HV_REGISTER_STIMER0_CONFIG] = 0x1000B;
    fake.registers[HV_REGISTER_GUEST_OS_ID] = UINT64_C(1) << 40;
    fake.hypercalls_enabled = true;
    hv_look();
    assert_int_equal(test_pages_held(), 0);
    assert_int_equal(fake.registers[HV_REGISTER_SIMP], 0x5000);
    assert_int_equal(fake.registers[HV_REGISTER_REFERENCE_TSC], 0x7000);
    assert_int_equal(fake.registers[HV_REGISTER_STIMER0_CONFIG], 0);
    assert_false(fake.hypercalls_enabled);
    hv_start();
    assert_int_equal(hv_presence(), HV_PRESENT);
    assert_non_null(strstr(test_console(), "guest OS id 0x0000010000000000 was there before"));
}

/* ARM64 with ACPI: its tables tell, and are not mapped yet at the first look. */
static void what_the_first_look_did_not_find_the_second_clears(void **state)
{
    (void)state;
    fake.registers[HV_REGISTER_SIMP] = 0x5001;
    fake.words.present = false;
    hv_look();
    assert_int_equal(fake.registers[HV_REGISTER_SIMP], 0x5001);
    fake.words.present = true;
    hv_start();
    assert_int_equal(hv_presence(), HV_PRESENT);
    assert_non_null(strstr(test_console(), "cleared 1 registers"));
}

static void the_assist_page_is_left_alone_where_it_is_not_announced(void **state)
{
    (void)state;
    fake.words.privileges &= ~HV_PRIVILEGE_APIC_ASSIST;
    hv_start(); /* the fake fails on an access */
    assert_int_equal(hv_presence(), HV_PRESENT);
}

static void a_clean_machine_is_not_written_to_before_the_identity(void **state)
{
    (void)state;
    hv_start();
    assert_int_equal(fake_write_at(HV_REGISTER_GUEST_OS_ID, 0), 0);
    assert_null(strstr(test_console(), "cleared"));
    assert_null(strstr(test_console(), "was there before"));
}

/* ---- absence and refusal ---- */

static void without_the_interface_no_register_is_touched(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 4; n++) {
        fake_hypervisor_reset();
        fake.words.present = n != 0;
        fake.words.is_hyperv = n > 1;
        fake.words.privileges = n == 2 ? 0 : UINT64_MAX; /* the last is a confidential machine */
        hv_start();
        assert_int_equal(hv_presence(), n == 3 ? HV_REFUSED : HV_ABSENT);
        assert_string_not_equal(hv_presence_reason(), "");
        assert_non_null(strstr(test_console(), hv_presence_reason()));
        assert_int_equal(fake.log_count, 0);
        assert_false(fake.hypercalls_enabled);
        assert_false(hv_synic_available());
        assert_false(hv_synic_attach(&quiet));
        assert_int_equal(hv_post_message(1, "x", 1), HV_STATUS_INVALID_HYPERCALL_CODE);
        assert_int_equal(hv_signal_event(1), HV_STATUS_INVALID_HYPERCALL_CODE);
        hv_report();
        assert_int_equal(test_pages_held(), 0);
    }
}

/* Museum M22: the boot goes on, with what there is, and says what is missing. */
static void museum_m22_a_host_without_synic_still_gives_clock_and_hypercalls(void **state)
{
    (void)state;
    fake.words.privileges &= ~HV_PRIVILEGE_SYNIC;
    hv_start();
    assert_int_equal(hv_presence(), HV_WITHOUT_SYNIC);
    assert_non_null(strstr(test_console(), "going on without VMBus"));
    assert_string_equal(clock_source_name(), "Hyper-V reference TSC page");
    assert_string_equal(clock_event_name(), "virtual timer");
    assert_true(fake.hypercalls_enabled);
    assert_false(hv_synic_available());
    hv_stop();
    nothing_is_left_behind();
}

static void registers_that_are_not_taken_mean_no_synic(void **state)
{
    (void)state;
    static const enum hv_register names[] = {HV_REGISTER_SIMP, HV_REGISTER_SIEFP,
                                             HV_REGISTER_SINT0 + 2, HV_REGISTER_SCONTROL};
    for (unsigned n = 0; n < 4; n++) {
        fake_hypervisor_reset();
        fake.refuses[names[n]] = true;
        hv_start();
        assert_int_equal(hv_presence(), HV_WITHOUT_SYNIC);
        assert_string_equal(hv_presence_reason(),
                            "the hypervisor did not take the SynIC's registers");
        assert_false(hv_synic_available());
        hv_stop();
        nothing_is_left_behind();
    }
}

static void hypercalls_that_cannot_be_enabled_mean_no_interface(void **state)
{
    (void)state;
    fake.hypercall_failure = "the hypercall page is locked";
    hv_start();
    assert_int_equal(hv_presence(), HV_REFUSED);
    assert_string_equal(hv_presence_reason(), "the hypercall page is locked");
    nothing_is_left_behind();
}

static void no_vector_means_no_synic(void **state)
{
    (void)state;
    fake.vectors_available = 0;
    hv_start();
    assert_int_equal(hv_presence(), HV_WITHOUT_SYNIC);
    assert_string_equal(hv_presence_reason(), "no interrupt vector for the SynIC");
}

static void each_allocation_that_fails_is_survived(void **state)
{
    (void)state;
    test_memory_reset();
    hv_start();
    unsigned allocations = test_memory_attempts();
    hv_stop();
    assert_int_equal(allocations, 4);
    for (unsigned n = 1; n <= allocations; n++) {
        fake_hypervisor_reset();
        test_memory_fail(n);
        hv_start();
        test_memory_fail(0);
        assert_int_equal(hv_presence(), n == 1   ? HV_REFUSED
                                        : n == 2 ? HV_PRESENT
                                                 : HV_WITHOUT_SYNIC);
        if (hv_presence() == HV_REFUSED) {
            nothing_is_left_behind();
        }
        hv_stop();
        nothing_is_left_behind();
    }
}

/* ---- leaving ---- */

static void leaving_takes_everything_back_and_the_identity_last(void **state)
{
    (void)state;
    hv_start();
    fake.registers[HV_REGISTER_SIMP] |= 0xA50;
    fake.log_count = 0;
    hv_stop();
    nothing_is_left_behind();
    assert_int_equal(fake.registers[HV_REGISTER_SIMP] & 0xFFF, 0xA50);
    assert_int_equal(fake.registers[HV_REGISTER_SCONTROL], 0);
    int identity = write_of(HV_REGISTER_GUEST_OS_ID, 0);
    assert_int_equal(identity, (int)fake.log_count - 1);
    int timer = fake_write_at(HV_REGISTER_STIMER0_CONFIG, 0);
    int mask = fake_write_at(HV_REGISTER_SINT0 + 2, 0);
    int messages = fake_write_at(HV_REGISTER_SIMP, 0);
    int events = fake_write_at(HV_REGISTER_SIEFP, 0);
    int control = fake_write_at(HV_REGISTER_SCONTROL, 0);
    int clock = fake_write_at(HV_REGISTER_REFERENCE_TSC, 0);
    assert_true(timer < mask && mask < messages && messages < events && events < control &&
                control < clock && clock < identity);
}

static void messages_that_nobody_took_do_not_survive_a_stop(void **state)
{
    (void)state;
    hv_start();
    enum irql previous = irql_raise_to_dispatch();
    for (unsigned n = 0; n < 30; n++) {
        fake_host_send(HV_SYNIC_SINT_VMBUS, HV_MESSAGE_TYPE_VMBUS, "old", 3);
        (void)fake_interrupts_deliver();
    }
    /* Still queued when the interface goes. */
    struct hv_statistics before, after;
    hv_statistics(&before);
    hv_synic_stop(hv_this_processor());
    hv_statistics(&after);
    assert_int_equal(after.messages_dropped - before.messages_dropped, 16);
    irql_lower(previous);
    hv_stop();
    fake_hypervisor_reset();
    hv_start();
    assert_true(hv_synic_attach(&quiet));
    fake.vectors[0].pending = true;
    (void)fake_interrupts_deliver();
    hv_synic_detach(&quiet);
}

static void a_slot_that_is_occupied_is_freed_before_its_page_goes(void **state)
{
    (void)state;
    hv_start();
    fake_slot(2)->type = HV_MESSAGE_TYPE_VMBUS;
    fake_slot(2)->flags = HV_MESSAGE_FLAG_PENDING;
    fake.log_count = 0;
    hv_stop();
    int end = fake_write_at(HV_REGISTER_EOM, 0);
    assert_in_range(end, fake_write_at(HV_REGISTER_SINT0 + 2, 0) + 1,
                    fake_write_at(HV_REGISTER_SIMP, 0) - 1);
}

static void a_second_start_works_like_the_first(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 3; n++) {
        hv_start();
        assert_int_equal(hv_presence(), HV_PRESENT);
        struct event never;
        event_initialise(&never);
        assert_false(event_wait(&never, clock_after(CLOCK_SECOND)));
        hv_stop();
        nothing_is_left_behind();
    }
}

/* ---- the report ---- */

static void the_report_names_what_was_found(void **state)
{
    (void)state;
    hv_start();
    test_console_clear();
    hv_report();
    assert_non_null(
        strstr(test_console(), "\"Microsoft Hv\", version 10.0 build 26100, VP index 3"));
    assert_non_null(strstr(test_console(), "240 virtual processors, 512 logical processors"));
    assert_non_null(strstr(test_console(), "privileges 0x3b80300000ae7f"));
    assert_non_null(strstr(test_console(), "recommendations 0xa0e24"));
    assert_non_null(strstr(test_console(), " SynIC timers hypercalls VP-index"));
    assert_non_null(strstr(test_console(), " direct-timers\n"));
    assert_non_null(strstr(test_console(), "clock: Hyper-V reference TSC page; timer: Hyper-V"));
    /* No line is so long that the log cuts it. */
    for (const char *line = test_console(); *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_true(strchr(line, '\n') - line < 200);
    }
}

static void the_report_leaves_out_what_the_hypervisor_does_not_tell(void **state)
{
    (void)state;
    static const uint32_t limits[] = {0, UINT32_MAX};
    for (unsigned n = 0; n < 2; n++) {
        fake_hypervisor_reset();
        fake.words.limits[0] = limits[n];
        fake.words.privileges &= ~HV_PRIVILEGE_SYNIC;
        fake.words.features = 0;
        hv_start();
        test_console_clear();
        hv_report();
        assert_null(strstr(test_console(), "limits"));
        assert_null(strstr(test_console(), " SynIC timers"));
        assert_null(strstr(test_console(), " crash-registers"));
        assert_non_null(strstr(test_console(), "without a synthetic interrupt controller"));
        hv_stop();
    }
}

/* First of all: hooks are registered for a boot, and run once. */
static void the_exit_of_the_guest_leaves_the_interface(void **state)
{
    (void)state;
    hv_start();
    assert_int_equal(hv_presence(), HV_PRESENT);
    expect_exit(kernel_exit(7), 7);
    assert_int_equal(hv_presence(), HV_ABSENT);
    nothing_is_left_behind();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_exit_of_the_guest_leaves_the_interface),
        TEST(the_synic_comes_up_in_the_order_of_its_specification),
        TEST(the_guest_says_it_is_itself),
        TEST(reserved_bits_of_registers_are_kept),
        TEST(automatic_end_of_interrupt_is_never_used),
        TEST(what_the_pages_hold_when_enabled_is_never_taken_for_new),
        TEST(what_came_before_the_sint_was_unmasked_is_found_without_an_interrupt),
        TEST(leftovers_of_firmware_are_cleared_first),
        TEST(leftovers_are_cleared_before_any_memory_is_used),
        TEST(what_the_first_look_did_not_find_the_second_clears),
        TEST(the_assist_page_is_left_alone_where_it_is_not_announced),
        TEST(a_clean_machine_is_not_written_to_before_the_identity),
        TEST(without_the_interface_no_register_is_touched),
        TEST(museum_m22_a_host_without_synic_still_gives_clock_and_hypercalls),
        TEST(registers_that_are_not_taken_mean_no_synic),
        TEST(hypercalls_that_cannot_be_enabled_mean_no_interface),
        TEST(no_vector_means_no_synic),
        TEST(each_allocation_that_fails_is_survived),
        TEST(leaving_takes_everything_back_and_the_identity_last),
        TEST(messages_that_nobody_took_do_not_survive_a_stop),
        TEST(a_slot_that_is_occupied_is_freed_before_its_page_goes),
        TEST(a_second_start_works_like_the_first),
        TEST(the_report_leaves_out_what_the_hypervisor_does_not_tell),
        TEST(the_report_names_what_was_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
