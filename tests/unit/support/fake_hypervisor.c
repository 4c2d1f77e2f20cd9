/* SPDX-License-Identifier: MIT */
#include "fake_hypervisor.h"

#include <string.h>

#include "arch/cpu.h"
#include "arch/timer.h"
#include "test_arch.h"

struct fake_hypervisor fake;

#define PAGE_MASK UINT64_C(0xFFF)

void fake_hypervisor_reset(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.words = (struct arch_hypervisor){
        .present = true,
        .is_hyperv = true,
        .vendor = "Microsoft Hv",
        .version = {26100, 0x000A0000},
        .privileges = UINT64_C(0x003B8030) << 32 | 0xAE7F,
        .features = HV_FEATURE_FREQUENCIES | HV_FEATURE_CRASH | HV_FEATURE_DIRECT_STIMER,
        .recommendations = 0xA0E24,
        .limits = {240, 512},
    };
    fake.strict = true;
    fake.vectors_available = FAKE_VECTORS;
    fake.registers[HV_REGISTER_VP_INDEX] = 3;
    fake.registers[HV_REGISTER_TSC_FREQUENCY] = 2500000000u;
    fake.registers[HV_REGISTER_APIC_FREQUENCY] = 200000000u;
    fake.registers[HV_REGISTER_CRASH_CTL] = HV_CRASH_NOTIFY | HV_CRASH_MESSAGE | HV_CRASH_NO_DUMP;
    for (unsigned sint = 0; sint < HV_SINT_COUNT; sint++) {
        fake.registers[HV_REGISTER_SINT0 + sint] = HV_SINT_MASKED;
    }
}

/* ---- discovery and registers ---- */

void arch_hypervisor_read(struct arch_hypervisor *out)
{
    *out = fake.words;
}

static bool announced(enum hv_register name)
{
    uint64_t needed = 0;
    uint64_t feature = 0;
    if (name == HV_REGISTER_VP_INDEX) {
        needed = HV_PRIVILEGE_VP_INDEX;
    } else if (name == HV_REGISTER_TIME_REF_COUNT) {
        needed = HV_PRIVILEGE_TIME_REF_COUNT;
    } else if (name == HV_REGISTER_REFERENCE_TSC) {
        needed = HV_PRIVILEGE_REFERENCE_TSC;
    } else if (name == HV_REGISTER_TSC_FREQUENCY || name == HV_REGISTER_APIC_FREQUENCY) {
        needed = HV_PRIVILEGE_FREQUENCIES;
        feature = HV_FEATURE_FREQUENCIES;
    } else if (name == HV_REGISTER_VP_ASSIST_PAGE) {
        needed = HV_PRIVILEGE_APIC_ASSIST;
    } else if (name >= HV_REGISTER_CRASH_P0 && name <= HV_REGISTER_CRASH_CTL) {
        feature = HV_FEATURE_CRASH;
    } else if (name >= HV_REGISTER_STIMER0_CONFIG) {
        needed = HV_PRIVILEGE_STIMER | HV_PRIVILEGE_SYNIC;
    } else if (name >= HV_REGISTER_SCONTROL) {
        needed = HV_PRIVILEGE_SYNIC;
    }
    return (fake.words.privileges & needed) == needed && (fake.words.features & feature) == feature;
}

static void check_access(enum hv_register name)
{
    if (fake.strict && !announced(name)) {
        fail_msg("access to register %d, which discovery does not announce", (int)name);
    }
}

uint64_t arch_hv_register_read(enum hv_register name)
{
    check_access(name);
    if (name == HV_REGISTER_TIME_REF_COUNT) {
        test_time_pass(fake.time_stands_still ? 0 : 1);
        return test_time();
    }
    return name == HV_REGISTER_EOM ? 0 : fake.registers[name];
}

static void deliver_messages(void);

static void stimer_written(enum hv_register name, uint64_t old)
{
    unsigned index = (unsigned)(name - HV_REGISTER_STIMER0_CONFIG);
    uint64_t *config = &fake.registers[HV_REGISTER_STIMER0_CONFIG + (index & ~1u)];
    if (index % 2 == 0) {
        if ((old & 1) != 0) {
            fail_msg("configuration of a timer that runs was changed");
        }
        return;
    }
    if (fake.registers[name] == 0) {
        *config &= ~UINT64_C(1);
    } else if ((*config & HV_STIMER_AUTO_ENABLE) != 0) {
        *config |= 1;
    }
}

void arch_hv_register_write(enum hv_register name, uint64_t value)
{
    check_access(name);
    if (fake.log_count < FAKE_LOG_LENGTH) {
        fake.log[fake.log_count++] = (struct fake_register_write){name, value};
    }
    if (fake.refuses[name]) {
        return;
    }
    uint64_t old = fake.registers[name];
    fake.registers[name] = value;
    if (name == HV_REGISTER_EOM) {
        fake.end_of_messages++;
        deliver_messages();
    } else if (name >= HV_REGISTER_STIMER0_CONFIG) {
        stimer_written(name, old);
    } else if (name == HV_REGISTER_GUEST_OS_ID && value == 0) {
        assert_false(fake.hypercalls_enabled); /* the page goes first */
    }
    if (fake.on_write != NULL) {
        fake.on_write(name);
    }
}

unsigned fake_writes(enum hv_register name)
{
    unsigned count = 0;
    for (unsigned n = 0; n < fake.log_count; n++) {
        count += fake.log[n].name == name;
    }
    return count;
}

int fake_write_at(enum hv_register name, unsigned from)
{
    for (unsigned n = from; n < fake.log_count; n++) {
        if (fake.log[n].name == name) {
            return (int)n;
        }
    }
    return -1;
}

/* ---- hypercalls ---- */

bool arch_hypercall_enable(const char **why)
{
    assert_true(fake.registers[HV_REGISTER_GUEST_OS_ID] != 0);
    if (fake.hypercall_failure != NULL) {
        *why = fake.hypercall_failure;
        return false;
    }
    fake.hypercalls_enabled = true;
    return true;
}

void arch_hypercall_disable(void)
{
    fake.hypercalls_enabled = false;
}

uint64_t arch_hypercall(uint64_t control, uint64_t input, uint64_t output)
{
    assert_true(fake.hypercalls_enabled);
    fake.hypercalls++;
    fake.last_control = control;
    fake.last_input = input;
    fake.last_output = output;
    if ((control & 0xFFFF) == HV_CALL_POST_MESSAGE) {
        bool interrupts = arch_interrupts_disable();
        assert_false(interrupts); /* nobody else may fill the page now */
        memcpy(&fake.last_post, (const void *)(uintptr_t)input, sizeof(fake.last_post));
    }
    if (fake.on_hypercall != NULL) {
        fake.on_hypercall();
    }
    hv_status status = HV_STATUS_SUCCESS;
    if (fake.statuses_count != 0) {
        status = fake.statuses[0];
        memmove(fake.statuses, fake.statuses + 1, sizeof(fake.statuses) - sizeof(fake.statuses[0]));
        fake.statuses_count--;
    }
    /* The upper bits of a result mean nothing to a simple call. */
    return UINT64_C(0xA5A5A5A5A5A50000) | status;
}

/* ---- interrupts ---- */

uint32_t arch_synic_interrupt_attach(void (*handler)(void *context), void *context)
{
    for (unsigned n = 0; n < fake.vectors_available; n++) {
        if (fake.vectors[n].handler == NULL) {
            fake.vectors[n].handler = handler;
            fake.vectors[n].context = context;
            return FAKE_VECTOR_FIRST + n;
        }
    }
    return 0;
}

void arch_synic_interrupt_detach(uint32_t number)
{
    assert_in_range(number, FAKE_VECTOR_FIRST, FAKE_VECTOR_FIRST + FAKE_VECTORS - 1);
    assert_non_null(fake.vectors[number - FAKE_VECTOR_FIRST].handler);
    memset(&fake.vectors[number - FAKE_VECTOR_FIRST], 0, sizeof(fake.vectors[0]));
}

static void raise_vector(uint64_t vector)
{
    assert_in_range(vector, FAKE_VECTOR_FIRST, FAKE_VECTOR_FIRST + FAKE_VECTORS - 1);
    fake.vectors[vector - FAKE_VECTOR_FIRST].pending = true;
    fake.vectors[vector - FAKE_VECTOR_FIRST].raised++;
}

static void raise_sint(uint32_t sint)
{
    uint64_t value = fake.registers[HV_REGISTER_SINT0 + sint];
    if ((value & HV_SINT_MASKED) == 0 && (fake.registers[HV_REGISTER_SCONTROL] & 1) != 0) {
        raise_vector(value & HV_SINT_VECTOR_MASK);
    }
}

bool fake_interrupt_deliver_one(void)
{
    for (unsigned n = 0; n < FAKE_VECTORS; n++) {
        if (fake.vectors[n].pending) {
            fake.vectors[n].pending = false;
            if (test_interrupt(fake.vectors[n].handler, fake.vectors[n].context)) {
                return true;
            }
            fake.vectors[n].pending = true;
        }
    }
    return false;
}

bool fake_interrupts_deliver(void)
{
    bool any = false;
    while (fake_interrupt_deliver_one()) {
        any = true;
    }
    return any;
}

/* ---- the host's messages and flags ---- */

static void *page_of(enum hv_register name)
{
    uint64_t value = fake.registers[name];
    return (value & HV_PAGE_REGISTER_ENABLE) == 0 ? NULL : (void *)(uintptr_t)(value & ~PAGE_MASK);
}

struct hv_message_slot *fake_slot(uint32_t sint)
{
    struct hv_message_page *page = page_of(HV_REGISTER_SIMP);
    return page == NULL ? NULL : &page->slots[sint];
}

_Atomic uint64_t *fake_flags(uint32_t sint)
{
    struct hv_event_flags_page *page = page_of(HV_REGISTER_SIEFP);
    return page == NULL ? NULL : page->words[sint];
}

static bool more_for(uint32_t sint, unsigned from)
{
    for (unsigned n = from; n < fake.queue_count; n++) {
        if (fake.queue[n].sint == sint) {
            return true;
        }
    }
    return false;
}

/* The first message of the queue whose slot is not known to be occupied, by the protocol. */
static bool deliver_message(unsigned n, bool *blocked)
{
    uint32_t sint = fake.queue[n].sint;
    struct hv_message_slot *slot = fake_slot(sint);
    if (blocked[sint] || slot == NULL || (fake.registers[HV_REGISTER_SCONTROL] & 1) == 0) {
        return false;
    }
    if (slot->type != 0) {
        slot->flags |= HV_MESSAGE_FLAG_PENDING;
        blocked[sint] = true;
        return false;
    }
    memcpy(slot->payload, fake.queue[n].payload, sizeof(slot->payload));
    slot->payload_size = fake.queue[n].size;
    slot->flags = fake.endless || more_for(sint, n + 1) ? HV_MESSAGE_FLAG_PENDING : 0;
    slot->type = fake.queue[n].type;
    if (!fake.endless) {
        memmove(&fake.queue[n], &fake.queue[n + 1],
                (fake.queue_count - n - 1) * sizeof(fake.queue[0]));
        fake.queue_count--;
    }
    raise_sint(sint);
    return true;
}

static void deliver_messages(void)
{
    bool blocked[HV_SINT_COUNT] = {false};
    for (unsigned n = 0; n < fake.queue_count;) {
        if (!deliver_message(n, blocked) || fake.endless) {
            n++;
        }
    }
}

void fake_host_send(uint32_t sint, uint32_t type, const void *payload, uint8_t size)
{
    assert_true(fake.queue_count < FAKE_QUEUE_LENGTH);
    fake.queue[fake.queue_count].sint = sint;
    fake.queue[fake.queue_count].type = type;
    fake.queue[fake.queue_count].size = size;
    memset(fake.queue[fake.queue_count].payload, 0, sizeof(fake.queue[0].payload));
    memcpy(fake.queue[fake.queue_count].payload, payload, size < 240 ? size : 240);
    fake.queue_count++;
    deliver_messages();
}

void fake_host_set_flag(uint32_t flag)
{
    _Atomic uint64_t *words = fake_flags(2);
    if (words == NULL || (fake.registers[HV_REGISTER_SCONTROL] & 1) == 0) {
        return;
    }
    uint64_t bit = UINT64_C(1) << flag % 64;
    if ((atomic_fetch_or(&words[flag / 64], bit) & bit) == 0) {
        raise_sint(2);
    }
}

/* ---- time ---- */

static bool next_timer(uint64_t *when, unsigned *index)
{
    bool found = false;
    *when = UINT64_MAX;
    for (unsigned n = 0; n < HV_STIMER_COUNT; n++) {
        uint64_t config = fake.registers[HV_REGISTER_STIMER0_CONFIG + 2 * n];
        uint64_t count = fake.registers[HV_REGISTER_STIMER0_CONFIG + 2 * n + 1];
        if ((config & 1) != 0 && count < *when) {
            found = true;
            *when = count;
            *index = n;
        }
    }
    return found;
}

static void timer_expires(unsigned index)
{
    uint64_t *config = &fake.registers[HV_REGISTER_STIMER0_CONFIG + 2 * index];
    *config &= ~UINT64_C(1);
    if ((*config & HV_STIMER_DIRECT) != 0) {
        raise_vector(*config >> HV_STIMER_VECTOR_SHIFT & 0xFF);
        return;
    }
    uint64_t payload[3] = {index, fake.registers[HV_REGISTER_STIMER0_CONFIG + 2 * index + 1],
                           test_time()};
    uint32_t sint = (uint32_t)(*config >> HV_STIMER_SINT_SHIFT) & 0xF;
    assert_true(sint != 0);
    fake_host_send(sint, HV_MESSAGE_TYPE_TIMER_EXPIRED, payload, sizeof(payload));
}

bool fake_hypervisor_step(void)
{
    uint64_t when;
    unsigned index;
    if (fake_interrupts_deliver()) {
        return true;
    }
    if (!next_timer(&when, &index)) {
        return false;
    }
    if (when > test_time()) {
        test_time_pass(when - test_time());
    }
    timer_expires(index);
    (void)fake_interrupts_deliver();
    return true;
}

void fake_time_pass(uint64_t delay)
{
    uint64_t end = test_time() + delay;
    uint64_t when;
    unsigned index;
    (void)fake_interrupts_deliver();
    while (next_timer(&when, &index) && when <= end) {
        (void)fake_hypervisor_step();
    }
    if (end > test_time()) {
        test_time_pass(end - test_time());
    }
}

bool test_host_step(void)
{
    return fake_hypervisor_step();
}

uint64_t arch_reference_counter(void)
{
    uint64_t counter = fake.counter;
    if (fake.on_counter_read != NULL) {
        fake.on_counter_read();
    }
    return counter;
}

void arch_timer_frequencies(uint64_t counter, uint64_t timer)
{
    fake.handed_counter_frequency = counter;
    fake.handed_timer_frequency = timer;
}
