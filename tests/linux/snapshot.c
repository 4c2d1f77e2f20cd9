/* SPDX-License-Identifier: MIT */
/*
 * Runs in the Linux guest: does what hibernation does up to the point at which the image in memory
 * would be written to a disk, and goes on instead. Each device is suspended and resumed, and so is
 * VMBus: all channels closed, UNLOAD, contact anew, channels opened anew (drivers/hv/vmbus_drv.c:
 * vmbus_bus_suspend(), vmbus_bus_resume()). Linux, kernel/power/user.c.
 */
#include <fcntl.h>
#include <linux/suspend_ioctls.h>
#include <stdio.h>
#include <sys/ioctl.h>

static int file;

static int step(unsigned long request, void *argument, const char *what)
{
    if (ioctl(file, request, argument) == 0)
        return 0;
    perror(what);
    return 1;
}

int main(void)
{
    int suspended = 0;
    int failed;

    file = open("/dev/snapshot", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        perror("/dev/snapshot");
        return 1;
    }
    if (step(SNAPSHOT_FREEZE, NULL, "freeze"))
        return 1;
    failed = step(SNAPSHOT_CREATE_IMAGE, &suspended, "create the image");
    failed |= step(SNAPSHOT_FREE, NULL, "free the image");
    failed |= step(SNAPSHOT_UNFREEZE, NULL, "thaw");
    return failed || !suspended;
}
