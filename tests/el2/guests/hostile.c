/* SPDX-License-Identifier: MIT */
/*
 * A guest that does what no guest should, to see that the host at EL2 says so: `test=NAME` on its
 * command line, one of the table at the end. It ends with status 0 if its test found everything as
 * it should be, with the number of the check that failed otherwise.
 */
#include <string.h>

#include "arch/aarch64/hypervisor_abi.h"
#include "tests/el2/guests/guest_machine.h"
#include "tests/el2/guests/tests.h"
#include "vmbus/protocol.h"

#define PSCI_RESET UINT64_C(0x84000009)

void guest_main(const char *device_tree);

/* ---- what a guest may not do ---- */

static void read_behind_memory(void)
{
    (void)*(volatile uint32_t *)(GUEST_MEMORY_END + 0x1238);
}

static void write_to_the_host(void)
{
    *(volatile uint32_t *)HOST_IMAGE = 0;
}

static void execute_nowhere(void)
{
    ((void (*)(void))(GUEST_MEMORY_END + 0x4000))();
}

static void unknown_hypercall(void)
{
    const uint64_t none[6] = {0};

    synic_start();
    (void)call_fast(0x7777, 0, none, NULL);
}

static void unknown_convention(void)
{
    const uint64_t in[8] = {HV_CALL_POST_MESSAGE};

    (void)call_hvc2(in, NULL);
}

static void unknown_secure_call(void)
{
    const uint64_t in[8] = {UINT64_C(0xC2000001)};

    (void)call_smc(in, NULL);
}

static void read_unknown_register(void)
{
    uint64_t value;

    (void)register_get(0x12345, &value);
}

static void write_unknown_register(void)
{
    (void)register_set(0x000A0099, 1);
}

static void reset(void)
{
    const uint64_t in[8] = {PSCI_RESET};

    (void)call_hvc0(in, NULL);
}

static void wait_for_ever(void)
{
    interrupts_start();
    for (;;) {
        wait();
    }
}

static void calculate_for_ever(void)
{
    for (;;) {
        __asm__ volatile("");
    }
}

/* ---- what a host refuses, and goes on ---- */

static void refused_calls(void)
{
    static _Alignas(4096) uint8_t input[4096];
    const uint64_t in_plain[8] = {HV_CALL_GET_VP_REGISTERS | HV_CALL_FAST | UINT64_C(1) << 32,
                                  HV_PARTITION_SELF, HV_VP_SELF, HV_ARM64_VP_INDEX};
    const uint64_t somebody[6] = {HV_PARTITION_SELF, 1, HV_ARM64_VP_INDEX};
    const uint64_t no_flag[6] = {0x2001 | UINT64_C(1) << 32};
    const uint64_t no_channel[6] = {0x77777};
    uint64_t value = 0;
    struct words out;

    check(1, register_get(HV_ARM64_PRIVILEGES, &value) == HV_STATUS_SUCCESS &&
                 (value & HV_PRIVILEGE_SYNIC) != 0);
    check(2, register_get(HV_ARM64_VP_INDEX, &value) == HV_STATUS_ACCESS_DENIED);
    check(3, register_set(HV_ARM64_SCONTROL, 1) == HV_STATUS_ACCESS_DENIED);
    check(4, post(VMBUS_CONNECTION_ID_MESSAGES, input, 0) == HV_STATUS_ACCESS_DENIED);
    synic_start();
    check(29, register_set(HV_ARM64_VP_INDEX, 1) == HV_STATUS_INVALID_PARAMETER);
    check(5, register_set(HV_ARM64_SIMP, 0x1003) == HV_STATUS_INVALID_PARAMETER);
    check(6, register_set(HV_ARM64_SIMP, GUEST_MEMORY_END | 1) == HV_STATUS_INVALID_PARAMETER);
    check(7, register_set(HV_ARM64_SINT0, 8) == HV_STATUS_INVALID_PARAMETER);
    check(8, register_get(HV_ARM64_SINT0, &value) == HV_STATUS_SUCCESS && value == HV_SINT_MASKED);
    check(9, post(0x55, input, 0) == HV_STATUS_INVALID_CONNECTION_ID);
    check(10, post(VMBUS_CONNECTION_ID_MESSAGES, input, 241) == HV_STATUS_INVALID_PARAMETER);
    check(11, post_at((uintptr_t)input + 4) == HV_STATUS_INVALID_ALIGNMENT);
    check(12, post_at((uintptr_t)input + 4096 - 128) == HV_STATUS_INVALID_ALIGNMENT);
    check(13, post_at(GUEST_MEMORY_END) == HV_STATUS_INVALID_PARAMETER);
    check(14,
          call_fast(HV_CALL_SIGNAL_EVENT, 0, no_channel, NULL) == HV_STATUS_INVALID_CONNECTION_ID);
    check(15, call_fast(HV_CALL_SIGNAL_EVENT, 0, no_flag, NULL) == HV_STATUS_INVALID_PORT_ID);
    check(16,
          call_fast(HV_CALL_SIGNAL_EVENT, 1, no_flag, NULL) == HV_STATUS_INVALID_HYPERCALL_INPUT);
    check(17, call_fast(HV_CALL_GET_VP_REGISTERS, 0, no_flag, NULL) ==
                  HV_STATUS_INVALID_HYPERCALL_INPUT);
    check(18, call_fast(HV_CALL_GET_VP_REGISTERS, 1, somebody, NULL) == HV_STATUS_ACCESS_DENIED);
    (void)call_hvc1(in_plain, &out);
    check(19, (hv_status)out.x[0] == HV_STATUS_SUCCESS && out.x[15] == 0);
}

static void nothing(void)
{
}

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    {"nothing", nothing},
    {"read_behind_memory", read_behind_memory},
    {"write_to_the_host", write_to_the_host},
    {"execute_nowhere", execute_nowhere},
    {"unknown_hypercall", unknown_hypercall},
    {"unknown_convention", unknown_convention},
    {"unknown_secure_call", unknown_secure_call},
    {"read_unknown_register", read_unknown_register},
    {"write_unknown_register", write_unknown_register},
    {"reset", reset},
    {"wait_for_ever", wait_for_ever},
    {"calculate_for_ever", calculate_for_ever},
    {"refused_calls", refused_calls},
    {"bad_messages", bad_messages},
    {"covered_page", covered_page},
    {"occupied_slot", occupied_slot},
    {"answers_never_taken", answers_never_taken},
    {"scattered_rings", scattered_rings},
    {"other_processors", other_processors},
};

/* Whether `name` stands at `text`, and ends there. */
static bool begins_with(const char *text, const char *name)
{
    while (*name != '\0' && *text == *name) {
        text++;
        name++;
    }
    return *name == '\0' && (*text == '\0' || *text == ' ');
}

/* The command line is somewhere in the device tree, and nothing else there looks like it. */
void guest_main(const char *device_tree)
{
    static const char key[] = {'t', 'e', 's', 't', '='};

    for (unsigned at = 0; at < 4096; at++) {
        unsigned same = 0;
        while (same < sizeof(key) && device_tree[at + same] == key[same]) {
            same++;
        }
        for (size_t i = 0; same == sizeof(key) && i < sizeof(tests) / sizeof(tests[0]); i++) {
            if (begins_with(device_tree + at + same, tests[i].name)) {
                print("hostile: ");
                print(tests[i].name);
                print("\n");
                tests[i].run();
                leave(0);
            }
        }
    }
    print("hostile: no such test\n");
    leave(99);
}
