/* SPDX-License-Identifier: MIT */
#include "test_memory.h"

#include <stdbool.h>

uint64_t test_pages_count, test_memory_count;

static unsigned attempts;
static unsigned failing;

void test_memory_reset(void)
{
    attempts = 0;
    failing = 0;
    test_pages_count = 0;
    test_memory_count = 0;
}

void test_memory_fail(unsigned number)
{
    failing = number == 0 ? 0 : attempts + number;
}

unsigned test_memory_attempts(void)
{
    return attempts;
}

bool test_memory_attempt_fails(void)
{
    return ++attempts == failing;
}

uint64_t test_pages_held(void)
{
    return test_pages_count;
}

uint64_t test_memory_held(void)
{
    return test_memory_count;
}
