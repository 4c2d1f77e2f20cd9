/* SPDX-License-Identifier: MIT */
#include "tests/el2/script.h"

#include <string.h>

#include "kernel/clock.h"
#include "kernel/command_line.h"
#include "kernel/wait.h"
#include "tests/el2/processor.h"
#include "tests/el2/semihosting.h"

#define SCRIPT_SIZE 8192u
#define EVENTS_SIZE 8192u
#define WAIT_LIMIT  (60 * CLOCK_SECOND) /* of a machine that may be busy */

/* What happened and nobody waited for, a line each. */
static char events[EVENTS_SIZE];
static size_t events_used;

static void print_line(void *context, const char *text)
{
    semihosting_print_marked(context, text);
}

static void event_line(void *context, const char *text)
{
    const size_t size = strlen(text) + 1;

    (void)context;
    semihosting_print_marked("! ", text);
    if (size >= EVENTS_SIZE - events_used) {
        events_used = 0; /* nobody has waited for any of them for long */
    }
    if (size < EVENTS_SIZE) {
        memcpy(events + events_used, text, size);
        events_used += size;
    }
}

const struct host_output script_events = {event_line, NULL};
static const struct host_output reply = {print_line, (void *)"| "};

static bool guest_has_ended(void *context)
{
    int status;

    (void)context;
    return processors_guest_has_ended(&status);
}

/* Whether a line with the text is there; it is forgotten then. */
static bool has_happened(const char *text)
{
    size_t size;

    for (size_t at = 0; at < events_used; at += size) {
        size = strlen(events + at) + 1;
        if (strstr(events + at, text) != NULL) {
            memmove(events + at, events + at + size, events_used - at - size);
            events_used -= size;
            return true;
        }
    }
    return false;
}

static bool happened_or_ended(void *context)
{
    return has_happened(context) || guest_has_ended(NULL);
}

static void run_line(struct host_device_set *set, char *line)
{
    UINT64 milliseconds;

    semihosting_print_marked("> ", line);
    if (strncmp(line, "sleep ", 6) == 0 && host_number(line + 6, &milliseconds)) {
        (void)wait_until(guest_has_ended, NULL, clock_after(milliseconds * CLOCK_MILLISECOND));
    } else if (strncmp(line, "wait ", 5) == 0) {
        if (!wait_until(happened_or_ended, line + 5, clock_after(WAIT_LIMIT))) {
            stop(STATUS_HOST_FAILED, "the script waits in vain: %s", line + 5);
        }
    } else if (!host_devices_command(set, line, &reply)) {
        stop(STATUS_HOST_FAILED, "the script ends at: %s", line);
    }
}

void script_run(struct host_device_set *set)
{
    static char script[SCRIPT_SIZE];
    char name[200];
    char *next;

    if (!command_line_value("script", name, sizeof(name))) {
        return;
    }
    if (!semihosting_read_file(name, script, sizeof(script))) {
        stop(STATUS_HOST_FAILED, "script=%s: it cannot be read, or is longer than %u bytes", name,
             SCRIPT_SIZE - 1);
    }
    for (char *line = script; *line != '\0' && !guest_has_ended(NULL); line = next) {
        const size_t length = strcspn(line, "\n");
        next = line + length + (line[length] == '\n' ? 1 : 0);
        line[length] = '\0';
        if (length != 0) {
            run_line(set, line);
        }
    }
}
