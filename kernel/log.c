/* SPDX-License-Identifier: MIT */
#include "kernel/log.h"

#include <inttypes.h>
#include <stdarg.h>

#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/format.h"

#define LINE_LENGTH 200u

/* The line is built on the stack and goes out as a whole, so that lines of different levels never
 * mix. */
static void log_line(const char *component, const char *mark, const char *format, va_list arguments)
{
    char line[LINE_LENGTH + sizeof("\r\n")];
    uint64_t now = clock_now();
    size_t used =
        format_into(line, LINE_LENGTH + 1, "[%5" PRIu64 ".%06" PRIu64 "] %s: %s",
                    now / CLOCK_SECOND, now % CLOCK_SECOND / CLOCK_MICROSECOND, component, mark);

    used += format_text(line + used, LINE_LENGTH + 1 - used, format, arguments);
    line[used++] = '\r';
    line[used++] = '\n';
    console_write(line, used);
}

void log_info(const char *component, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line(component, "", format, arguments);
    va_end(arguments);
}

void log_warning(const char *component, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line(component, "warning: ", format, arguments);
    va_end(arguments);
}
