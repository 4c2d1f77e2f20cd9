# SPDX-License-Identifier: MIT
# The VMM: the executive, the server's half of VMBus and KMCL, and the devices of tests/host, as one static Linux program.

VMMCC ?= gcc
VMM_FLAGS = -O2 -g -ffunction-sections -fdata-sections -fno-strict-aliasing $(WARNINGS) $(INCLUDES)

vmm_own     := $(wildcard tests/vmm/*.c tests/host/*.c)
# Out of these the linker takes what is needed; what the VMM has of its own (pages, heap) replaces them.
vmm_library := $(filter-out kernel/libc%.c kernel/pages.c kernel/heap.c,$(foreach module,kernel hv vmbus vmbus/kmcl vmbus/server \
                 vmbus/kmcl/server,$(wildcard $(module)/*.c)))
vmm_objects = $(1:%.c=$(BUILD)/vmm/%.o)

$(BUILD)/vmm/%.o: %.c Makefile tests/vmm/rules.mk
	@mkdir -p $(@D)
	@echo "  VMMCC   $<"
	@$(VMMCC) $(if $(filter tests/%,$<),-std=gnu11,-std=c11) $(VMM_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/vmm/library.a: $(call vmm_objects,$(vmm_library))
	@rm -f $@
	@ar rcsP $@ $^

$(BUILD)/barebus-vmm: $(call vmm_objects,$(vmm_own)) $(BUILD)/vmm/library.a
	@echo "  LINK    $@"
	@$(VMMCC) -static -pthread -Wl,--gc-sections -o $@ $^

.PHONY: vmm
## vmm: builds build/barebus-vmm, a VMM on KVM with Hyper-V's interface and VMBus devices (its --help says more)
vmm: $(BUILD)/barebus-vmm

-include $(shell find $(BUILD)/vmm -name '*.d' 2>/dev/null)
