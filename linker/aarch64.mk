# SPDX-License-Identifier: MIT
# What the build has to know about ARM64. Everything else about it is in arch/aarch64, boot/aarch64 and linker/aarch64.ld.

# The prefix exists on every Debian: as a cross package on amd64, as the native tools on arm64.
CROSS = aarch64-linux-gnu-

# The C library, whose hooks are in a folder of its name below kernel/, and where it is; where images go.
C_LIBRARY = picolibc
LIBC_ROOT = /usr/lib/picolibc/aarch64-linux-gnu
IMAGES    = $(BUILD)/aarch64

# Code that runs before any library: no helper functions for atomic operations. Addresses are relative to the code by
# themselves; what is relative to nothing is mended at the start.
ARCH_FLAGS = -march=armv8-a -mno-outline-atomics -mcmodel=small -ftls-model=local-exec

# Vector registers belong to applications and the C library; interrupts neither use nor save them.
ARCH_SYSTEM_FLAGS = -mgeneral-regs-only

# The image runs wherever it is loaded.
ARCH_LDFLAGS = -Wl,-pie -Wl,--no-dynamic-linker -Wl,-z,text -Wl,-z,max-page-size=4096

# The file that boot protocols want: what the program headers describe, without them.
BOOT_IMAGES = $(images:.elf=.Image) $(test_images:.elf=.Image)
$(IMAGES)/%.Image: $(IMAGES)/%.elf
	@$(CROSS)objcopy -O binary $< $@

# It is an application for UEFI as well.
.PHONY: efi
efi: $(patsubst apps/%/,$(IMAGES)/%.efi,$(wildcard apps/*/))
$(IMAGES)/%.efi: $(IMAGES)/%.Image
	@cp $< $@
