/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

/*
 * One line on the console: "[ seconds.micros] component: text". No newline in the format. Lines
 * longer than 200 characters are cut. Any IRQL.
 */
void log_info(const char *component, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, marked "warning:"; something is wrong outside this guest (bad host data, missing
 * feature) and the guest goes on. */
void log_warning(const char *component, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
