/* SPDX-License-Identifier: MIT */
#include "tests/vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tests/vmm/executive.h"

#define KVM_API 12

/* What a Hyper-V guest needs, all of it in Linux since 5.11 (CONFIG_KVM_HYPERV from 6.9 on). */
static const struct {
    int number;
    const char *name;
} capabilities[] = {
    {KVM_CAP_HYPERV_SYNIC2, "KVM_CAP_HYPERV_SYNIC2"},
    {KVM_CAP_HYPERV_EVENTFD, "KVM_CAP_HYPERV_EVENTFD"},
    {KVM_CAP_SYS_HYPERV_CPUID, "KVM_CAP_SYS_HYPERV_CPUID"},
    {KVM_CAP_HYPERV_ENFORCE_CPUID, "KVM_CAP_HYPERV_ENFORCE_CPUID"},
    {KVM_CAP_HYPERV_VP_INDEX, "KVM_CAP_HYPERV_VP_INDEX"},
    {KVM_CAP_IRQFD_RESAMPLE, "KVM_CAP_IRQFD_RESAMPLE"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

int kvm_ioctl(int file, unsigned long request, void *argument)
{
    int result;

    do {
        result = ioctl(file, request, argument);
    } while (result < 0 && errno == EINTR);
    return result;
}

int kvm_must(int file, unsigned long request, void *argument, const char *what)
{
    int result = kvm_ioctl(file, request, argument);

    if (result < 0) {
        die("KVM: %s: %s", what, strerror(errno));
    }
    return result;
}

static int must_number(int file, unsigned long request, uintptr_t number, const char *what)
{
    int result = ioctl(file, request, number);

    if (result < 0) {
        die("KVM: %s: %s", what, strerror(errno));
    }
    return result;
}

static void check_capabilities(int system)
{
    for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
        if (ioctl(system, KVM_CHECK_EXTENSION, (uintptr_t)capabilities[i].number) <= 0) {
            die("this machine's KVM lacks %s: use a kernel with CONFIG_KVM_HYPERV, or run nested "
                "(BAREBUS_HOST=nested)",
                capabilities[i].name);
        }
    }
}

void kvm_open(struct kvm *kvm)
{
    /* Three pages that Intel processors without unrestricted guests use, out of the guest's way. */
    static const uintptr_t task_state = 0xFEFFD000;
    struct kvm_pit_config timer = {.flags = KVM_PIT_SPEAKER_DUMMY};

    kvm->system = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm->system < 0) {
        die("/dev/kvm cannot be opened: %s%s", strerror(errno),
            errno == EACCES ? " (is this user in group kvm?)" : "");
    }
    if (must_number(kvm->system, KVM_GET_API_VERSION, 0, "version") != KVM_API) {
        die("this machine's KVM has another interface than version %d", KVM_API);
    }
    check_capabilities(kvm->system);
    kvm->vm = must_number(kvm->system, KVM_CREATE_VM, 0, "a machine");
    (void)must_number(kvm->vm, KVM_SET_TSS_ADDR, task_state, "KVM_SET_TSS_ADDR");
    (void)must_number(kvm->vm, KVM_CREATE_IRQCHIP, 0, "interrupt controllers");
    (void)kvm_must(kvm->vm, KVM_CREATE_PIT2, &timer, "a timer");
}

void kvm_memory(const struct kvm *kvm, uint32_t slot, uint64_t guest_address, void *memory,
                uint64_t size, bool read_only)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot,
        .flags = read_only ? KVM_MEM_READONLY : 0,
        .guest_phys_addr = guest_address,
        .memory_size = size,
        .userspace_addr = (uintptr_t)memory,
    };

    (void)kvm_must(kvm->vm, KVM_SET_USER_MEMORY_REGION, &region, "guest memory");
}

/* The table is replaced as a whole, so the lines of a PC are in it too, as KVM has them at first:
 * the two 8259, and the I/O APIC. */
void kvm_route(const struct kvm *kvm, uint32_t processors, uint32_t sint)
{
    const uint32_t legacy = 16;
    struct kvm_irq_routing *table =
        calloc(1, sizeof(*table) + (KVM_LINES + legacy + processors) * sizeof(table->entries[0]));

    if (table == NULL) {
        die("no memory for the table of interrupts");
    }
    for (uint32_t line = 0; line < KVM_LINES; line++) {
        table->entries[table->nr++] = (struct kvm_irq_routing_entry){
            .gsi = line,
            .type = KVM_IRQ_ROUTING_IRQCHIP,
            .u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC, .pin = line},
        };
    }
    for (uint32_t line = 0; line < legacy; line++) {
        table->entries[table->nr++] = (struct kvm_irq_routing_entry){
            .gsi = line,
            .type = KVM_IRQ_ROUTING_IRQCHIP,
            .u.irqchip = {.irqchip = line < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
                          .pin = line % 8},
        };
    }
    for (uint32_t processor = 0; processor < processors; processor++) {
        table->entries[table->nr++] = (struct kvm_irq_routing_entry){
            .gsi = KVM_LINES + processor,
            .type = KVM_IRQ_ROUTING_HV_SINT,
            .u.hv_sint = {.vcpu = processor, .sint = sint},
        };
    }
    (void)kvm_must(kvm->vm, KVM_SET_GSI_ROUTING, table, "the table of interrupts");
    free(table);
}

void kvm_line(const struct kvm *kvm, uint32_t line, bool level)
{
    struct kvm_irq_level request = {.irq = line, .level = level};

    (void)kvm_must(kvm->vm, KVM_IRQ_LINE, &request, "an interrupt line");
}
