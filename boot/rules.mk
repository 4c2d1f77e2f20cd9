# SPDX-License-Identifier: MIT
# Applications for UEFI, and disks with them.

# Where the image that others start is none that UEFI starts too.
ifneq ($(wildcard linker/$(ARCH)-efi.ld),)
# Compiled once more: firmware loads an image anywhere. Position-independent code is 2.6 % longer, so the other images do without.
efi_objects_of = $(patsubst %,$(BUILD)/$(ARCH)-efi/%.o,$(basename $(1)))
# Entries of other ways to boot need a fixed address.
efi_sources := $(filter-out boot/$(ARCH)/entry.S,$(system_sources))
efi_applications := $(apps:%=$(IMAGES)/%.efi)
efi_flags = $(filter-out -fno-pie,$(CFLAGS)) -fpie -fvisibility=hidden
# Nothing but relocations relative to the image's own address: that is all that boot/uefi_relocate.c knows.
efi_ldflags = $(filter-out -static -no-pie,$(LDFLAGS)) -static-pie -Wl,-z,norelro -Wl,-z,text

$(call efi_objects_of,$(efi_sources)): SYSTEM_FLAGS = $(ARCH_SYSTEM_FLAGS)

$(BUILD)/$(ARCH)-efi/%.o: %.c Makefile boot/rules.mk linker/$(ARCH).mk | $(LIBC_ROOT)/include/stdio.h
	@mkdir -p $(@D)
	@echo "  CC      $< (UEFI)"
	@$(CC) $(efi_flags) $(SYSTEM_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/$(ARCH)-efi/%.o: %.S Makefile boot/rules.mk linker/$(ARCH).mk
	@mkdir -p $(@D)
	@echo "  AS      $< (UEFI)"
	@$(CC) $(ASFLAGS) -MMD -MP -c $< -o $@

define link_efi
$(IMAGES)/$(1)-efi.elf: $(call efi_objects_of,$(call sources_of,apps/$(1)) $(efi_sources)) linker/$(ARCH)-efi.ld
	@echo "  LINK    $$@"
	@$(CC) $$(efi_ldflags) -T linker/$(ARCH)-efi.ld -Wl,-Map=$$(@:.elf=.map) -o $$@ $$(filter %.o,$$^) $(LIBC)
endef
$(foreach app,$(apps),$(eval $(call link_efi,$(app))))

$(IMAGES)/%.efi: $(IMAGES)/%-efi.elf
	@$(CROSS)objcopy -O binary $< $@

# The guests of tests likewise, and what starts them on difficult firmware.
efi_tests := $(patsubst tests/guests/%.c,$(IMAGES)/guests/%.efi,$(wildcard tests/guests/*.c))
$(efi_tests:.efi=-efi.elf): $(IMAGES)/guests/%-efi.elf: $(BUILD)/$(ARCH)-efi/tests/guests/%.o \
  $(call efi_objects_of,$(efi_sources) $(wildcard tests/guests/$(ARCH)/*.c)) linker/$(ARCH)-efi.ld
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	@$(CC) $(efi_ldflags) -T linker/$(ARCH)-efi.ld -o $@ $(filter %.o,$^) $(LIBC)
ifeq ($(ARCH),x86_64)
efi_tests += $(IMAGES)/guests/trouble.efi
$(IMAGES)/guests/trouble-efi.elf: $(call efi_objects_of,$(call sources_of,tests/guests/uefi) boot/uefi_relocate.c) linker/$(ARCH)-efi.ld
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	@$(CC) $(efi_ldflags) -T linker/$(ARCH)-efi.ld -o $@ $(filter %.o,$^) $(LIBC)
endif

.PHONY: efi efi-tests
efi-tests: $(efi_applications) $(efi_tests)
## efi: builds every application of apps/ for UEFI, as <name>.efi beside the others
efi: $(efi_applications)

-include $(shell find $(BUILD)/$(ARCH)-efi -name '*.d' 2>/dev/null)
endif

# One disk for all architectures.
image_architectures := $(patsubst linker/%.mk,%,$(wildcard linker/*.mk))
image_application = $(BUILD)/$(patsubst x86_64/%,%,$(1)/$(APP)).efi
image_applications = $(foreach architecture,$(image_architectures),$(call image_application,$(architecture)))

.PHONY: image image-applications check-image
image-applications:
	@$(foreach architecture,$(image_architectures),\
	    $(MAKE) -s --no-print-directory ARCH=$(architecture) $(call image_application,$(architecture)) &&) true

## image: disks of an application that UEFI boots, build/barebus.vhdx, .vhd, .iso and .img (APP=hello, APPEND="words for its command line")
image: image-applications
	@bash boot/image/make.sh --append "$(APPEND)" $(BUILD) barebus $(image_applications)
	@cd $(BUILD) && ls -sh barebus.img barebus.vhdx barebus.vhd barebus.iso

## check-image: makes the disks and checks their structures with other tools
check-image: image
	@bash boot/image/check.sh $(BUILD) barebus $(image_applications)
