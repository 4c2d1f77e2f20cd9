# SPDX-License-Identifier: MIT
# The ARM64 host at EL2: the executive, the server's half of VMBus and KMCL, and the devices of tests/host, bare on QEMU's
# `virt` machine.

EL2_CROSS = aarch64-linux-gnu-
EL2_LIBC  = /usr/lib/picolibc/aarch64-linux-gnu
# No code of the C library runs before the MMU is on; vector registers are the guest's while it is away, and saved.
EL2_FLAGS = -std=c11 -Os -g -ffreestanding -fbuiltin -fno-pie -fno-stack-protector -fno-common -fno-asynchronous-unwind-tables \
            -ffunction-sections -fdata-sections -fno-strict-aliasing -march=armv8-a -mno-outline-atomics -mgeneral-regs-only \
            $(WARNINGS) $(INCLUDES) -isystem $(EL2_LIBC)/include

el2_own     := $(wildcard tests/el2/*.c tests/el2/*.S tests/host/*.c)
# Out of these the linker takes what is needed.
el2_library := $(foreach module,kernel hv vmbus vmbus/kmcl vmbus/server vmbus/kmcl/server,$(wildcard $(module)/*.c)) boot/aarch64/device_tree.c
el2_objects = $(patsubst %,$(BUILD)/el2/%.o,$(basename $(1)))

$(BUILD)/el2/%.o: %.c Makefile tests/el2/rules.mk
	@mkdir -p $(@D)
	@echo "  EL2CC   $<"
	@$(EL2_CROSS)gcc $(EL2_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/el2/%.o: %.S Makefile tests/el2/rules.mk
	@mkdir -p $(@D)
	@echo "  EL2AS   $<"
	@$(EL2_CROSS)gcc -g -march=armv8-a $(INCLUDES) -MMD -MP -c $< -o $@

$(BUILD)/el2/library.a: $(call el2_objects,$(el2_library))
	@rm -f $@
	@$(EL2_CROSS)ar rcsP $@ $^

$(BUILD)/barebus-el2.elf: $(call el2_objects,$(el2_own)) $(BUILD)/el2/library.a tests/el2/host.ld
	@echo "  LINK    $@"
	@$(EL2_CROSS)gcc -static -no-pie -nostdlib -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,noexecstack \
	    -Wl,--no-warn-rwx-segments -T tests/el2/host.ld -Wl,-Map=$(@:.elf=.map) -o $@ \
	    $(call el2_objects,$(el2_own)) -Wl,--start-group $(BUILD)/el2/library.a $(EL2_LIBC)/lib/libc.a -lgcc -Wl,--end-group

# A guest that only these tests have: its MMU stays off, so that accesses must be aligned and the C library has no place in it.
$(BUILD)/el2/tests/el2/guests/%.o: EL2_FLAGS += -mstrict-align -fno-tree-loop-distribute-patterns
$(BUILD)/el2/hostile.bin: $(call el2_objects,$(wildcard tests/el2/guests/*.c tests/el2/guests/*.S)) tests/el2/guests/hostile.ld
	@echo "  LINK    $@"
	@$(EL2_CROSS)gcc -static -no-pie -nostdlib -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments \
	    -T tests/el2/guests/hostile.ld -o $(@:.bin=.elf) $(filter %.o,$^)
	@$(EL2_CROSS)objcopy -O binary $(@:.bin=.elf) $@

# For a guest with firmware. What is wrong with it, iasl says on its standard error.
$(BUILD)/el2/dsdt.aml: tests/el2/dsdt.asl
	@mkdir -p $(@D)
	@echo "  IASL    $<"
	@iasl -vs -p $(BUILD)/el2/dsdt $< >$(BUILD)/el2/dsdt.log 2>&1 || { cat $(BUILD)/el2/dsdt.log >&2; exit 1; }

# What `make ARCH=aarch64 run` and `test-system` do.
run_needs_aarch64   = $(IMAGES)/$(APP).Image el2
run_command_aarch64 = python3 tests/system/el2.py --build $(BUILD) --append "$(APPEND)" $(IMAGES)/$(APP).Image
test_needs_aarch64  = el2
test_only_aarch64   = --only arm64

.PHONY: el2 soak-arm64
## soak-arm64: a thousand runs of a guest against a host that works beside it (some minutes)
soak-arm64:
	@$(parallel_make) el2
	@$(parallel_make) ARCH=aarch64 all
	@BAREBUS_RACES=1000 python3 tests/system/run.py --build $(BUILD) --deps $(DEPS) --only never_loses_a_wake_up

## el2: builds build/barebus-el2.elf, the host at EL2 for ARM64 guests (tests/el2)
el2: $(BUILD)/barebus-el2.elf $(BUILD)/el2/hostile.bin $(BUILD)/el2/dsdt.aml

-include $(shell find $(BUILD)/el2 -name '*.d' 2>/dev/null)
