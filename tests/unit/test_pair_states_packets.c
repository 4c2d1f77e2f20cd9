/* SPDX-License-Identifier: MIT */
/* What may be called when (tests/unit/pair/states.h): packets, shared memory, save and restore. */

#include <string.h>

#include "kernel/pages.h"
#include "tests/unit/pair/states.h"

/* ---- incoming packets; '-' where there is none ---- */

static char complete(struct situation *at)
{
    if (at->packet == NULL) {
        return '-';
    }
    VmbChannelPacketComplete(at->packet, NULL, 0);
    at->packet = NULL;
    return '.';
}

static char fail_packet(struct situation *at)
{
    if (at->packet == NULL) {
        return '-';
    }
    VmbChannelPacketFail(at->packet);
    at->packet = NULL;
    return '.';
}

static char defer(struct situation *at)
{
    if (at->packet == NULL) {
        return '-';
    }
    VmbChannelPacketDeferToPassive(at->packet);
    at->packet = NULL;
    return '.';
}

/* Of a packet that has none. */
static char external_data(struct situation *at)
{
    PMDL mdl;

    return at->packet != NULL ? status_letter(VmbChannelPacketGetExternalData(at->packet, 0, &mdl))
                              : '-';
}

static char transfer_pages(struct situation *at)
{
    const KMCL_TRANSFER_PAGE_RANGE *ranges;
    UINT32 count;

    return at->packet != NULL
               ? status_letter(KmclPacketGetTransferPages(at->packet, &ranges, &count))
               : '-';
}

static char context(struct situation *at)
{
    return at->packet == NULL ? '-' : KmclPacketGetClientContext(at->packet) == NULL ? '.' : '?';
}

/* ---- outgoing packets ---- */

static char packet_objects(struct situation *at)
{
    _Alignas(16) static UINT8 memory[PAGE_SIZE];
    VMBPACKET packet = VmbPacketAllocate(at->end->channel);
    VMBPACKET own = (VMBPACKET)(void *)memory;

    if (packet == NULL || VmbChannelSizeofPacket(at->end->channel) > sizeof(memory) ||
        VmbPacketInitialize(at->end->channel, own, sizeof(memory)) != STATUS_SUCCESS) {
        return '?';
    }
    VmbPacketSetCompletionRoutine(own, pair_recorded);
    VmbPacketSetPointer(packet, at);
    const bool same = VmbPacketGetPointer(packet) == at && VmbPacketGetPointer(own) == NULL &&
                      VmbPacketGetChannel(packet) == at->end->channel;
    VmbPacketFree(packet);
    return same ? '.' : '?';
}

static UINT64 queued(struct situation *at)
{
    KMCL_CHANNEL_STATISTICS statistics;

    KmclChannelGetStatistics(at->end->channel, &statistics);
    return statistics.PacketsQueued;
}

/* After a send of a packet whose routine frees it. */
static char sent(struct situation *at, VMBPACKET packet, UINT64 before, NTSTATUS status)
{
    if (status != STATUS_SUCCESS) {
        VmbPacketFree(packet);
        return status_letter(status);
    }
    return queued(at) != before ? 'q' : '.';
}

static char send(struct situation *at)
{
    const UINT64 before = queued(at);
    UINT64 word = 2;
    VMBPACKET packet = VmbPacketAllocate(at->end->channel);

    return sent(at, packet, before, VmbPacketSend(packet, &word, sizeof(word), NULL, 0));
}

static char send_mdl(struct situation *at)
{
    static UINT8 bytes[64];
    UINT64 room[8];
    PMDL mdl = (PMDL)(void *)room;
    const UINT64 before = queued(at);
    UINT64 word = 2;
    VMBPACKET packet = VmbPacketAllocate(at->end->channel);

    MmInitializeMdl(mdl, bytes, sizeof(bytes));
    MmBuildMdlForNonPagedPool(mdl);
    return sent(at, packet, before,
                VmbPacketSendWithExternalMdl(packet, &word, sizeof(word), mdl, 0, 0, WAIT));
}

static char send_pfns(struct situation *at)
{
    PFN_NUMBER frame = 1;
    const UINT64 before = queued(at);
    UINT64 word = 2;
    VMBPACKET packet = VmbPacketAllocate(at->end->channel);

    return sent(at, packet, before,
                VmbPacketSendWithExternalPfns(packet, &word, sizeof(word), &frame, 1, WAIT));
}

static char send_transfer_pages(struct situation *at)
{
    const KMCL_TRANSFER_PAGE_RANGE range = {8, 0};
    const UINT64 before = queued(at);
    UINT64 word = 2;
    VMBPACKET packet = VmbPacketAllocate(at->end->channel);

    return sent(
        at, packet, before,
        KmclServerPacketSendWithTransferPages(packet, &word, sizeof(word), 1, &range, 1, WAIT));
}

static char ask(struct situation *at)
{
    LARGE_INTEGER limit = {.QuadPart = -1000};
    UINT64 word = 2;

    return status_letter(VmbChannelSendSynchronousRequest(at->end->channel, &word, sizeof(word),
                                                          NULL, WAIT, NULL, NULL, &limit));
}

static char tell(struct situation *at)
{
    LARGE_INTEGER limit = {.QuadPart = 0};
    UINT64 word = 2;

    return status_letter(VmbChannelSendSynchronousRequest(at->end->channel, &word, sizeof(word),
                                                          NULL, 0, NULL, NULL, &limit));
}

/* ---- shared memory ---- */

static UINT8 page[PAGE_SIZE] __attribute__((aligned(4096)));

static char create_gpadl(struct situation *at)
{
    UINT32 handle;
    NTSTATUS status =
        VmbChannelCreateGpadlFromBuffer(at->end->channel, 0, page, sizeof(page), &handle);

    if (status == STATUS_SUCCESS) {
        VmbChannelDeleteGpadl(at->end->channel, handle);
    }
    return status_letter(status);
}

static char create_gpadl_from_mdl(struct situation *at)
{
    UINT64 room[8];
    PMDL mdl = (PMDL)(void *)room;
    UINT32 handle;

    MmInitializeMdl(mdl, page, sizeof(page));
    MmBuildMdlForNonPagedPool(mdl);
    NTSTATUS status = VmbChannelCreateGpadlFromMdl(at->end->channel, 0, mdl, 0, 0, &handle);
    if (status == STATUS_SUCCESS) {
        VmbChannelDeleteGpadl(at->end->channel, handle);
    }
    return status_letter(status);
}

/* The one that the client made in EvtChannelOpened, if it came to that. */
static char delete_gpadl(struct situation *at)
{
    VmbChannelDeleteGpadl(at->end->channel, at->gpadl);
    return '.';
}

static char map_gpadl(struct situation *at)
{
    PMDL mdl;
    NTSTATUS status = VmbChannelMapGpadl(at->end->channel, 0, at->gpadl, &mdl);

    if (status == STATUS_SUCCESS) {
        VmbChannelUnmapGpadl(at->end->channel, at->gpadl);
    }
    return status_letter(status);
}

static char unmap_gpadl(struct situation *at)
{
    VmbChannelUnmapGpadl(at->end->channel, at->gpadl); /* that was never mapped */
    return '.';
}

static char set_transfer_pages(struct situation *at)
{
    return status_letter(KmclClientChannelSetTransferPages(at->end->channel, 1, PAGE_SIZE));
}

/* ---- save and restore ---- */

static char save_begin(struct situation *at)
{
    NTSTATUS status = VmbChannelSaveBegin(at->end->channel);

    if (status == STATUS_SUCCESS) {
        VmbChannelSaveEnd(at->end->channel);
    }
    return status_letter(status);
}

static char save_continue(struct situation *at)
{
    UINT8 bytes[64];
    ULONG filled;
    ULONG required;

    return status_letter(
        VmbChannelSaveContinue(at->end->channel, bytes, sizeof(bytes), &filled, &required));
}

static char save_end(struct situation *at)
{
    VmbChannelSaveEnd(at->end->channel);
    return '.';
}

static char restore(struct situation *at)
{
    UINT64 nonsense = 0;

    return status_letter(VmbChannelRestoreFromBuffer(at->end->channel, &nonsense, 8));
}

static char restore_packet_outside(struct situation *at)
{
    UINT64 nonsense = 0;
    VMBPACKET packet = VmbPacketAllocate(at->end->channel);
    NTSTATUS status = VmbPacketRestore(packet, &nonsense, sizeof(nonsense));

    VmbPacketFree(packet);
    return status_letter(status);
}

/* ---- the table ---- */

static const struct row rows[] = {
    /* clang-format off */
    /* Client and server, each: Disabled, enabled, paused, active; in Opened, Started, PostStarted, Suspend, Closed, PnpFailure; in
     * ProcessPacket, the same at PASSIVE, in ProcessingComplete, in a completion routine; in a save, in a restore. */
    {"VmbChannelPacketComplete", complete,
     {"---. ---.-- ..-- --", "---. ---.-- ..-- --"}},
    {"VmbChannelPacketFail", fail_packet,
     {"---. ---.-- ..-- --", "---. ---.-- ..-- --"}},
    {"VmbChannelPacketDeferToPassive", defer,
     {"---! ---!-- ..-- --", "---! ---!-- ..-- --"}},
    {"VmbChannelPacketGetExternalData", external_data,
     {"---d ---d-- dd-- --", "---d ---d-- dd-- --"}},
    {"KmclPacketGetTransferPages", transfer_pages,
     {"---d ---d-- dd-- --", "---d ---d-- dd-- --"}},
    {"KmclPacketGetClientContext", context,
     {"---. ---.-- ..-- --", "---. ---.-- ..-- --"}},
    {"VmbPacketAllocate", packet_objects,
     {".... ...... .... --", ".... .....- .... .."}},
    {"VmbPacketSend", send,
     {"qqq. qq.qqq .... --", "qqq. qq.qq- .... qq"}},
    {"VmbPacketSendWithExternalMdl", send_mdl,
     {"qqq. qq.qqq .... --", "pppp ppppp- pppp pp"}},
    {"VmbPacketSendWithExternalPfns", send_pfns,
     {"qqq. qq.qqq .... --", "pppp ppppp- pppp pp"}},
    {"KmclServerPacketSendWithTransferPages", send_transfer_pages,
     {"dddd dddddd dddd --", "qqq. qq.qq- .... qq"}},
    {"VmbChannelSendSynchronousRequest", ask,
     {"rcc. dd.rrr !d!! --", "pppp ppppp- !p!! pp"}},
    {"VmbChannelSendSynchronousRequest", tell,
     {"roo. oo.rrr .... --", "roo. oo.rr- .... or"}},
    {"VmbChannelCreateGpadl", create_gpadl,
     {"dd.. ...rdd !.!! --", "dddd ddddd- !d!! dd"}},
    {"VmbChannelCreateGpadlFromMdl", create_gpadl_from_mdl,
     {"dd.. ...rdd !.!! --", "dddd ddddd- !d!! dd"}},
    {"VmbChannelDeleteGpadl", delete_gpadl,
     {"!!.. .....! !.!! --", "!!!! !!!!!- !!!! !!"}},
    {"VmbChannelMapGpadl", map_gpadl,
     {"dddd dddddd dddd --", "dd.. pppdd- .... .d"}},
    {"VmbChannelUnmapGpadl", unmap_gpadl,
     {"!!!! !!!!!! !!!! --", "!!!! !!!!!- !!!! !!"}},
    {"KmclClientChannelSetTransferPages", set_transfer_pages,
     {"dd.. .....d .... --", "dddd ddddd- dddd dd"}},
    {"VmbChannelSaveBegin", save_begin,
     {"1111 111111 1111 --", "...d ddddd- !d!! dd"}},
    {"VmbChannelSaveContinue", save_continue,
     {"1111 111111 1111 --", "dddd ddddd- !d!! td"}},
    {"VmbChannelSaveEnd", save_end,
     {"!!!! !!!!!! !!!! --", "!!!! !!!!!- !!!! .!"}},
    {"VmbChannelRestoreFromBuffer", restore,
     {"1111 111111 1111 --", "bddd ddddd- !d!! db"}},
    {"VmbPacketRestore", restore_packet_outside,
     {"1111 111111 1111 --", "1111 11111- 1111 12"}},
    /* clang-format on */
};

static void a_clients_packets_and_memory_have_their_states(void **state)
{
    (void)state;
    check_rows(rows, sizeof(rows) / sizeof(rows[0]), FALSE);
}

static void a_servers_packets_and_memory_have_their_states(void **state)
{
    (void)state;
    check_rows(rows, sizeof(rows) / sizeof(rows[0]), TRUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clients_packets_and_memory_have_their_states),
        cmocka_unit_test(a_servers_packets_and_memory_have_their_states),
    };
    return cmocka_run_group_tests_name("pair, states of packets", tests, NULL, NULL);
}
