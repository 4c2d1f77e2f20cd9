/* SPDX-License-Identifier: MIT */
/*
 * The whole user space of the Linux guest that start.py measures: loads the VMBus modules, repeats
 * the kernel's lines about them on the console, and ends the guest the way ours end.
 * A shell like that of tests/linux would add its own start to what is measured.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXIT_PORT      0xf4 /* isa-debug-exit, where host.py puts it */
#define RECORD_MAXIMUM 8192 /* of /dev/kmsg, which gives one record a read */

static void leave(int status)
{
    if (ioperm(EXIT_PORT, 4, 1) == 0)
        outl((unsigned)status, EXIT_PORT);
    exit(status); /* the kernel panics when its first process ends: that shows too */
}

static void load(const char *name)
{
    int file = open(name, O_RDONLY | O_CLOEXEC);

    if (file < 0 || syscall(SYS_finit_module, file, "", 0) != 0) {
        perror(name);
        leave(1);
    }
    close(file);
}

int main(void)
{
    char record[RECORD_MAXIMUM];

    load("/hv_vmbus.ko");
    load("/hv_balloon.ko");

    int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (log < 0) {
        perror("/dev/kmsg");
        leave(1);
    }
    for (;;) {
        ssize_t size = read(log, record, sizeof(record) - 1);
        if (size <= 0)
            break;
        record[size] = '\0';
        /* "level,number,microseconds,flags;text": Linux, Documentation/ABI/testing/dev-kmsg. */
        if (strstr(record, ";hv_") != NULL)
            printf("kmsg: %s", record);
    }
    fflush(stdout);
    leave(0);
}
