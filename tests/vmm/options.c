/* SPDX-License-Identifier: MIT */
#include "tests/vmm/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/executive.h"
#include "tests/vmm/snapshot.h"
#include "vmbus/protocol.h"

#define MEMORY_MIB_DEFAULT 256u

static void set_kernel(struct options *options, const char *name, const char *value)
{
    (void)name;
    options->kernel = value;
}

static void set_firmware(struct options *options, const char *name, const char *value)
{
    (void)name;
    options->firmware = value;
}

static void set_resume(struct options *options, const char *name, const char *value)
{
    (void)name;
    options->resume = value;
}

static void set_initrd(struct options *options, const char *name, const char *value)
{
    (void)name;
    options->initrd = value;
}

static void set_append(struct options *options, const char *name, const char *value)
{
    (void)name;
    options->append = value;
}

static uint64_t number(const char *name, const char *value, uint64_t least, uint64_t most)
{
    char *end;

    errno = 0;
    unsigned long long result = strtoull(value, &end, 0);
    if (errno != 0 || end == value || *end != '\0' || *value == '-' || result < least ||
        result > most) {
        die("option --%s: '%s' is no number from %llu to %llu", name, value,
            (unsigned long long)least, (unsigned long long)most);
    }
    return result;
}

static void set_memory(struct options *options, const char *name, const char *value)
{
    options->memory_mib = number(name, value, MEMORY_MIB_MINIMUM, MEMORY_MIB_MAXIMUM);
}

static void set_processors(struct options *options, const char *name, const char *value)
{
    options->processors = (uint32_t)number(name, value, 1, VCPUS_MAXIMUM);
}

static void set_debug_exit(struct options *options, const char *name, const char *value)
{
    options->debug_exit = (uint32_t)number(name, value, 1, UINT16_MAX - 3);
}

static void set_vmbus_version(struct options *options, const char *name, const char *value)
{
    unsigned major;
    unsigned minor;
    char rest;

    if (sscanf(value, "%u.%u%c", &major, &minor, &rest) != 2 || major == 0 || major > UINT16_MAX ||
        minor > UINT16_MAX) {
        die("option --%s: '%s' is no version like 5.3", name, value);
    }
    options->vmbus_version = VMBUS_VERSION(major, minor);
}

static void add_device(struct options *options, const char *name, const char *value)
{
    if (options->device_count == HOST_DEVICES_MAXIMUM) {
        die("option --%s: more than %u devices", name, HOST_DEVICES_MAXIMUM);
    }
    options->devices[options->device_count++] = value;
}

static void set_control(struct options *options, const char *name, const char *value)
{
    (void)name;
    options->control = value;
}

static void set_control_file(struct options *options, const char *name, const char *value)
{
    options->control_file = (int)number(name, value, 0, INT32_MAX);
}

static void set_trace(struct options *options, const char *name, const char *value)
{
    (void)name;
    (void)value;
    options->trace = true;
}

static void set_without_timers(struct options *options, const char *name, const char *value)
{
    (void)name;
    (void)value;
    options->without_timers = true;
}

static void set_no_reboot(struct options *options, const char *name, const char *value)
{
    (void)name;
    (void)value;
    options->no_reboot = true;
}

static void set_trace_packets(struct options *options, const char *name, const char *value)
{
    (void)name;
    (void)value;
    options->trace_packets = true;
}

static void help(struct options *options, const char *name, const char *value);

static const struct {
    const char *name;
    const char *argument; /* NULL: takes none */
    const char *text;
    void (*set)(struct options *options, const char *name, const char *value);
} table[] = {
    {"kernel", "FILE",
     "the kernel: an ELF file with a PVH entry (ours, or Linux' vmlinux), or a bzImage",
     set_kernel},
    {"firmware", "FILE",
     "UEFI firmware for QEMU's pc machine (OVMF.fd), which starts an EFI application as --kernel",
     set_firmware},
    {"initrd", "FILE", "an initial file system, handed over with it", set_initrd},
    {"resume", "FILE",
     "instead of a kernel, a guest that the command 'save' wrote; with the same devices",
     set_resume},
    {"append", "WORDS", "the kernel's command line", set_append},
    {"memory", "MIB", "the guest's memory (256)", set_memory},
    {"processors", "N", "virtual processors, 1 to 4 (1)", set_processors},
    {"device", "NAME[,OPTIONS]", "a device on the bus, see below; may be given several times",
     add_device},
    {"vmbus-version", "M.N", "the newest version of VMBus that is offered (the newest there is)",
     set_vmbus_version},
    {"debug-exit", "PORT", "an I/O port to which a guest writes its status (0 to 127) and ends",
     set_debug_exit},
    {"no-reboot", NULL,
     "end when the guest resets, and do not start it anew; a resumed one ends in any case",
     set_no_reboot},
    {"control", "SOCKET", "a socket by name on which commands are taken, a line each; try 'help'",
     set_control},
    {"control-file", "N", "the same on an open file", set_control_file},
    {"without-timers", NULL,
     "no synthetic timers (Linux 6.12 cannot unload hv_vmbus while it uses them)",
     set_without_timers},
    {"trace", NULL, "each message of the bus, decoded, on standard error", set_trace},
    {"trace-packets", NULL, "each packet in a channel's rings, likewise", set_trace_packets},
    {"help", NULL, "this text", help},
};
#define TABLE_SIZE (sizeof(table) / sizeof(table[0]))

static void help(struct options *options, const char *name, const char *value)
{
    (void)options;
    (void)name;
    (void)value;
    (void)printf("usage: " VMM_NAME " --kernel FILE | --firmware FILE | --resume FILE [options]\n"
                 "Runs a guest on KVM with Hyper-V's interface and VMBus devices. Its first serial "
                 "port is standard input and output.\n\n");
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        (void)printf("  --%s%s%s\n        %s\n", table[i].name,
                     table[i].argument != NULL ? " " : "",
                     table[i].argument != NULL ? table[i].argument : "", table[i].text);
    }
    (void)printf("\nDevices:\n");
    devices_print_help();
    (void)printf("\nThe exit status is 2 * s + 1 for a status s that the guest wrote, 0 after a "
                 "power-off, or a reset with --no-reboot,\n2 if something could not be done, 4 if "
                 "the guest could not go on.\n");
    exit(EXIT_SUCCESS);
}

/* What is in the snapshot is not to be asked for. */
static void resume_alone(const struct options *options)
{
    const char *beside = options->kernel != NULL     ? "--kernel"
                         : options->firmware != NULL ? "--firmware"
                         : options->initrd != NULL   ? "--initrd"
                         : options->append != NULL   ? "--append"
                         : options->memory_mib != 0  ? "--memory"
                         : options->processors != 0  ? "--processors"
                                                     : NULL;

    if (beside != NULL) {
        die("option --resume: there is no place for %s beside it", beside);
    }
}

void options_parse(struct options *options, int count, char **words)
{
    struct option long_options[TABLE_SIZE + 1] = {{0}};

    *options = (struct options){.control_file = -1};
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        long_options[i].name = table[i].name;
        long_options[i].has_arg = table[i].argument != NULL ? required_argument : no_argument;
    }
    for (;;) {
        int index = 0;
        int found = getopt_long(count, words, "", long_options, &index);
        if (found == -1) {
            break;
        }
        if (found != 0) {
            die("see --help"); /* getopt has said what is wrong */
        }
        table[index].set(options, table[index].name, optarg);
    }
    if (optind < count) {
        die("'%s' is no option; see --help", words[optind]);
    }
    if (options->resume != NULL) {
        resume_alone(options);
        snapshot_peek(options->resume, &options->memory_mib, &options->processors);
        return;
    }
    if (options->kernel == NULL && options->firmware == NULL) {
        die("option --kernel, --firmware or --resume is missing; see --help");
    }
    options->append = options->append != NULL ? options->append : "";
    options->memory_mib = options->memory_mib != 0 ? options->memory_mib : MEMORY_MIB_DEFAULT;
    options->processors = options->processors != 0 ? options->processors : 1;
}
