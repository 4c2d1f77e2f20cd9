/* SPDX-License-Identifier: MIT */
#include "tests/unit/boot/tree_builder.h"

#include <stdarg.h>
#include <string.h>

static void put(uint8_t *at, uint32_t word)
{
    at[0] = (uint8_t)(word >> 24);
    at[1] = (uint8_t)(word >> 16);
    at[2] = (uint8_t)(word >> 8);
    at[3] = (uint8_t)word;
}

void tree_start(struct tree_builder *tree)
{
    memset(tree, 0, sizeof(*tree));
}

void tree_word(struct tree_builder *tree, uint32_t word)
{
    put(tree->structure + tree->structure_used, word);
    tree->structure_used += 4;
}

static void tree_raw(struct tree_builder *tree, const void *bytes, uint32_t length)
{
    if (length > 0) {
        memcpy(tree->structure + tree->structure_used, bytes, length);
    }
    tree->structure_used += (length + 3) / 4 * 4;
}

void tree_begin(struct tree_builder *tree, const char *name)
{
    tree_word(tree, 1);
    tree_raw(tree, name, (uint32_t)strlen(name) + 1);
}

void tree_end(struct tree_builder *tree)
{
    tree_word(tree, 2);
}

void tree_bytes(struct tree_builder *tree, const char *name, const void *value, uint32_t length)
{
    tree_word(tree, 3);
    tree_word(tree, length);
    tree_word(tree, tree->strings_used);
    memcpy(tree->strings + tree->strings_used, name, strlen(name) + 1);
    tree->strings_used += (uint32_t)strlen(name) + 1;
    tree_raw(tree, value, length);
}

void tree_string(struct tree_builder *tree, const char *name, const char *value)
{
    tree_bytes(tree, name, value, (uint32_t)strlen(value) + 1);
}

void tree_cells(struct tree_builder *tree, const char *name, uint32_t count, ...)
{
    uint8_t cells[128];
    va_list arguments;

    va_start(arguments, count);
    for (uint32_t i = 0; i < count; i++) {
        put(cells + (size_t)i * 4, va_arg(arguments, uint32_t));
    }
    va_end(arguments);
    tree_bytes(tree, name, cells, count * 4);
}

void tree_reserve(struct tree_builder *tree, uint64_t base, uint64_t size)
{
    uint8_t *at = tree->reservations + tree->reservations_used;

    put(at, (uint32_t)(base >> 32));
    put(at + 4, (uint32_t)base);
    put(at + 8, (uint32_t)(size >> 32));
    put(at + 12, (uint32_t)size);
    tree->reservations_used += 16;
}

void tree_header(struct tree_builder *tree, unsigned word, uint32_t value)
{
    put(tree->blob + (size_t)word * 4, value);
}

void tree_finish(struct tree_builder *tree)
{
    uint32_t at = 40;

    tree_word(tree, 9);
    tree->reservations_used += 16; /* the one of zeros that ends the list */
    tree_header(tree, 0, 0xd00dfeed);
    tree_header(tree, 3, at);
    tree_header(tree, 8, tree->strings_used);
    memcpy(tree->blob + at, tree->strings, tree->strings_used);
    at = (at + tree->strings_used + 7) / 8 * 8;
    tree_header(tree, 4, at);
    memcpy(tree->blob + at, tree->reservations, tree->reservations_used);
    at += tree->reservations_used;
    tree_header(tree, 2, at);
    tree_header(tree, 9, tree->structure_used);
    memcpy(tree->blob + at, tree->structure, tree->structure_used);
    at += tree->structure_used;
    tree_header(tree, 1, at);
    tree_header(tree, 5, 17);
    tree_header(tree, 6, 16);
    tree->size = at;
}
