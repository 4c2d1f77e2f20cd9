/* SPDX-License-Identifier: MIT */
#ifndef BOOT_AARCH64_DEVICE_TREE_H
#define BOOT_AARCH64_DEVICE_TREE_H

/*
 * Reading a flattened device tree (Devicetree Specification 0.4, "Flattened Devicetree (DTB)
 * Format"): memory in, values out. Nothing outside of the blob is read, whatever it says.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device_tree {
    const uint8_t *blob;
    uint32_t structure; /* offsets, and one past the last byte */
    uint32_t structure_end;
    uint32_t strings;
    uint32_t strings_end;
    uint32_t reservations;
    uint32_t size;
};

/* The size that a blob's header tells, 0: there is no header. At least DEVICE_TREE_HEADER_SIZE
 * bytes can be read. */
#define DEVICE_TREE_HEADER_SIZE 40u
uint32_t device_tree_size(const void *blob);

/* False: no tree of a version that this reads, or its parts are not inside of `size` bytes. */
bool device_tree_open(struct device_tree *tree, const void *blob, uint32_t size);

enum device_tree_token {
    DEVICE_TREE_NODE,     /* one begins: name */
    DEVICE_TREE_NODE_END, /* the innermost one ends */
    DEVICE_TREE_PROPERTY, /* of the innermost one: name, value, length */
    DEVICE_TREE_END,      /* of the tree, or of what can be read of it */
};

struct device_tree_item {
    const char *name; /* terminated */
    const uint8_t *value;
    uint32_t length;
};

/* Reads on at `*at`, which starts as 0. Without a DEVICE_TREE_END it ends after so many calls as
 * the blob has words. */
enum device_tree_token device_tree_next(const struct device_tree *tree, uint32_t *at,
                                        struct device_tree_item *item);

/* Entry `index` of the list of reserved memory; false: there are no more. */
bool device_tree_reservation(const struct device_tree *tree, uint32_t index, uint64_t *base,
                             uint64_t *size);

/* `cells` big-endian words of 32 bits at a value, the lower 64 bits of them; 0 if they are not in
 * it. */
uint64_t device_tree_cells(const struct device_tree_item *item, uint32_t first_cell,
                           uint32_t cells);

/* Whether a list of strings has this one. */
bool device_tree_has_string(const struct device_tree_item *item, const char *string);

#endif
