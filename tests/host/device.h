/* SPDX-License-Identifier: MIT */
#ifndef HOST_DEVICE_H
#define HOST_DEVICE_H

/*
 * How a host makes and drives the devices it offers to its guest. A host has a bus (KMCL's server
 * role, kmcl_extensions.h), the executive (kernel/) that KMCL runs on, and machine.h. All of it is
 * freestanding C, for hosts that are a process and for those that are not. All calls PASSIVE.
 *
 *   a new guest:      create each, then enable and start each
 *   a guest restored: create each, restore each, enable each, vmbus_server_restore(), start each
 *   a guest saved:    its processors stand still; pause each, save each, vmbus_server_save()
 *   a save given up:  start each
 */

#include <stdbool.h>
#include <stddef.h>

#include "VmbusKernelModeClientLibApi.h"

/* Where lines of text go: errors, replies, what happens. `text` has no newline and is valid for the
 * time of the call. */
struct host_output {
    void (*line)(void *context, const char *text);
    void *context;
};

#define HOST_LINE_SIZE 1024u /* longer ones are cut */

/* One line; formats as format_text() of kernel/format.h. At most DISPATCH. */
void host_print(const struct host_output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define HOST_DEVICE_NAME_SIZE 32u

struct host_device_type;

/* What all devices have in common; each type's structure begins with it. */
struct host_device {
    const struct host_device_type *type;
    char name[HOST_DEVICE_NAME_SIZE]; /* the type's, or as the option name= says */
    GUID instance;
    HANDLE bus;
    struct host_output events; /* what happens, a line each, beginning with the name */
    VMBCHANNEL channel;
};

/* An option of the text behind a device's name, `key=value`; tables end with a NULL key. */
struct host_option {
    const char *key;
    const char *value; /* what stands for it in the help */
    const char *purpose;
};

/* A command of a device; tables end with a NULL name. */
struct host_command {
    const char *name;
    const char *arguments; /* as the help shows them */
    const char *purpose;
    unsigned minimum; /* arguments */
    unsigned maximum;
    /* False: it was refused, and the reply says why. Whatever takes time is begun, and its end is
     * an event. At DISPATCH, so that nothing else of the device runs meanwhile. */
    bool (*run)(struct host_device *device, char *const arguments[], unsigned count,
                const struct host_output *reply);
};

/* Words of one command, its name included. */
#define HOST_COMMAND_WORDS 8u

struct host_device_type {
    const char *name; /* on command lines */
    const char *purpose;
    size_t size; /* of its structure */
    GUID device_class;
    GUID instance; /* unless the option instance= says another */
    const struct host_option *options;
    const struct host_command *commands;

    /* Allocates and configures the channel, and leaves it Disabled. The structure is zeroed but for
     * what is in common. `options` were checked against the table. False: the errors say why, and
     * nothing is left but what host_device_destroy() undoes. */
    bool (*create)(struct host_device *device, const char *options,
                   const struct host_output *errors);

    /* The device's own state, beside the packets that KMCL saves; the channel is paused, closed or
     * Disabled. Sets `size`; false: `capacity` is too small, and `size` is what it takes. NULL:
     * there is none. */
    bool (*save)(struct host_device *device, void *buffer, size_t capacity, size_t *size);

    /* The channel is Disabled. False: these are no bytes of this type's. */
    bool (*restore)(struct host_device *device, const void *bytes, size_t size);

    /* The channel is Disabled; it is cleaned up behind this. NULL: nothing to do. */
    void (*destroy)(struct host_device *device);
};

/* All there are; ends with NULL. */
extern const struct host_device_type *const host_device_types[];

/* The options that every device has. */
extern const struct host_option host_device_common_options[];

/* Each type, its options and its commands: the text for --help. */
void host_device_help(const struct host_output *output);

/*
 * Makes a device of "type[,key=value]...", Disabled: nothing is offered yet. `events` is copied.
 * NULL: the errors, of which there is at least one line, say why.
 */
struct host_device *host_device_create(HANDLE bus, const char *text,
                                       const struct host_output *events,
                                       const struct host_output *errors);

/* Offers it, paused: nothing flows until host_device_start(). False, with a line: the bus refuses
 * it. */
bool host_device_enable(struct host_device *device, const struct host_output *errors);
void host_device_start(struct host_device *device);
void host_device_pause(struct host_device *device);

/* Takes the offer back (a rescind, for the guest) and leaves it to be enabled again. */
void host_device_disable(struct host_device *device);

/* Disables it if need be, and frees it. */
void host_device_destroy(struct host_device *device);

/*
 * Runs one line: a command and its arguments, separated by blanks; in "double quotes" blanks do not
 * separate. Each device knows `help` and `statistics` (of its channel) too. False: no such command,
 * or it was refused; the reply says why.
 */
bool host_device_command(struct host_device *device, const char *line,
                         const struct host_output *reply);

/*
 * The paused device's state and packets as one piece of bytes. Returns what the first call that
 * failed returned; STATUS_BUFFER_TOO_SMALL: try a larger one. The buffer is aligned to 8.
 */
NTSTATUS host_device_save(struct host_device *device, void *buffer, size_t capacity, size_t *size);

/* Of a device created with the same text. Anything but STATUS_SUCCESS: the bytes were refused;
 * destroy the device. The buffer is aligned to 8. */
NTSTATUS host_device_restore(struct host_device *device, const void *bytes, size_t size);

/* ---- for the devices themselves ---- */

/* A line to the device's events, behind its name. At most DISPATCH. */
void host_device_event(struct host_device *device, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether the option is there; its value is copied, cut to `size` with its terminator. */
bool host_option_value(const char *options, const char *key, char *value, size_t size);

/* A number, decimal or 0x...; the whole text must be one. */
bool host_number(const char *text, UINT64 *number);

/* The option's number; `fallback` if it is not there. False, with a line: no number, or beyond
 * `maximum`. */
bool host_option_number(const char *options, const char *key, UINT64 fallback, UINT64 maximum,
                        UINT64 *number, const struct host_output *errors);

/* What a device's channel is made of. */
struct host_channel {
    PFN_VMB_CHANNEL_OPENED opened; /* these three may be NULL */
    PFN_VMB_CHANNEL_POST_STARTED post_started;
    PFN_VMB_CHANNEL_CLOSED closed;
    PFN_VMB_CHANNEL_RESTORE_PACKET restore_packet; /* NULL: nothing is sent, or none is restored */
    PFN_VMB_CHANNEL_SAVE_PACKET save_packet;       /* with restore_packet */
    PFN_VMB_CHANNEL_PROCESS_PACKET process_packet;
    UINT32 packet_size; /* the most that is sent, bytes */
    bool is_pipe;
};

/* Allocates and configures the device's channel, with the device as its pointer, its class,
 * instance and bus. False, with a line: it could not be. */
bool host_device_make_channel(struct host_device *device, const struct host_channel *channel,
                              const struct host_output *errors);

/* save_packet of who has no more to save than the library has. */
EVT_VMB_CHANNEL_SAVE_PACKET host_save_no_packet;

/* save() and restore() of a state that is one structure. */
bool host_save_state(const void *state, size_t state_size, void *buffer, size_t capacity,
                     size_t *size);
bool host_restore_state(void *state, size_t state_size, const void *bytes, size_t size);

#endif
