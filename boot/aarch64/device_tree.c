/* SPDX-License-Identifier: MIT */
#include "boot/aarch64/device_tree.h"

#include <string.h>

#define MAGIC            0xd00dfeedu
#define VERSION          17u /* the one in use; later ones say with which they are compatible */
#define RESERVATION_SIZE 16u

/* Words of the header. */
enum header_word {
    HEADER_MAGIC,
    HEADER_SIZE,
    HEADER_STRUCTURE,
    HEADER_STRINGS,
    HEADER_RESERVATIONS,
    HEADER_VERSION,
    HEADER_COMPATIBLE_VERSION,
    HEADER_BOOT_PROCESSOR,
    HEADER_STRINGS_SIZE,
    HEADER_STRUCTURE_SIZE,
    HEADER_WORDS,
};
_Static_assert(HEADER_WORDS * 4 == DEVICE_TREE_HEADER_SIZE, "ten words");

#define TOKEN_BEGIN    1u
#define TOKEN_END      2u
#define TOKEN_PROPERTY 3u
#define TOKEN_NOTHING  4u

static uint32_t word_at(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t header_word(const void *blob, enum header_word word)
{
    return word_at((const uint8_t *)blob + (size_t)word * 4);
}

uint32_t device_tree_size(const void *blob)
{
    return header_word(blob, HEADER_MAGIC) == MAGIC ? header_word(blob, HEADER_SIZE) : 0;
}

static bool is_inside(uint32_t offset, uint32_t length, uint32_t size)
{
    return offset <= size && length <= size - offset;
}

bool device_tree_open(struct device_tree *tree, const void *blob, uint32_t size)
{
    if (size < DEVICE_TREE_HEADER_SIZE || device_tree_size(blob) > size ||
        device_tree_size(blob) < DEVICE_TREE_HEADER_SIZE ||
        header_word(blob, HEADER_VERSION) < VERSION ||
        header_word(blob, HEADER_COMPATIBLE_VERSION) > VERSION) {
        return false;
    }
    uint32_t structure_size = header_word(blob, HEADER_STRUCTURE_SIZE);
    uint32_t strings_size = header_word(blob, HEADER_STRINGS_SIZE);
    *tree = (struct device_tree){
        .blob = blob,
        .structure = header_word(blob, HEADER_STRUCTURE),
        .strings = header_word(blob, HEADER_STRINGS),
        .reservations = header_word(blob, HEADER_RESERVATIONS),
        .size = device_tree_size(blob),
    };
    if (!is_inside(tree->structure, structure_size, tree->size) ||
        !is_inside(tree->strings, strings_size, tree->size)) {
        return false;
    }
    tree->structure_end = tree->structure + structure_size;
    tree->strings_end = tree->strings + strings_size;
    return true;
}

/* The string at an offset, or NULL if it has no end before `end`. */
static const char *string_at(const struct device_tree *tree, uint32_t offset, uint32_t end)
{
    if (offset >= end || memchr(tree->blob + offset, '\0', end - offset) == NULL) {
        return NULL;
    }
    return (const char *)tree->blob + offset;
}

/* Takes `length` bytes, and what fills up the last word; false: they are not there. */
static bool take(const struct device_tree *tree, uint32_t *offset, uint32_t length, uint32_t *from)
{
    if (!is_inside(*offset, length, tree->structure_end)) {
        return false;
    }
    *from = *offset;
    uint32_t padding = (4 - length % 4) % 4;
    *offset += length;
    *offset += padding < tree->structure_end - *offset ? padding : tree->structure_end - *offset;
    return true;
}

static bool take_word(const struct device_tree *tree, uint32_t *offset, uint32_t *word)
{
    uint32_t from;

    if (!take(tree, offset, 4, &from)) {
        return false;
    }
    *word = word_at(tree->blob + from);
    return true;
}

static bool take_node(const struct device_tree *tree, uint32_t *offset,
                      struct device_tree_item *item)
{
    uint32_t from;

    item->name = string_at(tree, *offset, tree->structure_end);
    return item->name != NULL && take(tree, offset, (uint32_t)strlen(item->name) + 1, &from);
}

static bool take_property(const struct device_tree *tree, uint32_t *offset,
                          struct device_tree_item *item)
{
    uint32_t length;
    uint32_t name;
    uint32_t from;

    if (!take_word(tree, offset, &length) || !take_word(tree, offset, &name) ||
        !take(tree, offset, length, &from)) {
        return false;
    }
    *item = (struct device_tree_item){
        .name = string_at(tree, tree->strings + name, tree->strings_end),
        .value = tree->blob + from,
        .length = length,
    };
    return item->name != NULL;
}

enum device_tree_token device_tree_next(const struct device_tree *tree, uint32_t *at,
                                        struct device_tree_item *item)
{
    uint32_t offset = tree->structure + *at;
    enum device_tree_token token = DEVICE_TREE_END;
    uint32_t word;

    *item = (struct device_tree_item){0};
    do {
        if (!take_word(tree, &offset, &word)) {
            return DEVICE_TREE_END;
        }
    } while (word == TOKEN_NOTHING);
    if (word == TOKEN_BEGIN && take_node(tree, &offset, item)) {
        token = DEVICE_TREE_NODE;
    } else if (word == TOKEN_PROPERTY && take_property(tree, &offset, item)) {
        token = DEVICE_TREE_PROPERTY;
    } else if (word == TOKEN_END) {
        token = DEVICE_TREE_NODE_END;
    }
    *at = offset - tree->structure;
    return token;
}

bool device_tree_reservation(const struct device_tree *tree, uint32_t index, uint64_t *base,
                             uint64_t *size)
{
    uint32_t limit = (tree->size - DEVICE_TREE_HEADER_SIZE) / RESERVATION_SIZE;

    if (index >= limit || tree->reservations > tree->size ||
        !is_inside(tree->reservations + index * RESERVATION_SIZE, RESERVATION_SIZE, tree->size)) {
        return false;
    }
    struct device_tree_item entry = {
        .value = tree->blob + tree->reservations + (size_t)index * RESERVATION_SIZE,
        .length = RESERVATION_SIZE,
    };
    *base = device_tree_cells(&entry, 0, 2);
    *size = device_tree_cells(&entry, 2, 2);
    return *base != 0 || *size != 0;
}

uint64_t device_tree_cells(const struct device_tree_item *item, uint32_t first_cell, uint32_t cells)
{
    uint64_t value = 0;

    if (!is_inside(first_cell, cells, item->length / 4)) {
        return 0;
    }
    for (uint32_t i = 0; i < cells; i++) {
        value = value << 32 | word_at(item->value + (size_t)(first_cell + i) * 4);
    }
    return value;
}

bool device_tree_has_string(const struct device_tree_item *item, const char *string)
{
    size_t length = strlen(string) + 1;

    for (uint32_t at = 0; at < item->length;) {
        const uint8_t *end = memchr(item->value + at, '\0', item->length - at);
        if (end == NULL) {
            return false;
        }
        uint32_t here = (uint32_t)(end - (item->value + at)) + 1;
        if (here == length && memcmp(item->value + at, string, length) == 0) {
            return true;
        }
        at += here;
    }
    return false;
}
