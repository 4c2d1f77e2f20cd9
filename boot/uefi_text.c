/* SPDX-License-Identifier: MIT */
/* The command line out of what users give to UEFI: load options, or a text file. */
#include <string.h>

#include "boot/uefi.h"

/* Characters, one by one, of either width. */
struct text {
    const uint8_t *bytes;
    size_t count; /* characters */
    size_t width; /* bytes of each */
};

static uint32_t character_at(const struct text *text, size_t index)
{
    const uint8_t *at = text->bytes + index * text->width;

    return text->width == 1 ? at[0] : (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static bool is_blank(uint32_t character)
{
    return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

static bool is_printable(uint32_t character)
{
    return character > ' ' && character < 0x7f;
}

/* Up to a terminator, if there is one. Blanks at the end are nobody's. */
static enum uefi_text take(struct boot_info *info, struct text *text)
{
    size_t end = 0;

    for (size_t i = 0; i < text->count; i++) {
        uint32_t character = character_at(text, i);
        if (character == '\0') {
            break;
        }
        if (!is_printable(character) && !is_blank(character)) {
            return UEFI_TEXT_NOT_TEXT;
        }
        end = is_blank(character) ? end : i + 1;
    }
    size_t length = end < COMMAND_LINE_SIZE ? end : COMMAND_LINE_SIZE - 1;
    for (size_t i = 0; i < length; i++) {
        uint32_t character = character_at(text, i);
        info->command_line[i] = is_blank(character) ? ' ' : (char)character;
    }
    info->command_line[length] = '\0';
    info->command_line_cut = length < end;
    return end == 0 ? UEFI_TEXT_EMPTY : UEFI_TEXT_TAKEN;
}

/* Boot managers put anything into the options of an entry that they made themselves (EDK2:
 * a GUID). */
enum uefi_text uefi_take_load_options(struct boot_info *info, const void *options, size_t size)
{
    struct text text = {.bytes = options, .count = size / 2, .width = 2};

    if (size % 2 != 0) {
        return UEFI_TEXT_NOT_TEXT;
    }
    return take(info, &text);
}

enum uefi_text uefi_take_file(struct boot_info *info, const void *bytes, size_t size)
{
    static const uint8_t mark8[] = {0xef, 0xbb, 0xbf};
    static const uint8_t mark16[] = {0xff, 0xfe};
    struct text text = {.bytes = bytes, .count = size, .width = 1};

    /* Windows' editors write the one, its shell the other. */
    if (size >= sizeof(mark8) && memcmp(bytes, mark8, sizeof(mark8)) == 0) {
        text.bytes += sizeof(mark8);
        text.count -= sizeof(mark8);
    } else if (size >= sizeof(mark16) && memcmp(bytes, mark16, sizeof(mark16)) == 0) {
        text.bytes += sizeof(mark16);
        text.width = 2;
        text.count = (size - sizeof(mark16)) / 2;
    }
    /* A file has no terminator: what looks like one is no text. */
    for (size_t i = 0; i < text.count; i++) {
        if (character_at(&text, i) == '\0') {
            return UEFI_TEXT_NOT_TEXT;
        }
    }
    return take(info, &text);
}

/* ---- where the file is ---- */

struct path {
    uint16_t *characters;
    size_t used;
    size_t room; /* with the terminator */
};

static bool append(struct path *path, uint16_t character)
{
    if (path->used + 1 >= path->room) {
        return false;
    }
    path->characters[path->used++] = character;
    return true;
}

static bool append_text(struct path *path, const char *text)
{
    bool fits = true;

    for (; *text != '\0'; text++) {
        fits = fits && append(path, (uint8_t)*text);
    }
    return fits;
}

/* The string of one node: pieces of a path follow each other with or without a separator. */
static bool append_node(struct path *path, const uint8_t *node, size_t length)
{
    bool fits = true;

    if (path->used > 0 && path->characters[path->used - 1] != '\\') {
        fits = append(path, '\\');
    }
    for (size_t i = sizeof(struct efi_device_path); i + 1 < length; i += 2) {
        uint16_t character = (uint16_t)(node[i] | node[i + 1] << 8);
        if (character == '\0') {
            break;
        }
        bool doubled =
            character == '\\' && path->used > 0 && path->characters[path->used - 1] == '\\';
        fits = fits && (doubled || append(path, character));
    }
    return fits;
}

/* Choice: no path has more nodes; bounds a walk over one that has no end. */
#define NODES_MAXIMUM 64u

static bool append_file_path(struct path *path, const struct efi_device_path *file_path)
{
    const uint8_t *at = (const uint8_t *)file_path;

    for (unsigned i = 0; at != NULL && i < NODES_MAXIMUM; i++) {
        struct efi_device_path node;
        memcpy(&node, at, sizeof(node));
        if (node.type == EFI_DEVICE_PATH_END || node.length < sizeof(node)) {
            return true;
        }
        if (node.type == EFI_DEVICE_PATH_MEDIA && node.sub_type == EFI_DEVICE_PATH_FILE_PATH &&
            !append_node(path, at, node.length)) {
            return false;
        }
        at += node.length;
    }
    return true;
}

bool uefi_command_line_path(uint16_t *characters, size_t length,
                            const struct efi_device_path *file_path)
{
    struct path path = {.characters = characters, .room = length};

    if (!append_file_path(&path, file_path)) {
        return false;
    }
    while (path.used > 0 && path.characters[path.used - 1] != '\\') {
        path.used--;
    }
    bool fits = path.used > 0 || append_text(&path, "\\EFI\\BOOT\\");
    fits = fits && append_text(&path, UEFI_COMMAND_LINE_FILE);
    path.characters[path.used] = '\0';
    return fits;
}
