/* SPDX-License-Identifier: MIT */
#ifndef VMM_FW_CFG_H
#define VMM_FW_CFG_H

/* QEMU's interface between a machine and its firmware (QEMU, docs/specs/fw_cfg.rst): items of bytes
 * by number, read through ports or by DMA. */

#include <stdint.h>

#include "tests/vmm/guest_memory.h"
#include "tests/vmm/ports.h"

/* Numbers of items that firmware knows. */
#define FW_CFG_SIGNATURE         0x00u
#define FW_CFG_ID                0x01u
#define FW_CFG_PROCESSORS        0x05u
#define FW_CFG_KERNEL_SIZE       0x08u
#define FW_CFG_INITRD_SIZE       0x0Bu
#define FW_CFG_PROCESSORS_MOST   0x0Fu
#define FW_CFG_KERNEL            0x11u
#define FW_CFG_INITRD            0x12u
#define FW_CFG_COMMAND_LINE_SIZE 0x14u
#define FW_CFG_COMMAND_LINE      0x15u
#define FW_CFG_FILES             0x19u

#define FW_CFG_ITEMS 24u /* choice: more than are used */

struct fw_cfg_item {
    uint32_t number;
    uint32_t size;
    const void *bytes; /* stay valid for ever */
};

/* Guarded by the ports' lock. */
struct fw_cfg {
    const struct guest_memory *memory;
    struct fw_cfg_item items[FW_CFG_ITEMS];
    uint32_t count;
    uint32_t file_count;
    void *directory; /* the item FW_CFG_FILES */
    uint32_t selected;
    uint32_t offset;
    uint64_t dma_address;
};

void fw_cfg_create(struct fw_cfg *fw_cfg, const struct guest_memory *memory, struct ports *ports);

/* Bytes that are copied, and bytes that are not. */
void fw_cfg_add_copy(struct fw_cfg *fw_cfg, uint32_t number, const void *bytes, uint32_t size);
void fw_cfg_add(struct fw_cfg *fw_cfg, uint32_t number, const void *bytes, uint32_t size);

/* A named item; copied. */
void fw_cfg_add_file(struct fw_cfg *fw_cfg, const char *name, const void *bytes, uint32_t size);

#endif
