# SPDX-License-Identifier: MIT
# What the build has to know about x86-64. Everything else about it is in arch/x86_64, boot and linker/x86_64.ld.

# The prefix exists on every Debian: as the native tools on amd64, as a cross package elsewhere.
CROSS = x86_64-linux-gnu-

# The C library, whose hooks are in a folder of its name below kernel/, and where it is; where images go.
C_LIBRARY = newlib
LIBC_ROOT = $(DEPS)/newlib/x86_64-elf
IMAGES    = $(BUILD)

# No red zone: interrupts use the stack they find. No control-flow marks: nothing checks them here.
ARCH_FLAGS = -m64 -march=x86-64 -mno-red-zone -fcf-protection=none

# Vector registers belong to applications and the C library; interrupts neither use nor save them.
ARCH_SYSTEM_FLAGS = -mgeneral-regs-only

ARCH_LDFLAGS = -Wl,-z,max-page-size=4096
