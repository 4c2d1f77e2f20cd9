/* SPDX-License-Identifier: MIT */
#ifndef TESTS_CALLBACK_ORDER_H
#define TESTS_CALLBACK_ORDER_H

#include <stddef.h>

/*
 * The order in which KMCL calls a driver's state callbacks, a letter each: Opened O, Started S,
 * PostStarted P, Suspend U, Closed C; F is EvtChannelPnpFailure.
 */

/* Whether each may follow the one before it, and the last one leaves the channel closed. */
void check_callback_order(const char *who, const char *letters);

/*
 * Whether what follows the first `before` letters begins with the callbacks that close the channel,
 * as far as it was open: at once, or behind one callback that was decided on already.
 */
void check_callbacks_of_close(const char *letters, size_t before);

#endif
