/* SPDX-License-Identifier: MIT */
/*
 * What firmware is asked, and the end of its boot services (UEFI Specification 7.4, "Image
 * Services"). Nothing here runs afterwards but the conversion of the memory map, and power-off.
 */
#include "boot/uefi.h"

#include <string.h>

/* Choices: firmware's map may grow by this many descriptors between the question for its size and
 * the end of boot services, and each of the two is tried so often. */
#define MAP_SLACK     64u
#define MAP_ATTEMPTS  8u
#define EXIT_ATTEMPTS 8u

/* Choice: longer paths belong to no removable medium. */
#define PATH_LENGTH 256u

static struct boot_info info;

/* ---- firmware's console, while it has one ---- */

static void say(struct efi_system_table *system, const char *text)
{
    struct efi_text_output *output = system->console_out;
    uint16_t piece[64];

    while (output != NULL && *text != '\0') {
        size_t used = 0;
        while (used < sizeof(piece) / sizeof(piece[0]) - 1 && *text != '\0') {
            piece[used++] = (uint8_t)*text++;
        }
        piece[used] = '\0';
        (void)output->output_string(output, piece);
    }
}

static struct boot_info *refuse(struct efi_system_table *system, const char *why,
                                efi_status *status, efi_status code)
{
    say(system, "Barebus cannot start: ");
    say(system, why);
    say(system, "\r\n");
    *status = code;
    return NULL;
}

/* ---- what firmware knows ---- */

static void *protocol_of(struct efi_system_table *system, efi_handle handle,
                         const struct efi_guid *protocol)
{
    void *interface = NULL;

    if (handle == NULL ||
        system->boot_services->handle_protocol(handle, protocol, &interface) != EFI_SUCCESS) {
        return NULL;
    }
    return interface;
}

static void *configuration_table(struct efi_system_table *system, const struct efi_guid *vendor)
{
    for (uint64_t i = 0; i < system->configuration_table_count; i++) {
        if (memcmp(&system->configuration_tables[i].vendor, vendor, sizeof(*vendor)) == 0) {
            return system->configuration_tables[i].table;
        }
    }
    return NULL;
}

static void take_acpi(struct efi_system_table *system)
{
    static const struct efi_guid acpi20 = EFI_ACPI_20_GUID;
    static const struct efi_guid acpi10 = EFI_ACPI_10_GUID;
    void *rsdp = configuration_table(system, &acpi20);

    if (rsdp == NULL) {
        rsdp = configuration_table(system, &acpi10);
    }
    info.acpi_rsdp = (uintptr_t)rsdp;
    if (rsdp == NULL) {
        boot_info_remark(&info, "firmware gives no ACPI tables");
    }
}

/* NULL, or why this output will not do. */
static const char *take_output(const struct efi_graphics_output *output)
{
    if (output == NULL || output->mode == NULL || output->mode->information == NULL) {
        return "no console on the screen: firmware has no graphics output";
    }
    return uefi_take_graphics(&info.framebuffer, output->mode, output->mode->information);
}

/* The output that firmware's own console is on; else any. One that stands for several screens has
 * no framebuffer. */
static void take_graphics(struct efi_system_table *system)
{
    static const struct efi_guid graphics_output = EFI_GRAPHICS_OUTPUT_GUID;
    void *other = NULL;
    const char *why =
        take_output(protocol_of(system, system->console_out_handle, &graphics_output));

    if (why != NULL &&
        system->boot_services->locate_protocol(&graphics_output, NULL, &other) == EFI_SUCCESS) {
        why = take_output(other);
    }
    if (why != NULL) {
        boot_info_remark(&info, why);
    }
}

/* ---- what is left of firmware later: UEFI 8.5.1 ---- */

static efi_reset_system reset_system;

static void power_off(void)
{
    reset_system(EFI_RESET_SHUTDOWN, EFI_SUCCESS, 0, NULL);
}

/* ---- the command line ---- */

/* One more byte than fits tells that a file is too long; UTF-16 has two for each character. */
static uint8_t file_bytes[2 * COMMAND_LINE_SIZE + 2];

static struct efi_file *open_command_line(struct efi_system_table *system,
                                          const struct efi_loaded_image *image)
{
    static const struct efi_guid file_system = EFI_FILE_SYSTEM_GUID;
    uint16_t path[PATH_LENGTH];
    struct efi_file_system *volume = protocol_of(system, image->device, &file_system);
    struct efi_file *root = NULL;
    struct efi_file *file = NULL;

    if (volume == NULL || !uefi_command_line_path(path, PATH_LENGTH, image->file_path) ||
        volume->open_volume(volume, &root) != EFI_SUCCESS) {
        return NULL;
    }
    if (root->open(root, &file, path, EFI_FILE_MODE_READ, 0) != EFI_SUCCESS) {
        file = NULL;
    }
    (void)root->close(root);
    return file;
}

static void take_file(struct efi_system_table *system, const struct efi_loaded_image *image)
{
    struct efi_file *file = open_command_line(system, image);
    uint64_t size = sizeof(file_bytes);

    if (file == NULL) {
        boot_info_remark(&info, "no command line: no load options, and no " UEFI_COMMAND_LINE_FILE
                                " beside the application");
        return;
    }
    efi_status status = file->read(file, &size, file_bytes);
    (void)file->close(file);
    if (status != EFI_SUCCESS || size > sizeof(file_bytes)) {
        boot_info_remark(&info, "warning: " UEFI_COMMAND_LINE_FILE " cannot be read: ignored");
    } else if (uefi_take_file(&info, file_bytes, size) == UEFI_TEXT_NOT_TEXT) {
        boot_info_remark(&info, "warning: " UEFI_COMMAND_LINE_FILE " is no text in ASCII: ignored");
    }
}

static void take_command_line(struct efi_system_table *system, const struct efi_loaded_image *image)
{
    if (image->load_options == NULL || image->load_options_size == 0 ||
        uefi_take_load_options(&info, image->load_options, image->load_options_size) !=
            UEFI_TEXT_TAKEN) {
        take_file(system, image);
    }
}

/* ---- the memory map, and the end of boot services ---- */

struct map {
    void *descriptors;
    uint64_t room; /* bytes */
    uint64_t size;
    uint64_t key;
    uint64_t descriptor_size;
};

static efi_status read_map(struct efi_boot_services *services, struct map *map)
{
    uint32_t version = 0;

    map->size = map->room;
    return services->get_memory_map(&map->size, map->descriptors, &map->key, &map->descriptor_size,
                                    &version);
}

/* Room for the map as it is and some more: getting it makes the map longer. */
static efi_status make_room(struct efi_boot_services *services, struct map *map)
{
    for (unsigned attempt = 0; attempt < MAP_ATTEMPTS; attempt++) {
        efi_status status = read_map(services, map);
        if (status != EFI_BUFFER_TOO_SMALL) {
            return status;
        }
        if (map->descriptors != NULL) {
            (void)services->free_pool(map->descriptors);
        }
        *map = (struct map){.room = map->size + MAP_SLACK * map->descriptor_size};
        status = services->allocate_pool(EFI_LOADER_DATA, map->room, &map->descriptors);
        if (status != EFI_SUCCESS) {
            map->descriptors = NULL;
            return status;
        }
    }
    return EFI_BUFFER_TOO_SMALL;
}

/*
 * The first attempt may change the map, for instance because a driver let go of memory when it was
 * told; from then on firmware takes nothing but these two calls (UEFI 7.4.6).
 */
static efi_status leave_boot_services(struct efi_boot_services *services, efi_handle image,
                                      struct map *map)
{
    efi_status status = EFI_INVALID_PARAMETER;

    for (unsigned attempt = 0; attempt < EXIT_ATTEMPTS && status == EFI_INVALID_PARAMETER;
         attempt++) {
        status = read_map(services, map);
        if (status == EFI_SUCCESS) {
            status = services->exit_boot_services(image, map->key);
        }
    }
    return status;
}

struct boot_info *uefi_collect(efi_handle handle, struct efi_system_table *system, uint64_t counter,
                               efi_status *status)
{
    static const struct efi_guid loaded_image = EFI_LOADED_IMAGE_GUID;
    const char *why;
    struct map map = {0};

    memset(&info, 0, sizeof(info));
    info.protocol = "UEFI";
    info.counter_at_entry = counter;
    if (system == NULL || system->header.signature != EFI_SYSTEM_TABLE_SIGNATURE) {
        *status = EFI_LOAD_ERROR;
        return NULL;
    }
    const struct efi_loaded_image *image = protocol_of(system, handle, &loaded_image);
    if (image == NULL) {
        return refuse(system, "firmware does not tell what it loaded", status, EFI_LOAD_ERROR);
    }
    if (!uefi_arch_can_take_over(&why)) {
        return refuse(system, why, status, EFI_UNSUPPORTED);
    }
    uint64_t base = (uintptr_t)image->image_base;
    uint64_t size = image->image_size;
    take_command_line(system, image);
    take_acpi(system);
    take_graphics(system);
    reset_system = system->runtime_services->reset_system;
    info.firmware.power_off = power_off;
    *status = make_room(system->boot_services, &map);
    if (*status != EFI_SUCCESS) {
        return refuse(system, "firmware gives no memory map", status, *status);
    }
    *status = leave_boot_services(system->boot_services, handle, &map);
    if (*status != EFI_SUCCESS) {
        return refuse(system, "firmware does not end its boot services", status, *status);
    }
    (void)uefi_take_memory_map(&info, map.descriptors, map.size, map.descriptor_size);
    memory_map_remove(&info.memory, base, size);
    memory_map_remove(&info.memory, info.framebuffer.base, info.framebuffer.size);
    return &info;
}
