/* SPDX-License-Identifier: MIT */
/* How ARM64 reaches the hypervisor: each call register by register, against hosts of several kinds.
 */
#include <string.h>

#include "arch/aarch64/call.h"
#include "arch/aarch64/interrupts.h"
#include "arch/aarch64/platform.h"
#include "arch/hypervisor.h"
#include "test_arch.h"

#define NOT_SUPPORTED     UINT64_MAX
#define INVALID_PARAMETER 5u

struct platform platform;

static struct {
    bool has_identity;
    bool knows_hvc0;
    bool knows_registers;   /* 0x100, 0x200 to 0x203 */
    uint64_t features_high; /* of register 0x200 */
    uint64_t crash_control; /* 0: reading it fails */
    struct call_registers last;
    unsigned identity_calls, hvc0_calls, hvc1_calls, smc_calls;
} host;

static void value_of(uint64_t name, uint64_t *status, uint64_t *low, uint64_t *high)
{
    *status = 0;
    *low = 0;
    *high = 0;
    if (name == 0x90003) {
        *low = 7;
    } else if (name == 0x215 && host.crash_control != 0) {
        *low = host.crash_control;
    } else if (host.knows_registers && name == 0x100) {
        *low = UINT64_C(0x000a0000000055f0);
    } else if (host.knows_registers && name == 0x200) {
        *low = UINT64_C(0x003a803000002e7f);
        *high = host.features_high;
    } else if (host.knows_registers && name == 0x201) {
        *low = UINT64_C(0xffffffff0000000e);
    } else if (host.knows_registers && name >= 0x202 && name <= 0x203) {
        *low = name;
    } else {
        *status = INVALID_PARAMETER;
    }
}

void call_hvc0(struct call_registers *registers)
{
    host.last = *registers;
    if (registers->x[0] == 0x8600ff01) {
        host.identity_calls++;
        registers->x[0] = host.has_identity ? 0x4d32ba58 : NOT_SUPPORTED;
        registers->x[1] = 0xcd244764;
        registers->x[2] = 0x8eef6c75;
        registers->x[3] = host.has_identity ? 0x16597024 : 0;
        return;
    }
    host.hvc0_calls++;
    if (!host.knows_hvc0) {
        registers->x[0] = NOT_SUPPORTED;
        return;
    }
    assert_int_equal(registers->x[0], 0x46000001);
    if ((registers->x[1] & 0xffff) == 0x50) {
        value_of(registers->x[4], &registers->x[0], &registers->x[6], &registers->x[7]);
    } else {
        registers->x[0] = 0;
    }
}

void call_hvc1(struct call_registers *registers)
{
    host.last = *registers;
    host.hvc1_calls++;
    if ((registers->x[0] & 0xffff) == 0x50) {
        value_of(registers->x[3], &registers->x[0], &registers->x[15], &registers->x[16]);
    } else {
        registers->x[0] = 0;
    }
}

void call_smc0(struct call_registers *registers)
{
    host.smc_calls++;
    registers->x[0] = NOT_SUPPORTED;
}

static uint32_t attached[4];
static unsigned attached_count;

bool interrupt_attach(uint32_t number, bool edge, void (*run)(void *context), void *context)
{
    (void)run;
    (void)context;
    assert_true(edge);
    for (unsigned i = 0; i < attached_count; i++) {
        if (attached[i] == number) {
            return false;
        }
    }
    attached[attached_count++] = number;
    return true;
}

void interrupt_detach(uint32_t number)
{
    assert_int_equal(attached[attached_count - 1], number);
    attached_count--;
}

static struct arch_hypervisor words;

static void read_words(void)
{
    memset(&words, 0xff, sizeof(words));
    arch_hypervisor_read(&words);
}

static int setup(void **state)
{
    memset(&host, 0, sizeof(host));
    host.has_identity = host.knows_hvc0 = host.knows_registers = true;
    host.features_high = 0x31e1;
    platform = (struct platform){.conduit = PLATFORM_CONDUIT_HVC, .vmbus_interrupt = 20};
    attached_count = 0;
    return test_arch_setup(state);
}

static void a_real_hosts_words_are_read(void **state)
{
    (void)state;
    read_words();
    assert_true(words.present);
    assert_true(words.is_hyperv);
    assert_int_equal(words.version[0], 22000);
    assert_int_equal(words.version[1], 0xa0000);
    assert_int_equal(words.privileges, UINT64_C(0x003a803000002e7f));
    assert_int_equal(words.recommendations, 0xe);
    assert_int_equal(words.limits[0], 0x202);
    assert_int_equal(words.hardware, 0x203);
}

static void frequency_registers_are_not_offered(void **state)
{
    (void)state;
    read_words();
    assert_int_equal(words.features, 0x31a1);
}

static void the_table_identifies_where_there_is_one(void **state)
{
    (void)state;
    host.has_identity = false;
    read_words();
    assert_false(words.present);
    assert_int_equal(host.identity_calls, 1);

    platform.names_hyperv = true;
    platform.conduit = PLATFORM_CONDUIT_SMC;
    read_words();
    assert_true(words.is_hyperv);
    assert_int_equal(host.identity_calls, 1);
    assert_int_equal(host.smc_calls, 0);
}

/* Without a hypervisor that instruction is an exception. */
static void nobody_is_asked_by_hvc_where_firmware_is_called_by_smc(void **state)
{
    (void)state;
    platform.conduit = PLATFORM_CONDUIT_SMC;
    read_words();
    assert_false(words.present);
    platform.conduit = PLATFORM_CONDUIT_NONE;
    read_words();
    assert_false(words.present);
    assert_int_equal(host.identity_calls + host.hvc0_calls + host.hvc1_calls, 0);
}

static void a_host_that_tells_nothing_still_has_synic_and_hypercalls(void **state)
{
    (void)state;
    host.knows_registers = false;
    read_words();
    assert_true(words.is_hyperv);
    assert_int_equal(words.privileges, 0x64);
    assert_int_equal(words.features, 0);
}

static void the_other_convention_is_used_where_the_first_is_not_known(void **state)
{
    (void)state;
    host.knows_hvc0 = false;
    read_words();
    assert_int_equal(words.version[0], 22000);
    assert_int_equal(arch_hv_register_read(HV_REGISTER_VP_INDEX), 7);
    assert_int_equal(host.last.x[0], UINT64_C(0x0000000100010050));
    assert_int_equal(host.last.x[1], UINT64_MAX);
    assert_int_equal(host.last.x[2], 0xfffffffe);
    assert_int_equal(host.last.x[3], 0x90003);
    arch_hv_register_write(HV_REGISTER_EOM, 9);
    assert_int_equal(host.last.x[0], UINT64_C(0x0000000100010051));
    assert_int_equal(host.last.x[3], 0xa0014);
    assert_int_equal(host.last.x[5], 9);
    assert_int_equal(arch_hypercall(0x5c, 0x1000, 0x2000), 0);
    assert_int_equal(host.last.x[0], 0x5c);
    assert_int_equal(host.last.x[1], 0x1000);
    assert_int_equal(host.last.x[2], 0x2000);
    assert_int_equal(host.hvc0_calls, 1);
}

static void registers_are_read_and_written_for_the_own_processor(void **state)
{
    (void)state;
    read_words();
    assert_int_equal(arch_hv_register_read(HV_REGISTER_VP_INDEX), 7);
    const uint64_t get[] = {0x46000001, UINT64_C(0x0000000100010050), UINT64_MAX, 0xfffffffe,
                            0x90003};
    assert_memory_equal(host.last.x, get, sizeof(get));
    arch_hv_register_write((enum hv_register)(HV_REGISTER_SINT0 + 2), UINT64_C(0x123456789abc));
    const uint64_t set[] = {
        0x46000001, UINT64_C(0x0000000100010051), UINT64_MAX, 0xfffffffe, 0xa0002,
        0,          UINT64_C(0x123456789abc),     0};
    assert_memory_equal(host.last.x, set, sizeof(set));
    arch_hv_register_write((enum hv_register)(HV_REGISTER_STIMER0_CONFIG + 3), 1);
    assert_int_equal(host.last.x[4], 0xb0003);
    assert_int_equal(arch_hypercall(0x1005d, 4, 0), 0);
    assert_int_equal(host.last.x[1], 0x1005d);
    assert_int_equal(host.last.x[2], 4);
}

static void a_register_that_cannot_be_read_is_zero(void **state)
{
    (void)state;
    read_words();
    assert_int_equal(arch_hv_register_read(HV_REGISTER_SIMP), 0);
}

static void crash_reports_are_tried_where_their_register_cannot_be_read(void **state)
{
    (void)state;
    const uint64_t both = UINT64_C(3) << 62;

    read_words();
    assert_int_equal(arch_hv_register_read(HV_REGISTER_CRASH_CTL), both);
    host.crash_control = UINT64_C(1) << 63;
    assert_int_equal(arch_hv_register_read(HV_REGISTER_CRASH_CTL), UINT64_C(1) << 63);
}

static void handler(void *context)
{
    (void)context;
}

static void vmbus_gets_the_interrupt_that_the_machine_names(void **state)
{
    (void)state;
    assert_int_equal(arch_synic_interrupt_attach(handler, NULL), 20);
    assert_int_equal(arch_synic_interrupt_attach(handler, NULL), 17);
    assert_int_equal(arch_synic_interrupt_attach(handler, NULL), 0);
    arch_synic_interrupt_detach(17);
    assert_int_equal(arch_synic_interrupt_attach(handler, NULL), 17);
}

static void without_a_name_vmbus_gets_the_documented_one(void **state)
{
    (void)state;
    platform.vmbus_interrupt = 0;
    assert_int_equal(arch_synic_interrupt_attach(handler, NULL), 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_real_hosts_words_are_read, setup),
        cmocka_unit_test_setup(frequency_registers_are_not_offered, setup),
        cmocka_unit_test_setup(the_table_identifies_where_there_is_one, setup),
        cmocka_unit_test_setup(nobody_is_asked_by_hvc_where_firmware_is_called_by_smc, setup),
        cmocka_unit_test_setup(a_host_that_tells_nothing_still_has_synic_and_hypercalls, setup),
        cmocka_unit_test_setup(the_other_convention_is_used_where_the_first_is_not_known, setup),
        cmocka_unit_test_setup(registers_are_read_and_written_for_the_own_processor, setup),
        cmocka_unit_test_setup(a_register_that_cannot_be_read_is_zero, setup),
        cmocka_unit_test_setup(crash_reports_are_tried_where_their_register_cannot_be_read, setup),
        cmocka_unit_test_setup(vmbus_gets_the_interrupt_that_the_machine_names, setup),
        cmocka_unit_test_setup(without_a_name_vmbus_gets_the_documented_one, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
