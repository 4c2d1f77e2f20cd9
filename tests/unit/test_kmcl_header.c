/* SPDX-License-Identifier: MIT */
/*
 * The public header: every function has its documented type, every flag and status its value, and
 * the header compiles alone, as C and as C++, under both compilers.
 */

/* Twice, and before everything else. */
#include "VmbusKernelModeClientLibApi.h"
#include "kmcl_extensions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- types: a mismatch does not compile ---- */

static const struct {
    PFN_VMB_CHANNEL_ALLOCATE a1;
    PFN_VMB_CHANNEL_CLEANUP a2;
    PFN_VMB_CHANNEL_CREATE_GPADL_FROM_BUFFER a3;
    PFN_VMB_CHANNEL_CREATE_GPADL_FROM_MDL a4;
    PFN_VMB_CHANNEL_DELETE_GPADL a5;
    PFN_VMB_CHANNEL_DISABLE a6;
    PFN_VMB_CHANNEL_ENABLE a7;
    PFN_VMB_CHANNEL_GET_INTERFACE_INSTANCE a8;
    PFN_VMB_CHANNEL_GET_MMIO_SPACE a9;
    PFN_VMB_CHANNEL_GET_POINTER a10;
    PFN_VMB_CHANNEL_INIT_SET_CLIENT_CONTEXT_SIZE a11;
    PFN_VMB_CHANNEL_INIT_SET_FLAGS a12;
    PFN_VMB_CHANNEL_INIT_SET_FRIENDLY_NAME a13;
    PFN_VMB_CHANNEL_INIT_SET_MAXIMUM_EXTERNAL_DATA a14;
    PFN_VMB_CHANNEL_INIT_SET_MAXIMUM_PACKET_SIZE a15;
    PFN_VMB_CHANNEL_INIT_SET_PROCESS_PACKET_CALLBACKS a16;
    PFN_VMB_CHANNEL_INIT_SET_STATE_CHANGE_CALLBACKS a17;
    PFN_VMB_CHANNEL_PACKET_COMPLETE a18;
    PFN_VMB_CHANNEL_PACKET_DEFER_TO_PASSIVE a19;
    PFN_VMB_CHANNEL_PACKET_FAIL a20;
    PFN_VMB_CHANNEL_PACKET_GET_EXTERNAL_DATA a21;
    PFN_VMB_CHANNEL_PAUSE a22;
    PFN_VMB_CHANNEL_SEND_SYNCHRONOUS_REQUEST a23;
    PFN_VMB_CHANNEL_SET_INCOMING_PROCESSING_AT_PASSIVE a24;
    PFN_VMB_CHANNEL_SET_INTERRUPT_LATENCY a25;
    PFN_VMB_CHANNEL_SET_POINTER a26;
    PFN_VMB_CHANNEL_SET_TRANSACTION_QUOTA a27;
    PFN_VMB_CHANNEL_SIZEOF_PACKET a28;
    PFN_VMB_CHANNEL_START a29;
    PFN_VMB_CLIENT_CHANNEL_INIT_SET_RING_BUFFER_PAGE_COUNT a30;
    PFN_VMB_CLIENT_CHANNEL_INIT_SET_TARGET_PNP a31;
    PFN_VMB_PACKET_ALLOCATE a32;
    PFN_VMB_PACKET_FREE a33;
    PFN_VMB_PACKET_GET_CHANNEL a34;
    PFN_VMB_PACKET_GET_POINTER a35;
    PFN_VMB_PACKET_INITIALIZE a36;
    PFN_VMB_PACKET_SEND a37;
    PFN_VMB_PACKET_SEND_WITH_EXTERNAL_MDL a38;
    PFN_VMB_PACKET_SEND_WITH_EXTERNAL_PFNS a39;
    PFN_VMB_PACKET_SET_COMPLETION_ROUTINE a40;
    PFN_VMB_PACKET_SET_POINTER a41;
} client_interface = {
    VmbChannelAllocate,
    VmbChannelCleanup,
    VmbChannelCreateGpadlFromBuffer,
    VmbChannelCreateGpadlFromMdl,
    VmbChannelDeleteGpadl,
    VmbChannelDisable,
    VmbChannelEnable,
    VmbChannelGetInterfaceInstance,
    VmbChannelGetMmioSpace,
    VmbChannelGetPointer,
    VmbChannelInitSetClientContextSize,
    VmbChannelInitSetFlags,
    VmbChannelInitSetFriendlyName,
    VmbChannelInitSetMaximumExternalData,
    VmbChannelInitSetMaximumPacketSize,
    VmbChannelInitSetProcessPacketCallbacks,
    VmbChannelInitSetStateChangeCallbacks,
    VmbChannelPacketComplete,
    VmbChannelPacketDeferToPassive,
    VmbChannelPacketFail,
    VmbChannelPacketGetExternalData,
    VmbChannelPause,
    VmbChannelSendSynchronousRequest,
    VmbChannelSetIncomingProcessingAtPassive,
    VmbChannelSetInterruptLatency,
    VmbChannelSetPointer,
    VmbChannelSetTransactionQuota,
    VmbChannelSizeofPacket,
    VmbChannelStart,
    VmbClientChannelInitSetRingBufferPageCount,
    VmbClientChannelInitSetTargetPnp,
    VmbPacketAllocate,
    VmbPacketFree,
    VmbPacketGetChannel,
    VmbPacketGetPointer,
    VmbPacketInitialize,
    VmbPacketSend,
    VmbPacketSendWithExternalMdl,
    VmbPacketSendWithExternalPfns,
    VmbPacketSetCompletionRoutine,
    VmbPacketSetPointer,
};

/* The signatures as documented, written out once more. */
_Static_assert(_Generic(&VmbChannelSendSynchronousRequest,
                        NTSTATUS (*)(VMBCHANNEL, PVOID, UINT32, PMDL, UINT32, PVOID, PUINT32,
                                     PLARGE_INTEGER) : 1,
                        default : 0),
               "VmbChannelSendSynchronousRequest");
_Static_assert(_Generic(&VmbPacketSendWithExternalMdl,
                        NTSTATUS (*)(VMBPACKET, PVOID, UINT32, PMDL, UINT32, UINT32, UINT32) : 1,
                        default : 0),
               "VmbPacketSendWithExternalMdl");
_Static_assert(_Generic(&VmbPacketSendWithExternalPfns,
                        NTSTATUS (*)(VMBPACKET, PVOID, UINT32, PPFN_NUMBER, UINT32, UINT32) : 1,
                        default : 0),
               "VmbPacketSendWithExternalPfns");
_Static_assert(_Generic(&VmbChannelGetMmioSpace, void (*)(VMBCHANNEL, UINT64 *, UINT64 *) : 1,
                        default : 0),
               "VmbChannelGetMmioSpace");
_Static_assert(_Generic((PFN_VMB_PACKET_COMPLETION_ROUTINE)0,
                        void (*)(VMBPACKET, NTSTATUS, PVOID, UINT32) : 1, default : 0),
               "EvtVmbPacketCompletionRoutine");
_Static_assert(_Generic((PFN_VMB_CHANNEL_PROCESS_PACKET)0,
                        void (*)(VMBCHANNEL, VMBPACKETCOMPLETION, PVOID, UINT32, UINT32) : 1,
                        default : 0),
               "EvtVmbChannelProcessPacket");
_Static_assert(_Generic((PFN_VMB_CHANNEL_OPENED)0, NTSTATUS (*)(VMBCHANNEL) : 1, default : 0),
               "EvtChannelOpened");
_Static_assert(_Generic((PFN_VMB_CHANNEL_PNP_FAILURE)0, void (*)(VMBCHANNEL, NTSTATUS) : 1,
                        default : 0),
               "EvtChannelPnpFailure");

/* ---- layouts ---- */

_Static_assert(sizeof(ULONG) == 4 && sizeof(LONG) == 4 && sizeof(BOOLEAN) == 1, "base types");
_Static_assert(sizeof(WCHAR) == 2 && sizeof(PFN_NUMBER) == 8, "base types");
_Static_assert(sizeof(GUID) == 16 && sizeof(LARGE_INTEGER) == 8, "base types");
_Static_assert(sizeof(UNICODE_STRING) == 16, "UNICODE_STRING of 64-bit Windows");
_Static_assert(sizeof(MDL) == 48, "MDL of 64-bit Windows");
_Static_assert(offsetof(MDL, MappedSystemVa) == 24 && offsetof(MDL, StartVa) == 32 &&
                   offsetof(MDL, ByteCount) == 40 && offsetof(MDL, ByteOffset) == 44,
               "MDL of 64-bit Windows");
_Static_assert(sizeof(VMB_CHANNEL_STATE_CHANGE_CALLBACKS) == 48, "callbacks");
_Static_assert(offsetof(VMB_CHANNEL_STATE_CHANGE_CALLBACKS, EvtChannelOpened) == 8 &&
                   offsetof(VMB_CHANNEL_STATE_CHANGE_CALLBACKS, EvtChannelClosed) == 16 &&
                   offsetof(VMB_CHANNEL_STATE_CHANGE_CALLBACKS, EvtChannelSuspend) == 24 &&
                   offsetof(VMB_CHANNEL_STATE_CHANGE_CALLBACKS, EvtChannelStarted) == 32 &&
                   offsetof(VMB_CHANNEL_STATE_CHANGE_CALLBACKS, EvtChannelPostStarted) == 40,
               "callbacks");

/* ---- tests ---- */

static void every_function_of_the_client_interface_exists(void **state)
{
    const void *const *member = (const void *const *)(const void *)&client_interface;

    (void)state;
    assert_int_equal(sizeof(client_interface), 41 * sizeof(void *));
    for (unsigned i = 0; i < 41; i++) {
        assert_non_null(member[i]);
    }
}

static void flags_and_masks_have_their_documented_values(void **state)
{
    (void)state;
    assert_int_equal(VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION, 0x1);
    assert_int_equal(VMBUS_CHANNEL_FORMAT_FLAG_FORCE_MDL_LENGTH, 0x2);
    assert_int_equal(VMBUS_CHANNEL_FORMAT_FLAG_PAGED_BUFFER, 0x4);
    assert_int_equal(VMBUS_CHANNEL_FORMAT_FLAGS, 0x7);
    assert_int_equal(VMBUS_CHANNEL_GPADL_FLAG_READ_ONLY, 0x1);
    assert_int_equal(VMBUS_CHANNEL_GPADL_READ_ONLY, 0x1);
    assert_int_equal(VMBUS_CHANNEL_GPADL_FLAGS, 0x1);
    assert_int_equal(VMBUS_CHANNEL_INIT_FLAG_IS_PIPE, 0x1);
    assert_int_equal(VMBUS_CHANNEL_INIT_FLAGS, 0x1);
    assert_int_equal(VMBUS_CHANNEL_PROCESS_PACKET_FLAG_EXTERNAL_DATA, 0x1);
    assert_int_equal(VMBUS_CHANNEL_PROCESS_PACKET_FLAGS, 0x1);
    assert_int_equal(VMBUS_CHANNEL_PACKET_EXTERNAL_DATA_FLAG_READ_ONLY, 0x1);
    assert_int_equal(VMBUS_CHANNEL_PACKET_EXTERNAL_DATA_FLAGS, 0x1);
}

static void statuses_have_their_documented_values(void **state)
{
    (void)state;
    assert_int_equal((UINT32)STATUS_SUCCESS, 0);
    assert_int_equal((UINT32)STATUS_PENDING, 0x103);
    assert_int_equal((UINT32)STATUS_BUFFER_OVERFLOW, 0x80000005);
    assert_int_equal((UINT32)STATUS_UNSUCCESSFUL, 0xC0000001);
    assert_int_equal((UINT32)STATUS_INVALID_PARAMETER, 0xC000000D);
    assert_int_equal((UINT32)STATUS_INVALID_DEVICE_REQUEST, 0xC0000010);
    assert_int_equal((UINT32)STATUS_BUFFER_TOO_SMALL, 0xC0000023);
    assert_int_equal((UINT32)STATUS_INSUFFICIENT_RESOURCES, 0xC000009A);
    assert_int_equal((UINT32)STATUS_IO_TIMEOUT, 0xC00000B5);
    assert_int_equal((UINT32)STATUS_NOT_SUPPORTED, 0xC00000BB);
    assert_int_equal((UINT32)STATUS_INVALID_PARAMETER_1, 0xC00000EF);
    assert_int_equal((UINT32)STATUS_INVALID_PARAMETER_2, 0xC00000F0);
    assert_int_equal((UINT32)STATUS_INVALID_PARAMETER_3, 0xC00000F1);
    assert_int_equal((UINT32)STATUS_CANCELLED, 0xC0000120);
    assert_int_equal((UINT32)STATUS_DEVICE_REMOVED, 0xC00002B6);
    assert_true(NT_SUCCESS(STATUS_PENDING));
    assert_false(NT_SUCCESS(STATUS_BUFFER_OVERFLOW));
}

static void the_init_helper_prepares_and_registers_nothing(void **state)
{
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;

    (void)state;
    memset(&callbacks, 0xFF, sizeof(callbacks));
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    assert_int_equal(callbacks.Version, 1);
    assert_int_equal(callbacks.Size, 48);
    assert_null(callbacks.EvtChannelOpened);
    assert_null(callbacks.EvtChannelPostStarted);
}

static void a_mdl_describes_a_buffer_of_any_alignment(void **state)
{
    static UINT8 memory[5 * PAGE_SIZE] __attribute__((aligned(4096)));
    UINT64 space[16];
    PMDL mdl = (PMDL)(void *)space;

    (void)state;
    assert_int_equal(MmSizeOfMdl(memory, PAGE_SIZE), 48 + 8);
    assert_int_equal(MmSizeOfMdl(memory + 4095, 2), 48 + 16);
    assert_int_equal(MmSizeOfMdl(NULL, 0), 48);
    MmInitializeMdl(mdl, memory + 100, 2 * PAGE_SIZE);
    assert_null(mdl->Next);
    assert_null(MmGetSystemAddressForMdlSafe(mdl, 0));
    MmBuildMdlForNonPagedPool(mdl);
    assert_int_equal(MmGetMdlByteCount(mdl), 2 * PAGE_SIZE);
    assert_int_equal(MmGetMdlByteOffset(mdl), 100);
    assert_ptr_equal(MmGetMdlVirtualAddress(mdl), memory + 100);
    assert_ptr_equal(MmGetSystemAddressForMdlSafe(mdl, 0), memory + 100);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(MmGetMdlPfnArray(mdl)[i], ((uintptr_t)memory >> 12) + i);
    }
}

/* Compiles a header twice in one file with nothing but its own folder to search. */
static void compile(const char *compiler, const char *language, const char *header)
{
    char command[512];

    snprintf(command, sizeof(command), "command -v %s >/dev/null", compiler);
    assert_int_equal(system(command), 0);
    snprintf(
        command, sizeof(command),
        "printf '#include \"%s\"\\n#include \"%s\"\\n' | %s -x %s -Wall -Wextra -Wpedantic -Werror "
        "-Wshadow -Wconversion -Wundef -Wcast-align -fsyntax-only -Ivmbus/kmcl/include -",
        header, header, compiler, language);
    assert_int_equal(system(command), 0);
}

static void each_header_compiles_alone_as_c_and_cpp_under_gcc_and_clang(void **state)
{
    static const char *const headers[] = {"VmbusKernelModeClientLibApi.h", "kmcl_windows_types.h",
                                          "kmcl_extensions.h"};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        compile("gcc", "c -std=c11", headers[i]);
        compile("clang-14", "c -std=c11", headers[i]);
        compile("g++", "c++ -std=c++17", headers[i]);
        compile("clang++-14", "c++ -std=c++17", headers[i]);
    }
}

/* Whether a string of this kind makes a UNICODE_STRING. */
static bool makes_unicode_string(const char *language, const char *options, const char *text)
{
    char command[512];

    snprintf(command, sizeof(command),
             "printf '#include \"kmcl_windows_types.h\"\n"
             "extern UNICODE_STRING s;\nUNICODE_STRING s = RTL_CONSTANT_STRING(%s);\n' | "
             "clang-14 -x %s %s -Wall -Wextra -Wpedantic -Werror -fsyntax-only "
             "-Ivmbus/kmcl/include - 2>/dev/null",
             text, language, options);
    return system(command) == 0;
}

static void constant_strings_have_characters_of_16_bits(void **state)
{
    static const char *const languages[] = {"c -std=c11", "c++ -std=c++17"};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_true(makes_unicode_string(languages[i], "", "u\"text\""));
        assert_true(makes_unicode_string(languages[i], "-fshort-wchar", "L\"text\""));
        assert_false(makes_unicode_string(languages[i], "", "L\"text\""));
        assert_false(makes_unicode_string(languages[i], "", "\"text\""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_of_the_client_interface_exists),
        cmocka_unit_test(flags_and_masks_have_their_documented_values),
        cmocka_unit_test(statuses_have_their_documented_values),
        cmocka_unit_test(the_init_helper_prepares_and_registers_nothing),
        cmocka_unit_test(a_mdl_describes_a_buffer_of_any_alignment),
        cmocka_unit_test(each_header_compiles_alone_as_c_and_cpp_under_gcc_and_clang),
        cmocka_unit_test(constant_strings_have_characters_of_16_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
