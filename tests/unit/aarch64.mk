# SPDX-License-Identifier: MIT
# Unit tests for ARM64 on another processor: built by the cross compiler, run by QEMU's emulation of a Linux process. Of the
# sanitizers only the one for undefined behaviour works in it: the address and thread sanitizers want more of the kernel.

HOSTCC     = aarch64-linux-gnu-gcc
TSANCC     =
SANITIZERS = -fsanitize=undefined -fno-sanitize-recover=all

# Atomic operations as one instruction each: tests that step from one access to the next cannot be within a pair of them.
UNIT_FLAGS = -march=armv8.1-a -isystem $(DEPS)/cmocka-arm64/include
# At addresses that a guest's map reaches: it would lie above them if it might lie anywhere.
UNIT_LIBS  = -no-pie -L$(DEPS)/cmocka-arm64/lib -lcmocka
# In the place of the C library's: what the image has is tested with all that uses it.
UNIT_SOURCES = arch/aarch64/memory.S
UNIT_RUNNER  = qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=$(abspath $(DEPS))/cmocka-arm64/lib
