/* SPDX-License-Identifier: MIT */
/*
 * Makes firmware difficult, then starts \EFI\BOOT\GUEST.EFI on it, or what QEMU's -initrd gives,
 * with load options as they are. Which difficulties is said by files in \trouble, which are empty:
 * each is named like a function below.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "arch/x86_64/instructions.h"
#include "boot/uefi_tables.h"
#include "tests/guests/uefi/leftovers.h"

#define PAGE      UINT64_C(4096)
#define FOUR_GIB  (UINT64_C(1) << 32)
#define NAME_SIZE 32u

efi_status trouble_main(efi_handle image, struct efi_system_table *table);

/* Goes on with 5-level page tables from `root` on. start.S */
void enter_five_levels(uint64_t root);

static struct efi_system_table *system;
static struct efi_boot_services *services;

/* Letter by letter: no text is too long. */
static void say(const char *text)
{
    for (; *text != '\0'; text++) {
        uint16_t letter[2] = {(uint8_t)*text, 0};
        (void)system->console_out->output_string(system->console_out, letter);
    }
}

static void *allocate(uint64_t size)
{
    void *memory = NULL;

    return services->allocate_pool(EFI_LOADER_DATA, size, &memory) == EFI_SUCCESS ? memory : NULL;
}

static void *interface_of(efi_handle handle, const struct efi_guid *guid)
{
    void *interface = NULL;

    (void)services->handle_protocol(handle, guid, &interface);
    return interface;
}

/* ---- the difficulties ---- */

/* Firmware's console may have an output of its own, above that of the device: both are made
 * difficult. */
static void for_graphics(void (*change)(struct efi_graphics_mode *mode))
{
    static const struct efi_guid guid = EFI_GRAPHICS_OUTPUT_GUID;
    struct efi_graphics_output *console = interface_of(system->console_out_handle, &guid);
    void *device = NULL;

    if (console != NULL) {
        change(console->mode);
    }
    if (services->locate_protocol(&guid, NULL, &device) == EFI_SUCCESS && device != console) {
        change(((struct efi_graphics_output *)device)->mode);
    }
}

static void make_blt_only(struct efi_graphics_mode *mode)
{
    mode->information->format = EFI_PIXEL_BLT_ONLY;
}

static void blt_only(void)
{
    for_graphics(make_blt_only);
}

/* The same pixels, said in another way. */
static void say_masks(struct efi_graphics_mode *mode)
{
    mode->information->format = EFI_PIXEL_MASKS;
    mode->information->red_mask = 0xff0000;
    mode->information->green_mask = 0xff00;
    mode->information->blue_mask = 0xff;
    mode->information->reserved_mask = 0xff000000;
}

static void masks(void)
{
    for_graphics(say_masks);
}

static void make_small(struct efi_graphics_mode *mode)
{
    mode->framebuffer_size = 4096;
}

static void small_framebuffer(void)
{
    for_graphics(make_small);
}

static void make_vast(struct efi_graphics_mode *mode)
{
    mode->framebuffer_size = UINT64_C(1) << 45;
}

static void vast_framebuffer(void)
{
    for_graphics(make_vast);
}

static void no_acpi(void)
{
    static const struct efi_guid acpi20 = EFI_ACPI_20_GUID;
    static const struct efi_guid acpi10 = EFI_ACPI_10_GUID;

    for (uint64_t i = 0; i < system->configuration_table_count; i++) {
        struct efi_guid *vendor = &system->configuration_tables[i].vendor;
        if (memcmp(vendor, &acpi20, sizeof(acpi20)) == 0 ||
            memcmp(vendor, &acpi10, sizeof(acpi10)) == 0) {
            vendor->data1 = 0;
        }
    }
}

static void broken_acpi(void)
{
    static const struct efi_guid acpi20 = EFI_ACPI_20_GUID;

    for (uint64_t i = 0; i < system->configuration_table_count; i++) {
        struct efi_configuration_table *table = &system->configuration_tables[i];
        if (memcmp(&table->vendor, &acpi20, sizeof(acpi20)) == 0) {
            table->table = allocate(64);
        }
    }
}

/* Every second page of 24 MiB belongs to firmware for ever: 3000 pieces, most of which no table of
 * ours holds. */
static void fragments(void)
{
    uint64_t base = 0;

    if (services->allocate_pages(EFI_ALLOCATE_ANY_PAGES, EFI_RESERVED_MEMORY, 6000, &base) !=
        EFI_SUCCESS) {
        say("trouble: no memory\r\n");
    }
    for (uint64_t page = 0; page < 6000; page += 2) {
        (void)services->free_pages(base + page * PAGE, 1);
    }
}

#define PIECES      64u
#define PIECE_PAGES 32u /* less than the guest's image has, and enough for a disk's driver */

/* Nothing below 4 GiB is left for the guest's image, but pieces smaller than it for firmware. */
static void high(void)
{
    uint64_t pieces[PIECES];

    for (unsigned i = 0; i < PIECES; i++) {
        pieces[i] = FOUR_GIB - 1;
        (void)services->allocate_pages(EFI_ALLOCATE_MAX_ADDRESS, EFI_LOADER_DATA, PIECE_PAGES + 1,
                                       &pieces[i]);
    }
    for (uint64_t pages = FOUR_GIB / PAGE; pages > 0;) {
        uint64_t address = FOUR_GIB - 1;
        if (services->allocate_pages(EFI_ALLOCATE_MAX_ADDRESS, EFI_LOADER_DATA, pages, &address) !=
            EFI_SUCCESS) {
            pages /= 2;
        }
    }
    for (unsigned i = 0; i < PIECES; i++) {
        (void)services->free_pages(pieces[i], PIECE_PAGES);
    }
}

static efi_status(EFI_CALL *firmware_exit_boot_services)(efi_handle image, uint64_t key);
static unsigned attempts;

static efi_status EFI_CALL exit_late(efi_handle image, uint64_t key)
{
    uint64_t page = 0;

    if (++attempts < 4) {
        (void)services->allocate_pages(EFI_ALLOCATE_ANY_PAGES, EFI_RESERVED_MEMORY, attempts,
                                       &page);
        return EFI_INVALID_PARAMETER;
    }
    return firmware_exit_boot_services(image, key);
}

/* The map is out of date three times. */
static void stale(void)
{
    firmware_exit_boot_services = services->exit_boot_services;
    services->exit_boot_services = exit_late;
}

static efi_status EFI_CALL exit_never(efi_handle image, uint64_t key)
{
    (void)image;
    (void)key;
    return EFI_INVALID_PARAMETER;
}

static void never_exit(void)
{
    services->exit_boot_services = exit_never;
}

/* The first of 512 parts of such a map is the whole of one of four levels. */
static void five_levels(void)
{
    uint64_t root = FOUR_GIB - 1;

    if (services->allocate_pages(EFI_ALLOCATE_MAX_ADDRESS, EFI_BOOT_SERVICES_DATA, 1, &root) !=
        EFI_SUCCESS) {
        say("trouble: no memory\r\n");
        return;
    }
    uint64_t *table = memset((void *)(uintptr_t)root, 0, PAGE);
    table[0] = control3_read() | 3;
    enter_five_levels(root);
}

static char *leftover_pages;
static void (*leave)(char *pages);

static efi_status EFI_CALL exit_and_leave_hyperv(efi_handle image, uint64_t key)
{
    efi_status status = firmware_exit_boot_services(image, key);

    if (status == EFI_SUCCESS) {
        __asm__ volatile("cli");
        leave(leftover_pages);
    }
    return status;
}

static void leave_behind(void (*what)(char *pages), enum efi_memory_type type)
{
    uint64_t address = 0;

    (void)services->allocate_pages(EFI_ALLOCATE_ANY_PAGES, type, LEFTOVER_PAGES, &address);
    leftover_pages = (char *)(uintptr_t)address;
    leave = what;
    firmware_exit_boot_services = services->exit_boot_services;
    services->exit_boot_services = exit_and_leave_hyperv;
}

/* The pages are the guest's afterwards. */
static void hyperv_in_use(void)
{
    leave_behind(leave_hyperv_in_use, EFI_BOOT_SERVICES_DATA);
}

static void hypercalls_locked(void)
{
    leave_behind(leave_hypercalls_locked, EFI_RESERVED_MEMORY);
}

static void hypercalls_in_the_way(void)
{
    leave_behind(leave_hypercalls_locked, EFI_BOOT_SERVICES_DATA);
}

static const struct {
    const char *name;
    void (*make)(void);
} troubles[] = {
    {"hyperv_in_use", hyperv_in_use},
    {"hypercalls_locked", hypercalls_locked},
    {"hypercalls_in_the_way", hypercalls_in_the_way},
    {"five_levels", five_levels},
    {"blt_only", blt_only},
    {"masks", masks},
    {"small_framebuffer", small_framebuffer},
    {"vast_framebuffer", vast_framebuffer},
    {"no_acpi", no_acpi},
    {"high", high},
    {"broken_acpi", broken_acpi},
    {"fragments", fragments},
    {"stale", stale},
    {"never_exit", never_exit},
};

/* ---- files ---- */

static struct efi_file *open_file(struct efi_file *root, const char *folder, const char *name)
{
    uint16_t path[2 * NAME_SIZE];
    struct efi_file *file = NULL;
    size_t used = 0;

    for (; *folder != '\0'; folder++) {
        path[used++] = (uint8_t)*folder;
    }
    for (; *name != '\0'; name++) {
        path[used++] = (uint8_t)*name;
    }
    path[used] = 0;
    return root->open(root, &file, path, EFI_FILE_MODE_READ, 0) == EFI_SUCCESS ? file : NULL;
}

/* The device's path with the file's behind it, so that the guest finds its command line. */
static void *path_of_guest(const uint8_t *device)
{
    static const char text[] = "\\EFI\\BOOT\\GUEST.EFI";
    size_t length = 0;
    uint16_t node;

    while (device[length] != EFI_DEVICE_PATH_END) {
        memcpy(&node, device + length + 2, sizeof(node));
        length += node;
    }
    uint8_t *path = allocate(length + 4 + 2 * sizeof(text) + 4);
    memcpy(path, device, length);
    uint8_t *file = path + length;
    const uint16_t file_length = 4 + 2 * sizeof(text);
    file[0] = EFI_DEVICE_PATH_MEDIA;
    file[1] = EFI_DEVICE_PATH_FILE_PATH;
    memcpy(file + 2, &file_length, 2);
    for (size_t i = 0; i < sizeof(text); i++) {
        file[4 + 2 * i] = (uint8_t)text[i];
        file[5 + 2 * i] = 0;
    }
    static const uint8_t end[] = {EFI_DEVICE_PATH_END, 0xff, 4, 0};
    memcpy(file + file_length, end, sizeof(end));
    return path;
}

/* Whether the load options have `trouble=` and the name. */
static bool options_say(const struct efi_loaded_image *self, const char *name)
{
    static const char key[] = "trouble=";
    const uint16_t *options = self->load_options;
    size_t count = options == NULL ? 0 : self->load_options_size / 2;

    for (size_t from = 0; from < count; from++) {
        size_t at = from;
        const char *wanted = key;
        while (at < count && *wanted != '\0' && options[at] == (uint8_t)*wanted) {
            at++;
            wanted = wanted == key + sizeof(key) - 2 ? name : wanted + 1;
        }
        if (*wanted == '\0') {
            return true;
        }
    }
    return false;
}

#define GUEST_SIZE_MOST (8u << 20)

/* What -initrd gives, in memory; NULL: nothing. */
static void *read_initrd(struct efi_file *root, uint64_t *size)
{
    struct efi_file *file = open_file(root, "initrd", "");
    void *bytes = file == NULL ? NULL : allocate(GUEST_SIZE_MOST);

    *size = GUEST_SIZE_MOST;
    return bytes != NULL && file->read(file, size, bytes) == EFI_SUCCESS ? bytes : NULL;
}

efi_status trouble_main(efi_handle image, struct efi_system_table *table)
{
    static const struct efi_guid loaded_image = EFI_LOADED_IMAGE_GUID;
    static const struct efi_guid file_system = EFI_FILE_SYSTEM_GUID;
    static const struct efi_guid device_path = {
        0x09576e91, 0x6d3f, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
    struct efi_file *root = NULL;
    efi_handle guest = NULL;
    uint64_t size;

    system = table;
    services = table->boot_services;
    struct efi_loaded_image *self = interface_of(image, &loaded_image);
    struct efi_file_system *volume = interface_of(self->device, &file_system);
    if (volume->open_volume(volume, &root) != EFI_SUCCESS) {
        say("trouble: no files\r\n");
        return EFI_NOT_FOUND;
    }
    void *initrd = read_initrd(root, &size);
    void *path = path_of_guest(interface_of(self->device, &device_path));
    for (unsigned i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        if (options_say(self, troubles[i].name) ||
            open_file(root, "\\trouble\\", troubles[i].name) != NULL) {
            say("trouble: ");
            say(troubles[i].name);
            say("\r\n");
            troubles[i].make();
        }
    }
    efi_status status =
        services->load_image(0, image, path, initrd, initrd == NULL ? 0 : size, &guest);
    if (status == EFI_SUCCESS) {
        struct efi_loaded_image *loaded = interface_of(guest, &loaded_image);
        loaded->load_options = self->load_options;
        loaded->load_options_size = self->load_options_size;
        status = services->start_image(guest, NULL, NULL);
    }
    say(status == EFI_SUCCESS ? "trouble: the guest came back\r\n"
                              : "trouble: the guest came back with an error\r\n");
    return status;
}
