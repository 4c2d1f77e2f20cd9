/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_MMU_H
#define ARCH_AARCH64_MMU_H

/* Bits of the translation system that start code in assembly and C share (Arm ARM, "VMSAv8-64"). */

/*
 * MAIR_EL1: attribute 0 is ordinary memory, write-back; attribute 1 is device memory, nGnRE;
 * attribute 2 is ordinary memory without a cache.
 */
#define MMU_ATTRIBUTES         0x4404ff
#define MMU_ATTRIBUTE_MEMORY   0
#define MMU_ATTRIBUTE_DEVICE   1
#define MMU_ATTRIBUTE_UNCACHED 2

/*
 * TCR_EL1 without the size of physical addresses: 48-bit addresses by TTBR0 in granules of 4 KiB,
 * its tables in write-back inner-shareable memory, nothing by TTBR1.
 */
#define MMU_CONTROL            0x80903510
#define MMU_CONTROL_SIZE_SHIFT 32 /* physical addresses, in the numbering of ID_AA64MMFR0_EL1 */
#define MMU_SIZE_48_BITS       5

#define BOOT_MAP_TABLES_SIZE 32768

/*
 * SCTLR_EL1: the bits that read as one on a processor of version 8.0, and MMU, data cache,
 * instruction cache and the check of the stack pointer's alignment.
 */
#define MMU_SYSTEM_CONTROL    0x30d00800
#define MMU_SYSTEM_CONTROL_ON 0x0000100d

#ifndef __ASSEMBLER__

#include <stdint.h>

/* What belongs into TCR_EL1 on this processor. */
uint64_t mmu_control(void);

/*
 * Changes to the tables at `root`. The MMU is off in between, while what the processor knows of the
 * old map is forgotten. `control` is mmu_control(). Start code calls both with the MMU off as
 * well. Interrupts are off.
 */
void mmu_use(uint64_t root, uint64_t control);

/*
 * Gives an entry that is in use another value. The processor must never see both (Arm ARM, "Using
 * break-before-make"), and the entry may lie in memory that it maps itself: so this too is done
 * with the MMU off. Interrupts are off.
 */
void mmu_entry_replace(uint64_t *entry, uint64_t value);

#endif

#endif
