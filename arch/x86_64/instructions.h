/* SPDX-License-Identifier: MIT */
#ifndef ARCH_X86_64_INSTRUCTIONS_H
#define ARCH_X86_64_INSTRUCTIONS_H

#include <stdint.h>

/* Instructions that C has no words for. Nothing here knows what it is used for. */

static inline void port_write8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t port_read8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void port_write16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint16_t port_read16(uint16_t port)
{
    uint16_t value;

    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint64_t msr_read(uint32_t number)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void msr_write(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid out;

    __asm__ volatile("cpuid"
                     : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx)
                     : "a"(leaf), "c"(subleaf));
    return out;
}

#define CONTROL_REGISTER_READ(function, name)                                                      \
    static inline uint64_t function(void)                                                          \
    {                                                                                              \
        uint64_t value;                                                                            \
                                                                                                   \
        __asm__ volatile("mov %%" name ", %0" : "=r"(value));                                      \
        return value;                                                                              \
    }

#define CONTROL_REGISTER_WRITE(function, name)                                                     \
    static inline void function(uint64_t value)                                                    \
    {                                                                                              \
        __asm__ volatile("mov %0, %%" name : : "r"(value) : "memory");                             \
    }

CONTROL_REGISTER_READ(control0_read, "cr0")
CONTROL_REGISTER_WRITE(control0_write, "cr0")
CONTROL_REGISTER_READ(control2_read, "cr2")
CONTROL_REGISTER_READ(control3_read, "cr3")
CONTROL_REGISTER_WRITE(control3_write, "cr3")
CONTROL_REGISTER_READ(control4_read, "cr4")
CONTROL_REGISTER_WRITE(control4_write, "cr4")

/* Device registers: one plain move each, which every monitor can emulate. */
static inline uint32_t device_read32(uint64_t address)
{
    uint32_t value;

    __asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void device_write32(uint64_t address, uint32_t value)
{
    __asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

static inline uint16_t device_read16(uint64_t address)
{
    uint16_t value;

    __asm__ volatile("movw (%1), %0" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void device_write16(uint64_t address, uint16_t value)
{
    __asm__ volatile("movw %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

static inline void device_write8(uint64_t address, uint8_t value)
{
    __asm__ volatile("movb %0, (%1)" : : "q"(value), "r"(address) : "memory");
}

/* The time-stamp counter, not before all loads ahead of it are done (Intel SDM, RDTSC). */
static inline uint64_t counter_read(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

#endif
