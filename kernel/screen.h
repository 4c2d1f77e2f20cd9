/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_SCREEN_H
#define KERNEL_SCREEN_H

#include "kernel/framebuffer.h"

/* Maps the framebuffer and makes it a sink of the console. It is a valid one. Once, IRQL_PASSIVE,
 * when pages can be allocated. */
void screen_start(const struct framebuffer *framebuffer);

#endif
