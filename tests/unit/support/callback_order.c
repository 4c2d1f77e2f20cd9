/* SPDX-License-Identifier: MIT */
#include "callback_order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool may_follow(char before, char letter)
{
    static const struct {
        char before;
        const char *letters;
    } next[] = {
        {0, "OF"}, {'O', "SC"}, {'S', "PU"}, {'P', "U"}, {'U', "SC"}, {'C', "OF"}, {'F', "OF"},
    };

    for (unsigned i = 0; i < sizeof(next) / sizeof(next[0]); i++) {
        if (next[i].before == before) {
            return strchr(next[i].letters, letter) != NULL;
        }
    }
    return false;
}

void check_callback_order(const char *who, const char *letters)
{
    char before = 0;

    for (const char *at = letters; *at != '\0'; at++) {
        if (!may_follow(before, *at)) {
            fail_msg("%s: %s", who, letters);
        }
        before = *at;
    }
    if (before != 0 && before != 'C' && before != 'F') {
        fail_msg("%s does not end closed: %s", who, letters);
    }
}

void check_callbacks_of_close(const char *letters, size_t before)
{
    static const char *const expected[][2] = {
        [0] = {"", ""},       ['O'] = {"C", "SUC"}, ['S'] = {"UC", "PUC"}, ['P'] = {"UC", "UC"},
        ['U'] = {"C", "SUC"}, ['C'] = {"", ""},     ['F'] = {"", ""},
    };
    const char last = before > 0 ? letters[before - 1] : 0;
    const char *found = letters + before;

    for (unsigned i = 0; i < 2; i++) {
        const char *text = expected[(unsigned char)last][i];
        if (strncmp(found, text, strlen(text)) == 0) {
            return;
        }
    }
    fail_msg("closed behind %.*s: %s", (int)before, letters, found);
}
