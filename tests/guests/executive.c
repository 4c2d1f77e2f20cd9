/* SPDX-License-Identifier: MIT */
/*
 * A guest that does what `test=<name>` on its command line says: mostly something that must end it,
 * to be watched from outside (tests/system/test_boot.py).
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "arch/cpu.h"
#include "kernel/clock.h"
#include "kernel/command_line.h"
#include "kernel/cpu.h"
#include "kernel/exit.h"
#include "kernel/log.h"
#include "kernel/pages.h"
#include "kernel/panic.h"
#include "kernel/wait.h"
#include "kernel/wall_clock.h"
#include "tests/guests/machine.h"

int main(void);

static const char constant[] = "must not change";

/* The compiler must not know the address: it would object. */
static void write_to(uintptr_t address)
{
    volatile uintptr_t hidden = address;

    *(volatile char *)hidden = 1;
}

static int null_pointer(void)
{
    write_to(8);
    return 0;
}

static int write_text(void)
{
    write_to((uintptr_t)main);
    return 0;
}

static int write_constant(void)
{
    write_to((uintptr_t)constant);
    return 0;
}

static int write_hole(void)
{
    write_to(UINT64_C(0x3f0000000000));
    return 0;
}

static int execute_data(void)
{
    void *page = pages_allocate(1);

    memcpy(page, &machine_return, sizeof(machine_return));
    ((void (*)(void))(uintptr_t)page)();
    return 0;
}

/* Works as code, and no longer as data. */
static int executable_page(void)
{
    unsigned char *page = pages_allocate(1);

    memcpy(page, &machine_return, sizeof(machine_return));
    if (!arch_map_executable((uintptr_t)page)) {
        return EXIT_STATUS_FAILURE;
    }
    ((void (*)(void))(uintptr_t)page)();
    log_info("test", "executed");
    write_to((uintptr_t)page);
    return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion) */
static int recurse(const volatile int *depth)
{
    volatile int frame[64];

    frame[0] = *depth + 1;
    return frame[0] == 1000000 ? 0 : recurse(frame) + frame[0];
}

static int stack_overflow(void)
{
    volatile int depth = 0;

    return recurse(&depth);
}

static int invalid_opcode(void)
{
    __builtin_trap();
}

static int panic_at_dispatch_level(void)
{
    (void)irql_raise_to_dispatch();
    panic("asked for, number %d", 42);
}

static int wait_at_dispatch_level(void)
{
    struct event event;

    event_initialise(&event);
    (void)irql_raise_to_dispatch();
    (void)event_wait(&event, clock_after(CLOCK_SECOND));
    return 0;
}

static int double_free(void)
{
    char *pages = pages_allocate(3);

    pages_free(pages, 3);
    pages_free(pages + PAGE_SIZE, 1);
    return 0;
}

static int stay(void)
{
    struct event never;

    event_initialise(&never);
    log_info("test", "staying");
    event_wait(&never, clock_after(600 * CLOCK_SECOND));
    return 0;
}

static int many_lines(void)
{
    uint64_t before = clock_now();

    for (unsigned i = 0; i < 1000; i++) {
        log_info("test", "line %u of text, about as long as lines of a log are, or longer", i);
    }
    log_info("test", "1000 lines took %" PRIu64 " ms", (clock_now() - before) / CLOCK_MILLISECOND);
    return stay();
}

static int exit_status(void)
{
    return EXIT_STATUS_APPLICATION + 5;
}

static int library_error(void)
{
    errno = 0;
    if (strtol("99999999999999999999", NULL, 10) != LONG_MAX || errno != ERANGE) {
        return EXIT_STATUS_FAILURE;
    }
    errno = 0;
    void *memory = malloc(SIZE_MAX / 2);
    const bool refused = memory == NULL && errno == ENOMEM;
    free(memory);
    return refused ? 0 : EXIT_STATUS_FAILURE;
}

/* Through the C library: its buffers must come out, and its status go through. */
static int library_exit(void)
{
    printf("no line end, so it stays in the buffer");
    exit(EXIT_STATUS_APPLICATION + 6);
}

static int memory(void)
{
    struct pages_statistics now;

    pages_statistics(&now);
    log_info("test", "memory total=%" PRIu64 " free=%" PRIu64 " tables=%" PRIu64, now.total,
             now.free, now.tables);
    /* All of it in the largest pieces, touched at both ends, so that what is not mapped shows. */
    for (size_t count = (size_t)1 << 24; count > 0; count /= 2) {
        char *run;
        while ((run = pages_allocate(count)) != NULL) {
            run[0] = 1;
            run[count * PAGE_SIZE - 1] = 1;
        }
    }
    pages_statistics(&now);
    return now.free == 0 ? 0 : EXIT_STATUS_FAILURE;
}

/* Memory that the machine has and no map tells of: QEMU puts a memory module at 4 GiB. */
static int hot_add(void)
{
    const uint64_t frame = UINT64_C(0x100000), count = 32768;
    struct pages_statistics before, after;

    pages_statistics(&before);
    if (!pages_hot_add(frame, count) || pages_hot_add(frame, count)) {
        return EXIT_STATUS_FAILURE;
    }
    pages_statistics(&after);
    log_info("test", "hot added %" PRIu64 " pages and %" PRIu64 " of tables",
             after.total - before.total, after.tables - before.tables);
    return memory();
}

/* Into the image, which no region of the allocator covers. */
static int hot_add_over_the_image(void)
{
    return pages_hot_add(page_frame_of((const void *)constant), 16) ? EXIT_STATUS_FAILURE : 0;
}

static int command_line_length(void)
{
    log_info("test", "command line of %zu characters", strlen(command_line()));
    return 0;
}

/* Deferred work that calculates, over a main() that calculates. */
#define CALLBACKS 500u

static struct timer timer;
static volatile unsigned callbacks;
static volatile double spoiled;

static void calculate(void *context)
{
    double value = spoiled;

    (void)context;
    for (int i = 0; i < 20; i++) {
        value = value / 1.5 + i;
    }
    spoiled = value;
    if (++callbacks < CALLBACKS) {
        timer_arm(&timer, clock_after(50 * CLOCK_MICROSECOND));
    }
}

static int vector_registers(void)
{
    unsigned wrong = 0;
    uint64_t deadline = clock_after(30 * CLOCK_SECOND);

    timer_initialise(&timer, calculate, NULL);
    timer_arm(&timer, clock_after(CLOCK_MILLISECOND));
    while (callbacks < CALLBACKS && clock_now() < deadline) {
        double sum = 0;
        for (int i = 1; i <= 1000; i++) {
            sum += i * 0.5;
        }
        wrong += sum != 250250.0;
    }
    log_info("test", "%u callbacks, %u sums wrong", callbacks, wrong);
    return callbacks == CALLBACKS && wrong == 0 ? 0 : EXIT_STATUS_FAILURE;
}

static int waiting(void)
{
    struct event event;
    uint64_t start = clock_now();

    event_initialise(&event);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t deadline = clock_after(10 * CLOCK_MILLISECOND);
        if (event_wait(&event, deadline) || clock_now() < deadline) {
            return EXIT_STATUS_FAILURE;
        }
    }
    log_info("test", "20 waits of 10 ms took %" PRIu64 " ms with %s and %s, halts=%" PRIu64,
             (clock_now() - start) / CLOCK_MILLISECOND, clock_source_name(), clock_event_name(),
             arch_this_cpu()->statistics.halts);
    return 0;
}

/* The C library's time follows the wall clock, and its clock() the kernel's. */
static int library_time(void)
{
    char text[WALL_CLOCK_TEXT_SIZE];
    struct timeval now;

    if (time(NULL) != (time_t)-1 || gettimeofday(&now, NULL) == 0) {
        log_warning("test", "a time that nobody has set");
        return EXIT_STATUS_FAILURE;
    }
    (void)wall_clock_set(WALL_CLOCK_UNIX_EPOCH + 951782400 * CLOCK_SECOND + 5000000);
    if (time(NULL) != 951782400 || gettimeofday(&now, NULL) != 0 || now.tv_sec != 951782400 ||
        now.tv_usec < 500000) {
        return EXIT_STATUS_FAILURE;
    }
    const struct tm *date = gmtime(&now.tv_sec);
    wall_clock_format(wall_clock_now(), text);
    log_info("test", "%d-%d-%d, %s", date->tm_year + 1900, date->tm_mon + 1, date->tm_mday, text);
    const clock_t before = clock();
    const uint64_t deadline = clock_after(20 * CLOCK_MILLISECOND);
    while (clock_now() < deadline) {
    }
    const clock_t passed = clock() - before;
    log_info("test", "clock() counts %ld ms in 20", (long)(passed * 1000 / CLOCKS_PER_SEC));
    return passed >= CLOCKS_PER_SEC / 51 ? EXIT_STATUS_SUCCESS : EXIT_STATUS_FAILURE;
}

static int interrupt_nobody_has(void)
{
    machine_interrupt_nobody_has();
    log_info("test", "still there");
    return 0;
}

static int exception_nobody_expects(void)
{
    machine_exception_nobody_expects();
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void);
} tests[] = {
    {"null_pointer", null_pointer},
    {"write_text", write_text},
    {"write_constant", write_constant},
    {"write_hole", write_hole},
    {"execute_data", execute_data},
    {"executable_page", executable_page},
    {"stack_overflow", stack_overflow},
    {"invalid_opcode", invalid_opcode},
    {"exception_nobody_expects", exception_nobody_expects},
    {"panic_at_dispatch_level", panic_at_dispatch_level},
    {"wait_at_dispatch_level", wait_at_dispatch_level},
    {"double_free", double_free},
    {"stay", stay},
    {"many_lines", many_lines},
    {"exit_status", exit_status},
    {"library_error", library_error},
    {"library_exit", library_exit},
    {"memory", memory},
    {"hot_add", hot_add},
    {"hot_add_over_the_image", hot_add_over_the_image},
    {"command_line_length", command_line_length},
    {"vector_registers", vector_registers},
    {"waiting", waiting},
    {"library_time", library_time},
    {"interrupt_nobody_has", interrupt_nobody_has},
};

static void left(void)
{
    log_info("test", "exit hook");
}

static void panicked(const char *message)
{
    log_info("test", "panic hook: %s", message);
}

static struct exit_hook exit_hook = {.leave = left};
static struct panic_hook panic_hook = {.report = panicked};

int main(void)
{
    char name[40] = "";

    exit_hook_register(&exit_hook);
    panic_hook_register(&panic_hook);
    (void)command_line_value("test", name, sizeof(name));
    log_info("test", "main after %" PRIu64 " us", clock_now() / CLOCK_MICROSECOND);
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        if (strcmp(tests[i].name, name) == 0) {
            return tests[i].run();
        }
    }
    log_warning("test", "no test is called '%s'", name);
    return EXIT_STATUS_FAILURE;
}
