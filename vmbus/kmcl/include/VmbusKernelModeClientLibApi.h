/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_KERNEL_MODE_CLIENT_LIB_API_H
#define VMBUS_KERNEL_MODE_CLIENT_LIB_API_H

/* clang-format off: tables in the text */
/*
 * KMCL, the VMBus Kernel Mode Client Library: how a driver talks over a VMBus channel. The client
 * role is for drivers in a guest (VSCs), the server role for those of a host (VSPs).
 *
 * Names, types and behaviour are those of the Windows driver documentation. "DDI: x" below stands
 * for
 * https://learn.microsoft.com/windows-hardware/drivers/ddi/vmbuskernelmodeclientlibapi/nc-vmbuskernelmodeclientlibapi-x
 * "Ours:" marks what that documentation leaves open and this implementation had to choose.
 *
 * The life of a channel:
 *
 *     VmbChannelAllocate, VmbChannelInit*, VmbClientChannelInit*
 *     VmbChannelEnable       returns at once; then, when the host offers the device:
 *         EvtChannelOpened       PASSIVE  packets may be queued, none flows
 *         EvtChannelStarted      PASSIVE  likewise; must not wait for packets or completions
 *         -- packets flow --
 *         EvtChannelPostStarted  PASSIVE  may send synchronous requests
 *         EvtVmbChannelProcessPacket ... EvtVmbChannelProcessingComplete, at most DISPATCH
 *     VmbChannelPause        EvtChannelSuspend
 *     VmbChannelStart        EvtChannelStarted, EvtChannelPostStarted
 *     VmbChannelDisable      EvtChannelSuspend, EvtChannelClosed
 *     VmbChannelCleanup
 *
 * When the host takes the offer back, or breaks the ring, the callbacks are those of
 * VmbChannelDisable. Either way the channel is Disabled afterwards, and VmbChannelEnable() starts
 * over.
 *
 * A server's channel:
 *
 *     VmbChannelAllocate, VmbChannelInit*, VmbServerChannelInit*
 *     VmbChannelEnable                       offers it, paused
 *     VmbChannelStart                        may follow at once
 *         the guest opens:  EvtChannelOpened, EvtChannelStarted, EvtChannelPostStarted
 *         the guest closes: EvtChannelSuspend, EvtChannelClosed; it may open again
 *     VmbChannelDisable                      the same, if it is open; then the offer is taken back
 *     VmbChannelCleanup
 *
 * "Flowing" below means: open, not paused, EvtChannelStarted has returned.
 *
 * Levels: PASSIVE is main() and passive work, DISPATCH is deferred work. There are no threads: a
 * function that waits runs other passive work meanwhile. Hence ours: what waits for a channel must
 * not be called from a state callback or packet callback of that channel, nor from passive work
 * that runs inside a wait of one of them. It would wait for its own caller; it stops the guest with
 * a message instead.
 *
 * Mistakes, all ours: a channel's handle that is NULL, or of something that is no channel, gives
 * STATUS_INVALID_PARAMETER_1; so does NULL for a packet that is to be sent. A packet that is under
 * way or was freed gives STATUS_INVALID_DEVICE_REQUEST. NULL where a function puts a result gives
 * STATUS_INVALID_PARAMETER or the one with the argument's number. Where no status is returned each
 * of these stops the guest with a message that names the function.
 */

/* clang-format on */

#include "kmcl_windows_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A channel's end point; an outgoing packet; an incoming one that its receiver has to complete. */
DECLARE_HANDLE(VMBCHANNEL);
DECLARE_HANDLE(VMBPACKET);
DECLARE_HANDLE(VMBPACKETCOMPLETION);

/* ---- flags; bits outside a mask are refused ---- */

/* The peer is asked for a completion packet. Without it "completed" means "placed in the ring". */
#define VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION 0x1
/* VmbPacketSendWithExternalMdl: MdlLength may exceed the first MDL's byte count, within its last
 * page. */
#define VMBUS_CHANNEL_FORMAT_FLAG_FORCE_MDL_LENGTH    0x2
/* The buffer is pageable. No memory is here, and inline data is always copied: changes nothing. */
#define VMBUS_CHANNEL_FORMAT_FLAG_PAGED_BUFFER        0x4
#define VMBUS_CHANNEL_FORMAT_FLAGS                                                                 \
    (VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION | VMBUS_CHANNEL_FORMAT_FLAG_FORCE_MDL_LENGTH |  \
     VMBUS_CHANNEL_FORMAT_FLAG_PAGED_BUFFER)

/* A hint that the peer only reads; no protection, and no field of the wire carries it. */
#define VMBUS_CHANNEL_GPADL_FLAG_READ_ONLY 0x1
#define VMBUS_CHANNEL_GPADL_READ_ONLY      VMBUS_CHANNEL_GPADL_FLAG_READ_ONLY
#define VMBUS_CHANNEL_GPADL_FLAGS          VMBUS_CHANNEL_GPADL_FLAG_READ_ONLY

/*
 * What a server offers. Ours: the flags stand for those of the offer that have their names, and
 * _FORCE_NEW_CHANNEL for none: if the bus is restored from a saved form the channel that was saved
 * is rescinded, this one is offered as a new one, and packets that were restored are completed with
 * STATUS_CANCELLED.
 */
#define VMBUS_SERVER_CHANNEL_INIT_FLAG_LOOPBACK_OFFER             0x1
#define VMBUS_SERVER_CHANNEL_INIT_FLAG_ENUMERATE_DEVICE_INTERFACE 0x2
/* Both ends put a pipe header before each payload: see VMBUS_CHANNEL_INIT_FLAG_IS_PIPE. */
#define VMBUS_SERVER_CHANNEL_INIT_FLAG_OFFER_AS_PIPE              0x4
#define VMBUS_SERVER_CHANNEL_INIT_FLAG_FORCE_NEW_CHANNEL          0x8
#define VMBUS_SERVER_CHANNEL_INIT_FLAG_TLNPI_PROVIDER_OFFER       0x10
#define VMBUS_SERVER_CHANNEL_INIT_FLAGS                                                            \
    (VMBUS_SERVER_CHANNEL_INIT_FLAG_LOOPBACK_OFFER |                                               \
     VMBUS_SERVER_CHANNEL_INIT_FLAG_ENUMERATE_DEVICE_INTERFACE |                                   \
     VMBUS_SERVER_CHANNEL_INIT_FLAG_OFFER_AS_PIPE |                                                \
     VMBUS_SERVER_CHANNEL_INIT_FLAG_FORCE_NEW_CHANNEL |                                            \
     VMBUS_SERVER_CHANNEL_INIT_FLAG_TLNPI_PROVIDER_OFFER)

/* Bytes of an offer that a server defines. */
#define VMBUS_SERVER_CHANNEL_INIT_MAXIMUM_OFFER_DATA 120

/* Each payload has a pipe header on the wire, which the library adds and takes off. */
#define VMBUS_CHANNEL_INIT_FLAG_IS_PIPE 0x1
#define VMBUS_CHANNEL_INIT_FLAGS        VMBUS_CHANNEL_INIT_FLAG_IS_PIPE

/* The packet describes memory: see VmbChannelPacketGetExternalData(). */
#define VMBUS_CHANNEL_PROCESS_PACKET_FLAG_EXTERNAL_DATA 0x1
#define VMBUS_CHANNEL_PROCESS_PACKET_FLAGS              VMBUS_CHANNEL_PROCESS_PACKET_FLAG_EXTERNAL_DATA

#define VMBUS_CHANNEL_PACKET_EXTERNAL_DATA_FLAG_READ_ONLY 0x1
#define VMBUS_CHANNEL_PACKET_EXTERNAL_DATA_FLAGS          VMBUS_CHANNEL_PACKET_EXTERNAL_DATA_FLAG_READ_ONLY

/* ---- callbacks ---- */

/*
 * The host has opened the channel; nothing flows yet. Packets sent here are queued. GPADLs may be
 * made from here on. A failing status takes the channel back to Disabled: it is closed,
 * EvtChannelClosed is not called (ours), EvtChannelPnpFailure is not either. PASSIVE. DDI:
 * evt_vmb_channel_opened
 */
typedef _Function_class_(EVT_VMB_CHANNEL_OPENED) NTSTATUS
    EVT_VMB_CHANNEL_OPENED(_In_ VMBCHANNEL Channel);
typedef EVT_VMB_CHANNEL_OPENED *PFN_VMB_CHANNEL_OPENED;

/*
 * The channel is no longer open, for whatever reason; the host has let go of the rings, every
 * packet sent before has been completed. All GPADLs of the channel must be deleted before this
 * returns; what is left the library deletes itself, with a warning (ours). PASSIVE. DDI:
 * evt_vmb_channel_closed Below VMBus 4.0 it comes before the host is told to close, because such
 * hosts expect GPADLs to be torn down first (Linux hv_netvsc); packets are then completed after it.
 */
typedef _Function_class_(EVT_VMB_CHANNEL_CLOSED) VOID
    EVT_VMB_CHANNEL_CLOSED(_In_ VMBCHANNEL Channel);
typedef EVT_VMB_CHANNEL_CLOSED *PFN_VMB_CHANNEL_CLOSED;

/*
 * No packet callback runs, and none will until the next EvtChannelStarted. Stop sending; complete
 * every packet that was delivered, here or later: the library waits for that. PASSIVE. DDI:
 * evt_vmb_channel_suspend
 */
typedef _Function_class_(EVT_VMB_CHANNEL_SUSPEND) VOID
    EVT_VMB_CHANNEL_SUSPEND(_In_ VMBCHANNEL Channel);
typedef EVT_VMB_CHANNEL_SUSPEND *PFN_VMB_CHANNEL_SUSPEND;

/*
 * Packets will flow once this has returned. May send (queued); must not wait for packets or
 * completions: none comes. PASSIVE. DDI: evt_vmb_channel_started
 */
typedef _Function_class_(EVT_VMB_CHANNEL_STARTED) VOID
    EVT_VMB_CHANNEL_STARTED(_In_ VMBCHANNEL Channel);
typedef EVT_VMB_CHANNEL_STARTED *PFN_VMB_CHANNEL_STARTED;

/*
 * Packets flow; some may have been delivered before this is called. The place for synchronous
 * requests. PASSIVE. DDI: evt_vmb_channel_post_started
 */
typedef _Function_class_(EVT_VMB_CHANNEL_POST_STARTED) VOID
    EVT_VMB_CHANNEL_POST_STARTED(_In_ VMBCHANNEL Channel);
typedef EVT_VMB_CHANNEL_POST_STARTED *PFN_VMB_CHANNEL_POST_STARTED;

/*
 * The device was found, but connecting to it failed; the channel is Disabled again when this
 * returns. FailureStatus (ours): STATUS_DEVICE_REMOVED the offer was taken back,
 * STATUS_INSUFFICIENT_RESOURCES no memory or the host refused the ring's memory, STATUS_IO_TIMEOUT
 * no answer, the host's own status if it refused the open with a failing one, else
 * STATUS_UNSUCCESSFUL. PASSIVE. DDI: evt_vmb_channel_pnp_failure
 */
typedef _Function_class_(EVT_VMB_CHANNEL_PNP_FAILURE) VOID
    EVT_VMB_CHANNEL_PNP_FAILURE(_In_ VMBCHANNEL Channel, _In_ NTSTATUS FailureStatus);
typedef EVT_VMB_CHANNEL_PNP_FAILURE *PFN_VMB_CHANNEL_PNP_FAILURE;

/*
 * A packet has come. Each call ends in exactly one of: VmbChannelPacketComplete(), now or later;
 * VmbChannelPacketFail(); VmbChannelPacketDeferToPassive().
 *
 * Buffer: private copy of the payload without any header; readable and writable until the packet is
 * completed; aligned to 8 bytes. BufferLength: bytes; rounded up to a multiple of 8 by the wire,
 * except on pipes. Flags: VMBUS_CHANNEL_PROCESS_PACKET_FLAG_*.
 *
 * Never runs twice at a time for a channel. At most DISPATCH; PASSIVE if the channel processes at
 * PASSIVE or the packet was deferred. DDI: evt_vmb_channel_process_packet
 */
typedef _Function_class_(EVT_VMB_CHANNEL_PROCESS_PACKET) VOID
    EVT_VMB_CHANNEL_PROCESS_PACKET(_In_ VMBCHANNEL Channel, _In_ VMBPACKETCOMPLETION Packet,
                                   _In_reads_bytes_(BufferLength) PVOID Buffer,
                                   _In_ UINT32 BufferLength, _In_ UINT32 Flags);
typedef EVT_VMB_CHANNEL_PROCESS_PACKET *PFN_VMB_CHANNEL_PROCESS_PACKET;

/*
 * Deliveries pause: the ring is empty, the quota is used up, the queue was stopped or goes on
 * elsewhere. PacketsProcessed: calls of EvtVmbChannelProcessPacket since the last time that did not
 * end in a deferral; 0 if only completions came (ours). Not called if nothing came at all (ours).
 * Level as EvtVmbChannelProcessPacket. DDI: evt_vmb_channel_processing_complete
 */
typedef _Function_class_(EVT_VMB_CHANNEL_PROCESSING_COMPLETE) VOID
    EVT_VMB_CHANNEL_PROCESSING_COMPLETE(_In_ VMBCHANNEL Channel, _In_ UINT32 PacketsProcessed);
typedef EVT_VMB_CHANNEL_PROCESSING_COMPLETE *PFN_VMB_CHANNEL_PROCESSING_COMPLETE;

/*
 * A packet that was sent is the driver's again, to free or to send once more, here or later.
 *
 * Status (ours): STATUS_SUCCESS, whatever the payload says: the peer's completion came, or, if none
 * was asked for, the packet is in the ring; STATUS_DEVICE_REMOVED: the channel closed first;
 * STATUS_INVALID_PARAMETER: it was queued and the ring that was then opened cannot hold it;
 * STATUS_INSUFFICIENT_RESOURCES: the completion came, but there was no memory for its payload;
 * STATUS_CANCELLED: see VMBUS_SERVER_CHANNEL_INIT_FLAG_FORCE_NEW_CHANNEL.
 * Buffer, BufferLength: the completion's payload, for the time of the call; NULL and 0 if there is
 * none.
 *
 * At most DISPATCH. Without WAIT_FOR_COMPLETION it may run inside the call that sends.
 * DDI: evt_vmb_packet_completion_routine
 */
typedef _Function_class_(EVT_VMB_PACKET_COMPLETION_ROUTINE) VOID
    EVT_VMB_PACKET_COMPLETION_ROUTINE(_In_ VMBPACKET Packet, _In_ NTSTATUS Status,
                                      _In_reads_bytes_opt_(BufferLength) PVOID Buffer,
                                      _In_ UINT32 BufferLength);
typedef EVT_VMB_PACKET_COMPLETION_ROUTINE *PFN_VMB_PACKET_COMPLETION_ROUTINE;

/*
 * A packet of a server that is saved; see VmbChannelSaveContinue(). First with SaveBuf = NULL and
 * SaveBufSize = 0: success if the driver has nothing to save for it, otherwise any failing status
 * and *BytesNeeded, 1 to 1048576 (ours), the bytes that it wants. Then once more with a buffer of
 * that size, aligned to 8, the library's: *BytesNeeded are the bytes written to it (ours). A
 * failing status ends the save. PASSIVE. DDI: evt_vmb_channel_save_packet
 */
typedef _Function_class_(EVT_VMB_CHANNEL_SAVE_PACKET) NTSTATUS
    EVT_VMB_CHANNEL_SAVE_PACKET(_In_ VMBCHANNEL Channel, _In_ VMBPACKET Packet,
                                _Out_writes_bytes_to_opt_(SaveBufSize, *BytesNeeded) PVOID SaveBuf,
                                _In_ UINT32 SaveBufSize, _Out_ PUINT32 BytesNeeded);
typedef EVT_VMB_CHANNEL_SAVE_PACKET *PFN_VMB_CHANNEL_SAVE_PACKET;

/*
 * A packet of a saved server is to be made anew: VmbPacketAllocate(), its completion routine and
 * pointer, VmbPacketRestore() with LibBuf, and the driver's state from SaveBuf, of SaveBufSize
 * bytes, 0 if it saved none. Both buffers are the library's, for the time of the call, aligned to 8
 * (ours). A failing status refuses the whole restore. With success but without VmbPacketRestore()
 * the transaction is forgotten, and the guest's answer to it ignored (ours). PASSIVE. DDI:
 * evt_vmb_channel_restore_packet
 */
typedef _Function_class_(EVT_VMB_CHANNEL_RESTORE_PACKET) NTSTATUS EVT_VMB_CHANNEL_RESTORE_PACKET(
    _In_ VMBCHANNEL Channel, _In_reads_bytes_(LibBufSize) PVOID LibBuf, _In_ UINT32 LibBufSize,
    _In_reads_bytes_opt_(SaveBufSize) PVOID SaveBuf, _In_ UINT32 SaveBufSize);
typedef EVT_VMB_CHANNEL_RESTORE_PACKET *PFN_VMB_CHANNEL_RESTORE_PACKET;

/* All callbacks are optional. The order of the members is part of the interface. */
typedef struct _VMB_CHANNEL_STATE_CHANGE_CALLBACKS {
    ULONG Version; /* 1 */
    ULONG Size;    /* of this structure, bytes */
    PFN_VMB_CHANNEL_OPENED EvtChannelOpened;
    PFN_VMB_CHANNEL_CLOSED EvtChannelClosed;
    PFN_VMB_CHANNEL_SUSPEND EvtChannelSuspend;
    PFN_VMB_CHANNEL_STARTED EvtChannelStarted;
    PFN_VMB_CHANNEL_POST_STARTED EvtChannelPostStarted;
} VMB_CHANNEL_STATE_CHANGE_CALLBACKS, *PVMB_CHANNEL_STATE_CHANGE_CALLBACKS;

/* Clears the structure and sets Version and Size; registers nothing. Any IRQL. */
FORCEINLINE VOID
VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(_Out_ PVMB_CHANNEL_STATE_CHANGE_CALLBACKS Callbacks)
{
    Callbacks->Version = 1;
    Callbacks->Size = (ULONG)sizeof(*Callbacks);
    Callbacks->EvtChannelOpened = NULL;
    Callbacks->EvtChannelClosed = NULL;
    Callbacks->EvtChannelSuspend = NULL;
    Callbacks->EvtChannelStarted = NULL;
    Callbacks->EvtChannelPostStarted = NULL;
}

/* ---- life of a channel ---- */

/*
 * Makes a Disabled channel with workable settings (ours: 4096 bytes of payload, no external data,
 * rings of 4 pages each way, no quota below 4096 packets). The caller owns it until
 * VmbChannelCleanup().
 *
 * ParentDeviceObject: not used: without a device tree the device is named by
 * VmbClientChannelInitSetTargetPnp(), which has to be called. IsServer: TRUE for a host's end; that
 * one is paused until VmbChannelStart().
 * PASSIVE. STATUS_SUCCESS; STATUS_INVALID_PARAMETER_3 Channel is NULL; STATUS_NOT_SUPPORTED
 * IsServer, and this is no host: see KmclServerHandle() in kmcl_extensions.h;
 * STATUS_INSUFFICIENT_RESOURCES. DDI: fn_vmb_channel_allocate
 */
typedef _Must_inspect_result_ NTSTATUS FN_VMB_CHANNEL_ALLOCATE(
    _In_opt_ PDEVICE_OBJECT ParentDeviceObject, _In_ BOOLEAN IsServer, _Out_ VMBCHANNEL *Channel);
typedef FN_VMB_CHANNEL_ALLOCATE *PFN_VMB_CHANNEL_ALLOCATE;
FN_VMB_CHANNEL_ALLOCATE VmbChannelAllocate;

/*
 * Ends a Disabled channel. Packets that are still queued are completed with STATUS_DEVICE_REMOVED
 * first. Stops the guest with a message if the channel is not Disabled or if packets of
 * VmbPacketAllocate() are left (ours). PASSIVE. DDI: fn_vmb_channel_cleanup
 */
typedef VOID FN_VMB_CHANNEL_CLEANUP(_In_ VMBCHANNEL Channel);
typedef FN_VMB_CHANNEL_CLEANUP *PFN_VMB_CHANNEL_CLEANUP;
FN_VMB_CHANNEL_CLEANUP VmbChannelCleanup;

/*
 * Takes the device that was named by VmbClientChannelInitSetTargetPnp() as soon as the host offers
 * it, and opens it. Does not wait for the host; callbacks may run before it returns. The first
 * matching offer that nobody has taken wins; sub-channels do not match (ours).
 *
 * A server: offers the channel that VmbServerChannelInitSetTargetInterfaceId() named on the bus of
 * VmbServerChannelInitSetVmbusHandle().
 *
 * PASSIVE. STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1; STATUS_INVALID_DEVICE_REQUEST not Disabled;
 * STATUS_INVALID_PARAMETER no packet callback, no target or, for a server, no bus was set. Ours, a
 * server: STATUS_INVALID_DEVICE_REQUEST also in the middle of a restore or a save;
 * STATUS_UNSUCCESSFUL the bus has an offer of this device already, or no number for one more;
 * STATUS_INSUFFICIENT_RESOURCES. DDI: fn_vmb_channel_enable
 */
typedef _Must_inspect_result_ NTSTATUS FN_VMB_CHANNEL_ENABLE(_In_ VMBCHANNEL Channel);
typedef FN_VMB_CHANNEL_ENABLE *PFN_VMB_CHANNEL_ENABLE;
FN_VMB_CHANNEL_ENABLE VmbChannelEnable;

/*
 * Suspends, waits until the driver has completed what was delivered to it, closes. Returns when the
 * channel is Disabled; does nothing if it is. A synchronous request that is under way returns
 * STATUS_DEVICE_REMOVED. A server takes its offer back, and is paused from then on, as new (ours).
 * PASSIVE; not from a callback of this channel. DDI: fn_vmb_channel_disable
 */
typedef VOID FN_VMB_CHANNEL_DISABLE(_In_ VMBCHANNEL Channel);
typedef FN_VMB_CHANNEL_DISABLE *PFN_VMB_CHANNEL_DISABLE;
FN_VMB_CHANNEL_DISABLE VmbChannelDisable;

/*
 * Leaves the paused state. If the channel is open, returns after EvtChannelPostStarted (ours).
 * Disabled: takes an earlier VmbChannelPause() back. PASSIVE; not from a callback of this channel.
 * DDI: fn_vmb_channel_start
 */
typedef VOID FN_VMB_CHANNEL_START(_In_ VMBCHANNEL Channel);
typedef FN_VMB_CHANNEL_START *PFN_VMB_CHANNEL_START;
FN_VMB_CHANNEL_START VmbChannelStart;

/*
 * Suspends and waits until the driver has completed what was delivered to it. Packets sent
 * meanwhile are queued; completions of those sent before arrive after VmbChannelStart(). Disabled:
 * the channel will be paused when it opens. PASSIVE; not from a callback of this channel. DDI:
 * fn_vmb_channel_pause
 */
typedef VOID FN_VMB_CHANNEL_PAUSE(_In_ VMBCHANNEL Channel);
typedef FN_VMB_CHANNEL_PAUSE *PFN_VMB_CHANNEL_PAUSE;
FN_VMB_CHANNEL_PAUSE VmbChannelPause;

/* ---- configuration; only while Disabled, otherwise STATUS_INVALID_PARAMETER_1 ---- */

/*
 * PacketSize: largest inline payload, bytes, of any packet or completion this end will send; sizes
 * packet objects and rings. What comes in may be larger. PASSIVE. STATUS_SUCCESS;
 * STATUS_INVALID_PARAMETER_1; STATUS_INVALID_PARAMETER_2 zero, or more than a packet can hold with
 * the external data set (ours). DDI: fn_vmb_channel_init_set_maximum_packet_size
 */
typedef NTSTATUS FN_VMB_CHANNEL_INIT_SET_MAXIMUM_PACKET_SIZE(_In_ VMBCHANNEL Channel,
                                                             _In_ UINT32 PacketSize);
typedef FN_VMB_CHANNEL_INIT_SET_MAXIMUM_PACKET_SIZE *PFN_VMB_CHANNEL_INIT_SET_MAXIMUM_PACKET_SIZE;
FN_VMB_CHANNEL_INIT_SET_MAXIMUM_PACKET_SIZE VmbChannelInitSetMaximumPacketSize;

/*
 * The most external data of one packet: DataSize bytes in ChainLength MDLs. PASSIVE.
 * STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1; STATUS_INVALID_PARAMETER_2, _3: that one is zero; _2
 * also: more than a packet can describe beside its payload (ours). DDI:
 * fn_vmb_channel_init_set_maximum_external_data
 */
typedef NTSTATUS FN_VMB_CHANNEL_INIT_SET_MAXIMUM_EXTERNAL_DATA(_In_ VMBCHANNEL Channel,
                                                               _In_ UINT32 DataSize,
                                                               _In_ UINT32 ChainLength);
typedef FN_VMB_CHANNEL_INIT_SET_MAXIMUM_EXTERNAL_DATA
    *PFN_VMB_CHANNEL_INIT_SET_MAXIMUM_EXTERNAL_DATA;
FN_VMB_CHANNEL_INIT_SET_MAXIMUM_EXTERNAL_DATA VmbChannelInitSetMaximumExternalData;

/*
 * ContextSize: bytes of memory that each incoming packet carries for the driver, zeroed at its
 * first delivery, kept over a redelivery. No documented call reaches them: see
 * KmclPacketGetClientContext() in kmcl_extensions.h. PASSIVE. STATUS_SUCCESS;
 * STATUS_INVALID_PARAMETER_1; STATUS_INVALID_PARAMETER_2 above 65536 (ours). DDI:
 * fn_vmb_channel_init_set_client_context_size
 */
typedef NTSTATUS FN_VMB_CHANNEL_INIT_SET_CLIENT_CONTEXT_SIZE(_In_ VMBCHANNEL Channel,
                                                             _In_ UINT32 ContextSize);
typedef FN_VMB_CHANNEL_INIT_SET_CLIENT_CONTEXT_SIZE *PFN_VMB_CHANNEL_INIT_SET_CLIENT_CONTEXT_SIZE;
FN_VMB_CHANNEL_INIT_SET_CLIENT_CONTEXT_SIZE VmbChannelInitSetClientContextSize;

/*
 * The callbacks of incoming packets; the second may be NULL. PASSIVE. STATUS_SUCCESS;
 * STATUS_INVALID_PARAMETER_1; STATUS_INVALID_PARAMETER_2 the first is NULL (ours).
 * DDI: fn_vmb_channel_init_set_process_packet_callbacks
 */
typedef NTSTATUS FN_VMB_CHANNEL_INIT_SET_PROCESS_PACKET_CALLBACKS(
    _In_ VMBCHANNEL Channel, _In_ PFN_VMB_CHANNEL_PROCESS_PACKET ProcessPacketCallback,
    _In_opt_ PFN_VMB_CHANNEL_PROCESSING_COMPLETE ProcessingCompleteCallback);
typedef FN_VMB_CHANNEL_INIT_SET_PROCESS_PACKET_CALLBACKS
    *PFN_VMB_CHANNEL_INIT_SET_PROCESS_PACKET_CALLBACKS;
FN_VMB_CHANNEL_INIT_SET_PROCESS_PACKET_CALLBACKS VmbChannelInitSetProcessPacketCallbacks;

/*
 * Copies the structure. PASSIVE. STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1;
 * STATUS_INVALID_PARAMETER_2 NULL (ours), or Version or Size is not what
 * VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT() sets. DDI:
 * fn_vmb_channel_init_set_state_change_callbacks
 */
typedef NTSTATUS FN_VMB_CHANNEL_INIT_SET_STATE_CHANGE_CALLBACKS(
    _In_ VMBCHANNEL Channel, _In_ PVMB_CHANNEL_STATE_CHANGE_CALLBACKS StateChangeCallbacks);
typedef FN_VMB_CHANNEL_INIT_SET_STATE_CHANGE_CALLBACKS
    *PFN_VMB_CHANNEL_INIT_SET_STATE_CHANGE_CALLBACKS;
FN_VMB_CHANNEL_INIT_SET_STATE_CHANGE_CALLBACKS VmbChannelInitSetStateChangeCallbacks;

/*
 * A name for messages and reports. Copied; ours: the first 31 characters, those outside ASCII as
 * '?'. PASSIVE. STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1; STATUS_INVALID_PARAMETER_2 NULL (ours).
 * DDI: fn_vmb_channel_init_set_friendly_name
 */
typedef NTSTATUS FN_VMB_CHANNEL_INIT_SET_FRIENDLY_NAME(_In_ VMBCHANNEL Channel,
                                                       _In_ PCUNICODE_STRING Name);
typedef FN_VMB_CHANNEL_INIT_SET_FRIENDLY_NAME *PFN_VMB_CHANNEL_INIT_SET_FRIENDLY_NAME;
FN_VMB_CHANNEL_INIT_SET_FRIENDLY_NAME VmbChannelInitSetFriendlyName;

/*
 * Flags: VMBUS_CHANNEL_INIT_FLAG_*; replaces those set before (ours). An offer that says it is a
 * pipe is treated as one in any case (ours). PASSIVE. STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1;
 * STATUS_INVALID_PARAMETER_2 unknown bits. DDI: fn_vmb_channel_init_set_flags
 */
typedef NTSTATUS FN_VMB_CHANNEL_INIT_SET_FLAGS(_In_ VMBCHANNEL Channel, _In_ UINT32 Flags);
typedef FN_VMB_CHANNEL_INIT_SET_FLAGS *PFN_VMB_CHANNEL_INIT_SET_FLAGS;
FN_VMB_CHANNEL_INIT_SET_FLAGS VmbChannelInitSetFlags;

/*
 * Pages of 4096 bytes for each ring, without its control page (ours); raised silently to what the
 * packet limits need. PASSIVE. STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1;
 * STATUS_INVALID_PARAMETER_2, _3: that one is zero or above 4094 (ours; both rings share a GPADL of
 * at most 8190 pages). DDI: fn_vmb_client_channel_init_set_ring_buffer_page_count
 */
typedef NTSTATUS FN_VMB_CLIENT_CHANNEL_INIT_SET_RING_BUFFER_PAGE_COUNT(
    _In_ VMBCHANNEL Channel, _In_ UINT32 IncomingPageCount, _In_ UINT32 OutgoingPageCount);
typedef FN_VMB_CLIENT_CHANNEL_INIT_SET_RING_BUFFER_PAGE_COUNT
    *PFN_VMB_CLIENT_CHANNEL_INIT_SET_RING_BUFFER_PAGE_COUNT;
FN_VMB_CLIENT_CHANNEL_INIT_SET_RING_BUFFER_PAGE_COUNT VmbClientChannelInitSetRingBufferPageCount;

/*
 * Names the device: its class, and which one of them (NULL: any). GUIDs are copied.
 * PnpFailureCallback may be NULL. PASSIVE. STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1;
 * STATUS_INVALID_PARAMETER_2 InterfaceType is NULL (ours). DDI:
 * fn_vmb_client_channel_init_set_target_pnp
 */
typedef NTSTATUS
FN_VMB_CLIENT_CHANNEL_INIT_SET_TARGET_PNP(_In_ VMBCHANNEL Channel, _In_ LPCGUID InterfaceType,
                                          _In_opt_ LPCGUID InterfaceInstance,
                                          _In_opt_ PFN_VMB_CHANNEL_PNP_FAILURE PnpFailureCallback);
typedef FN_VMB_CLIENT_CHANNEL_INIT_SET_TARGET_PNP *PFN_VMB_CLIENT_CHANNEL_INIT_SET_TARGET_PNP;
FN_VMB_CLIENT_CHANNEL_INIT_SET_TARGET_PNP VmbClientChannelInitSetTargetPnp;

/* ---- context and queries ---- */

/* One pointer a channel, the driver's; NULL at first. Any state, any IRQL. DDI:
 * fn_vmb_channel_set_pointer */
typedef VOID FASTCALL FN_VMB_CHANNEL_SET_POINTER(_In_ VMBCHANNEL Channel, _In_opt_ PVOID Pointer);
typedef FN_VMB_CHANNEL_SET_POINTER *PFN_VMB_CHANNEL_SET_POINTER;
FN_VMB_CHANNEL_SET_POINTER VmbChannelSetPointer;

/* DDI: fn_vmb_channel_get_pointer */
typedef PVOID FASTCALL FN_VMB_CHANNEL_GET_POINTER(_In_ VMBCHANNEL Channel);
typedef FN_VMB_CHANNEL_GET_POINTER *PFN_VMB_CHANNEL_GET_POINTER;
FN_VMB_CHANNEL_GET_POINTER VmbChannelGetPointer;

/*
 * The instance of the device that was taken; all zero before there is one (ours). It stays readable
 * until the next VmbChannelEnable(). Any IRQL. DDI: fn_vmb_channel_get_interface_instance
 */
typedef VOID FN_VMB_CHANNEL_GET_INTERFACE_INSTANCE(_In_ VMBCHANNEL Channel,
                                                   _Out_ LPGUID InterfaceInstance);
typedef FN_VMB_CHANNEL_GET_INTERFACE_INSTANCE *PFN_VMB_CHANNEL_GET_INTERFACE_INSTANCE;
FN_VMB_CHANNEL_GET_INTERFACE_INSTANCE VmbChannelGetInterfaceInstance;

/*
 * Device memory that was reserved for the channel: physical address and bytes. Always 0 and 0: no
 * windows for such memory are known to this guest, so none is reserved; a warning says so when an
 * offer asks for some. Any IRQL. DDI: fn_vmb_channel_get_mmio_space
 */
typedef VOID FN_VMB_CHANNEL_GET_MMIO_SPACE(_In_ VMBCHANNEL Channel, _Out_ UINT64 *MmioAddress,
                                           _Out_ UINT64 *MmioSize);
typedef FN_VMB_CHANNEL_GET_MMIO_SPACE *PFN_VMB_CHANNEL_GET_MMIO_SPACE;
FN_VMB_CHANNEL_GET_MMIO_SPACE VmbChannelGetMmioSpace;

/*
 * How long the hypervisor may take to see that the guest has sent something, where it looks by
 * itself (monitor pages); units of 100 ns. Valid from EvtChannelOpened to EvtChannelClosed, both
 * included. *OriginalLatency, written on success only: the value before. At most DISPATCH.
 * STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1; STATUS_INVALID_DEVICE_REQUEST not open;
 * STATUS_NOT_SUPPORTED the offer has no monitor. DDI: fn_vmb_channel_set_interrupt_latency
 */
typedef _Must_inspect_result_ NTSTATUS FN_VMB_CHANNEL_SET_INTERRUPT_LATENCY(
    _In_ VMBCHANNEL Channel, _In_ UINT16 Latency, _Out_ PUINT16 OriginalLatency);
typedef FN_VMB_CHANNEL_SET_INTERRUPT_LATENCY *PFN_VMB_CHANNEL_SET_INTERRUPT_LATENCY;
FN_VMB_CHANNEL_SET_INTERRUPT_LATENCY VmbChannelSetInterruptLatency;

/*
 * Quota: how many packets may be delivered and not yet completed, > 0 (0 is ignored with a
 * warning). May be below the present number: then nothing is delivered until enough are completed.
 * Raising it does not restart a queue that waits; the next completion does. Completions of our own
 * packets are not bound by it, but wait behind a packet that is (ours). Any state; at most
 * DISPATCH. DDI: fn_vmb_channel_set_transaction_quota
 */
typedef VOID FN_VMB_CHANNEL_SET_TRANSACTION_QUOTA(_In_ VMBCHANNEL Channel, _In_ UINT32 Quota);
typedef FN_VMB_CHANNEL_SET_TRANSACTION_QUOTA *PFN_VMB_CHANNEL_SET_TRANSACTION_QUOTA;
FN_VMB_CHANNEL_SET_TRANSACTION_QUOTA VmbChannelSetTransactionQuota;

/*
 * TRUE: packet callbacks, and completion routines of packets that the peer completes, run at
 * PASSIVE. From the next batch on (ours). Any state, any IRQL. DDI:
 * fn_vmb_channel_set_incoming_processing_at_passive
 */
typedef VOID FN_VMB_CHANNEL_SET_INCOMING_PROCESSING_AT_PASSIVE(_In_ VMBCHANNEL Channel,
                                                               _In_ BOOLEAN RequirePassive);
typedef FN_VMB_CHANNEL_SET_INCOMING_PROCESSING_AT_PASSIVE
    *PFN_VMB_CHANNEL_SET_INCOMING_PROCESSING_AT_PASSIVE;
FN_VMB_CHANNEL_SET_INCOMING_PROCESSING_AT_PASSIVE VmbChannelSetIncomingProcessingAtPassive;

/* ---- incoming packets ---- */

/*
 * Gives a delivered packet back. If its sender asked for a completion, sends one with BufSize bytes
 * of payload, queued if the ring is full; otherwise the buffer is not looked at. Cannot fail. A
 * BufSize above the channel's maximum packet size is cut to it, with a warning (ours). Nothing more
 * is delivered while 16 MiB of packets wait so, until half of them have gone (ours). The handle is
 * dead afterwards. At most DISPATCH, inside the callback or later. DDI:
 * fn_vmb_channel_packet_complete
 */
typedef VOID FN_VMB_CHANNEL_PACKET_COMPLETE(_In_ VMBPACKETCOMPLETION PacketCompletionContext,
                                            _In_reads_bytes_opt_(BufSize)
                                                PVOID PacketCompletionBuffer,
                                            _In_ UINT32 BufSize);
typedef FN_VMB_CHANNEL_PACKET_COMPLETE *PFN_VMB_CHANNEL_PACKET_COMPLETE;
FN_VMB_CHANNEL_PACKET_COMPLETE VmbChannelPacketComplete;

/*
 * The packet is beyond use: nothing more is delivered, completions of our own packets neither,
 * until the channel was closed and opened again. Gives the packet back, without a completion. Ours:
 * callable as long as the packet may be completed. At most DISPATCH. DDI:
 * fn_vmb_channel_packet_fail
 */
typedef VOID FASTCALL FN_VMB_CHANNEL_PACKET_FAIL(_In_ VMBPACKETCOMPLETION PacketCompletionContext);
typedef FN_VMB_CHANNEL_PACKET_FAIL *PFN_VMB_CHANNEL_PACKET_FAIL;
FN_VMB_CHANNEL_PACKET_FAIL VmbChannelPacketFail;

/*
 * Inside EvtVmbChannelProcessPacket only (elsewhere it stops the guest with a message): return
 * without completing, and the packet is delivered again at PASSIVE, before all that came after it.
 * The handle may be another then. DDI: fn_vmb_channel_packet_defer_to_passive
 */
typedef VOID FASTCALL
FN_VMB_CHANNEL_PACKET_DEFER_TO_PASSIVE(_In_ VMBPACKETCOMPLETION PacketCompletionContext);
typedef FN_VMB_CHANNEL_PACKET_DEFER_TO_PASSIVE *PFN_VMB_CHANNEL_PACKET_DEFER_TO_PASSIVE;
FN_VMB_CHANNEL_PACKET_DEFER_TO_PASSIVE VmbChannelPacketDeferToPassive;

/*
 * The memory that a packet with VMBUS_CHANNEL_PROCESS_PACKET_FLAG_EXTERNAL_DATA describes: a chain
 * with an MDL for each range, mapped (ours: MmGetSystemAddressForMdlSafe() gives the address; the
 * frame numbers are the guest's). It is the library's, and ends with the packet. Flags:
 * VMBUS_CHANNEL_PACKET_EXTERNAL_DATA_FLAG_READ_ONLY; those of the first call for a packet count.
 * The guest can write to this memory at any time: copy before checking.
 *
 * At most DISPATCH, as long as the packet may be completed (ours). STATUS_SUCCESS. Otherwise *Mdl =
 * NULL and (ours): STATUS_INVALID_PARAMETER unknown flags, or the description is not well-formed or
 * beyond VmbChannelInitSetMaximumExternalData(); STATUS_INSUFFICIENT_RESOURCES pages that cannot be
 * mapped, for they are not the guest's or for lack of memory; STATUS_INVALID_DEVICE_REQUEST the
 * packet has none: only clients send such packets, so whatever a client receives. STATUS_PENDING
 * never: guest memory is always there. DDI: fn_vmb_channel_packet_get_external_data
 */
typedef NTSTATUS
FN_VMB_CHANNEL_PACKET_GET_EXTERNAL_DATA(_In_ VMBPACKETCOMPLETION PacketCompletionContext,
                                        _In_ UINT32 Flags, _Out_ PMDL *Mdl);
typedef FN_VMB_CHANNEL_PACKET_GET_EXTERNAL_DATA *PFN_VMB_CHANNEL_PACKET_GET_EXTERNAL_DATA;
FN_VMB_CHANNEL_PACKET_GET_EXTERNAL_DATA VmbChannelPacketGetExternalData;

/* ---- outgoing packets ---- */

/*
 * A packet object with all that sending it will need. Its completion routine frees it, until
 * another is set; a packet that was not sent, or has a routine of its own, is for the caller to
 * free. NULL: no memory. At most DISPATCH. DDI: fn_vmb_packet_allocate
 */
typedef VMBPACKET FN_VMB_PACKET_ALLOCATE(_In_ VMBCHANNEL Channel);
typedef FN_VMB_PACKET_ALLOCATE *PFN_VMB_PACKET_ALLOCATE;
FN_VMB_PACKET_ALLOCATE VmbPacketAllocate;

/*
 * Frees a packet of VmbPacketAllocate(). Stops the guest with a message if it is queued or waits
 * for its completion, or is not of VmbPacketAllocate() (ours). At most DISPATCH. DDI:
 * fn_vmb_packet_free
 */
typedef VOID FN_VMB_PACKET_FREE(_In_ VMBPACKET VmbPacket);
typedef FN_VMB_PACKET_FREE *PFN_VMB_PACKET_FREE;
FN_VMB_PACKET_FREE VmbPacketFree;

/*
 * Bytes that VmbPacketInitialize() needs. Depends on the packet limits, so set those first. Any
 * IRQL. DDI: fn_vmb_channel_sizeof_packet
 */
typedef UINT32 FN_VMB_CHANNEL_SIZEOF_PACKET(_In_ VMBCHANNEL Channel);
typedef FN_VMB_CHANNEL_SIZEOF_PACKET *PFN_VMB_CHANNEL_SIZEOF_PACKET;
FN_VMB_CHANNEL_SIZEOF_PACKET VmbChannelSizeofPacket;

/*
 * Makes ByteCount bytes of the caller's memory, aligned to 8, a packet object. It has no completion
 * routine: set one before sending. The memory is the caller's again whenever the packet is not
 * under way. At most DISPATCH. STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1;
 * STATUS_INVALID_PARAMETER_2 NULL or not aligned (ours); STATUS_INVALID_PARAMETER_3 too small;
 * STATUS_INSUFFICIENT_RESOURCES (ours). DDI: fn_vmb_packet_initialize
 */
typedef NTSTATUS FN_VMB_PACKET_INITIALIZE(_In_ VMBCHANNEL Channel, _Out_ VMBPACKET VmbPacket,
                                          _In_ UINT32 ByteCount);
typedef FN_VMB_PACKET_INITIALIZE *PFN_VMB_PACKET_INITIALIZE;
FN_VMB_PACKET_INITIALIZE VmbPacketInitialize;

/* While the packet is not under way. Stays until changed (ours). Any IRQL.
 * DDI: fn_vmb_packet_set_completion_routine */
typedef VOID
FN_VMB_PACKET_SET_COMPLETION_ROUTINE(_In_ VMBPACKET PacketObject,
                                     _In_ PFN_VMB_PACKET_COMPLETION_ROUTINE CompletionRoutine);
typedef FN_VMB_PACKET_SET_COMPLETION_ROUTINE *PFN_VMB_PACKET_SET_COMPLETION_ROUTINE;
FN_VMB_PACKET_SET_COMPLETION_ROUTINE VmbPacketSetCompletionRoutine;

/* One pointer a packet, the driver's; NULL in a new packet (ours). Any IRQL. DDI:
 * fn_vmb_packet_set_pointer */
typedef VOID FASTCALL FN_VMB_PACKET_SET_POINTER(_In_ VMBPACKET PacketObject,
                                                _In_opt_ PVOID Pointer);
typedef FN_VMB_PACKET_SET_POINTER *PFN_VMB_PACKET_SET_POINTER;
FN_VMB_PACKET_SET_POINTER VmbPacketSetPointer;

/* DDI: fn_vmb_packet_get_pointer */
typedef PVOID FASTCALL FN_VMB_PACKET_GET_POINTER(_In_ VMBPACKET PacketObject);
typedef FN_VMB_PACKET_GET_POINTER *PFN_VMB_PACKET_GET_POINTER;
FN_VMB_PACKET_GET_POINTER VmbPacketGetPointer;

/* The channel the packet was made for. Any IRQL. DDI: fn_vmb_packet_get_channel */
typedef VMBCHANNEL FASTCALL FN_VMB_PACKET_GET_CHANNEL(_In_ VMBPACKET PacketObject);
typedef FN_VMB_PACKET_GET_CHANNEL *PFN_VMB_PACKET_GET_CHANNEL;
FN_VMB_PACKET_GET_CHANNEL VmbPacketGetChannel;

/*
 * Sends BufferLength bytes, and the memory that an MDL chain describes. Puts the packet into the
 * ring if the channel flows and there is room, else queues it, in order; in any state. The buffer
 * is copied before the call returns; the memory of the MDLs is the peer's until the completion
 * routine runs, the MDLs themselves are not needed after the call.
 *
 * Flags: VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION, required with an MDL (ours), and
 * _PAGED_BUFFER. On a pipe a payload has at most 16384 bytes. At most DISPATCH. STATUS_SUCCESS: the
 * completion routine runs, exactly once. Otherwise nothing was sent, the routine will not run, and
 * the packet stays the caller's (ours, all): STATUS_INVALID_PARAMETER flags, or a limit of the
 * channel is exceeded, or the MDLs are empty, or an MDL on a server, which has no memory that a
 * client could reach; STATUS_INVALID_DEVICE_REQUEST the packet is under way
 * already, or has no completion routine. DDI: fn_vmb_packet_send
 */
typedef NTSTATUS FN_VMB_PACKET_SEND(_In_ VMBPACKET PacketObject,
                                    _In_reads_bytes_opt_(BufferLength) PVOID Buffer,
                                    _In_ UINT32 BufferLength, _In_opt_ PMDL ExternalDataMdl,
                                    _In_ UINT32 Flags);
typedef FN_VMB_PACKET_SEND *PFN_VMB_PACKET_SEND;
FN_VMB_PACKET_SEND VmbPacketSend;

/*
 * The same for a window of an MDL chain: MdlLength bytes from MdlOffset; length 0: to the chain's
 * end. _WAIT_FOR_COMPLETION is required. With VMBUS_CHANNEL_FORMAT_FLAG_FORCE_MDL_LENGTH only the
 * first MDL counts, and MdlLength may reach beyond its byte count to the end of its last page.
 * STATUS_INVALID_PARAMETER also: the window is not inside the chain. DDI:
 * fn_vmb_packet_send_with_external_mdl
 */
typedef NTSTATUS FN_VMB_PACKET_SEND_WITH_EXTERNAL_MDL(
    _In_ VMBPACKET PacketObject, _In_reads_bytes_opt_(BufferLength) PVOID Buffer,
    _In_ UINT32 BufferLength, _In_ PMDL ExternalDataMdl, _In_ UINT32 MdlOffset,
    _In_ UINT32 MdlLength, _In_ UINT32 Flags);
typedef FN_VMB_PACKET_SEND_WITH_EXTERNAL_MDL *PFN_VMB_PACKET_SEND_WITH_EXTERNAL_MDL;
FN_VMB_PACKET_SEND_WITH_EXTERNAL_MDL VmbPacketSendWithExternalMdl;

/*
 * The same for PfnLength whole pages, given by their frame numbers. _WAIT_FOR_COMPLETION is
 * required. DDI: fn_vmb_packet_send_with_external_pfns
 */
typedef NTSTATUS FN_VMB_PACKET_SEND_WITH_EXTERNAL_PFNS(
    _In_ VMBPACKET PacketObject, _In_reads_bytes_opt_(BufferLength) PVOID Buffer,
    _In_ UINT32 BufferLength, _In_reads_(PfnLength) PPFN_NUMBER ExternalDataPfns,
    _In_ UINT32 PfnLength, _In_ UINT32 Flags);
typedef FN_VMB_PACKET_SEND_WITH_EXTERNAL_PFNS *PFN_VMB_PACKET_SEND_WITH_EXTERNAL_PFNS;
FN_VMB_PACKET_SEND_WITH_EXTERNAL_PFNS VmbPacketSendWithExternalPfns;

/*
 * Sends and waits: with VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION until the peer has completed
 * it, else until it is in the ring. Not from EvtVmbChannelProcessPacket, a completion routine, or a
 * state callback other than EvtChannelPostStarted: none of these lets packets flow.
 *
 * A server must not wait for a guest: *Timeout has to be 0, without _WAIT_FOR_COMPLETION, else
 * STATUS_INVALID_PARAMETER.
 *
 * CompletionBuffer takes the completion's payload. *CompletionBufferSize: its bytes, a multiple of
 * 8; on success the bytes written; with STATUS_BUFFER_TOO_SMALL the bytes there were (ours). NULL:
 * the payload is dropped. *Timeout, units of 100 ns: negative, from now; 0, "do not queue"; NULL,
 * no limit. Zero with _WAIT_FOR_COMPLETION: if the request went out at once its completion is
 * waited for without limit (ours). Positive, a date, counted from 1601: as far off as it is when
 * the call is made, whatever becomes of the date meanwhile; STATUS_NOT_SUPPORTED as long as the
 * guest has not been told the date (ours, both).
 *
 * After a timeout the peer still has the request. Its late completion is swallowed; but with
 * external data the call goes on waiting until that completion comes or the channel closes, because
 * until then the peer may write to the caller's pages (ours).
 *
 * PASSIVE; at most DISPATCH if *Timeout is 0 and _WAIT_FOR_COMPLETION is not set. STATUS_SUCCESS;
 * STATUS_BUFFER_OVERFLOW no room and not queued; STATUS_CANCELLED time is up; STATUS_DEVICE_REMOVED
 * Disabled, or closed meanwhile. Ours: STATUS_BUFFER_TOO_SMALL; STATUS_INVALID_PARAMETER_1;
 * STATUS_INVALID_PARAMETER as VmbPacketSend(), and a size that is no multiple of 8;
 * STATUS_INVALID_DEVICE_REQUEST called from where nothing can flow; STATUS_INSUFFICIENT_RESOURCES.
 * DDI: fn_vmb_channel_send_synchronous_request
 */
typedef NTSTATUS FN_VMB_CHANNEL_SEND_SYNCHRONOUS_REQUEST(
    _In_ VMBCHANNEL Channel, _In_reads_bytes_(BufferSize) PVOID Buffer, _In_ UINT32 BufferSize,
    _In_opt_ PMDL ExternalDataMdl, _In_ UINT32 Flags,
    _Out_writes_bytes_to_opt_(*CompletionBufferSize, *CompletionBufferSize) PVOID CompletionBuffer,
    _Inout_opt_ PUINT32 CompletionBufferSize, _In_opt_ PLARGE_INTEGER Timeout);
typedef FN_VMB_CHANNEL_SEND_SYNCHRONOUS_REQUEST *PFN_VMB_CHANNEL_SEND_SYNCHRONOUS_REQUEST;
FN_VMB_CHANNEL_SEND_SYNCHRONOUS_REQUEST VmbChannelSendSynchronousRequest;

/* ---- GPADLs: the guest's memory described to the host once, for many packets ---- */

/*
 * Describes ByteCount bytes at Buffer, any alignment. On return the host has confirmed;
 * *GpadlHandle is the number to send it. The memory is shared, and must stay, until
 * VmbChannelDeleteGpadl() has returned. Flags: VMBUS_CHANNEL_GPADL_FLAG_READ_ONLY, which changes
 * nothing.
 *
 * From EvtChannelOpened on until the channel closes. PASSIVE; waits for the host, with the bus'
 * limit. STATUS_SUCCESS. Ours: STATUS_INVALID_PARAMETER_1; STATUS_INVALID_PARAMETER flags, empty,
 * or more than a GPADL holds; STATUS_INVALID_DEVICE_REQUEST not open, or a server;
 * STATUS_INSUFFICIENT_RESOURCES no memory, or the host refused; STATUS_DEVICE_REMOVED the offer is
 * gone; STATUS_IO_TIMEOUT no answer: the memory must stay for good. DDI:
 * fn_vmb_channel_create_gpadl_from_buffer
 */
typedef _Must_inspect_result_ NTSTATUS FN_VMB_CHANNEL_CREATE_GPADL_FROM_BUFFER(
    _In_ VMBCHANNEL Channel, _In_ UINT32 Flags, _In_reads_bytes_(ByteCount) PVOID Buffer,
    _In_ UINT32 ByteCount, _Out_ PUINT32 GpadlHandle);
typedef FN_VMB_CHANNEL_CREATE_GPADL_FROM_BUFFER *PFN_VMB_CHANNEL_CREATE_GPADL_FROM_BUFFER;
FN_VMB_CHANNEL_CREATE_GPADL_FROM_BUFFER VmbChannelCreateGpadlFromBuffer;

/*
 * The same for a window of an MDL chain; length 0: to its end. One range for each MDL.
 * DDI: fn_vmb_channel_create_gpadl_from_mdl
 */
typedef _Must_inspect_result_ NTSTATUS FN_VMB_CHANNEL_CREATE_GPADL_FROM_MDL(
    _In_ VMBCHANNEL Channel, _In_ UINT32 Flags, _In_ PMDL Mdl, _In_ UINT32 StartOffsetWithinMdl,
    _In_ UINT32 DataLengthWithinMdl, _Out_ PUINT32 GpadlHandle);
typedef FN_VMB_CHANNEL_CREATE_GPADL_FROM_MDL *PFN_VMB_CHANNEL_CREATE_GPADL_FROM_MDL;
FN_VMB_CHANNEL_CREATE_GPADL_FROM_MDL VmbChannelCreateGpadlFromMdl;

/*
 * Takes the memory back: returns when the host has confirmed that it no longer uses it. Allowed
 * until EvtChannelClosed returns; a handle that is not one of this channel stops the guest with a
 * message (ours). If the host does not answer within the bus' limit a warning names the GPADL, and
 * its memory should not be used again. PASSIVE. DDI: fn_vmb_channel_delete_gpadl
 */
typedef VOID FN_VMB_CHANNEL_DELETE_GPADL(_In_ VMBCHANNEL Channel, _In_ UINT32 GpadlHandle);
typedef FN_VMB_CHANNEL_DELETE_GPADL *PFN_VMB_CHANNEL_DELETE_GPADL;
FN_VMB_CHANNEL_DELETE_GPADL VmbChannelDeleteGpadl;

/* ---- servers: configuration; only while Disabled, otherwise STATUS_INVALID_PARAMETER_1, as for a
 * client's channel ---- */

/*
 * Flags: VMBUS_SERVER_CHANNEL_INIT_FLAG_*; replaces those set before (ours). PASSIVE.
 * STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1; STATUS_INVALID_PARAMETER_2 unknown bits.
 * DDI: fn_vmb_server_channel_init_set_flags
 */
typedef NTSTATUS FN_VMB_SERVER_CHANNEL_INIT_SET_FLAGS(_In_ VMBCHANNEL Channel, _In_ UINT32 Flags);
typedef FN_VMB_SERVER_CHANNEL_INIT_SET_FLAGS *PFN_VMB_SERVER_CHANNEL_INIT_SET_FLAGS;
FN_VMB_SERVER_CHANNEL_INIT_SET_FLAGS VmbServerChannelInitSetFlags;

/*
 * Device memory that the guest should reserve, MiB: what the device needs, and what it could use.
 * PASSIVE. STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1; STATUS_INVALID_PARAMETER both are zero.
 * DDI: fn_vmb_server_channel_init_set_mmio_megabytes
 */
typedef NTSTATUS FN_VMB_SERVER_CHANNEL_INIT_SET_MMIO_MEGABYTES(_In_ VMBCHANNEL Channel,
                                                               _In_ UINT16 MmioMegabytes,
                                                               _In_ UINT16 MmioMegabytesOptional);
typedef FN_VMB_SERVER_CHANNEL_INIT_SET_MMIO_MEGABYTES
    *PFN_VMB_SERVER_CHANNEL_INIT_SET_MMIO_MEGABYTES;
FN_VMB_SERVER_CHANNEL_INIT_SET_MMIO_MEGABYTES VmbServerChannelInitSetMmioMegabytes;

/*
 * Needed to save or restore a channel with packets under way. PASSIVE. STATUS_SUCCESS;
 * STATUS_INVALID_PARAMETER_1; STATUS_INVALID_PARAMETER_2, _3: that one is NULL (ours).
 * DDI: fn_vmb_server_channel_init_set_save_restore_packet_callbacks
 */
typedef NTSTATUS FN_VMB_SERVER_CHANNEL_INIT_SET_SAVE_RESTORE_PACKET_CALLBACKS(
    _In_ VMBCHANNEL Channel, _In_ PFN_VMB_CHANNEL_SAVE_PACKET SavePacketCallback,
    _In_ PFN_VMB_CHANNEL_RESTORE_PACKET RestorePacketCallback);
typedef FN_VMB_SERVER_CHANNEL_INIT_SET_SAVE_RESTORE_PACKET_CALLBACKS
    *PFN_VMB_SERVER_CHANNEL_INIT_SET_SAVE_RESTORE_PACKET_CALLBACKS;
FN_VMB_SERVER_CHANNEL_INIT_SET_SAVE_RESTORE_PACKET_CALLBACKS
VmbServerChannelInitSetSaveRestorePacketCallbacks;

/*
 * Names the device that is offered: its class, and which one of them. By value. PASSIVE.
 * STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1. DDI:
 * fn_vmb_server_channel_init_set_target_interface_id
 */
typedef NTSTATUS FN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_INTERFACE_ID(_In_ VMBCHANNEL Channel,
                                                                    _In_ GUID InterfaceType,
                                                                    _In_ GUID InterfaceInstance);
typedef FN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_INTERFACE_ID
    *PFN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_INTERFACE_ID;
FN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_INTERFACE_ID VmbServerChannelInitSetTargetInterfaceId;

/*
 * The virtual trust level of the guest that may open the channel: 0, the only one that this bus
 * offers to (ours). PASSIVE. STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1;
 * STATUS_INVALID_PARAMETER_2 another level. DDI: fn_vmb_server_channel_init_set_target_vtl
 */
typedef NTSTATUS FN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_VTL(_In_ VMBCHANNEL Channel,
                                                           _In_ UINT8 TargetVtl);
typedef FN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_VTL *PFN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_VTL;
FN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_VTL VmbServerChannelInitSetTargetVtl;

/*
 * The guest to offer to. VmbusHandle (ours): what KmclServerHandle() gave; required. PASSIVE.
 * STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1; STATUS_INVALID_PARAMETER_2 NULL (ours).
 * DDI: fn_vmb_server_channel_init_set_vmbus_handle
 */
typedef NTSTATUS FN_VMB_SERVER_CHANNEL_INIT_SET_VMBUS_HANDLE(_In_ VMBCHANNEL Channel,
                                                             _In_ HANDLE VmbusHandle);
typedef FN_VMB_SERVER_CHANNEL_INIT_SET_VMBUS_HANDLE *PFN_VMB_SERVER_CHANNEL_INIT_SET_VMBUS_HANDLE;
FN_VMB_SERVER_CHANNEL_INIT_SET_VMBUS_HANDLE VmbServerChannelInitSetVmbusHandle;

/*
 * There is one kind of handle here, and no process that owns it: gives the same one back, not to be
 * closed (ours). PASSIVE. STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1, _2: that one is NULL (ours).
 * DDI: fn_vmb_convert_vmbus_handle_to_kernel_handle
 */
typedef NTSTATUS FN_VMB_CONVERT_VMBUS_HANDLE_TO_KERNEL_HANDLE(_In_ HANDLE VmbusHandle,
                                                              _Out_ PHANDLE KernelHandle);
typedef FN_VMB_CONVERT_VMBUS_HANDLE_TO_KERNEL_HANDLE *PFN_VMB_CONVERT_VMBUS_HANDLE_TO_KERNEL_HANDLE;
FN_VMB_CONVERT_VMBUS_HANDLE_TO_KERNEL_HANDLE VmbConvertVmbusHandleToKernelHandle;

/* ---- servers: the guest's memory ---- */

/*
 * Maps a GPADL that the guest made for this channel: *Mdl is a chain with an MDL for each range,
 * the library's, good until VmbChannelUnmapGpadl() (ours: mapped, as the memory of packets is; see
 * VmbChannelPacketGetExternalData()). One mapping of a GPADL at a time. The guest waits with its
 * VmbChannelDeleteGpadl() until it is unmapped. Flags: VMBUS_CHANNEL_GPADL_FLAG_READ_ONLY.
 *
 * From EvtChannelOpened until the channel begins to close (ours: no more in EvtChannelSuspend
 * then). What is mapped stays until EvtChannelClosed returns; whatever is left then the library
 * unmaps, with a warning (ours). At most DISPATCH (ours). STATUS_SUCCESS. Otherwise *Mdl = NULL and
 * (ours): STATUS_INVALID_PARAMETER_1; STATUS_INVALID_PARAMETER flags, or no such GPADL;
 * STATUS_INVALID_DEVICE_REQUEST not open, a client's channel, or it is mapped or being deleted;
 * STATUS_INSUFFICIENT_RESOURCES pages that cannot be mapped, or no memory. DDI:
 * fn_vmb_channel_map_gpadl
 */
typedef _Must_inspect_result_ NTSTATUS FN_VMB_CHANNEL_MAP_GPADL(_In_ VMBCHANNEL Channel,
                                                                _In_ UINT32 Flags,
                                                                _In_ UINT32 GpadlHandle,
                                                                _Out_ PMDL *Mdl);
typedef FN_VMB_CHANNEL_MAP_GPADL *PFN_VMB_CHANNEL_MAP_GPADL;
FN_VMB_CHANNEL_MAP_GPADL VmbChannelMapGpadl;

/*
 * Undoes VmbChannelMapGpadl(); nothing may be using the memory. A handle that is not mapped stops
 * the host with a message (ours). At most DISPATCH (ours). DDI: fn_vmb_channel_unmap_gpadl
 */
typedef VOID FN_VMB_CHANNEL_UNMAP_GPADL(_In_ VMBCHANNEL Channel, _In_ UINT32 GpadlHandle);
typedef FN_VMB_CHANNEL_UNMAP_GPADL *PFN_VMB_CHANNEL_UNMAP_GPADL;
FN_VMB_CHANNEL_UNMAP_GPADL VmbChannelUnmapGpadl;

/* ---- servers: save and restore ---- */

/*
 * What is saved: the packets of this channel that are queued or wait for the guest's completion,
 * completions that are queued, a packet that is deferred, and that VmbChannelPacketFail() was
 * called. The rings, which the guest's memory holds, and the bus are saved by others
 * (vmbus/server/server.h). The form is ours: no other system reads it.
 *
 * The order: VmbChannelSaveBegin(); VmbChannelSaveContinue() until it is not
 * STATUS_BUFFER_OVERFLOW or STATUS_BUFFER_TOO_SMALL; VmbChannelSaveEnd(). Elsewhere a channel
 * configured alike: VmbChannelRestoreFromBuffer() with what was saved, part by part, then
 * VmbChannelEnable(), then the bus is restored.
 */

/*
 * Begins a save. The channel must be paused, closed or Disabled, and stay so, and nothing be sent,
 * until VmbChannelSaveEnd() (ours, all); docs/porting.md has the order of calls for a whole
 * machine. PASSIVE. STATUS_SUCCESS. Ours: STATUS_INVALID_PARAMETER_1 not a server's channel;
 * STATUS_INVALID_DEVICE_REQUEST packets flow, what the guest did last is not worked off (passive
 * work), or a save or a restore is under way; STATUS_INSUFFICIENT_RESOURCES. DDI:
 * fn_vmb_channel_save_begin
 */
typedef _Must_inspect_result_ NTSTATUS FN_VMB_CHANNEL_SAVE_BEGIN(_In_ VMBCHANNEL Channel);
typedef FN_VMB_CHANNEL_SAVE_BEGIN *PFN_VMB_CHANNEL_SAVE_BEGIN;
FN_VMB_CHANNEL_SAVE_BEGIN VmbChannelSaveBegin;

/*
 * Fills SaveBuffer with whole chunks. Each call's *BytesFilled bytes are one part for
 * VmbChannelRestoreFromBuffer(); parts may be put together, never cut. *BytesRequired: bytes that
 * let the next call make progress, 0 with STATUS_SUCCESS (ours). May call EvtVmbChannelSavePacket.
 *
 * PASSIVE. STATUS_SUCCESS: that was the last part. STATUS_BUFFER_OVERFLOW (no NT_SUCCESS): a part,
 * there are more. STATUS_BUFFER_TOO_SMALL: not even the next chunk fits; nothing was written. Ours:
 * STATUS_INVALID_PARAMETER_1; STATUS_INVALID_DEVICE_REQUEST without VmbChannelSaveBegin(), after
 * the last part, or packets came or went meanwhile, or there are packets but no callback;
 * STATUS_INSUFFICIENT_RESOURCES; what EvtVmbChannelSavePacket returned. After these only
 * VmbChannelSaveEnd() is left. DDI: fn_vmb_channel_save_continue
 */
typedef _Must_inspect_result_ NTSTATUS FN_VMB_CHANNEL_SAVE_CONTINUE(
    _In_ VMBCHANNEL Channel,
    _Out_writes_bytes_to_opt_(SaveBufferSize, *BytesFilled) PVOID SaveBuffer,
    _In_ ULONG SaveBufferSize, _Out_ PULONG BytesFilled, _Out_ PULONG BytesRequired);
typedef FN_VMB_CHANNEL_SAVE_CONTINUE *PFN_VMB_CHANNEL_SAVE_CONTINUE;
FN_VMB_CHANNEL_SAVE_CONTINUE VmbChannelSaveContinue;

/* Ends a save, complete or not; needed after every VmbChannelSaveBegin() that succeeded. The
 * channel is as before. PASSIVE. DDI: fn_vmb_channel_save_end */
typedef VOID FN_VMB_CHANNEL_SAVE_END(_In_ VMBCHANNEL Channel);
typedef FN_VMB_CHANNEL_SAVE_END *PFN_VMB_CHANNEL_SAVE_END;
FN_VMB_CHANNEL_SAVE_END VmbChannelSaveEnd;

/*
 * Takes one or more parts of a saved form, in order. They are copied and checked; only with the
 * last one, when all of it has been found good, is EvtVmbChannelRestorePacket called for each
 * packet. So a refused form has changed nothing; the next call starts over.
 *
 * The channel must be Disabled, configured as the one that was saved (same device, same packet
 * size or larger), and have no packets under way (ours). PASSIVE. STATUS_MORE_PROCESSING_REQUIRED
 * (no NT_SUCCESS): good so far. STATUS_SUCCESS: complete. Refused (ours):
 * STATUS_INVALID_PARAMETER_1 not a server's channel; STATUS_INVALID_DEVICE_REQUEST not Disabled, a
 * save is under way, packets are under way, or there are packets but no callback;
 * STATUS_INVALID_SIGNATURE not saved by this library; STATUS_REVISION_MISMATCH by another version
 * of it; STATUS_CRC_ERROR damaged, or parts missing or out of order; STATUS_INVALID_BUFFER_SIZE a
 * chunk is cut; STATUS_OBJECT_TYPE_MISMATCH of another device; STATUS_INVALID_PARAMETER beyond this
 * channel's limits; STATUS_INSUFFICIENT_RESOURCES. Where a callback failed, its status; packets
 * restored before are the driver's again, idle. DDI: fn_vmb_channel_restore_from_buffer
 */
typedef _Must_inspect_result_ NTSTATUS FN_VMB_CHANNEL_RESTORE_FROM_BUFFER(
    _In_ VMBCHANNEL Channel, _In_reads_bytes_(BufferSize) PVOID Buffer, _In_ ULONG BufferSize);
typedef FN_VMB_CHANNEL_RESTORE_FROM_BUFFER *PFN_VMB_CHANNEL_RESTORE_FROM_BUFFER;
FN_VMB_CHANNEL_RESTORE_FROM_BUFFER VmbChannelRestoreFromBuffer;

/*
 * Inside EvtVmbChannelRestorePacket, once, with its LibBuf: the packet is under way afterwards, as
 * it was when it was saved; its completion routine runs when the guest has completed it, or when it
 * is in the ring. PASSIVE. STATUS_SUCCESS. Ours: STATUS_INVALID_PARAMETER_1 not an idle packet of
 * the channel that is being restored; STATUS_INVALID_PARAMETER_2 not the callback's LibBuf, or used
 * already; STATUS_INVALID_PARAMETER_3 nor its size; STATUS_INVALID_DEVICE_REQUEST the packet has no
 * completion routine. DDI: fn_vmb_packet_restore
 */
typedef NTSTATUS FN_VMB_PACKET_RESTORE(_In_ VMBPACKET PacketObject,
                                       _In_reads_bytes_(BufferSize) PVOID Buffer,
                                       _In_ ULONG BufferSize);
typedef FN_VMB_PACKET_RESTORE *PFN_VMB_PACKET_RESTORE;
FN_VMB_PACKET_RESTORE VmbPacketRestore;

/* ---- tables of functions ---- */

/*
 * The members are listed by macros because standard C knows no unnamed members of a named type,
 * which is what these structures have on Windows; names and offsets are the same.
 */
/* clang-format off */
#define KMCL_CLIENT_INTERFACE_V1_METHODS \
    PFN_VMB_CHANNEL_ALLOCATE VmbChannelAllocate; \
    PFN_VMB_CHANNEL_CLEANUP VmbChannelCleanup; \
    PFN_VMB_CHANNEL_CREATE_GPADL_FROM_BUFFER VmbChannelCreateGpadlFromBuffer; \
    PFN_VMB_CHANNEL_CREATE_GPADL_FROM_MDL VmbChannelCreateGpadlFromMdl; \
    PFN_VMB_CHANNEL_DELETE_GPADL VmbChannelDeleteGpadl; \
    PFN_VMB_CHANNEL_DISABLE VmbChannelDisable; \
    PFN_VMB_CHANNEL_ENABLE VmbChannelEnable; \
    PFN_VMB_CHANNEL_GET_INTERFACE_INSTANCE VmbChannelGetInterfaceInstance; \
    PFN_VMB_CHANNEL_GET_MMIO_SPACE VmbChannelGetMmioSpace; \
    PFN_VMB_CHANNEL_GET_POINTER VmbChannelGetPointer; \
    PFN_VMB_CHANNEL_INIT_SET_CLIENT_CONTEXT_SIZE VmbChannelInitSetClientContextSize; \
    PFN_VMB_CHANNEL_INIT_SET_FLAGS VmbChannelInitSetFlags; \
    PFN_VMB_CHANNEL_INIT_SET_FRIENDLY_NAME VmbChannelInitSetFriendlyName; \
    PFN_VMB_CHANNEL_INIT_SET_MAXIMUM_EXTERNAL_DATA VmbChannelInitSetMaximumExternalData; \
    PFN_VMB_CHANNEL_INIT_SET_MAXIMUM_PACKET_SIZE VmbChannelInitSetMaximumPacketSize; \
    PFN_VMB_CHANNEL_INIT_SET_PROCESS_PACKET_CALLBACKS VmbChannelInitSetProcessPacketCallbacks; \
    PFN_VMB_CHANNEL_INIT_SET_STATE_CHANGE_CALLBACKS VmbChannelInitSetStateChangeCallbacks; \
    PFN_VMB_CHANNEL_PACKET_COMPLETE VmbChannelPacketComplete; \
    PFN_VMB_CHANNEL_PACKET_DEFER_TO_PASSIVE VmbChannelPacketDeferToPassive; \
    PFN_VMB_CHANNEL_PACKET_FAIL VmbChannelPacketFail; \
    PFN_VMB_CHANNEL_PACKET_GET_EXTERNAL_DATA VmbChannelPacketGetExternalData; \
    PFN_VMB_CHANNEL_PAUSE VmbChannelPause; \
    PFN_VMB_CHANNEL_SEND_SYNCHRONOUS_REQUEST VmbChannelSendSynchronousRequest; \
    PFN_VMB_CHANNEL_SET_INCOMING_PROCESSING_AT_PASSIVE VmbChannelSetIncomingProcessingAtPassive; \
    PFN_VMB_CHANNEL_SET_INTERRUPT_LATENCY VmbChannelSetInterruptLatency; \
    PFN_VMB_CHANNEL_SET_POINTER VmbChannelSetPointer; \
    PFN_VMB_CHANNEL_SET_TRANSACTION_QUOTA VmbChannelSetTransactionQuota; \
    PFN_VMB_CHANNEL_SIZEOF_PACKET VmbChannelSizeofPacket; \
    PFN_VMB_CHANNEL_START VmbChannelStart; \
    PFN_VMB_CLIENT_CHANNEL_INIT_SET_RING_BUFFER_PAGE_COUNT VmbClientChannelInitSetRingBufferPageCount; \
    PFN_VMB_CLIENT_CHANNEL_INIT_SET_TARGET_PNP VmbClientChannelInitSetTargetPnp; \
    PFN_VMB_PACKET_ALLOCATE VmbPacketAllocate; \
    PFN_VMB_PACKET_FREE VmbPacketFree; \
    PFN_VMB_PACKET_GET_CHANNEL VmbPacketGetChannel; \
    PFN_VMB_PACKET_GET_POINTER VmbPacketGetPointer; \
    PFN_VMB_PACKET_INITIALIZE VmbPacketInitialize; \
    PFN_VMB_PACKET_SEND VmbPacketSend; \
    PFN_VMB_PACKET_SEND_WITH_EXTERNAL_MDL VmbPacketSendWithExternalMdl; \
    PFN_VMB_PACKET_SEND_WITH_EXTERNAL_PFNS VmbPacketSendWithExternalPfns; \
    PFN_VMB_PACKET_SET_COMPLETION_ROUTINE VmbPacketSetCompletionRoutine; \
    PFN_VMB_PACKET_SET_POINTER VmbPacketSetPointer;

#define KMCL_SERVER_ONLY_METHODS_MEMBERS \
    PFN_VMB_CHANNEL_MAP_GPADL VmbChannelMapGpadl; \
    PFN_VMB_CHANNEL_RESTORE_FROM_BUFFER VmbChannelRestoreFromBuffer; \
    PFN_VMB_CHANNEL_SAVE_BEGIN VmbChannelSaveBegin; \
    PFN_VMB_CHANNEL_SAVE_CONTINUE VmbChannelSaveContinue; \
    PFN_VMB_CHANNEL_SAVE_END VmbChannelSaveEnd; \
    PFN_VMB_CHANNEL_UNMAP_GPADL VmbChannelUnmapGpadl; \
    PFN_VMB_CONVERT_VMBUS_HANDLE_TO_KERNEL_HANDLE VmbConvertVmbusHandleToKernelHandle; \
    PFN_VMB_PACKET_RESTORE VmbPacketRestore; \
    PFN_VMB_SERVER_CHANNEL_INIT_SET_FLAGS VmbServerChannelInitSetFlags; \
    PFN_VMB_SERVER_CHANNEL_INIT_SET_MMIO_MEGABYTES VmbServerChannelInitSetMmioMegabytes; \
    PFN_VMB_SERVER_CHANNEL_INIT_SET_SAVE_RESTORE_PACKET_CALLBACKS VmbServerChannelInitSetSaveRestorePacketCallbacks; \
    PFN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_INTERFACE_ID VmbServerChannelInitSetTargetInterfaceId; \
    PFN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_VTL VmbServerChannelInitSetTargetVtl; \
    PFN_VMB_SERVER_CHANNEL_INIT_SET_VMBUS_HANDLE VmbServerChannelInitSetVmbusHandle;
/* clang-format on */

/* DDI: ns-vmbuskernelmodeclientlibapi-_kmcl_client_interface_v1 */
typedef struct _KMCL_CLIENT_INTERFACE_V1 {
    INTERFACE_MEMBERS
    KMCL_CLIENT_INTERFACE_V1_METHODS
} KMCL_CLIENT_INTERFACE_V1, *PKMCL_CLIENT_INTERFACE_V1;

/* DDI: ns-vmbuskernelmodeclientlibapi-_kmcl_server_only_methods */
typedef struct _KMCL_SERVER_ONLY_METHODS {
    KMCL_SERVER_ONLY_METHODS_MEMBERS
} KMCL_SERVER_ONLY_METHODS, *PKMCL_SERVER_ONLY_METHODS;

/* DDI: ns-vmbuskernelmodeclientlibapi-_kmcl_server_interface_v1 */
typedef struct _KMCL_SERVER_INTERFACE_V1 {
    INTERFACE_MEMBERS
    KMCL_CLIENT_INTERFACE_V1_METHODS
    KMCL_SERVER_ONLY_METHODS_MEMBERS
} KMCL_SERVER_INTERFACE_V1, *PKMCL_SERVER_INTERFACE_V1;

#ifdef __cplusplus
#define KMCL_STATIC_ASSERT static_assert
#else
#define KMCL_STATIC_ASSERT _Static_assert
#endif
KMCL_STATIC_ASSERT(sizeof(KMCL_CLIENT_INTERFACE_V1) == 360, "32 bytes and 41 pointers");
KMCL_STATIC_ASSERT(sizeof(KMCL_SERVER_ONLY_METHODS) == 112, "14 pointers");
KMCL_STATIC_ASSERT(sizeof(KMCL_SERVER_INTERFACE_V1) == 472, "the one behind the other");

/* The documentation has the names only; ours: the values. */
#define KMCL_CLIENT_INTERFACE_VERSION_V1     1
#define KMCL_CLIENT_INTERFACE_VERSION_LATEST KMCL_CLIENT_INTERFACE_VERSION_V1
#define KMCL_SERVER_INTERFACE_VERSION_V1     1

/*
 * Ours, in place of WdfFdoQueryForInterface() and its like: there is no framework to ask. Fills a
 * table of Size bytes. Its InterfaceReference and InterfaceDereference do nothing. The server's
 * table is for hosts. Any IRQL. STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1 NULL;
 * STATUS_INVALID_PARAMETER_2 not the size of the table; STATUS_NOT_SUPPORTED no such version.
 */
NTSTATUS KmclQueryClientInterface(PKMCL_CLIENT_INTERFACE_V1 Interface, USHORT Size, USHORT Version);
NTSTATUS KmclQueryServerInterface(PKMCL_SERVER_INTERFACE_V1 Interface, USHORT Size, USHORT Version);

#ifdef __cplusplus
}
#endif

#endif
