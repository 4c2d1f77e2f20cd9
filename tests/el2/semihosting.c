/* SPDX-License-Identifier: MIT */
#include "tests/el2/semihosting.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "kernel/format.h"

/* ARM semihosting specification: operations, and the reason for an end that is none of a fault. */
#define SYS_WRITE0                  0x04u
#define SYS_GET_CMDLINE             0x15u
#define SYS_EXIT                    0x18u
#define ADP_STOPPED_APPLICATIONEXIT 0x20026u

#define LINE_SIZE 300u /* longer ones are cut */

static uint64_t call(uint64_t operation, const void *block)
{
    register uint64_t x0 __asm__("x0") = operation;
    register const void *x1 __asm__("x1") = block;

    __asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
    return x0;
}

void semihosting_write(const char *text)
{
    (void)call(SYS_WRITE0, text);
}

void semihosting_command_line(char *text, size_t size)
{
    struct {
        char *text;
        uint64_t size;
    } block = {text, size};

    if (call(SYS_GET_CMDLINE, &block) != 0) {
        text[0] = '\0';
    }
    text[size - 1] = '\0';
}

_Noreturn void semihosting_exit(int status)
{
    const uint64_t block[2] = {ADP_STOPPED_APPLICATIONEXIT, (uint64_t)status};

    for (;;) {
        (void)call(SYS_EXIT, block);
    }
}

static void print(const char *format, va_list arguments)
{
    char line[LINE_SIZE];
    size_t used = strlen(strcpy(line, "host: "));

    used += format_text(line + used, sizeof(line) - used - 1, format, arguments);
    memcpy(line + used, "\n", 2);
    semihosting_write(line);
}

void semihosting_print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print(format, arguments);
    va_end(arguments);
}

_Noreturn void stop(int status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print(format, arguments);
    va_end(arguments);
    semihosting_exit(status);
}
