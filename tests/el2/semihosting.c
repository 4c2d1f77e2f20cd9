/* SPDX-License-Identifier: MIT */
#include "tests/el2/semihosting.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "kernel/format.h"

/* ARM semihosting specification: operations, and the reason for an end that is none of a fault. */
#define SYS_OPEN                    0x01u
#define SYS_CLOSE                   0x02u
#define SYS_READ                    0x06u
#define OPEN_FOR_READING            1u /* as fopen() has "rb" */
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

/* Longer text goes out in pieces. */
void semihosting_print_marked(const char *mark, const char *text)
{
    char line[LINE_SIZE];
    size_t used = strlen(strcpy(line, mark));

    for (; *text != '\0'; text++) {
        line[used++] = *text;
        if (used == sizeof(line) - 2) {
            line[used] = '\0';
            semihosting_write(line);
            used = 0;
        }
    }
    line[used++] = '\n';
    line[used] = '\0';
    semihosting_write(line);
}

bool semihosting_read_file(const char *name, char *text, size_t size)
{
    const uint64_t open[3] = {(uintptr_t)name, OPEN_FOR_READING, strlen(name)};
    const uint64_t handle = call(SYS_OPEN, open);

    if (handle == UINT64_MAX) {
        return false;
    }
    const uint64_t read[3] = {handle, (uintptr_t)text, size};
    const uint64_t left = call(SYS_READ, read);
    (void)call(SYS_CLOSE, &handle);
    if (left == 0 || left > size) {
        return false;
    }
    text[size - left] = '\0';
    return true;
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
