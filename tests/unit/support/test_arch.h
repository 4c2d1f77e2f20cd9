/* SPDX-License-Identifier: MIT */
#ifndef TESTS_TEST_ARCH_H
#define TESTS_TEST_ARCH_H

/*
 * The architecture of the host build: one processor over a virtual clock, on which the kernel's own
 * executive runs. Waits take no time: where a guest would halt, the fake host does a step, or else
 * time jumps to the next timer.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Setup of a test (cmocka's signature): level passive, interrupts on, no work, no output. Time goes
 * on from where it was. */
int test_arch_setup(void **state);

/*
 * What the world does while the processor waits; a test or a fake of a host defines it, else
 * nothing happens. Called with interrupts on, at the waiter's level. True: something was delivered
 * or is still to come. False: nothing will happen but the next timer.
 */
bool test_host_step(void);

/*
 * Interrupts the processor as the architecture does: handler at IRQL_DEVICE with interrupts off,
 * then deferred work. False, and nothing done, while interrupts are off.
 */
bool test_interrupt(void (*handler)(void *context), void *context);

/*
 * An interrupt that comes at the `moment`th time from now (1: the next) that interrupts are turned
 * on, or that the processor's state is asked for while they are on, as for each change of its
 * level. With every moment tried in turn, a test meets each gap between two of the kernel's
 * critical sections, and the states of levels and locks between them.
 */
void test_interrupt_later(unsigned moment, void (*handler)(void *context), void *context);

/* Whether it is still to come; it is forgotten then. */
bool test_interrupt_still_to_come(void);

/* Virtual time, 100 ns units; each look at the clock takes one unit, each step of the host 10 us.
 */
uint64_t test_time(void);

/* Lets time pass: timers that come due interrupt at their deadline. */
void test_time_pass(uint64_t delay);

/* Clock sources and events of the test itself may replace the virtual ones: registered again by
 * test_arch_setup(). */
void test_clock_remove(void);

/* How long it takes to program the virtual timer; 0 after the setup. */
extern uint64_t test_timer_arm_time;

/* How often the processor halted since the setup. */
unsigned test_halts(void);

/* Console output since the setup. With TEST_LOG set in the environment it is printed too. */
const char *test_console(void);
void test_console_clear(void);

/* What arch_map_range() allows: addresses from `first` up to `end`; nothing after the setup. */
void test_map_range_allow(const void *first, const void *end);

/* Memory mapped with arch_map_memory(): how many calls, what they answer. */
extern bool test_map_memory_works;
extern unsigned test_map_memory_calls;

/* The statement must end in a panic or in arch_exit(). Level and interrupts are put back. */
#define expect_panic(statement)                                                                    \
    do {                                                                                           \
        if (setjmp(*test_expect_end()) == 0) {                                                     \
            statement;                                                                             \
            fail_msg("no panic: %s", #statement);                                                  \
        }                                                                                          \
        test_end_seen();                                                                           \
    } while (0)

/* The same for a guest that ends itself. */
#define expect_exit(statement, status)                                                             \
    do {                                                                                           \
        expect_panic(statement);                                                                   \
        assert_int_equal(test_exit_status(), (status));                                            \
    } while (0)

/* The message of the last panic that was expected, "exit" or "restart" if it was none; the status
 * of the last arch_exit(). */
const char *test_panic_message(void);
int test_exit_status(void);

/* For expect_panic(). */
jmp_buf *test_expect_end(void);
void test_end_seen(void);
/* Instead of the latter: there was none. */
void test_expect_no_end(void);

/* For panic() and arch_exit() of the host build: does not return; fails the test unless an end was
 * expected. */
_Noreturn void test_end(const char *message, int status);

#endif
