/* SPDX-License-Identifier: MIT */
/* The conversation with firmware, against one that a test can make difficult. */
#include "boot/uefi.h"

#include <stdlib.h>
#include <string.h>

#include "boot/uefi_relocate.h"
#include "kernel/framebuffer.h"
#include "test_arch.h"

#define WRITE_BACK UINT64_C(0xf)

static struct {
    struct efi_system_table system;
    struct efi_boot_services services;
    struct efi_runtime_services runtime;
    struct efi_loaded_image image;
    struct efi_text_output output;
    struct efi_graphics_output graphics;
    struct efi_graphics_mode mode;
    struct efi_graphics_information information;
    struct efi_file_system volume;
    struct efi_file root, file;
    struct efi_configuration_table tables[2];

    struct efi_memory_descriptor map[600];
    unsigned descriptors;
    unsigned growth;  /* descriptors that an allocation adds */
    unsigned growths; /* by so many allocations */
    uint64_t key;
    unsigned stale;         /* how often the end of boot services comes too early */
    unsigned grows_at_exit; /* descriptors that a failed attempt adds */
    bool exited, tried;
    bool called_after_try; /* something that is not allowed then */
    unsigned allocated;
    bool no_memory;

    const char *file_text;
    size_t file_size;
    struct efi_graphics_output combined; /* of the console's handle, if it is one of its own */
    struct efi_graphics_mode combined_mode;
    struct efi_graphics_information combined_information;
    bool no_graphics, no_file, no_volume, no_image, read_fails;
    bool cannot_take_over;
    unsigned files_open;
    char said[512];
    uint16_t path[256];
    uint32_t resets[4];
    unsigned reset_count;
} fw;

static int an_image, a_console, a_disk;
static void *pool[64];

/* ---- firmware ---- */

bool uefi_arch_can_take_over(const char **why)
{
    *why = "the moon is full";
    return !fw.cannot_take_over;
}

static void served(void)
{
    assert_false(fw.exited);
    fw.called_after_try = fw.called_after_try || fw.tried;
}

static efi_status EFI_CALL get_memory_map(uint64_t *size, void *map, uint64_t *key,
                                          uint64_t *descriptor_size, uint32_t *version)
{
    uint64_t needed = fw.descriptors * sizeof(fw.map[0]);

    assert_false(fw.exited);
    *descriptor_size = sizeof(fw.map[0]);
    *version = 1;
    if (*size < needed) {
        *size = needed;
        return EFI_BUFFER_TOO_SMALL;
    }
    memcpy(map, fw.map, needed);
    *size = needed;
    *key = fw.key;
    return EFI_SUCCESS;
}

static void grow(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fw.map[fw.descriptors++] = (struct efi_memory_descriptor){
            .type = EFI_BOOT_SERVICES_DATA, .attribute = WRITE_BACK, .pages = 0};
    }
    fw.key++;
}

static efi_status EFI_CALL allocate_pool(uint32_t type, uint64_t size, void **buffer)
{
    served();
    assert_int_equal(type, EFI_LOADER_DATA);
    if (fw.no_memory) {
        return EFI_OUT_OF_RESOURCES;
    }
    *buffer = pool[fw.allocated++] = malloc(size);
    grow(fw.allocated <= fw.growths ? fw.growth : 0);
    return EFI_SUCCESS;
}

static efi_status EFI_CALL free_pool(void *buffer)
{
    served();
    for (unsigned i = 0; i < fw.allocated; i++) {
        if (pool[i] == buffer) {
            free(buffer);
            pool[i] = NULL;
            return EFI_SUCCESS;
        }
    }
    fail_msg("freed what was not allocated");
    return EFI_INVALID_PARAMETER;
}

static efi_status EFI_CALL exit_boot_services(efi_handle image, uint64_t key)
{
    assert_ptr_equal(image, &an_image);
    fw.tried = true;
    if (fw.stale > 0) {
        fw.stale--;
        grow(fw.grows_at_exit);
        return EFI_INVALID_PARAMETER;
    }
    if (key != fw.key) {
        return EFI_INVALID_PARAMETER;
    }
    fw.exited = true;
    return EFI_SUCCESS;
}

static bool is(const struct efi_guid *guid, uint32_t data1)
{
    return guid->data1 == data1;
}

static efi_status EFI_CALL handle_protocol(efi_handle handle, const struct efi_guid *protocol,
                                           void **interface)
{
    served();
    if (handle == &an_image && is(protocol, 0x5b1b31a1) && !fw.no_image) {
        *interface = &fw.image;
    } else if (handle == &a_disk && is(protocol, 0x964e5b22) && !fw.no_volume) {
        *interface = &fw.volume;
    } else if (handle == &a_console && is(protocol, 0x9042a9de) && !fw.no_graphics) {
        *interface = fw.combined.mode != NULL ? &fw.combined : &fw.graphics;
    } else {
        return EFI_UNSUPPORTED;
    }
    return EFI_SUCCESS;
}

static efi_status EFI_CALL locate_protocol(const struct efi_guid *protocol, void *registration,
                                           void **interface)
{
    (void)registration;
    served();
    if (!is(protocol, 0x9042a9de) || fw.no_graphics) {
        return EFI_NOT_FOUND;
    }
    *interface = &fw.graphics;
    return EFI_SUCCESS;
}

static efi_status EFI_CALL output_string(struct efi_text_output *self, uint16_t *text)
{
    size_t used = strlen(fw.said);

    assert_ptr_equal(self, &fw.output);
    for (; *text != 0 && used < sizeof(fw.said) - 1; text++) {
        fw.said[used++] = (char)*text;
    }
    return EFI_SUCCESS;
}

static efi_status EFI_CALL open_volume(struct efi_file_system *self, struct efi_file **root)
{
    assert_ptr_equal(self, &fw.volume);
    fw.files_open++;
    *root = &fw.root;
    return EFI_SUCCESS;
}

static efi_status EFI_CALL open_file(struct efi_file *self, struct efi_file **opened,
                                     uint16_t *name, uint64_t mode, uint64_t attributes)
{
    assert_ptr_equal(self, &fw.root);
    assert_int_equal(mode, 1);
    assert_int_equal(attributes, 0);
    for (unsigned i = 0; i < 256; i++) {
        fw.path[i] = name[i];
        if (name[i] == 0) {
            break;
        }
    }
    if (fw.no_file) {
        return EFI_NOT_FOUND;
    }
    fw.files_open++;
    *opened = &fw.file;
    return EFI_SUCCESS;
}

static efi_status EFI_CALL read_file(struct efi_file *self, uint64_t *size, void *buffer)
{
    assert_ptr_equal(self, &fw.file);
    if (fw.read_fails) {
        return EFI_ERROR(7);
    }
    *size = *size < fw.file_size ? *size : fw.file_size;
    memcpy(buffer, fw.file_text, *size);
    return EFI_SUCCESS;
}

static efi_status EFI_CALL close_file(struct efi_file *self)
{
    (void)self;
    fw.files_open--;
    return EFI_SUCCESS;
}

static void EFI_CALL reset_system(uint32_t type, efi_status status, uint64_t size, void *data)
{
    assert_int_equal(status, 0);
    assert_int_equal(size, 0);
    assert_null(data);
    fw.resets[fw.reset_count++] = type;
}

static int setup(void **state)
{
    static struct efi_guid acpi20 = EFI_ACPI_20_GUID;
    static struct efi_guid acpi10 = EFI_ACPI_10_GUID;

    memset(&fw, 0, sizeof(fw));
    memset(pool, 0, sizeof(pool));
    fw.system.header.signature = EFI_SYSTEM_TABLE_SIGNATURE;
    fw.system.console_out_handle = &a_console;
    fw.system.console_out = &fw.output;
    fw.system.boot_services = &fw.services;
    fw.system.runtime_services = &fw.runtime;
    fw.system.configuration_tables = fw.tables;
    fw.system.configuration_table_count = 2;
    fw.tables[0] = (struct efi_configuration_table){acpi10, (void *)0xe0000};
    fw.tables[1] = (struct efi_configuration_table){acpi20, (void *)0xf0000};
    fw.services.get_memory_map = get_memory_map;
    fw.services.allocate_pool = allocate_pool;
    fw.services.free_pool = free_pool;
    fw.services.exit_boot_services = exit_boot_services;
    fw.services.handle_protocol = handle_protocol;
    fw.services.locate_protocol = locate_protocol;
    fw.runtime.reset_system = reset_system;
    fw.output.output_string = output_string;
    fw.image.device = &a_disk;
    fw.image.image_base = (void *)0x3000800;
    fw.image.image_size = 0x4000;
    fw.volume.open_volume = open_volume;
    fw.root = (struct efi_file){.open = open_file, .close = close_file};
    fw.file = (struct efi_file){.read = read_file, .close = close_file};
    fw.file_text = "run=2\n";
    fw.file_size = 6;
    fw.graphics.mode = &fw.mode;
    fw.mode.information = &fw.information;
    fw.mode.framebuffer_base = 0x80000000;
    fw.mode.framebuffer_size = 0x400000;
    fw.information.width = 1024;
    fw.information.height = 768;
    fw.information.pixels_per_line = 1024;
    fw.information.format = EFI_PIXEL_BGRX;
    fw.descriptors = 2;
    fw.map[0] = (struct efi_memory_descriptor){.type = EFI_CONVENTIONAL_MEMORY,
                                               .physical_start = 0x100000,
                                               .pages = 0x7f00,
                                               .attribute = WRITE_BACK};
    fw.map[1] = (struct efi_memory_descriptor){.type = EFI_RUNTIME_SERVICES_CODE,
                                               .physical_start = 0x8000000,
                                               .pages = 0x10,
                                               .attribute = WRITE_BACK | EFI_MEMORY_RUNTIME};
    fw.growth = 2;
    fw.growths = UINT32_MAX;
    return test_arch_setup(state);
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        if (pool[i] != NULL) {
            free(pool[i]); /* the memory map's, which the kernel takes over */
        }
    }
    return 0;
}

static bool has_remark(const struct boot_info *info, const char *text)
{
    for (uint32_t i = 0; i < info->remark_count; i++) {
        if (strstr(info->remarks[i], text) != NULL) {
            return true;
        }
    }
    return false;
}

static struct boot_info *collect(void)
{
    efi_status status = EFI_SUCCESS;
    struct boot_info *info = uefi_collect(&an_image, &fw.system, 77, &status);

    assert_non_null(info);
    assert_true(fw.exited);
    assert_false(fw.called_after_try);
    assert_int_equal(fw.files_open, 0);
    assert_string_equal(fw.said, "");
    return info;
}

static void refused(efi_status expected, const char *why)
{
    efi_status status = EFI_SUCCESS;

    assert_null(uefi_collect(&an_image, &fw.system, 77, &status));
    assert_int_equal(status, expected);
    assert_false(fw.exited);
    assert_non_null(strstr(fw.said, why));
}

/* ---- what is taken ---- */

static void everything_arrives(void **state)
{
    (void)state;
    struct boot_info *info = collect();

    assert_string_equal(info->protocol, "UEFI");
    assert_string_equal(info->command_line, "run=2");
    assert_int_equal(info->counter_at_entry, 77);
    assert_int_equal(info->acpi_rsdp, 0xf0000);
    assert_int_equal(info->memory.ranges[0].base, 0x100000);
    assert_int_equal(info->memory.ranges[info->memory.count - 1].end, 0x8000000);
    assert_int_equal(info->framebuffer.base, 0x80000000);
    assert_int_equal(info->framebuffer.height, 768);
    assert_int_equal(info->firmware.count, 1);
    assert_int_equal(info->remark_count, 0);
}

static void old_acpi_tables_do_where_there_are_no_new_ones(void **state)
{
    (void)state;
    fw.system.configuration_table_count = 1;
    assert_int_equal(collect()->acpi_rsdp, 0xe0000);
}

static void without_acpi_it_says_so(void **state)
{
    (void)state;
    fw.system.configuration_table_count = 0;
    struct boot_info *info = collect();
    assert_int_equal(info->acpi_rsdp, 0);
    assert_true(has_remark(info, "no ACPI tables"));
}

static void graphics_of_another_handle_will_do(void **state)
{
    (void)state;
    fw.system.console_out_handle = NULL;
    assert_int_equal(collect()->framebuffer.base, 0x80000000);
}

static void a_console_on_several_screens_is_on_one_of_them_afterwards(void **state)
{
    (void)state;
    fw.combined_information = fw.information;
    fw.combined_information.format = EFI_PIXEL_BLT_ONLY;
    fw.combined_mode.information = &fw.combined_information;
    fw.combined.mode = &fw.combined_mode;
    struct boot_info *info = collect();
    assert_int_equal(info->framebuffer.base, 0x80000000);
    assert_int_equal(info->remark_count, 0);
}

static void without_graphics_it_says_so(void **state)
{
    (void)state;
    fw.no_graphics = true;
    struct boot_info *info = collect();
    assert_int_equal(info->framebuffer.base, 0);
    assert_true(has_remark(info, "firmware has no graphics output"));
}

static void graphics_without_a_mode_are_none(void **state)
{
    (void)state;
    fw.mode.information = NULL;
    assert_true(has_remark(collect(), "firmware has no graphics output"));
    fw.exited = false;
    fw.tried = false;
    fw.graphics.mode = NULL;
    assert_true(has_remark(collect(), "firmware has no graphics output"));
}

static void image_and_framebuffer_are_no_free_memory(void **state)
{
    (void)state;
    fw.mode.framebuffer_base = 0x2000000; /* amid what firmware calls free */
    struct boot_info *info = collect();

    assert_int_equal(info->memory.count, 3);
    assert_int_equal(info->memory.ranges[0].end, 0x2000000);
    assert_int_equal(info->memory.ranges[1].base, 0x2400000);
    assert_int_equal(info->memory.ranges[1].end, 0x3000000);
    assert_int_equal(info->memory.ranges[2].base, 0x3005000);
}

static void firmware_switches_off(void **state)
{
    (void)state;
    struct boot_info *info = collect();

    info->firmware.power_off();
    assert_int_equal(fw.reset_count, 1);
    assert_int_equal(fw.resets[0], 2); /* EfiResetShutdown */
}

/* ---- the command line ---- */

static void load_options_win_over_the_file(void **state)
{
    (void)state;
    static uint16_t options[] = {'r', 'u', 'n', '=', '7', 0};

    fw.image.load_options = options;
    fw.image.load_options_size = sizeof(options);
    assert_string_equal(collect()->command_line, "run=7");
}

static void load_options_that_are_no_text_leave_it_to_the_file(void **state)
{
    (void)state;
    static uint16_t options[] = {0xac4e, 0x8108, 0x9f11, 0x4d59};

    fw.image.load_options = options;
    fw.image.load_options_size = sizeof(options);
    assert_string_equal(collect()->command_line, "run=2");
}

static void a_missing_file_is_said(void **state)
{
    (void)state;
    fw.no_file = true;
    struct boot_info *info = collect();
    assert_string_equal(info->command_line, "");
    assert_true(has_remark(info, "no barebus.txt beside the application"));
}

static void media_without_files_are_said(void **state)
{
    (void)state;
    fw.no_volume = true;
    assert_true(has_remark(collect(), "no barebus.txt"));
    fw.exited = false;
    fw.tried = false;
    fw.image.device = NULL;
    assert_true(has_remark(collect(), "no barebus.txt"));
}

static void an_image_that_firmware_does_not_know_is_refused(void **state)
{
    (void)state;
    fw.no_image = true;
    refused(EFI_LOAD_ERROR, "does not tell what it loaded");
}

static void a_file_that_cannot_be_read_is_said(void **state)
{
    (void)state;
    fw.read_fails = true;
    assert_true(has_remark(collect(), "cannot be read"));
}

static void a_file_that_is_no_text_is_said(void **state)
{
    (void)state;
    fw.file_text = "run=\x90";
    struct boot_info *info = collect();
    assert_string_equal(info->command_line, "");
    assert_true(has_remark(info, "no text"));
}

static void a_file_that_is_too_long_is_cut(void **state)
{
    (void)state;
    static char text[100000];

    memset(text, 'x', sizeof(text));
    fw.file_text = text;
    fw.file_size = sizeof(text);
    struct boot_info *info = collect();
    assert_int_equal(strlen(info->command_line), COMMAND_LINE_SIZE - 1);
    assert_true(info->command_line_cut);
}

/* ---- the end of boot services ---- */

static void a_stale_map_is_read_again_and_nothing_else_called(void **state)
{
    (void)state;
    fw.stale = 3;
    fw.grows_at_exit = 5;
    struct boot_info *info = collect(); /* checks that nothing else was called */
    assert_int_equal(memory_map_total(&info->memory), 0x7f00000 - 0x5000);
}

static void a_map_that_grows_with_each_allocation_fits_in_the_end(void **state)
{
    (void)state;
    fw.growth = 20;
    (void)collect();
    assert_int_equal(fw.allocated, 1);
}

static void a_map_that_outgrows_its_room_gets_more(void **state)
{
    (void)state;
    fw.growth = 100; /* more than there is slack for */
    fw.growths = 2;
    (void)collect();
    assert_int_equal(fw.allocated, 3);
    assert_null(pool[0]);
    assert_null(pool[1]);
}

static void a_map_that_outgrows_every_room_is_given_up(void **state)
{
    (void)state;
    fw.growth = 70;
    refused(EFI_BUFFER_TOO_SMALL, "no memory map");
    assert_true(fw.allocated <= 8);
}

static void firmware_that_never_ends_its_services_is_given_up(void **state)
{
    (void)state;
    fw.stale = 1000;
    refused(EFI_INVALID_PARAMETER, "does not end its boot services");
    assert_true(fw.stale >= 1000 - 16);
}

static void firmware_without_memory_is_refused(void **state)
{
    (void)state;
    fw.no_memory = true;
    refused(EFI_OUT_OF_RESOURCES, "no memory map");
}

static void a_processor_that_cannot_be_taken_over_is_refused(void **state)
{
    (void)state;
    fw.cannot_take_over = true;
    refused(EFI_UNSUPPORTED, "Barebus cannot start: the moon is full\r\n");
    assert_false(fw.tried);
}

static void firmware_without_a_console_is_refused_silently(void **state)
{
    (void)state;
    fw.system.console_out = NULL;
    fw.no_memory = true;
    refused(EFI_OUT_OF_RESOURCES, "");
}

static void what_is_no_system_table_is_not_touched(void **state)
{
    (void)state;
    efi_status status = EFI_SUCCESS;

    fw.system.header.signature = 0;
    assert_null(uefi_collect(&an_image, &fw.system, 77, &status));
    assert_int_equal(status, EFI_LOAD_ERROR);
    assert_null(uefi_collect(&an_image, NULL, 77, &status));
}

/* ---- relocation ---- */

static void words_are_moved_to_where_the_image_is(void **state)
{
    (void)state;
    uint64_t words[4] = {0xdead, 0, 0xdead, 0};
    const uint64_t list[2][3] = {{8, 8, 0x10}, {24, 8, 0x18}};

    assert_true(uefi_relocate((char *)words, list, list + 2, 8));
    assert_int_equal(words[0], 0xdead);
    assert_int_equal(words[1], (uintptr_t)words + 0x10);
    assert_int_equal(words[2], 0xdead);
    assert_int_equal(words[3], (uintptr_t)words + 0x18);
}

static void another_kind_of_relocation_is_refused(void **state)
{
    (void)state;
    uint64_t words[2] = {0};
    const uint64_t other_type[3] = {0, 1027, 0};
    const uint64_t with_symbol[3] = {0, UINT64_C(1) << 32 | 8, 0};

    assert_false(uefi_relocate((char *)words, other_type, other_type + 3, 8));
    assert_false(uefi_relocate((char *)words, with_symbol, with_symbol + 3, 8));
    assert_int_equal(words[0], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_arrives),
        TEST(old_acpi_tables_do_where_there_are_no_new_ones),
        TEST(without_acpi_it_says_so),
        TEST(graphics_of_another_handle_will_do),
        TEST(a_console_on_several_screens_is_on_one_of_them_afterwards),
        TEST(without_graphics_it_says_so),
        TEST(graphics_without_a_mode_are_none),
        TEST(image_and_framebuffer_are_no_free_memory),
        TEST(firmware_switches_off),
        TEST(load_options_win_over_the_file),
        TEST(load_options_that_are_no_text_leave_it_to_the_file),
        TEST(a_missing_file_is_said),
        TEST(media_without_files_are_said),
        TEST(an_image_that_firmware_does_not_know_is_refused),
        TEST(a_file_that_cannot_be_read_is_said),
        TEST(a_file_that_is_no_text_is_said),
        TEST(a_file_that_is_too_long_is_cut),
        TEST(a_stale_map_is_read_again_and_nothing_else_called),
        TEST(a_map_that_grows_with_each_allocation_fits_in_the_end),
        TEST(a_map_that_outgrows_its_room_gets_more),
        TEST(a_map_that_outgrows_every_room_is_given_up),
        TEST(firmware_that_never_ends_its_services_is_given_up),
        TEST(firmware_without_memory_is_refused),
        TEST(a_processor_that_cannot_be_taken_over_is_refused),
        TEST(firmware_without_a_console_is_refused_silently),
        TEST(what_is_no_system_table_is_not_touched),
        TEST(words_are_moved_to_where_the_image_is),
        TEST(another_kind_of_relocation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
