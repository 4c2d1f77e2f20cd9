/* SPDX-License-Identifier: MIT */
#include "tests/vmm/kvm_stats.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DESCRIPTIONS_MOST 4096u /* choice: far more than KVM has */
#define NAME_MOST         256u

static bool read_at(int file, void *to, size_t size, uint64_t at)
{
    return pread(file, to, size, (off_t)at) == (ssize_t)size;
}

/* A counter has one value; histograms, which have many, and what is no count are left out. */
static bool is_counter(const struct kvm_stats_desc *description)
{
    return description->size == 1 &&
           (description->flags & KVM_STATS_TYPE_MASK) == KVM_STATS_TYPE_CUMULATIVE &&
           (description->flags & KVM_STATS_UNIT_MASK) == KVM_STATS_UNIT_NONE;
}

bool kvm_stats_read(int file, void (*counter)(void *context, const char *name, uint64_t value),
                    void *context)
{
    struct kvm_stats_header header;
    char name[NAME_MOST];

    if (!read_at(file, &header, sizeof(header), 0) || header.name_size > NAME_MOST ||
        header.num_desc > DESCRIPTIONS_MOST) {
        return false;
    }
    for (uint32_t i = 0; i < header.num_desc; i++) {
        struct kvm_stats_desc description;
        uint64_t at = header.desc_offset + i * (sizeof(description) + (uint64_t)header.name_size);
        uint64_t value;
        if (!read_at(file, &description, sizeof(description), at) ||
            !read_at(file, name, header.name_size, at + sizeof(description)) ||
            !read_at(file, &value, sizeof(value), header.data_offset + description.offset)) {
            return false;
        }
        name[NAME_MOST - 1] = '\0';
        if (is_counter(&description) && value != 0) {
            counter(context, name, value);
        }
    }
    return true;
}

int kvm_stats_open(int vcpu)
{
    return ioctl(vcpu, KVM_GET_STATS_FD, 0);
}
