/* SPDX-License-Identifier: MIT */
#ifndef HV_HYPERCALL_H
#define HV_HYPERCALL_H

#include <stdbool.h>
#include <stdint.h>

/* HV_STATUS values a guest of this kind meets (TLFS, Hypercall Status Codes). */
typedef uint16_t hv_status;
#define HV_STATUS_SUCCESS                 ((hv_status)0x0000)
#define HV_STATUS_INVALID_HYPERCALL_CODE  ((hv_status)0x0002)
#define HV_STATUS_INVALID_HYPERCALL_INPUT ((hv_status)0x0003)
#define HV_STATUS_INVALID_ALIGNMENT       ((hv_status)0x0004)
#define HV_STATUS_INVALID_PARAMETER       ((hv_status)0x0005)
#define HV_STATUS_ACCESS_DENIED           ((hv_status)0x0006)
#define HV_STATUS_INSUFFICIENT_MEMORY     ((hv_status)0x000B)
#define HV_STATUS_INVALID_PORT_ID         ((hv_status)0x0011)
#define HV_STATUS_INVALID_CONNECTION_ID   ((hv_status)0x0012)
#define HV_STATUS_INSUFFICIENT_BUFFERS    ((hv_status)0x0013)
#define HV_STATUS_INVALID_SYNIC_STATE     ((hv_status)0x0018)
#define HV_STATUS_TIME_OUT                ((hv_status)0x0078)

#define HV_MESSAGE_PAYLOAD_MAXIMUM 240u
#define HV_MESSAGE_TYPE_VMBUS      1u

/*
 * HvCallPostMessage, one attempt, message type 1. `size` at most HV_MESSAGE_PAYLOAD_MAXIMUM; the
 * payload is copied. At or below DISPATCH.
 */
hv_status hv_post_message(uint32_t connection_id, const void *payload, uint32_t size);

/*
 * The same with back-off (1 us doubling to 1 ms) while the status says that a later attempt may
 * succeed, or until `deadline` (100 ns units of clock_now()). HV_STATUS_INVALID_CONNECTION_ID
 * counts as "later" only if `connection_exists`: a host throttles with it once a connection stands,
 * and refuses the first contact with it. Incoming messages are served between attempts. Returns the
 * last status. IRQL_PASSIVE.
 */
hv_status hv_post_message_with_retry(uint32_t connection_id, const void *payload, uint32_t size,
                                     bool connection_exists, uint64_t deadline);

/* HvCallSignalEvent with flag number 0. At or below DISPATCH. Failures are counted (hv_statistics)
 * and normal after a rescind. */
hv_status hv_signal_event(uint32_t connection_id);

#endif
