/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "arch/x86_64/hypervisor_words.h"
#include "hv/discovery.h"
#include "hv/tlfs.h"

/* ---- a processor whose CPUID answers as told ---- */

#define SIGNATURE 0x31237648u

static struct {
    struct cpuid_words processor;
    struct cpuid_words leaves[16]; /* from 0x40000000 */
    uint32_t highest_asked;
} machine;

static struct cpuid_words cpuid_read(uint32_t leaf)
{
    if (leaf == 1) {
        return machine.processor;
    }
    assert_in_range(leaf, 0x40000000u, 0x4000000Fu);
    machine.highest_asked = leaf > machine.highest_asked ? leaf : machine.highest_asked;
    return machine.leaves[leaf - 0x40000000u];
}

static void machine_is(const char *vendor, uint32_t highest, uint32_t signature)
{
    memset(&machine, 0, sizeof(machine));
    machine.processor.ecx = 0x80000000u;
    machine.leaves[0].eax = highest;
    memcpy(&machine.leaves[0].ebx, vendor, 4);
    memcpy(&machine.leaves[0].ecx, vendor + 4, 4);
    memcpy(&machine.leaves[0].edx, vendor + 8, 4);
    machine.leaves[1].eax = signature;
}

static void machine_has(uint32_t eax, uint32_t ebx, uint32_t edx, uint32_t recommendations)
{
    machine.leaves[3].eax = eax;
    machine.leaves[3].ebx = ebx;
    machine.leaves[3].edx = edx;
    machine.leaves[4].eax = recommendations;
}

static struct arch_hypervisor words_of_machine(void)
{
    struct arch_hypervisor words;
    memset(&words, 0xAA, sizeof(words));
    hypervisor_words_read(cpuid_read, &words);
    return words;
}

static enum hv_presence decide(const struct arch_hypervisor *words)
{
    const char *reason = NULL;
    enum hv_presence presence = hv_discover(words, &reason);
    assert_non_null(reason);
    assert_int_equal(presence == HV_PRESENT, reason[0] == '\0');
    return presence;
}

static enum hv_presence decide_on_machine(void)
{
    struct arch_hypervisor words = words_of_machine();
    return decide(&words);
}

/* ---- tests ---- */

/* Words of leaf 3 and 4 from boot logs of Linux guests. */
static void real_hosts_are_accepted(void **state)
{
    (void)state;
    static const uint32_t hosts[][4] = {
        {0x2E7F, 0x3B8030, 0xBED7B2, 0x0C2C},     /* Windows 10, build 19041 */
        {0x2E7F, 0x3B8030, 0xBED7B2, 0x24E24},    /* build 19045 */
        {0xAE7F, 0x388030, 0xC0BED7B2, 0x140C2C}, /* Server 2022, build 20348 */
        {0xAE7F, 0x3B8030, 0xE4BED7B6, 0xA4E24},  /* build 22621 */
        {0xAE7F, 0x3B8030, 0xE0BED7B2, 0xA0E24},  /* build 26100 */
        {0xAE7F, 0x3B8030, 0xE0BED7B6, 0x902C2C}, /* build 26100, WSL */
    };
    for (size_t n = 0; n < sizeof(hosts) / sizeof(hosts[0]); n++) {
        machine_is("Microsoft Hv", 0x4000000B, SIGNATURE);
        machine_has(hosts[n][0], hosts[n][1], hosts[n][2], hosts[n][3]);
        struct arch_hypervisor words = words_of_machine();
        assert_int_equal(decide(&words), HV_PRESENT);
        assert_int_equal(words.privileges, (uint64_t)hosts[n][1] << 32 | hosts[n][0]);
        assert_int_equal(words.recommendations, hosts[n][3]);
        uint64_t expected = HV_FEATURE_CRASH | HV_FEATURE_DIRECT_STIMER | HV_FEATURE_FREQUENCIES;
        assert_int_equal(words.features & expected, expected);
    }
}

/* ARM64 has the words in the 128-bit numbering already. The last host has no privilege to post
 * messages, and serves it. */
static void real_arm64_words_are_accepted(void **state)
{
    (void)state;
    struct arch_hypervisor words = {
        .present = true,
        .is_hyperv = true,
        .privileges = UINT64_C(0x3A8030) << 32 | 0x2E7F,
        .features = 0x31E1,
    };
    assert_int_equal(decide(&words), HV_PRESENT);
    assert_true((words.features & HV_FEATURE_CRASH) != 0);
    words.privileges = UINT64_C(0x0A0020) << 32 | 0x027F;
    assert_true((words.privileges & HV_PRIVILEGE_POST_MESSAGES) == 0);
    assert_int_equal(decide(&words), HV_PRESENT);
}

static void qemu_is_accepted(void **state)
{
    (void)state;
    machine_is("Microsoft Hv", 0x40000005, SIGNATURE);
    machine_has(0xAFF, 0x30, 0x508, 0x28);
    machine.leaves[2] = (struct cpuid_words){14393, 0x000A0000, 0, 0};
    machine.leaves[5] = (struct cpuid_words){64, 65, 66, 67};
    struct arch_hypervisor words = words_of_machine();
    assert_int_equal(decide(&words), HV_PRESENT);
    assert_string_equal(words.vendor, "Microsoft Hv");
    assert_int_equal(words.version[0], 14393);
    assert_int_equal(words.version[1], 0x000A0000);
    assert_int_equal(words.limits[0], 64);
    assert_int_equal(words.limits[1], 65);
    assert_true((words.features & HV_FEATURE_DIRECT_STIMER) == 0);
    assert_true((words.features & HV_FEATURE_CRASH) != 0);
    assert_true((words.features & HV_FEATURE_FREQUENCIES) != 0);
    /* Everything KVM has, under KVM's own vendor. */
    machine_is("Linux KVM Hv", 0x4000000A, SIGNATURE);
    machine_has(0xAAFF, 0x100830, 0x84D12, 0x40E2C);
    assert_int_equal(decide_on_machine(), HV_PRESENT);
}

/* Neither post messages nor signal events, version and limits all zero. */
static void openvmm_on_kvm_is_accepted(void **state)
{
    (void)state;
    machine_is("Microsoft Hv", 0x40000006, SIGNATURE);
    machine_has(0x87F, 0, 0x100, 1u << 9);
    assert_int_equal(decide_on_machine(), HV_PRESENT);
}

static void the_vendor_is_for_display_only(void **state)
{
    (void)state;
    machine_is("\x02ome\x01\xff\x7f en\xff", 0x40000005, SIGNATURE);
    machine_has(0xAFF, 0x30, 0x508, 0);
    struct arch_hypervisor words = words_of_machine();
    assert_int_equal(decide(&words), HV_PRESENT);
    assert_string_equal(words.vendor, "?ome??? en?");
}

static void bare_hardware_has_no_hypervisor(void **state)
{
    (void)state;
    machine_is("Microsoft Hv", 0x40000005, SIGNATURE);
    machine_has(0xAFF, 0x30, 0x508, 0);
    machine.processor.ecx = 0x7FFFFFFFu;
    assert_int_equal(decide_on_machine(), HV_ABSENT);
    assert_int_equal(machine.highest_asked, 0);
}

static void other_hypervisors_are_not_this_one(void **state)
{
    (void)state;
    machine_is("KVMKVMKVM\0\0\0", 0x40000001, 0x01007EFB);
    assert_int_equal(decide_on_machine(), HV_ABSENT);
    machine_is("VMwareVMware", 0x40000010, 0);
    assert_int_equal(decide_on_machine(), HV_ABSENT);
    machine_is("XenVMMXenVMM", 0x40000005, 0x00040011);
    assert_int_equal(decide_on_machine(), HV_ABSENT);
}

static void a_highest_leaf_out_of_range_is_not_this_interface(void **state)
{
    (void)state;
    static const uint32_t highest[] = {0, 0x40000000, 0x40000004, 0x40010000, 0xFFFFFFFF};
    for (size_t n = 0; n < sizeof(highest) / sizeof(highest[0]); n++) {
        machine_is("Microsoft Hv", highest[n], SIGNATURE);
        machine_has(0xAFF, 0x30, 0x508, 0);
        assert_int_equal(decide_on_machine(), HV_ABSENT);
        assert_int_equal(machine.highest_asked, 0x40000000);
    }
}

static void imitations_are_refused_unless_both_required_privileges_are_there(void **state)
{
    (void)state;
    for (uint32_t required = 0; required < 4; required++) {
        machine_is("Microsoft Hv", 0x40000005, SIGNATURE);
        machine_has(0xA9F & ~0x60u, 0x30, 0x508, 0);
        machine.leaves[3].eax |= required << 5;
        assert_int_equal(decide_on_machine(), required == 3 ? HV_PRESENT : HV_ABSENT);
    }
}

static void confidential_machines_and_the_root_partition_are_refused(void **state)
{
    (void)state;
    machine_is("Microsoft Hv", 0x4000000C, SIGNATURE);
    machine_has(0xAE7F, 0x3B8030 | 1u << 22, 0xBED7B2, 0);
    assert_int_equal(decide_on_machine(), HV_REFUSED);
    machine_has(0xAE7F, 0x3B8030 | 1u << 12, 0xBED7B2, 0);
    assert_int_equal(decide_on_machine(), HV_REFUSED);
}

/* Museum M22: other clouds have the leaves and no bus. */
static void museum_m22_leaves_without_a_synic_leave_the_rest_usable(void **state)
{
    (void)state;
    machine_is("Microsoft Hv", 0x40000005, SIGNATURE);
    machine_has(0xAFF & ~4u, 0, 0x500, 0);
    assert_int_equal(decide_on_machine(), HV_WITHOUT_SYNIC);
}

static void leaves_beyond_the_highest_are_zero_and_never_asked_for(void **state)
{
    (void)state;
    for (uint32_t highest = 0x40000005; highest <= 0x4000000D; highest++) {
        machine_is("Microsoft Hv", highest, SIGNATURE);
        machine_has(0xAFF, 0, 0x508, 0);
        machine.leaves[6].eax = 0x123;
        struct arch_hypervisor words = words_of_machine();
        assert_true(machine.highest_asked <= highest);
        assert_int_equal(words.hardware, highest >= 0x40000006 ? 0x123 : 0);
    }
}

/* EDX of leaf 3 against the numbering of the 128-bit register, from the tables of both
 * architectures. */
static void each_feature_bit_gets_its_number(void **state)
{
    (void)state;
    static const int numbers[32] = {
        [0] = -1,  [1] = 64,  [2] = 65,  [3] = 66,  [4] = -1,  [5] = 67,  [6] = 68,  [7] = 69,
        [8] = 70,  [9] = 71,  [10] = 72, [11] = 73, [12] = -1, [13] = 74, [14] = 75, [15] = -1,
        [16] = -1, [17] = 76, [18] = -1, [19] = 77, [20] = -1, [21] = -1, [22] = -1, [23] = -1,
        [24] = -1, [25] = -1, [26] = -1, [27] = -1, [28] = -1, [29] = -1, [30] = -1, [31] = -1,
    };
    for (unsigned bit = 0; bit < 32; bit++) {
        machine_is("Microsoft Hv", 0x40000005, SIGNATURE);
        machine_has(0xAFF, 0x30, 1u << bit, 0);
        uint64_t expected = numbers[bit] < 0 ? 0 : UINT64_C(1) << (numbers[bit] - 64);
        assert_int_equal(words_of_machine().features, expected);
    }
}

static void an_empty_hypercall_page_is_told_from_code(void **state)
{
    (void)state;
    uint8_t page[64] = {0};
    assert_false(hypercall_page_has_code(page));
    memset(page, 0xCC, sizeof(page));
    assert_false(hypercall_page_has_code(page));
    static const uint8_t vmmcall_ret[] = {0x0F, 0x01, 0xD9, 0xC3};
    memcpy(page, vmmcall_ret, sizeof(vmmcall_ret));
    assert_true(hypercall_page_has_code(page));
    memset(page + 4, 0, sizeof(page) - 4);
    assert_true(hypercall_page_has_code(page));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_hosts_are_accepted),
        cmocka_unit_test(real_arm64_words_are_accepted),
        cmocka_unit_test(qemu_is_accepted),
        cmocka_unit_test(openvmm_on_kvm_is_accepted),
        cmocka_unit_test(the_vendor_is_for_display_only),
        cmocka_unit_test(bare_hardware_has_no_hypervisor),
        cmocka_unit_test(other_hypervisors_are_not_this_one),
        cmocka_unit_test(a_highest_leaf_out_of_range_is_not_this_interface),
        cmocka_unit_test(imitations_are_refused_unless_both_required_privileges_are_there),
        cmocka_unit_test(confidential_machines_and_the_root_partition_are_refused),
        cmocka_unit_test(museum_m22_leaves_without_a_synic_leave_the_rest_usable),
        cmocka_unit_test(leaves_beyond_the_highest_are_zero_and_never_asked_for),
        cmocka_unit_test(each_feature_bit_gets_its_number),
        cmocka_unit_test(an_empty_hypercall_page_is_told_from_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
