/* SPDX-License-Identifier: MIT */
#ifndef BOOT_UEFI_TABLES_H
#define BOOT_UEFI_TABLES_H

#include <stddef.h>
#include <stdint.h>

/*
 * What firmware and an application share in memory (UEFI Specification 2.10; the chapter stands at
 * each). Only layouts. Services that neither the kernel nor its tests call have a word in their
 * place.
 */

/* How firmware's functions are called: UEFI 2.3.4 for x64, 2.3.6 for AArch64 (the ordinary way). */
#ifdef __x86_64__
#define EFI_CALL __attribute__((ms_abi))
#else
#define EFI_CALL
#endif

typedef uint64_t efi_status; /* UEFI appendix D */
typedef void *efi_handle;

#define EFI_ERROR(code)       ((UINT64_C(1) << 63) | (code))
#define EFI_SUCCESS           UINT64_C(0)
#define EFI_LOAD_ERROR        EFI_ERROR(1)
#define EFI_INVALID_PARAMETER EFI_ERROR(2)
#define EFI_UNSUPPORTED       EFI_ERROR(3)
#define EFI_BUFFER_TOO_SMALL  EFI_ERROR(5)
#define EFI_OUT_OF_RESOURCES  EFI_ERROR(9)
#define EFI_NOT_FOUND         EFI_ERROR(14)

struct efi_guid {
    uint32_t data1;
    uint16_t data2;
    uint16_t data3;
    uint8_t data4[8];
};
_Static_assert(sizeof(struct efi_guid) == 16, "layout of EFI_GUID");

/* ---- the tables: UEFI 4 ---- */

struct efi_table_header {
    uint64_t signature;
    uint32_t revision;
    uint32_t header_size;
    uint32_t crc32;
    uint32_t reserved;
};
_Static_assert(sizeof(struct efi_table_header) == 24, "layout of EFI_TABLE_HEADER");

#define EFI_SYSTEM_TABLE_SIGNATURE UINT64_C(0x5453595320494249)

struct efi_configuration_table {
    struct efi_guid vendor;
    void *table;
};
_Static_assert(sizeof(struct efi_configuration_table) == 24, "layout of EFI_CONFIGURATION_TABLE");

struct efi_system_table {
    struct efi_table_header header;
    uint16_t *firmware_vendor;
    uint32_t firmware_revision;
    efi_handle console_in_handle;
    void *console_in;
    efi_handle console_out_handle;
    struct efi_text_output *console_out;
    efi_handle standard_error_handle;
    struct efi_text_output *standard_error;
    struct efi_runtime_services *runtime_services;
    struct efi_boot_services *boot_services;
    uint64_t configuration_table_count;
    struct efi_configuration_table *configuration_tables;
};
_Static_assert(offsetof(struct efi_system_table, console_out) == 64, "layout of EFI_SYSTEM_TABLE");
_Static_assert(sizeof(struct efi_system_table) == 120, "layout of EFI_SYSTEM_TABLE");

/* ---- memory: UEFI 7.2 ---- */

enum efi_memory_type {
    EFI_RESERVED_MEMORY,
    EFI_LOADER_CODE,
    EFI_LOADER_DATA,
    EFI_BOOT_SERVICES_CODE,
    EFI_BOOT_SERVICES_DATA,
    EFI_RUNTIME_SERVICES_CODE,
    EFI_RUNTIME_SERVICES_DATA,
    EFI_CONVENTIONAL_MEMORY,
    EFI_UNUSABLE_MEMORY,
    EFI_ACPI_RECLAIM_MEMORY,
    EFI_ACPI_MEMORY_NVS,
    EFI_MEMORY_MAPPED_IO,
    EFI_MEMORY_MAPPED_IO_PORT_SPACE,
    EFI_PAL_CODE,
    EFI_PERSISTENT_MEMORY,
    EFI_UNACCEPTED_MEMORY,
};

#define EFI_MEMORY_WRITE_BACK      UINT64_C(0x8)
#define EFI_MEMORY_SPECIAL_PURPOSE UINT64_C(0x40000)
#define EFI_MEMORY_RUNTIME         (UINT64_C(1) << 63)
#define EFI_MEMORY_DESCRIPTOR_PAGE UINT64_C(4096)

struct efi_memory_descriptor {
    uint32_t type;
    uint32_t padding;
    uint64_t physical_start;
    uint64_t virtual_start;
    uint64_t pages;
    uint64_t attribute;
};
_Static_assert(sizeof(struct efi_memory_descriptor) == 40, "layout of EFI_MEMORY_DESCRIPTOR");

/* ---- services: UEFI 7 and 8 ---- */

struct efi_device_path;

/* How pages are allocated. */
#define EFI_ALLOCATE_ANY_PAGES   0u
#define EFI_ALLOCATE_MAX_ADDRESS 1u

struct efi_boot_services {
    struct efi_table_header header;
    void *raise_tpl, *restore_tpl;
    efi_status(EFI_CALL *allocate_pages)(uint32_t how, uint32_t type, uint64_t pages,
                                         uint64_t *address);
    efi_status(EFI_CALL *free_pages)(uint64_t address, uint64_t pages);
    efi_status(EFI_CALL *get_memory_map)(uint64_t *size, void *map, uint64_t *key,
                                         uint64_t *descriptor_size, uint32_t *descriptor_version);
    efi_status(EFI_CALL *allocate_pool)(uint32_t type, uint64_t size, void **buffer);
    efi_status(EFI_CALL *free_pool)(void *buffer);
    void *create_event, *set_timer, *wait_for_event, *signal_event, *close_event, *check_event;
    void *install_protocol, *reinstall_protocol, *uninstall_protocol;
    efi_status(EFI_CALL *handle_protocol)(efi_handle handle, const struct efi_guid *protocol,
                                          void **interface);
    void *reserved;
    void *register_notify, *locate_handle, *locate_device_path, *install_configuration_table;
    efi_status(EFI_CALL *load_image)(uint8_t boot_policy, efi_handle parent,
                                     struct efi_device_path *path, void *source, uint64_t size,
                                     efi_handle *image);
    efi_status(EFI_CALL *start_image)(efi_handle image, uint64_t *exit_size, uint16_t **exit_data);
    void *exit, *unload_image;
    efi_status(EFI_CALL *exit_boot_services)(efi_handle image, uint64_t key);
    void *next_monotonic_count, *stall, *set_watchdog_timer;
    void *connect_controller, *disconnect_controller;
    void *open_protocol, *close_protocol, *open_protocol_information;
    void *protocols_per_handle, *locate_handle_buffer;
    efi_status(EFI_CALL *locate_protocol)(const struct efi_guid *protocol, void *registration,
                                          void **interface);
};
_Static_assert(offsetof(struct efi_boot_services, get_memory_map) == 56,
               "layout of EFI_BOOT_SERVICES");
_Static_assert(offsetof(struct efi_boot_services, handle_protocol) == 152,
               "layout of EFI_BOOT_SERVICES");
_Static_assert(offsetof(struct efi_boot_services, exit_boot_services) == 232,
               "layout of EFI_BOOT_SERVICES");
_Static_assert(offsetof(struct efi_boot_services, locate_protocol) == 320,
               "layout of EFI_BOOT_SERVICES");

#define EFI_RESET_SHUTDOWN 2u

/* ResetSystem, UEFI 8.5.1. */
typedef void(EFI_CALL *efi_reset_system)(uint32_t type, efi_status status, uint64_t data_size,
                                         void *data);

struct efi_runtime_services {
    struct efi_table_header header;
    void *get_time, *set_time, *get_wakeup_time, *set_wakeup_time;
    void *set_virtual_address_map, *convert_pointer;
    void *get_variable, *get_next_variable_name, *set_variable, *next_high_monotonic_count;
    efi_reset_system reset_system;
};
_Static_assert(offsetof(struct efi_runtime_services, reset_system) == 104,
               "layout of EFI_RUNTIME_SERVICES");

/* ---- protocols ---- */

/* EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL, UEFI 12.4. Text is UTF-16, terminated. */
struct efi_text_output {
    void *reset;
    efi_status(EFI_CALL *output_string)(struct efi_text_output *self, uint16_t *text);
};
_Static_assert(offsetof(struct efi_text_output, output_string) == 8,
               "layout of EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL");

/* UEFI 10.2. Any length, so never read as a whole. */
struct efi_device_path {
    uint8_t type;
    uint8_t sub_type;
    uint16_t length; /* with this header */
};
_Static_assert(sizeof(struct efi_device_path) == 4, "layout of EFI_DEVICE_PATH_PROTOCOL");
#define EFI_DEVICE_PATH_MEDIA     4u
#define EFI_DEVICE_PATH_FILE_PATH 4u /* of the media nodes: a terminated UTF-16 string follows */
#define EFI_DEVICE_PATH_END       0x7fu

/* EFI_LOADED_IMAGE_PROTOCOL, UEFI 9.1. */
struct efi_loaded_image {
    uint32_t revision;
    efi_handle parent;
    struct efi_system_table *system_table;
    efi_handle device;
    struct efi_device_path *file_path;
    void *reserved;
    uint32_t load_options_size; /* bytes */
    void *load_options;
    void *image_base;
    uint64_t image_size;
    uint32_t image_code_type;
    uint32_t image_data_type;
    void *unload;
};
_Static_assert(offsetof(struct efi_loaded_image, load_options) == 56,
               "layout of EFI_LOADED_IMAGE_PROTOCOL");
_Static_assert(sizeof(struct efi_loaded_image) == 96, "layout of EFI_LOADED_IMAGE_PROTOCOL");

#define EFI_FILE_MODE_READ UINT64_C(1)

/* EFI_FILE_PROTOCOL, UEFI 13.5. */
struct efi_file {
    uint64_t revision;
    efi_status(EFI_CALL *open)(struct efi_file *self, struct efi_file **opened, uint16_t *name,
                               uint64_t mode, uint64_t attributes);
    efi_status(EFI_CALL *close)(struct efi_file *self);
    void *delete;
    efi_status(EFI_CALL *read)(struct efi_file *self, uint64_t *size, void *buffer);
};
_Static_assert(offsetof(struct efi_file, read) == 32, "layout of EFI_FILE_PROTOCOL");

/* EFI_SIMPLE_FILE_SYSTEM_PROTOCOL, UEFI 13.4. */
struct efi_file_system {
    uint64_t revision;
    efi_status(EFI_CALL *open_volume)(struct efi_file_system *self, struct efi_file **root);
};
_Static_assert(sizeof(struct efi_file_system) == 16, "layout of EFI_SIMPLE_FILE_SYSTEM_PROTOCOL");

/* EFI_GRAPHICS_OUTPUT_PROTOCOL, UEFI 12.9. */
enum efi_pixel_format {
    EFI_PIXEL_RGBX, /* red in the lowest byte */
    EFI_PIXEL_BGRX,
    EFI_PIXEL_MASKS,
    EFI_PIXEL_BLT_ONLY, /* no framebuffer */
};

struct efi_graphics_information {
    uint32_t version;
    uint32_t width;
    uint32_t height;
    uint32_t format;
    uint32_t red_mask, green_mask, blue_mask, reserved_mask;
    uint32_t pixels_per_line;
};
_Static_assert(sizeof(struct efi_graphics_information) == 36,
               "layout of EFI_GRAPHICS_OUTPUT_MODE_INFORMATION");

struct efi_graphics_mode {
    uint32_t mode_count;
    uint32_t mode;
    struct efi_graphics_information *information;
    uint64_t information_size;
    uint64_t framebuffer_base;
    uint64_t framebuffer_size;
};
_Static_assert(sizeof(struct efi_graphics_mode) == 40,
               "layout of EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE");

struct efi_graphics_output {
    void *query_mode, *set_mode, *blt;
    struct efi_graphics_mode *mode;
};
_Static_assert(sizeof(struct efi_graphics_output) == 32, "layout of EFI_GRAPHICS_OUTPUT_PROTOCOL");

#define EFI_LOADED_IMAGE_GUID                                                                      \
    {                                                                                              \
        0x5b1b31a1, 0x9562, 0x11d2,                                                                \
        {                                                                                          \
            0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b                                         \
        }                                                                                          \
    }
#define EFI_FILE_SYSTEM_GUID                                                                       \
    {                                                                                              \
        0x964e5b22, 0x6459, 0x11d2,                                                                \
        {                                                                                          \
            0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b                                         \
        }                                                                                          \
    }
#define EFI_GRAPHICS_OUTPUT_GUID                                                                   \
    {                                                                                              \
        0x9042a9de, 0x23dc, 0x4a38,                                                                \
        {                                                                                          \
            0x96, 0xfb, 0x7a, 0xde, 0xd0, 0x80, 0x51, 0x6a                                         \
        }                                                                                          \
    }
/* Configuration tables, UEFI 4.6: the RSDP of ACPI 2.0 and later, and that of 1.0. */
#define EFI_ACPI_20_GUID                                                                           \
    {                                                                                              \
        0x8868e871, 0xe4f1, 0x11d3,                                                                \
        {                                                                                          \
            0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81                                         \
        }                                                                                          \
    }
#define EFI_ACPI_10_GUID                                                                           \
    {                                                                                              \
        0xeb9d2d30, 0x2d88, 0x11d3,                                                                \
        {                                                                                          \
            0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d                                         \
        }                                                                                          \
    }

#endif
