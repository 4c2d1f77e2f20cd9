# SPDX-License-Identifier: MIT
# Barebus: `make help` lists what there is to make.

ARCH  ?= x86_64
BUILD ?= build
# What `make deps` made: shared by all build folders, kept by `make clean`.
DEPS  ?= build/deps
# Compilers of the unit tests; each test has to pass under all of them.
HOSTCC ?= gcc clang-14

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

include linker/$(ARCH).mk

# For the parts of a target that are worth it; a -j of the user's own rules.
JOBS ?= $(shell nproc)
parallel_make = $(MAKE) -s --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

# -- what there is ------------------------------------------------------------------------------------------------------

drivers := $(patsubst %/,%,$(wildcard drivers/*/))
apps    := $(patsubst apps/%/,%,$(wildcard apps/*/))

# A folder is a module. These go into every image; what nothing refers to is dropped by the linker.
modules := boot boot/$(ARCH) arch arch/$(ARCH) kernel kernel/c_library kernel/$(C_LIBRARY) hv vmbus vmbus/kmcl vmbus/server vmbus/kmcl/server $(drivers)

sources_of = $(wildcard $(1)/*.c) $(wildcard $(1)/*.S)
objects_of = $(patsubst %,$(BUILD)/$(ARCH)/%.o,$(basename $(1)))

system_sources := $(foreach module,$(modules),$(call sources_of,$(module)))
app_sources    := $(foreach app,$(apps),$(call sources_of,apps/$(app)))
images         := $(apps:%=$(IMAGES)/%.elf)

# -- the product --------------------------------------------------------------------------------------------------------

CC      = $(CROSS)gcc
OBJDUMP = $(CROSS)objdump

WARNINGS = -Wall -Wextra -Wpedantic -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wundef \
           -Wcast-align -Wpointer-arith -Wvla
INCLUDES = -I. -Ivmbus/kmcl/include

# -Os of gcc 12 still copies code to save a jump, registers around calls, and values into more registers: without these, hv, vmbus and
# KMCL are 2.5 % smaller.
# -fbuiltin gives back what -ffreestanding takes: memcpy() of a few bytes known in advance is a few moves, no call.
SMALLER = -fno-thread-jumps -fno-caller-saves -fno-tree-dominator-opts -fno-code-hoisting -fno-move-loop-invariants \
          -fno-tree-tail-merge -fno-shrink-wrap -fno-tree-phiprop
# vmbus/ring_copy.c; measured on x86-64. The unit tests have it too.
RING_COPY = -DRING_COPY_LOOP_LIMIT=512u
CFLAGS = -std=c11 -Os $(SMALLER) $(RING_COPY) -g -ffreestanding -fbuiltin -fno-pie -fno-stack-protector -fno-common \
         -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections -fno-strict-aliasing \
         $(ARCH_FLAGS) $(WARNINGS) $(INCLUDES) -isystem $(LIBC_ROOT)/include
ASFLAGS = -g $(ARCH_FLAGS) $(INCLUDES)
LDFLAGS = -static -no-pie -nostdlib -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,noexecstack $(ARCH_LDFLAGS)
LIBC    = -Wl,--start-group $(LIBC_ROOT)/lib/libc.a -lgcc -Wl,--end-group

system_objects := $(call objects_of,$(system_sources))
app_objects    := $(call objects_of,$(app_sources))
$(system_objects): SYSTEM_FLAGS = $(ARCH_SYSTEM_FLAGS)

$(BUILD)/$(ARCH)/%.o: %.c Makefile linker/$(ARCH).mk | $(LIBC_ROOT)/include/stdio.h
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(CFLAGS) $(SYSTEM_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/$(ARCH)/%.o: %.S Makefile linker/$(ARCH).mk
	@mkdir -p $(@D)
	@echo "  AS      $<"
	@$(CC) $(ASFLAGS) -MMD -MP -c $< -o $@

define link_app
$(IMAGES)/$(1).elf: $(call objects_of,$(call sources_of,apps/$(1))) $(system_objects) linker/$(ARCH).ld
	@echo "  LINK    $$@"
	@$(CC) $(LDFLAGS) -T linker/$(ARCH).ld -Wl,-Map=$$(@:.elf=.map) -o $$@ $$(filter %.o,$$^) $(LIBC)
	@python3 linker/size_table.py $$(@:.elf=.map) $(BUILD)/$(ARCH)
endef
$(foreach app,$(apps),$(eval $(call link_app,$(app))))

# Guests that only tests boot: small applications, which share what is in C in the architecture's folder, and start code there
# that stands by itself above the image.
test_images := $(patsubst tests/guests/%.c,$(IMAGES)/guests/%.elf,$(wildcard tests/guests/*.c))
test_starts := $(patsubst tests/guests/$(ARCH)/%.S,$(IMAGES)/guests/%.elf,$(wildcard tests/guests/$(ARCH)/*.S))
$(test_images): $(IMAGES)/guests/%.elf: $(BUILD)/$(ARCH)/tests/guests/%.o $(system_objects) \
  $(call objects_of,$(wildcard tests/guests/$(ARCH)/*.c)) linker/$(ARCH).ld
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	@$(CC) $(LDFLAGS) -T linker/$(ARCH).ld -o $@ $(filter %.o,$^) $(LIBC)

$(test_starts): $(IMAGES)/guests/%.elf: $(BUILD)/$(ARCH)/tests/guests/$(ARCH)/%.o
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	@$(CC) $(LDFLAGS) -Wl,-Ttext=0x1000000 -Wl,-e,start -Wl,--no-warn-rwx-segments -o $@ $<

$(LIBC_ROOT)/include/stdio.h:
	@echo "error: the guest's C library is not in $(LIBC_ROOT); run 'make deps' first" >&2; exit 1

.PHONY: all
## all: builds every application of apps/ (the default)
all: $(images) $(BOOT_IMAGES) $(if $(filter x86_64,$(ARCH)),$(BUILD)/compile_commands.json)

# -- the host build: unit tests -----------------------------------------------------------------------------------------

-include tests/unit/$(ARCH).mk
SANITIZERS ?= -fsanitize=address,undefined -fno-sanitize-recover=all
HOST_FLAGS = -Og -g $(RING_COPY) -fno-omit-frame-pointer -fno-strict-aliasing $(SANITIZERS) $(WARNINGS) $(INCLUDES) -Itests/unit/support \
             $(UNIT_FLAGS)
UNIT_LIBS ?= -lcmocka
host_modules  := kernel hv vmbus vmbus/kmcl vmbus/server vmbus/kmcl/server $(drivers) tests/host
host_sources  := $(foreach module,$(host_modules),$(wildcard $(module)/*.c))
test_support  := $(wildcard tests/unit/support/*.c)
unit_tests    := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c tests/unit/$(ARCH)/test_*.c))

# A test is linked with whatever it needs out of one archive, in which a stand-in of tests/unit/support replaces every
# product file that defines the same names. What a test itself is about always is the product's: test_<module>_<file> gets
# <module>/<file>.c, test_hv_* all of hv, test_balloon_* all of drivers/balloon (likewise for other drivers), and
# tests/unit/real.mk may say more:  real_test_name := vmbus/a.c vmbus/b.c
# What only the tests of one module share is in tests/unit/<module>/ and linked with each of them. Tests of what only one
# architecture has are in tests/unit/<architecture>/ and run there.
-include tests/unit/real.mk
real_by_name = $(wildcard $(patsubst $(call module_of,$(1))_%,$(call module_of,$(1))/%.c,$(1:test_%=%)))
module_of = $(firstword $(subst _, ,$(1:test_%=%)))
real_of = $(sort $(real_$(1)) $(call real_by_name,$(1)) $(wildcard tests/unit/$(call module_of,$(1))/*.c) \
                 $(filter $(if $(filter test_hv_%,$(1)),hv/%) drivers/$(call module_of,$(1))/%,$(host_sources)))

define host_build
$(BUILD)/host-$(1)/%.o: %.c Makefile
	@mkdir -p $$(@D)
	@echo "  HOSTCC  $$< ($(1))"
	@$(1) $$(if $$(filter tests/%,$$<),-std=gnu11,-std=c11) $$(HOST_FLAGS) -MMD -MP -c $$< -o $$@

$(BUILD)/host-$(1)/%.o: %.S Makefile
	@mkdir -p $$(@D)
	@$(1) -c $$< -o $$@

$(BUILD)/host-$(1)/libbarebus-host.a: tests/unit/archive.sh \
  $(test_support:%.c=$(BUILD)/host-$(1)/%.o) $(host_sources:%.c=$(BUILD)/host-$(1)/%.o)
	@CROSS=$(CROSS) bash tests/unit/archive.sh $$@ $(test_support:%.c=$(BUILD)/host-$(1)/%.o) -- $(host_sources:%.c=$(BUILD)/host-$(1)/%.o)

$(foreach test,$(unit_tests),$(call host_test,$(1),$(test)))
endef

define host_test
$(BUILD)/host-$(1)/$(2): $(BUILD)/host-$(1)/tests/unit/$(2).o $(patsubst %.c,$(BUILD)/host-$(1)/%.o,$(call real_of,$(2))) \
  $(UNIT_SOURCES:%.S=$(BUILD)/host-$(1)/%.o) $(BUILD)/host-$(1)/libbarebus-host.a
	@mkdir -p $$(@D)
	@$(1) $$(SANITIZERS) -pthread -o $$@ $$^ $$(UNIT_LIBS)

endef
# Rules and dependencies of some hundred objects, read only by the make that builds them.
ifneq ($(filter build-unit $(BUILD)/host-%,$(MAKECMDGOALS)),)
$(foreach compiler,$(HOSTCC),$(eval $(call host_build,$(compiler))))
-include $(shell find $(BUILD)/host-* -name '*.d' 2>/dev/null)
endif

# tests/unit/tsan_<module>*.c: threads, under the thread sanitizer, which goes with no other. Linked with tests/unit/<module>/
# and with what real.mk says, all of it built for this; by one compiler, since both have the same sanitizer.
TSANCC ?= clang-14
TSAN_FLAGS = $(filter-out -Og -fsanitize=% -fno-sanitize%,$(HOST_FLAGS)) -O1 -fsanitize=thread
tsan_tests := $(if $(TSANCC),$(patsubst tests/unit/%.c,%,$(wildcard tests/unit/tsan_*.c)))
tsan_module_of = $(firstword $(subst _, ,$(1:tsan_%=%)))

$(BUILD)/host-tsan/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  HOSTCC  $< ($(TSANCC), threads)"
	@$(TSANCC) $(if $(filter tests/%,$<),-std=gnu11,-std=c11) $(TSAN_FLAGS) -MMD -MP -c $< -o $@

define tsan_test
$(BUILD)/host-tsan/$(1): $(patsubst %.c,$(BUILD)/host-tsan/%.o,tests/unit/$(1).c $(real_$(1)) \
  $(wildcard tests/unit/$(call tsan_module_of,$(1))/*.c))
	@$(TSANCC) -fsanitize=thread -pthread -o $$@ $$^ -lcmocka

endef
$(foreach test,$(tsan_tests),$(eval $(call tsan_test,$(test))))

unit_programs := $(foreach compiler,$(HOSTCC),$(unit_tests:%=$(BUILD)/host-$(compiler)/%)) \
                 $(tsan_tests:%=$(BUILD)/host-tsan/%)

.PHONY: test-unit test-system test build-unit
build-unit: $(unit_programs)

## test-unit: unit tests on this machine, with sanitizers, under both compilers (HOSTCC=gcc or clang-14 for one; TEST=name for one test; ARCH=aarch64)
test-unit:
	@$(parallel_make) build-unit
	@python3 tests/unit/run.py --results $(BUILD)/results/unit$(if $(UNIT_RUNNER),-$(ARCH)) $(if $(UNIT_RUNNER),--runner "$(UNIT_RUNNER)") \
	    $(if $(TEST),$(filter %/$(TEST),$(unit_programs)),$(unit_programs))

.PHONY: soak
## soak: the random histories of the unit tests at length, under one compiler (some minutes)
soak:
	@$(parallel_make) HOSTCC=gcc $(BUILD)/host-gcc/test_pair_model $(BUILD)/host-gcc/test_pair_save $(BUILD)/host-tsan/tsan_processors_kmcl
	@PAIR_OPERATIONS=10000000 $(BUILD)/host-gcc/test_pair_model
	@PAIR_SAVE_ROUNDS=1000 $(BUILD)/host-gcc/test_pair_save
	@PROCESSORS_PACKETS=1000000 $(BUILD)/host-tsan/tsan_processors_kmcl

# The same tests, built once more without sanitizers and optimisation so that each line and branch is its own.
.PHONY: coverage
## coverage: which lines and branches of the product the unit tests run, by module; a list of the others
coverage:
	@$(parallel_make) BUILD=$(BUILD)/coverage HOSTCC=gcc tsan_tests= SANITIZERS="--coverage -O0 -fprofile-update=atomic" build-unit
	@python3 tests/coverage.py $(BUILD)/coverage/host-gcc $(unit_tests)

# -- whole guests on a host ---------------------------------------------------------------------------------------------

APP ?= hello

.PHONY: run
## run: boots an application on QEMU with Hyper-V and shows its console (APP=hello, APPEND="words for its command line")
run: deps
	@$(parallel_make) $(run_needs_$(ARCH))
	@$(run_command_$(ARCH))

run_needs_x86_64   = $(BUILD)/$(APP).elf
run_command_x86_64 = python3 tests/system/host.py --build $(BUILD) --deps $(DEPS) --append "$(APPEND)" $(BUILD)/$(APP).elf

## test-system: boots guests and tests them from outside (TEST=name for one)
test-system: deps
	@$(parallel_make) $(test_needs_$(ARCH))
	@$(parallel_make) ARCH=aarch64 all efi
	@$(parallel_make) image-applications
	@python3 tests/system/run.py --build $(BUILD) --deps $(DEPS) --results $(BUILD)/results/system $(if $(TEST),--only $(TEST),$(test_only_$(ARCH)))

test_needs_x86_64 = all vmm el2 $(test_images) $(test_starts) efi-tests

# A part that could not even be built counts as one that failed.
## test: all tests; the last line counts them
test: deps
	@rm -rf $(BUILD)/results
	@status=0; \
	$(MAKE) --no-print-directory test-unit || status=1; \
	$(if $(filter aarch64,$(ARCH)),,$(MAKE) --no-print-directory ARCH=aarch64 test-unit || status=1;) \
	$(MAKE) --no-print-directory test-system || status=1; \
	cat $(BUILD)/results/* | \
	    awk -v status=$$status '{ passed += $$1; failed += $$3 } \
	        END { printf "%d passed, %d failed\n", passed, status && !failed ? 1 : failed }'; \
	exit $$status

# -- figures ------------------------------------------------------------------------------------------------------------

# Measured code is compiled for speed and without sanitizers, by the compiler of the product.
BENCH_FLAGS = -std=gnu11 -O2 -g -fno-strict-aliasing $(WARNINGS) $(INCLUDES) -Itests/unit/support
bench_programs := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*_bench.c))
bench_objects  := $(host_sources:%.c=$(BUILD)/bench/%.o) $(test_support:%.c=$(BUILD)/bench/%.o)

$(BUILD)/bench/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  BENCHCC $<"
	@gcc $(BENCH_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/bench/libbarebus-bench.a: tests/unit/archive.sh $(bench_objects)
	@CROSS=$(CROSS) bash tests/unit/archive.sh $@ $(test_support:%.c=$(BUILD)/bench/%.o) -- $(host_sources:%.c=$(BUILD)/bench/%.o)

$(bench_programs): $(BUILD)/bench/%: $(BUILD)/bench/tests/bench/%.o $(BUILD)/bench/libbarebus-bench.a
	@gcc -pthread -o $@ $(filter %.o,$^) $(filter %.a,$^)

.PHONY: bench
## bench: measures and prints the figures of docs/figures.md and README.md (with ARCH=aarch64 only those of ARM64)
bench: deps bench_$(ARCH)

.PHONY: bench_x86_64 bench_aarch64
bench_x86_64:
	@$(parallel_make) all $(bench_programs) el2 vmm efi
	@$(parallel_make) ARCH=aarch64 all efi
	@echo "$$(date +%F), $$(nproc) processors ($$(sed -n '/^model name/{s/.*: //p;q}' /proc/cpuinfo)), load $$(cut -d' ' -f1 /proc/loadavg)"
	@status=0; \
	python3 tests/bench/run.py --build $(BUILD) --deps $(DEPS) $(bench_programs) || status=1; \
	python3 tests/bench/sizes.py --build $(BUILD) --deps $(DEPS) || status=1; \
	python3 tests/bench/start.py --build $(BUILD) --deps $(DEPS) || status=1; \
	python3 tests/bench/uefi.py --build $(BUILD) --deps $(DEPS) || status=1; \
	python3 tests/bench/load.py --build $(BUILD) --deps $(DEPS) || status=1; \
	python3 tests/bench/arm64.py --build $(BUILD) || status=1; \
	exit $$status

bench_aarch64:
	@$(parallel_make) all el2
	@python3 tests/bench/arm64.py --build $(BUILD)

# -- the rest -----------------------------------------------------------------------------------------------------------

.PHONY: deps lint clean distclean help
## deps: installs the packages that are missing and prepares the C library and the nested host's kernel (root or sudo)
deps:
	@bash tests/deps/install.sh $(DEPS)

c_files     = $(sort $(wildcard $(addsuffix /*.[ch],. $(shell git ls-files -co --exclude-standard '*.[ch]' | xargs -r dirname | sort -u))))
shell_files = $(shell git ls-files -co --exclude-standard '*.sh') .ci/run

## lint: clang-format, clang-tidy, cppcheck and shellcheck, and the limit of the VMBus stack's text; fails on any finding
lint: $(BUILD)/compile_commands.json $(images)
	@status=0; \
	for image in $(images:.elf=.map); do python3 linker/size_table.py --check $$image $(BUILD)/$(ARCH) || status=1; done; \
	bash tests/lint.sh $(BUILD) $(c_files) -- $(shell_files) || status=1; \
	exit $$status

# One line a source: what an editor or clang-tidy needs to know to read it. Clang does not know all options of gcc.
tidy_cflags = $(filter-out $(SMALLER),$(CFLAGS))
other_architectures = $(filter-out $(ARCH),$(patsubst linker/%.mk,%,$(wildcard linker/*.mk)))
own_sources = $(wildcard $(addsuffix /*.c,arch/$(ARCH) boot/$(ARCH) kernel/$(C_LIBRARY) tests/guests/$(ARCH)))
.PHONY: own-commands
own-commands:
	@for f in $(own_sources); do echo "$$f	$(CC) $(tidy_cflags) $(ARCH_SYSTEM_FLAGS) -c $$f"; done
$(BUILD)/compile_commands.json: Makefile linker/$(ARCH).mk $(sort $(dir $(system_sources) $(app_sources)) tests/unit tests/vmm $(wildcard tests/unit/support))
	@mkdir -p $(@D)
	@{ \
	    for f in $(filter %.c,$(system_sources)); do echo "$$f	$(CC) $(tidy_cflags) $(ARCH_SYSTEM_FLAGS) -c $$f"; done; \
	    for a in $(other_architectures); do $(MAKE) -s --no-print-directory ARCH=$$a own-commands; done; \
	    for f in $(filter %.c,$(app_sources)) $(wildcard tests/guests/*.c tests/guests/$(ARCH)/*.c tests/guests/uefi/*.c); do echo "$$f	$(CC) $(tidy_cflags) -c $$f"; done; \
	    for f in $(wildcard tests/unit/*.c tests/unit/*/*.c tests/host/*.c); do echo "$$f	gcc -std=gnu11 $(HOST_FLAGS) -c $$f"; done; \
	    for f in $(wildcard tests/vmm/*.c); do echo "$$f	gcc -std=gnu11 $(VMM_FLAGS) -c $$f"; done; \
	    for f in $(wildcard tests/el2/*.c tests/el2/guests/*.c); do echo "$$f	$(EL2_CROSS)gcc $(EL2_FLAGS) -c $$f"; done; \
	    for f in $(wildcard tests/bench/*.c); do echo "$$f	gcc $(BENCH_FLAGS) -c $$f"; done; \
	} | awk -F'\t' -v d="$(CURDIR)" 'BEGIN { print "[" } \
	    { printf "%s{\"directory\": \"%s\", \"file\": \"%s\", \"command\": \"%s\"}", sep, d, $$1, $$2; sep = ",\n" } \
	    END { print "\n]" }' >$@
	@cp $@ compile_commands.json

# What a part of the tests, or a kind of image, is built with stands beside it.
include $(sort $(wildcard boot/rules.mk tests/*/rules.mk))

## clean: removes what was built, but not what make deps made
clean:
	@if [ -d $(BUILD) ]; then find $(BUILD) -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} +; fi
	@rm -f compile_commands.json

## distclean: removes everything that is not in the repository, but no installed package
distclean: clean
	@rm -rf $(BUILD) $(DEPS)

## help: this list
help:
	@sed -n 's/^## \([a-z-]*\): \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | sort -u | \
	    while IFS='|' read -r target text; do printf '  make %-12s %s\n' "$$target" "$$text"; done

-include $(shell find $(BUILD)/$(ARCH) $(BUILD)/bench -name '*.d' 2>/dev/null)
