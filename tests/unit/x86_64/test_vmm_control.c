/* SPDX-License-Identifier: MIT */
/* The VMM's control socket: lines in pieces, and clients that do not do their part. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/vmm/control.h"
#include "tests/vmm/kvm_stats.h"
#include "tests/vmm/machine.h"
#include "tests/vmm/snapshot.h"

static struct machine vm;
static int ours; /* the client's end */
static char said[1024];
static jmp_buf died;

/* ---- what control.c is linked with ---- */

static struct source *sources[2]; /* of the client, of who wants to be one */
static bool armed[2];

static unsigned place_of(const struct source *source)
{
    return source == sources[1] ? 1 : 0;
}

bool source_watch(struct source *source, int file, enum irql level, void (*run)(void *context),
                  void *context)
{
    struct stat status;
    int listens = 0;
    socklen_t size = sizeof(listens);

    (void)level;
    assert_int_equal(fstat(file, &status), 0);
    (void)getsockopt(file, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
    sources[listens] = source;
    armed[listens] = true;
    source->file = file;
    work_item_initialise(&source->work, run, context);
    return true;
}

void source_rearm(struct source *source)
{
    armed[place_of(source)] = true;
}

void source_remove(struct source *source)
{
    armed[place_of(source)] = false;
    source->file = -1;
}

static bool is_ready(const struct source *source)
{
    struct pollfd file = {.fd = source->file, .events = POLLIN};

    return ppoll(&file, 1, &(struct timespec){0}, NULL) > 0;
}

/* What the executive does while files are ready. */
static void run(void)
{
    for (unsigned i = 0; i < 2; i++) {
        while (armed[i] && is_ready(sources[i])) {
            armed[i] = false;
            sources[i]->work.run(sources[i]->work.context);
        }
    }
}

/* Nobody ever has room again; who waits without end for that is found here.
 * NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's are its own */
int poll(struct pollfd *files, nfds_t count, int timeout)
{
    (void)files, (void)count;
    assert_true(timeout >= 0);
    return 0;
}

static void print(const char *format, va_list arguments)
{
    (void)vsnprintf(said, sizeof(said), format, arguments);
}

void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print(format, arguments);
    va_end(arguments);
}

void die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print(format, arguments);
    va_end(arguments);
    longjmp(died, 1);
}

void vcpus_want(struct machine *machine, enum vcpus_wanted wanted)
{
    machine->vcpus_control.wanted = wanted;
}

const char *snapshot_save(struct machine *machine, const char *name)
{
    (void)machine;
    return strcmp(name, "/right") == 0 ? NULL : "it is wrong";
}

void snapshot_continue(struct machine *machine)
{
    machine->vcpus_control.wanted = VCPUS_RUN;
}

bool kvm_stats_read(int file, void (*counter)(void *context, const char *name, uint64_t value),
                    void *context)
{
    (void)file;
    counter(context, "exits", 7);
    return true;
}

int kvm_must(int file, unsigned long request, void *argument, const char *what)
{
    (void)file, (void)request, (void)argument, (void)what;
    return 0;
}

void machine_end(struct machine *machine, enum machine_end end, int status)
{
    (void)status;
    atomic_store(&machine->end, end);
}

void host_print(const struct host_output *output, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    output->line(output->context, text);
}

bool host_number(const char *text, UINT64 *number)
{
    *number = strtoull(text, NULL, 0);
    return true;
}

bool host_devices_command(struct host_device_set *set, const char *line,
                          const struct host_output *reply)
{
    (void)set;
    host_print(reply, "there is no command '%s'", line);
    return false;
}

void host_devices_help(const struct host_output *reply)
{
    host_print(reply, "devices");
}

/* ---- the client ---- */

static int setup(void **state)
{
    (void)state;
    memset(&vm, 0, sizeof(vm));
    vm.vcpu_count = 1;
    memset(armed, 0, sizeof(armed));
    said[0] = '\0';
    return 0;
}

/* Hangs up; the host notices. */
static int teardown(void **state)
{
    (void)state;
    (void)close(ours);
    run();
    return 0;
}

static void start(const char *name)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const struct options options = {.control = name, .control_file = pair[1]};
    ours = pair[0];
    control_start(&vm, &options);
}

static void types(const char *text)
{
    assert_int_equal(send(ours, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    run();
}

static void expect(const char *answer)
{
    char text[4096];
    ssize_t count = recv(ours, text, sizeof(text) - 1, MSG_DONTWAIT);

    text[count < 0 ? 0 : count] = '\0';
    assert_string_equal(text, answer);
}

static void lines_come_in_any_pieces(void **state)
{
    (void)state;
    start(NULL);
    types("exi");
    expect("");
    types("ts 0\nexits 1\n\nsa");
    expect("| exits=7\nok\n| there is no processor '1'\nerror\n");
    types("ve /right\nsave /left\nstop\n");
    expect("ok\n| /left: it is wrong\nerror\nok\n");
    assert_int_equal(vm.vcpus_control.wanted, VCPUS_STAND);
    types("continue\ncontinue now\nsave\nnothing\n");
    expect("ok\n| usage: continue \nerror\n| usage: save FILE\nerror\n"
           "| there is no command 'nothing'\nerror\n");
    assert_int_equal(atomic_load(&vm.end), MACHINE_RUNS);
    types("quit\n");
    expect("ok\n");
    assert_int_equal(atomic_load(&vm.end), MACHINE_QUIT);
}

static void a_line_without_end_is_refused_once(void **state)
{
    char text[3000];

    (void)state;
    start(NULL);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    types(text);
    expect("");
    types("\nstop\n");
    expect("| the line is too long\nerror\nok\n");
}

static void who_does_not_read_is_hung_up_on(void **state)
{
    (void)state;
    start(NULL);
    for (unsigned i = 0; i < 10000 && said[0] == '\0'; i++) {
        (void)send(ours, "help\n", 5, MSG_DONTWAIT | MSG_NOSIGNAL);
        run();
    }
    assert_non_null(strstr(said, "does not read what comes back"));
    assert_false(armed[0]);
    said[0] = '\0';
    control_events.line(NULL, "something"); /* goes where events go without a client */
    assert_string_equal(said, "something");
}

static void one_talks_at_a_time(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "build/control-test"};

    (void)state;
    start(address.sun_path);
    const int first = ours;
    ours = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(ours, (const struct sockaddr *)&address, sizeof(address)), 0);
    types("stop\n");
    run();
    expect("");
    assert_int_equal(vm.vcpus_control.wanted, 0);
    (void)close(first);
    run();
    run();
    expect("ok\n");
    assert_int_equal(unlink(address.sun_path), 0);
}

static void a_file_that_is_no_socket_stays(void **state)
{
    static const char name[] = "build/control-file";

    (void)unlink(name); /* of a test that failed */
    const int file = open(name, O_CREAT | O_RDWR, 0600);

    (void)state;
    assert_true(file >= 0);
    if (setjmp(died) == 0) {
        start(name);
        fail();
    }
    assert_non_null(strstr(said, "option --control: build/control-file: "));
    assert_int_equal(unlink(name), 0);
    (void)close(file);
}

int main(void)
{
#define control_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        control_test(lines_come_in_any_pieces),
        control_test(a_line_without_end_is_refused_once),
        control_test(who_does_not_read_is_hung_up_on),
        control_test(a_file_that_is_no_socket_stays),
        control_test(one_talks_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
