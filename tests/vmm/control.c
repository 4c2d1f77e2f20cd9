/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/vmm/control.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/vmm/kvm_stats.h"
#include "tests/vmm/machine.h"
#include "tests/vmm/snapshot.h"

#define LINE_LENGTH 1024u

/* Choice, in ms: the guest's devices stand still while somebody is waited for who does not read. */
#define READ_LIMIT 5000

static struct {
    struct machine *machine;
    int listening; /* -1: none */
    struct source accept;
    int file; /* -1: nobody is there */
    struct source input;
    char line[LINE_LENGTH];
    size_t used;
    bool too_long; /* the rest of this line is dropped */
} control = {.listening = -1, .file = -1};

/* ---- out ---- */

/* False: somebody does not read, and is hung up on; that is noticed when read from. */
static bool wait_for_room(void)
{
    struct pollfd room = {.fd = control.file, .events = POLLOUT};

    if (poll(&room, 1, READ_LIMIT) != 0) {
        return true;
    }
    say("whoever gives commands does not read what comes back, and is hung up on");
    (void)shutdown(control.file, SHUT_RDWR);
    return false;
}

/* Somebody who is gone is noticed when read from. */
static void send_all(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t done = send(control.file, text, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done > 0) {
            text += done;
            size -= (size_t)done;
        } else if (errno == EAGAIN ? !wait_for_room() : errno != EINTR) {
            return;
        }
    }
}

static void send_line(const char *mark, const char *text)
{
    char line[LINE_LENGTH + 8];
    int length = snprintf(line, sizeof(line), "%s%s\n", mark, text);

    if (length >= (int)sizeof(line)) {
        length = (int)sizeof(line) - 1;
        line[length - 1] = '\n';
    }
    send_all(line, (size_t)length);
}

static void event_line(void *context, const char *text)
{
    (void)context;
    if (control.file >= 0) {
        send_line("! ", text);
    } else {
        say("%s", text);
    }
}

const struct host_output control_events = {event_line, NULL};

static void reply_line(void *context, const char *text)
{
    (void)context;
    send_line("| ", text);
}

static const struct host_output reply = {reply_line, NULL};

/* ---- commands: false where one is refused, with the reason as the last line of the reply ---- */

static bool stop_processors(char *rest)
{
    (void)rest;
    vcpus_want(control.machine, VCPUS_STAND);
    return true;
}

static bool continue_processors(char *rest)
{
    (void)rest;
    snapshot_continue(control.machine);
    return true;
}

static bool save(char *rest)
{
    const char *why = snapshot_save(control.machine, rest);

    if (why != NULL) {
        host_print(&reply, "%s: %s", rest, why);
    }
    return why == NULL;
}

/* The processors stand for it, and do afterwards what they did. */
static bool print_registers(char *rest)
{
    struct machine *machine = control.machine;
    enum vcpus_wanted wanted = machine->vcpus_control.wanted;

    (void)rest;
    vcpus_want(machine, VCPUS_STAND);
    for (uint32_t i = 0; i < machine->vcpu_count; i++) {
        struct kvm_regs r;
        struct kvm_sregs s;
        (void)kvm_must(machine->vcpus[i].file, KVM_GET_REGS, &r, "registers");
        (void)kvm_must(machine->vcpus[i].file, KVM_GET_SREGS, &s, "registers");
        host_print(&reply,
                   "processor=%u rip=0x%" PRIx64 " rsp=0x%" PRIx64 " rflags=0x%" PRIx64
                   " cr0=0x%" PRIx64 " cr3=0x%" PRIx64 " cs=0x%x",
                   (unsigned)i, (uint64_t)r.rip, (uint64_t)r.rsp, (uint64_t)r.rflags,
                   (uint64_t)s.cr0, (uint64_t)s.cr3, (unsigned)s.cs.selector);
    }
    vcpus_want(machine, wanted);
    return true;
}

static void print_counter(void *context, const char *name, uint64_t value)
{
    (void)context;
    host_print(&reply, "%s=%" PRIu64, name, value);
}

static bool print_exits(char *rest)
{
    UINT64 processor;

    if (!host_number(rest, &processor) || processor >= control.machine->vcpu_count) {
        host_print(&reply, "there is no processor '%s'", rest);
        return false;
    }
    if (!kvm_stats_read(control.machine->vcpus[processor].stats, print_counter, NULL)) {
        host_print(&reply, "this machine's KVM does not tell");
        return false;
    }
    return true;
}

static bool quit(char *rest)
{
    (void)rest;
    machine_end(control.machine, MACHINE_QUIT, 0);
    return true;
}

static bool help(char *rest);

static const struct {
    const char *name;
    const char *arguments; /* "": none */
    const char *purpose;
    bool (*run)(char *rest);
} commands[] = {
    {"stop", "", "the guest's processors stand still", stop_processors},
    {"save", "FILE",
     "the guest stands still and is written to a file for --resume; 'continue' lets it go on",
     save},
    {"continue", "", "and go on", continue_processors},
    {"exits", "PROCESSOR", "what KVM counts of it: exits, interrupts, hypercalls", print_exits},
    {"registers", "", "where each processor is", print_registers},
    {"quit", "", "ends the guest and this program", quit},
    {"help", "", "this list", help},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static bool help(char *rest)
{
    (void)rest;
    host_devices_help(&reply);
    for (size_t i = 0; i < COMMANDS; i++) {
        host_print(&reply, "%s%s%s: %s", commands[i].name,
                   *commands[i].arguments != '\0' ? " " : "", commands[i].arguments,
                   commands[i].purpose);
    }
    return true;
}

/* One of these, or one about devices. */
static bool run(char *line)
{
    const size_t length = strcspn(line, " ");
    char *rest = line[length] == ' ' ? line + length + 1 : NULL;

    for (size_t i = 0; i < COMMANDS; i++) {
        if (strlen(commands[i].name) != length || memcmp(line, commands[i].name, length) != 0) {
            continue;
        }
        if ((rest == NULL) != (*commands[i].arguments == '\0')) {
            host_print(&reply, "usage: %s %s", commands[i].name, commands[i].arguments);
            return false;
        }
        return commands[i].run(rest);
    }
    return host_devices_command(&control.machine->devices, line, &reply);
}

/* ---- in ---- */

static void take(char byte)
{
    if (byte != '\n') {
        if (control.used == LINE_LENGTH - 1) {
            control.too_long = true;
        } else {
            control.line[control.used++] = byte;
        }
        return;
    }
    control.line[control.used] = '\0';
    control.used = 0;
    if (control.too_long) {
        control.too_long = false;
        send_line("| ", "the line is too long");
        send_line("error", "");
    } else if (control.line[0] != '\0') {
        send_line(run(control.line) ? "ok" : "error", "");
    }
}

static void hang_up(void)
{
    source_remove(&control.input);
    (void)close(control.file);
    control.file = -1;
    control.used = 0;
    if (control.listening >= 0) {
        source_rearm(&control.accept);
    }
}

/* One command may wait, and this not be entered meanwhile: the source is armed behind it. */
static void input(void *context)
{
    char bytes[LINE_LENGTH];
    ssize_t count = recv(control.file, bytes, sizeof(bytes), MSG_DONTWAIT);

    (void)context;
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        hang_up();
        return;
    }
    for (ssize_t i = 0; i < count; i++) {
        take(bytes[i]);
    }
    source_rearm(&control.input);
}

static void talk_on(int file, const char *option)
{
    control.file = file;
    if (!source_watch(&control.input, file, IRQL_PASSIVE, input, NULL)) {
        die("option %s: %s", option, strerror(errno));
    }
}

/* One at a time: the next one is taken when this one hangs up. */
static void connected(void *context)
{
    (void)context;
    if (control.file >= 0) {
        return;
    }
    int file = accept4(control.listening, NULL, NULL, SOCK_CLOEXEC);
    if (file < 0) {
        source_rearm(&control.accept);
        return;
    }
    talk_on(file, "--control");
}

void control_start(struct machine *machine, const struct options *options)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;

    control.machine = machine;
    if (options->control_file >= 0) {
        talk_on(options->control_file, "--control-file");
    }
    if (options->control == NULL) {
        return;
    }
    if (strlen(options->control) >= sizeof(address.sun_path)) {
        die("option --control: '%s' is too long for the name of a socket", options->control);
    }
    memcpy(address.sun_path, options->control, strlen(options->control) + 1);
    if (lstat(options->control, &status) == 0 && S_ISSOCK(status.st_mode)) {
        (void)unlink(options->control); /* of a process that is gone */
    }
    control.listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (control.listening < 0 ||
        bind(control.listening, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(control.listening, 1) != 0 ||
        !source_watch(&control.accept, control.listening, IRQL_PASSIVE, connected, NULL)) {
        die("option --control: %s: %s", options->control, strerror(errno));
    }
}
