# SPDX-License-Identifier: MIT
# The VMM: the executive, the server's half of VMBus and KMCL, and the devices of tests/host, as one static Linux program.

VMMCC ?= gcc
VMM_FLAGS = -O2 -g -ffunction-sections -fdata-sections -fno-strict-aliasing $(WARNINGS) $(INCLUDES)

vmm_own     := $(wildcard tests/vmm/*.c tests/host/*.c)
# Out of these the linker takes what is needed; what the VMM has of its own (pages, heap) replaces them.
vmm_library := $(filter-out kernel/pages.c kernel/heap.c,$(foreach module,kernel hv vmbus vmbus/kmcl vmbus/server \
                 vmbus/kmcl/server,$(wildcard $(module)/*.c)))
vmm_objects = $(1:%.c=$(BUILD)/vmm/%.o)

$(BUILD)/vmm/%.o: %.c Makefile tests/vmm/rules.mk
	@mkdir -p $(@D)
	@echo "  VMMCC   $<"
	@$(VMMCC) $(if $(filter tests/%,$<),-std=gnu11,-std=c11) $(VMM_FLAGS) -MMD -MP -c $< -o $@

# iasl's notices go to its standard output; what is wrong, to the standard error.
$(BUILD)/vmm/dsdt.c: tests/vmm/dsdt.asl
	@mkdir -p $(@D)
	@echo "  IASL    $<"
	@iasl -vs -p $(BUILD)/vmm/dsdt -tc $< >$(BUILD)/vmm/dsdt.log 2>&1 || { cat $(BUILD)/vmm/dsdt.log >&2; exit 1; }
	@mv $(BUILD)/vmm/dsdt.hex $@

$(BUILD)/vmm/dsdt.o: $(BUILD)/vmm/dsdt.c
	@$(VMMCC) -std=c11 -c $< -o $@

$(BUILD)/vmm/library.a: $(call vmm_objects,$(vmm_library))
	@rm -f $@
	@ar rcsP $@ $^

$(BUILD)/barebus-vmm: $(call vmm_objects,$(vmm_own)) $(BUILD)/vmm/dsdt.o $(BUILD)/vmm/library.a
	@echo "  LINK    $@"
	@$(VMMCC) -static -pthread -Wl,--gc-sections -o $@ $^

.PHONY: vmm run-vmm soak-vmm
## vmm: builds build/barebus-vmm, a VMM on KVM with Hyper-V's interface and VMBus devices (its --help says more)
vmm: $(BUILD)/barebus-vmm

## run-vmm: boots an application on that VMM with all its devices and shows its console (APP, APPEND as for run)
run-vmm: deps
	@$(parallel_make) $(BUILD)/$(APP).elf vmm
	@python3 tests/system/host.py --vmm --build $(BUILD) --deps $(DEPS) --append "$(APPEND)" $(BUILD)/$(APP).elf

## soak-vmm: 200 starts, 100 saves of a loaded guest, 100 attacks, on that VMM (some minutes)
soak-vmm: deps
	@$(parallel_make) all vmm $(BUILD)/guests/echo.elf $(BUILD)/guests/hostile.elf
	@python3 tests/system/soak_vmm.py --build $(BUILD) --deps $(DEPS)

-include $(shell find $(BUILD)/vmm -name '*.d' 2>/dev/null)
