/* SPDX-License-Identifier: MIT */
#include "tests/vmm/boot.h"

#include <elf.h>
#include <string.h>

#include "boot/x86_64/pvh_layout.h"
#include "tests/vmm/file.h"
#include "tests/vmm/machine.h"

struct start_page {
    struct pvh_start_info info;
    struct pvh_module initrd;
    struct pvh_memory map[BOOT_RANGES];
};

/* ---- ELF ---- */

static Elf64_Ehdr elf_header(const struct file *kernel)
{
    Elf64_Ehdr header;

    if (kernel->size < sizeof(header)) {
        die("option %s: %s is no ELF file", kernel->option, kernel->name);
    }
    memcpy(&header, kernel->data, sizeof(header));
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
        header.e_phentsize != sizeof(Elf64_Phdr)) {
        die("option %s: %s is no ELF file for x86-64", kernel->option, kernel->name);
    }
    return header;
}

static Elf64_Phdr program_header(const struct file *kernel, const Elf64_Ehdr *header, unsigned i)
{
    Elf64_Phdr program;

    memcpy(
        &program,
        file_part(kernel, header->e_phoff + i * sizeof(program), sizeof(program), "program header"),
        sizeof(program));
    return program;
}

static void load_segment(struct machine *machine, const struct file *kernel,
                         const Elf64_Phdr *program)
{
    const void *from = file_part(kernel, program->p_offset, program->p_filesz, "segment");

    if (program->p_filesz > program->p_memsz) {
        die("option %s: %s: a segment is larger in the file than in memory", kernel->option,
            kernel->name);
    }
    if (program->p_paddr < BOOT_HIGH_MEMORY) {
        die("option %s: %s: a segment lies at %#llx, below 1 MiB", kernel->option, kernel->name,
            (unsigned long long)program->p_paddr);
    }
    /* What follows is zero as memory is at first. */
    void *to = guest_memory_at(&machine->memory, program->p_paddr, program->p_memsz);
    if (to == NULL) {
        die("option %s: %s: a segment of %llu bytes at %#llx is not in the guest's memory",
            kernel->option, kernel->name, (unsigned long long)program->p_memsz,
            (unsigned long long)program->p_paddr);
    }
    memcpy(to, from, program->p_filesz);
}

/* The value of a note of Xen's in a segment of notes; 0: it is not there. */
static uint64_t find_note(const struct file *kernel, const Elf64_Phdr *program)
{
    const uint8_t *notes =
        file_part(kernel, program->p_offset, program->p_filesz, "segment of notes");
    uint64_t at = 0;

    while (program->p_filesz - at >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        memcpy(&note, notes + at, sizeof(note));
        uint64_t name = at + sizeof(note);
        uint64_t value = name + ((uint64_t)note.n_namesz + 3) / 4 * 4;
        uint64_t next = value + ((uint64_t)note.n_descsz + 3) / 4 * 4;
        if (value > program->p_filesz || value + note.n_descsz > program->p_filesz) {
            break;
        }
        if (note.n_type == PVH_NOTE_PHYS32_ENTRY && note.n_namesz == sizeof("Xen") &&
            memcmp(notes + name, "Xen", sizeof("Xen")) == 0 && note.n_descsz >= 4) {
            uint32_t entry;
            memcpy(&entry, notes + value, sizeof(entry));
            return entry;
        }
        if (next > program->p_filesz) {
            break;
        }
        at = next;
    }
    return 0;
}

/* Returns the PVH entry, and one past the last byte the kernel occupies. */
static uint64_t load(struct machine *machine, const struct file *kernel, uint64_t *end)
{
    Elf64_Ehdr header = elf_header(kernel);
    uint64_t entry = 0;

    *end = BOOT_HIGH_MEMORY;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr program = program_header(kernel, &header, i);
        if (program.p_type == PT_LOAD && program.p_memsz != 0) {
            load_segment(machine, kernel, &program);
            uint64_t segment_end = program.p_paddr + program.p_memsz;
            *end = segment_end > *end ? segment_end : *end;
        } else if (program.p_type == PT_NOTE && entry == 0) {
            entry = find_note(kernel, &program);
        }
    }
    if (entry == 0) {
        die("option %s: %s has no PVH entry (an ELF note of Xen, type %u)", kernel->option,
            kernel->name, PVH_NOTE_PHYS32_ENTRY);
    }
    return entry;
}

bool boot_is_elf(const struct file *kernel)
{
    return kernel->size >= SELFMAG && memcmp(kernel->data, ELFMAG, SELFMAG) == 0;
}

void boot_elf(struct machine *machine, const struct file *kernel)
{
    struct start_page *page =
        guest_memory_at(&machine->memory, BOOT_START_INFO, sizeof(struct start_page));
    struct boot_range ranges[BOOT_RANGES];
    uint64_t kernel_end;
    uint64_t entry = load(machine, kernel, &kernel_end);
    struct boot_range initrd = boot_initrd(machine, kernel_end, UINT32_MAX);
    uint32_t count = boot_memory_map(machine, ranges);

    page->initrd = (struct pvh_module){.address = initrd.address, .size = initrd.size};
    for (uint32_t i = 0; i < count; i++) {
        page->map[i] = (struct pvh_memory){ranges[i].address, ranges[i].size, ranges[i].type, 0};
    }
    page->info = (struct pvh_start_info){
        .magic = PVH_MAGIC,
        .version = PVH_VERSION_1,
        .module_count = initrd.size != 0 ? 1 : 0,
        .modules = initrd.size != 0 ? BOOT_START_INFO + offsetof(struct start_page, initrd) : 0,
        .command_line = BOOT_COMMAND_LINE,
        .rsdp = BOOT_ACPI_TABLES,
        .memory_map = BOOT_START_INFO + offsetof(struct start_page, map),
        .memory_map_entries = count,
    };
    const struct kvm_regs registers = {.rip = entry, .rbx = BOOT_START_INFO};
    vcpu_set_protected_mode(&machine->vcpus[0], &registers);
}
