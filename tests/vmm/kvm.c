/* SPDX-License-Identifier: MIT */
#include "tests/vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tests/vmm/executive.h"
#include "tests/vmm/options.h"

#define KVM_API   12
#define PIC_LINES 16u

/* KVM_CAP_X86_APIC_BUS_CYCLES_NS of Linux 6.11: headers of Debian 12 are older. */
#define CAP_APIC_BUS_CYCLES_NS 237u
#define APIC_CYCLE             50u /* nanoseconds, 1 if not set */

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
            die("this machine's KVM lacks %s: use a kernel with CONFIG_KVM_HYPERV, or "
                "'make run-vmm', which emulates a machine that has it",
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

void kvm_slow_apic_timer(const struct kvm *kvm)
{
    struct kvm_enable_cap cycle = {.cap = CAP_APIC_BUS_CYCLES_NS, .args = {APIC_CYCLE}};

    if (ioctl(kvm->vm, KVM_CHECK_EXTENSION, (uintptr_t)CAP_APIC_BUS_CYCLES_NS) > 0) {
        (void)kvm_must(kvm->vm, KVM_ENABLE_CAP, &cycle, "the frequency of the local APICs");
    }
}

struct table {
    struct kvm_irq_routing header;
    struct kvm_irq_routing_entry entries[KVM_LINES + PIC_LINES + VCPUS_MAXIMUM];
};

static void add(struct table *table, struct kvm_irq_routing_entry entry)
{
    table->entries[table->header.nr++] = entry;
}

static struct kvm_irq_routing_entry to_io_apic(uint32_t line, uint32_t pin)
{
    return (struct kvm_irq_routing_entry){
        .gsi = line,
        .type = KVM_IRQ_ROUTING_IRQCHIP,
        .u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC, .pin = pin},
    };
}

static struct kvm_irq_routing_entry to_pic(uint32_t line, uint32_t pin)
{
    return (struct kvm_irq_routing_entry){
        .gsi = line,
        .type = KVM_IRQ_ROUTING_IRQCHIP,
        .u.irqchip = {.irqchip = pin < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
                      .pin = pin % 8},
    };
}

/* The table is replaced as a whole, so the lines of a PC are in it too, as KVM has them at first.
 */
void kvm_route(const struct kvm *kvm, uint32_t processors, uint32_t sint)
{
    struct table table = {.header.nr = 0};

    for (uint32_t line = 0; line < KVM_LINES; line++) {
        add(&table, to_io_apic(line, line));
        if (line < PIC_LINES) {
            add(&table, to_pic(line, line));
        }
    }
    for (uint32_t processor = 0; processor < processors; processor++) {
        add(&table, (struct kvm_irq_routing_entry){
                        .gsi = KVM_LINE_SINT + processor,
                        .type = KVM_IRQ_ROUTING_HV_SINT,
                        .u.hv_sint = {.vcpu = processor, .sint = sint},
                    });
    }
    (void)kvm_must(kvm->vm, KVM_SET_GSI_ROUTING, &table, "the table of interrupts");
}

void kvm_line(const struct kvm *kvm, uint32_t line, bool level)
{
    struct kvm_irq_level request = {.irq = line, .level = level};

    (void)kvm_must(kvm->vm, KVM_IRQ_LINE, &request, "an interrupt line");
}
