/* SPDX-License-Identifier: MIT */
#include "tests/vmm/fw_cfg.h"

#include <endian.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/executive.h"

#define PORT_FIRST      0x510u
#define PORT_COUNT      12u
#define OFFSET_SELECT   0u /* 16 bits */
#define OFFSET_DATA     1u /* a byte */
#define OFFSET_DMA_HIGH 4u /* 32 bits, big-endian, as all of DMA */
#define OFFSET_DMA_LOW  8u /* starts it */

#define NUMBER_FIRST_FILE 0x20u
#define FEATURES          0x3u                /* ports, and DMA */
#define DMA_SIGNATURE     0x51454D5520434647u /* "QEMU CFG" */

#define DMA_ERROR        0x01u
#define DMA_READ         0x02u
#define DMA_SKIP         0x04u
#define DMA_SELECT       0x08u
#define DMA_SELECT_SHIFT 16

struct dma_access {
    uint32_t control;
    uint32_t length;
    uint64_t address;
};
_Static_assert(sizeof(struct dma_access) == 16, "FWCfgDmaAccess");

struct directory_entry {
    uint32_t size;
    uint16_t number;
    uint16_t reserved;
    char name[56];
};
_Static_assert(sizeof(struct directory_entry) == 64, "FWCfgFile");

struct directory {
    uint32_t count;
    struct directory_entry entries[FW_CFG_ITEMS];
};
_Static_assert(offsetof(struct directory, entries) == 4, "FWCfgFiles");

static const struct fw_cfg_item *selected(const struct fw_cfg *fw_cfg)
{
    for (uint32_t i = 0; i < fw_cfg->count; i++) {
        if (fw_cfg->items[i].number == fw_cfg->selected) {
            return &fw_cfg->items[i];
        }
    }
    return NULL;
}

/* The next bytes of the item; behind its end, and of an item that is not there, zeros. */
static void read_item(struct fw_cfg *fw_cfg, uint8_t *to, uint32_t size)
{
    const struct fw_cfg_item *item = selected(fw_cfg);
    uint32_t left = item != NULL && fw_cfg->offset < item->size ? item->size - fw_cfg->offset : 0;
    uint32_t now = size < left ? size : left;

    if (to != NULL) {
        if (now != 0) {
            memcpy(to, (const uint8_t *)item->bytes + fw_cfg->offset, now);
        }
        memset(to + now, 0, size - now);
    }
    fw_cfg->offset += now;
}

static void run_dma(struct fw_cfg *fw_cfg)
{
    void *request = guest_memory_at(fw_cfg->memory, fw_cfg->dma_address, sizeof(struct dma_access));
    struct dma_access access;
    uint32_t result = 0;

    if (request == NULL) {
        return; /* there is no place to say so */
    }
    memcpy(&access, request, sizeof(access));
    uint32_t control = be32toh(access.control);
    uint32_t length = be32toh(access.length);
    if ((control & DMA_SELECT) != 0) {
        fw_cfg->selected = control >> DMA_SELECT_SHIFT;
        fw_cfg->offset = 0;
    }
    if ((control & DMA_READ) != 0) {
        uint8_t *to = guest_memory_at(fw_cfg->memory, be64toh(access.address), length);
        if (to == NULL) {
            result = DMA_ERROR;
        } else {
            read_item(fw_cfg, to, length);
        }
    } else if ((control & DMA_SKIP) != 0) {
        read_item(fw_cfg, NULL, length);
    } else if ((control & ~(DMA_SELECT | 0xFFFFu << DMA_SELECT_SHIFT)) != 0) {
        result = DMA_ERROR; /* no item can be written */
    }
    result = htobe32(result);
    memcpy(request, &result, sizeof(result));
}

static uint32_t port_read(void *context, uint16_t offset, unsigned size)
{
    struct fw_cfg *fw_cfg = context;
    uint8_t byte = 0;

    if (offset == OFFSET_DATA && size == 1) {
        read_item(fw_cfg, &byte, 1);
        return byte;
    }
    if (offset == OFFSET_DMA_HIGH && size == 4) {
        return htobe32((uint32_t)(DMA_SIGNATURE >> 32));
    }
    if (offset == OFFSET_DMA_LOW && size == 4) {
        return htobe32((uint32_t)DMA_SIGNATURE);
    }
    return 0;
}

static void port_write(void *context, uint16_t offset, uint32_t value, unsigned size)
{
    struct fw_cfg *fw_cfg = context;

    if (offset == OFFSET_SELECT && size == 2) {
        fw_cfg->selected = value;
        fw_cfg->offset = 0;
    } else if (offset == OFFSET_DMA_HIGH && size == 4) {
        fw_cfg->dma_address = (uint64_t)be32toh(value) << 32;
    } else if (offset == OFFSET_DMA_LOW && size == 4) {
        fw_cfg->dma_address |= be32toh(value);
        run_dma(fw_cfg);
        fw_cfg->dma_address = 0;
    }
}

void fw_cfg_add(struct fw_cfg *fw_cfg, uint32_t number, const void *bytes, uint32_t size)
{
    if (fw_cfg->count == FW_CFG_ITEMS) {
        die("more than %u items for the firmware", FW_CFG_ITEMS);
    }
    fw_cfg->items[fw_cfg->count++] = (struct fw_cfg_item){number, size, bytes};
}

void fw_cfg_add_copy(struct fw_cfg *fw_cfg, uint32_t number, const void *bytes, uint32_t size)
{
    void *copy = malloc(size != 0 ? size : 1);

    if (copy == NULL) {
        die("no memory for the firmware's items");
    }
    fw_cfg_add(fw_cfg, number, memcpy(copy, bytes, size), size);
}

void fw_cfg_add_file(struct fw_cfg *fw_cfg, const char *name, const void *bytes, uint32_t size)
{
    struct directory *directory = fw_cfg->directory;
    uint32_t number = NUMBER_FIRST_FILE + fw_cfg->file_count;

    fw_cfg_add_copy(fw_cfg, number, bytes, size);
    struct directory_entry *entry = &directory->entries[fw_cfg->file_count++];
    entry->size = htobe32(size);
    entry->number = htobe16((uint16_t)number);
    strncpy(entry->name, name, sizeof(entry->name) - 1);
    directory->count = htobe32(fw_cfg->file_count);
}

void fw_cfg_create(struct fw_cfg *fw_cfg, const struct guest_memory *memory, struct ports *ports)
{
    static const uint32_t features = FEATURES;

    *fw_cfg = (struct fw_cfg){.memory = memory, .directory = calloc(1, sizeof(struct directory))};
    if (fw_cfg->directory == NULL) {
        die("no memory for the firmware's items");
    }
    fw_cfg_add(fw_cfg, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add(fw_cfg, FW_CFG_ID, &features, sizeof(features));
    fw_cfg_add(fw_cfg, FW_CFG_FILES, fw_cfg->directory, sizeof(struct directory));
    ports_add(ports, &(struct port_range){PORT_FIRST, PORT_COUNT, port_read, port_write, fw_cfg});
}
