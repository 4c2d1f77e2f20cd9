/* SPDX-License-Identifier: MIT */
#ifndef EL2_SEMIHOSTING_H
#define EL2_SEMIHOSTING_H

/*
 * QEMU itself as the host's console, command line and end (ARM, "Semihosting for AArch32 and
 * AArch64"; -semihosting-config enable=on,target=native). Any processor, any time.
 */

#include <stdbool.h>
#include <stddef.h>

/* Of the status with which QEMU ends, beside the guest's own 0 to 123. */
#define STATUS_GUEST_RESTARTS 124
#define STATUS_HOST_FAILED    125 /* tests/system says the same of every host */
#define STATUS_GUEST_STRAY    126 /* the guest did what no guest may; the last line says where */

/* A terminated string; lines of several processors do not mix if each is written at once. */
void semihosting_write(const char *text);

/* A line of any length behind a mark. */
void semihosting_print_marked(const char *mark, const char *text);

/* A file of the machine that QEMU runs on, and a terminator. False: it cannot be read, or there is
 * no room for all of it. One at a time. */
bool semihosting_read_file(const char *name, char *text, size_t size);

/* The words of -semihosting-config arg=..., separated by blanks, cut to `size` with a terminator.
 */
void semihosting_command_line(char *text, size_t size);

_Noreturn void semihosting_exit(int status);

/* One line. */
void semihosting_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line, then the end. */
_Noreturn void stop(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
