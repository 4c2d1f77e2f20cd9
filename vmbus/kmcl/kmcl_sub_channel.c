/* SPDX-License-Identifier: MIT */
/* Clients' channels that are not the first of their device, or not for the first processor. */

#include "vmbus/kmcl/kmcl.h"

NTSTATUS KmclClientChannelInitSetPrimary(VMBCHANNEL Channel, VMBCHANNEL Primary,
                                         UINT16 SubChannelIndex,
                                         PFN_VMB_CHANNEL_PNP_FAILURE PnpFailureCallback)
{
    const struct kmcl_channel *primary = kmcl_channel_find(Primary);

    if (kmcl_channel_find(Channel) == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (primary == NULL || Primary == Channel || primary->bus == NULL ||
        primary->sub_channel_index != 0) {
        return STATUS_INVALID_PARAMETER_2;
    }
    if (SubChannelIndex == 0) {
        return STATUS_INVALID_PARAMETER_3;
    }
    NTSTATUS status = VmbClientChannelInitSetTargetPnp(Channel, &primary->target_type,
                                                       &primary->instance, PnpFailureCallback);
    if (status == STATUS_SUCCESS) {
        kmcl_channel_find(Channel)->sub_channel_index = SubChannelIndex;
    }
    return status;
}

NTSTATUS KmclClientChannelSetTargetProcessor(VMBCHANNEL Channel, UINT32 VpIndex)
{
    struct kmcl_channel *channel = kmcl_channel_find(Channel);
    NTSTATUS status = STATUS_SUCCESS;

    if (channel == NULL || channel->is_server) {
        return STATUS_INVALID_PARAMETER_1;
    }
    kmcl_require_passive(__func__);
    if (VpIndex == UINT32_MAX) {
        return STATUS_INVALID_PARAMETER_2;
    }
    if (channel->is_open) {
        status = kmcl_status_of(vmbus_channel_move(channel->bus, VpIndex));
    }
    if (status == STATUS_SUCCESS) {
        channel->target_vp = VpIndex;
        channel->owner.target_vp = &channel->target_vp;
    }
    return status;
}
