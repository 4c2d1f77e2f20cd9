# SPDX-License-Identifier: MIT
# What a unit test is linked with besides what its name says (see the Makefile).

# Pure parts of arch/ that need no such processor.
real_test_hv_discovery := arch/x86_64/hypervisor_words.c
real_test_boot_pvh     := boot/x86_64/pvh.c
real_test_boot_linux   := boot/x86_64/linux.c

real_test_boot_device_tree := boot/aarch64/device_tree.c boot/aarch64/machine_tree.c

real_test_arch_machine_tables := arch/aarch64/machine_tables.c
real_aarch64/test_boot_map := arch/aarch64/boot_map.c
real_aarch64/test_hypervisor := arch/aarch64/hypervisor.c arch/aarch64/firmware.c

# The thread sanitizer sees only what was built for it.
real_tsan_ring := $(wildcard vmbus/ring_*.c)

# The machine between a real guest and a real host, by name: the archive has another one (fake_host) of the same names.
$(foreach test,$(filter test_server_%,$(unit_tests)),$(eval real_$(test) += tests/unit/support/loopback.c))
$(foreach test,$(filter test_pair_%,$(unit_tests)),$(eval real_$(test) += tests/unit/support/loopback.c))
real_tsan_bus_server := $(wildcard vmbus/server/*.c vmbus/ring_*.c) vmbus/messages.c vmbus/guid.c kernel/irql.c \
                        kernel/lock.c kernel/work.c

# The second half of what is tested of that file.
real_test_vmbus_channel_end := vmbus/channel.c

# What firmware says and what comes of it are tested together.
real_test_boot_uefi := boot/uefi_text.c boot/uefi_memory.c boot/uefi_graphics.c boot/uefi_relocate.c
real_test_kernel_acpi := kernel/acpi_power.c

# Both ends of the bus on two threads. The start of the bus is the test's own.
real_tsan_processors_kmcl := $(filter-out vmbus/start.c,$(wildcard vmbus/*.c)) \
                             $(wildcard vmbus/kmcl/*.c vmbus/server/*.c vmbus/kmcl/server/*.c) \
                             $(addprefix kernel/,clock.c irql.c lock.c timer.c wait.c wall_clock.c work.c)
real_test_vmm_memory := tests/vmm/guest_memory.c
real_x86_64/test_vmm_control := tests/vmm/control.c
real_tsan_vmm_synic := tests/vmm/synic.c tests/vmm/guest_memory.c
