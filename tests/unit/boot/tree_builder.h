/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_BOOT_TREE_BUILDER_H
#define TESTS_UNIT_BOOT_TREE_BUILDER_H

/* Writes a flattened device tree, token by token, so that a test may also write what makes no
 * sense. */

#include <stddef.h>
#include <stdint.h>

#define TREE_SIZE 4096u

struct tree_builder {
    uint8_t structure[2048];
    uint8_t strings[512];
    uint8_t reservations[128];
    uint32_t structure_used, strings_used, reservations_used;
    uint8_t blob[TREE_SIZE]; /* after tree_finish() */
    uint32_t size;
};

void tree_start(struct tree_builder *tree);
void tree_word(struct tree_builder *tree, uint32_t word);
void tree_begin(struct tree_builder *tree, const char *name);
void tree_end(struct tree_builder *tree);
void tree_bytes(struct tree_builder *tree, const char *name, const void *value, uint32_t length);
void tree_string(struct tree_builder *tree, const char *name, const char *value);
/* Words of 32 bits, `count` of them. */
void tree_cells(struct tree_builder *tree, const char *name, uint32_t count, ...);
void tree_reserve(struct tree_builder *tree, uint64_t base, uint64_t size);
/* Header, strings, reservations, structure, in this order: what is read beyond the structure is
 * beyond all. */
void tree_finish(struct tree_builder *tree);

/* Changes a word of the header. */
void tree_header(struct tree_builder *tree, unsigned word, uint32_t value);

#endif
