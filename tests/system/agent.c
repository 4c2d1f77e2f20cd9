/* SPDX-License-Identifier: MIT */
/*
 * The first and only program of the nested test host: Linux starts it as /init. It loads KVM, then
 * runs one QEMU at a time as told over a virtio serial port, and passes console, QMP and messages
 * on. Frames both ways: type (1 byte), length (4 bytes, little endian), payload. to here:   F
 * name\0data (keep a file) · S argv, each with its \0 (start) · C console input · Q QMP · K (kill)
 * · P (ping) from here: H text (ready) · C console · Q QMP · E standard error · X wait status (4
 * bytes) · L a complaint · P (pong) Started with --tsc-khz on any Linux it prints the frequency of
 * the time stamp counter instead.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_LIMIT = 64 << 20, PIECE = 4096, ARGUMENTS = 256 };

static int port = -1;

/* Stops the machine; the reason is the last thing on its serial console. */
static _Noreturn void fail(const char *what)
{
    printf("agent: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    reboot(RB_AUTOBOOT);
    _exit(1);
}

static void write_all(int file, const void *data, size_t size)
{
    const char *from = data;

    while (size > 0) {
        ssize_t done = write(file, from, size);
        if (done < 0 && (errno == EAGAIN || errno == EINTR)) {
            struct pollfd room = {.fd = file, .events = POLLOUT};
            (void)poll(&room, 1, -1);
        } else if (done < 0) {
            if (file == port)
                fail("write to the port");
            return; /* QEMU is going; its end is reported by itself */
        } else {
            from += done;
            size -= (size_t)done;
        }
    }
}

static void send_frame(char type, const void *data, uint32_t size)
{
    unsigned char frame[5 + PIECE];

    frame[0] = (unsigned char)type;
    memcpy(frame + 1, &size, 4);
    if (size <= PIECE) {
        memcpy(frame + 5, data, size);
        write_all(port, frame, 5 + size);
    } else {
        write_all(port, frame, 5);
        write_all(port, data, size);
    }
}

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void complain(const char *format, ...)
{
    char text[300];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    send_frame('L', text,
               (uint32_t)((size_t)length < sizeof(text) ? length : (int)sizeof(text) - 1));
}

static void read_all(void *data, size_t size)
{
    char *to = data;

    while (size > 0) {
        ssize_t done = read(port, to, size);
        if (done <= 0) {
            struct pollfd more = {.fd = port, .events = POLLIN};
            if (done < 0 && errno != EAGAIN && errno != EINTR)
                fail("read from the port");
            (void)poll(&more, 1, done == 0 ? 100 : -1); /* 0: the other side is not there (yet) */
        } else {
            to += done;
            size -= (size_t)done;
        }
    }
}

static void load_module(const char *name)
{
    int file = open(name, O_RDONLY | O_CLOEXEC);

    if (file < 0 || syscall(SYS_finit_module, file, "", 0) != 0)
        fail(name);
    close(file);
}

/* The first port of the virtio console device; it appears a moment after the module was loaded. */
static int open_port(void)
{
    for (int attempt = 0; attempt < 500; attempt++) {
        int file = open("/dev/vport0p1", O_RDWR | O_CLOEXEC);
        if (file >= 0)
            return file;
        struct timespec pause = {.tv_nsec = 10000000};
        nanosleep(&pause, NULL);
    }
    fail("/dev/vport0p1");
}

static void report_ready(void)
{
    char text[200];
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (kvm < 0)
        fail("/dev/kvm");
    snprintf(text, sizeof(text), "synic2=%d sys_hyperv_cpuid=%d",
             ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_HYPERV_SYNIC2),
             ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_SYS_HYPERV_CPUID));
    close(kvm);
    send_frame('H', text, (uint32_t)strlen(text));
}

/* What runs now; every file is -1 and pid 0 when nothing does. */
struct guest {
    pid_t pid;
    int output;
    int input;
    int qmp;
    int error;
};
static struct guest guest = {0, -1, -1, -1, -1};

static void keep_file(char *frame, uint32_t size)
{
    size_t name = strnlen(frame, size);
    if (name == size) {
        complain("a file without a name");
        return;
    }
    int file = open(frame, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    if (file < 0) {
        complain("%s: %s", frame, strerror(errno));
        return;
    }
    write_all(file, frame + name + 1, size - name - 1);
    close(file);
}

/* Starts a program with its console on standard input and output, and QMP on file 3. */
static void start(char *frame, uint32_t size)
{
    char *arguments[ARGUMENTS + 1];
    int count = 0;
    int input[2], output[2], error[2], qmp[2];

    for (char *at = frame; at < frame + size && count < ARGUMENTS; at += strlen(at) + 1)
        arguments[count++] = at;
    arguments[count] = NULL;
    if (count == 0 || guest.pid != 0) {
        complain(count == 0 ? "nothing to start" : "the guest before is still running");
        return;
    }
    if (pipe2(input, O_CLOEXEC) || pipe2(output, O_CLOEXEC) || pipe2(error, O_CLOEXEC) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp))
        fail("pipes");
    (void)fcntl(output[1], F_SETPIPE_SZ, 1 << 20);

    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        dup2(input[0], 0);
        dup2(output[1], 1);
        dup2(error[1], 2);
        if (qmp[1] == 3)
            fcntl(3, F_SETFD, 0);
        else
            dup2(qmp[1], 3);
        execv(arguments[0], arguments);
        dprintf(2, "%s: %s\n", arguments[0], strerror(errno));
        _exit(127);
    }
    close(input[0]);
    close(output[1]);
    close(error[1]);
    close(qmp[1]);
    guest = (struct guest){pid, output[0], input[1], qmp[0], error[0]};
}

static void handle_frame(void)
{
    unsigned char header[5];
    uint32_t size;

    read_all(header, sizeof(header));
    memcpy(&size, header + 1, 4);
    if (size > FRAME_LIMIT)
        fail("frame size");
    char *frame = malloc((size_t)size + 1);
    if (frame == NULL)
        fail("memory");
    read_all(frame, size);
    frame[size] = '\0';
    switch (header[0]) {
    case 'F':
        keep_file(frame, size);
        break;
    case 'S':
        start(frame, size);
        break;
    case 'C':
        if (guest.pid != 0)
            write_all(guest.input, frame, size);
        break;
    case 'Q':
        if (guest.pid != 0)
            write_all(guest.qmp, frame, size);
        break;
    case 'K':
        if (guest.pid != 0)
            kill(guest.pid, SIGKILL);
        break;
    case 'P':
        send_frame('P', frame, size);
        break;
    default:
        complain("unknown frame %u", header[0]);
    }
    free(frame);
}

/* Passes on all that is there; closes the file at its end. */
static void pass_on(char type, int *file)
{
    char piece[PIECE];
    int left = 0;
    ssize_t size;

    (void)ioctl(*file, FIONREAD, &left);
    do {
        size = read(*file, piece, sizeof(piece));
        if (size > 0) {
            send_frame(type, piece, (uint32_t)size);
            left -= (int)size;
        } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
            close(*file);
            *file = -1;
        }
    } while (left > 0 && *file >= 0);
}

/* The guest's end is reported after all it wrote. */
static void reap(void)
{
    int status;

    if (guest.output >= 0 || guest.error >= 0 || guest.qmp >= 0 ||
        waitpid(guest.pid, &status, 0) != guest.pid)
        return;
    close(guest.input);
    guest = (struct guest){0, -1, -1, -1, -1};
    uint32_t word = (uint32_t)status;
    send_frame('X', &word, sizeof(word));
}

static uint64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Clock and counter read together: of several tries the one that took the fewest ticks, so that no
 * interrupt lies between. */
static void read_both(uint64_t *time, uint64_t *counter)
{
    uint64_t best = UINT64_MAX;

    for (int attempt = 0; attempt < 20; attempt++) {
        uint64_t before = __builtin_ia32_rdtsc();
        uint64_t now = nanoseconds();
        uint64_t after = __builtin_ia32_rdtsc();
        if (after - before < best) {
            best = after - before;
            *time = now;
            *counter = before + (after - before) / 2;
        }
    }
}

static int print_tsc_frequency(void)
{
    uint64_t time[2], counter[2];
    struct timespec pause = {.tv_nsec = 50000000};

    read_both(&time[0], &counter[0]);
    nanosleep(&pause, NULL);
    read_both(&time[1], &counter[1]);
    printf("%llu\n", (unsigned long long)((double)(counter[1] - counter[0]) * 1e6 /
                                              (double)(time[1] - time[0]) +
                                          0.5));
    return 0;
}

int main(int count, char **words)
{
    if (count == 2 && strcmp(words[1], "--tsc-khz") == 0)
        return print_tsc_frequency();
    if (getpid() != 1) {
        fprintf(stderr, "this is the init of the nested test host\n");
        return 1;
    }

    if (mount("dev", "/dev", "devtmpfs", 0, NULL) || mount("proc", "/proc", "proc", 0, NULL) ||
        mount("sys", "/sys", "sysfs", 0, NULL))
        return 1;
    int console = open("/dev/console", O_RDWR);
    if (console >= 0) {
        dup2(console, 0);
        dup2(console, 1);
        dup2(console, 2);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("agent: user space\n");
    /* A guest may be given more memory than this machine has, as long as it does not use it. */
    int overcommit = open("/proc/sys/vm/overcommit_memory", O_WRONLY | O_CLOEXEC);
    if (overcommit < 0 || write(overcommit, "1", 1) != 1)
        fail("overcommit_memory");
    close(overcommit);
    load_module("/irqbypass.ko");
    load_module("/kvm.ko");
    load_module("/kvm-amd.ko");
    load_module("/virtio_mmio.ko");
    printf("agent: KVM\n");
    signal(SIGPIPE, SIG_IGN);
    port = open_port();
    report_ready();

    for (;;) {
        /* Looked at in this order, and passed on in the reverse one: whoever sees an answer is to
         * see what the program had written to its console by then, and whoever sees either what it
         * had written to its standard error, a trace for instance. */
        struct pollfd files[] = {{.fd = port, .events = POLLIN},
                                 {.fd = guest.qmp, .events = POLLIN},
                                 {.fd = guest.output, .events = POLLIN},
                                 {.fd = guest.error, .events = POLLIN}};
        if (poll(files, 4, -1) < 0)
            continue;
        if (files[3].revents)
            pass_on('E', &guest.error);
        if (files[2].revents)
            pass_on('C', &guest.output);
        if (files[1].revents)
            pass_on('Q', &guest.qmp);
        if (guest.pid != 0)
            reap();
        if (files[0].revents & POLLIN)
            handle_frame();
        else if (files[0].revents & POLLHUP)
            fail("the other side of the port is gone");
    }
}
