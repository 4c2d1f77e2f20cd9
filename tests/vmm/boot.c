/* SPDX-License-Identifier: MIT */
#include "tests/vmm/boot.h"

#include <elf.h>
#include <string.h>

#include "kernel/pages.h"
#include "tests/vmm/acpi.h"
#include "tests/vmm/file.h"
#include "tests/vmm/machine.h"

/*
 * Below 1 MiB, where neither kernel nor firmware lies:
 *   0x6000   struct start_info, the modules, the memory map
 *   0x8000   command line
 *   0xE0000  ACPI's tables, reserved
 */
#define START_INFO        0x6000u
#define COMMAND_LINE      0x8000u
#define COMMAND_LINE_SIZE 0x4000u
#define ACPI_TABLES       0xE0000u
#define LOW_MEMORY_END    0xA0000u
#define HIGH_MEMORY       0x100000u

/* Xen, xen/include/public/arch-x86/hvm/start_info.h. */
#define START_INFO_MAGIC     0x336EC578u
#define START_INFO_VERSION   1u
#define MEMORY_TYPE_RAM      1u
#define MEMORY_TYPE_RESERVED 2u

struct start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;
    uint64_t command_line;
    uint64_t rsdp;
    uint64_t memory_map;
    uint32_t memory_map_entries;
    uint32_t reserved;
};
_Static_assert(sizeof(struct start_info) == 56, "layout of hvm_start_info");

struct module {
    uint64_t address;
    uint64_t size;
    uint64_t command_line;
    uint64_t reserved;
};
_Static_assert(sizeof(struct module) == 32, "layout of hvm_modlist_entry");

struct memory_map_entry {
    uint64_t address;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};
_Static_assert(sizeof(struct memory_map_entry) == 24, "layout of hvm_memmap_table_entry");

#define MEMORY_MAP_ENTRIES 4u

struct boot_page {
    struct start_info info;
    struct module initrd;
    struct memory_map_entry map[MEMORY_MAP_ENTRIES];
};

/* XEN_ELFNOTE_PHYS32_ENTRY: the address at which a PVH kernel is entered. */
#define NOTE_PHYS32_ENTRY 18u

/* ---- ELF ---- */

static Elf64_Ehdr elf_header(const struct file *kernel)
{
    Elf64_Ehdr header;

    if (kernel->size < sizeof(header) || memcmp(kernel->data, ELFMAG, SELFMAG) != 0) {
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
    if (program->p_paddr < HIGH_MEMORY) {
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
        if (note.n_type == NOTE_PHYS32_ENTRY && note.n_namesz == sizeof("Xen") &&
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
static uint64_t load_elf(struct machine *machine, const struct file *kernel, uint64_t *end)
{
    Elf64_Ehdr header = elf_header(kernel);
    uint64_t entry = 0;

    *end = HIGH_MEMORY;
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
            kernel->name, NOTE_PHYS32_ENTRY);
    }
    return entry;
}

/* ---- what a kernel is handed ---- */

/* At the end of memory below 4 GiB, where no kernel reaches. */
static struct module load_initrd(struct machine *machine, uint64_t kernel_end)
{
    struct file initrd = file_open("--initrd", machine->options->initrd);
    struct module module = {.size = initrd.size};

    if (initrd.size > machine->memory.low ||
        (machine->memory.low - initrd.size) / PAGE_SIZE * PAGE_SIZE < kernel_end) {
        die("option --initrd: %s: its %llu bytes do not fit behind the kernel; see --memory",
            initrd.name, (unsigned long long)initrd.size);
    }
    module.address = (machine->memory.low - initrd.size) / PAGE_SIZE * PAGE_SIZE;
    memcpy(guest_memory_at(&machine->memory, module.address, initrd.size), initrd.data,
           initrd.size);
    file_close(&initrd);
    return module;
}

static uint32_t fill_memory_map(const struct machine *machine, struct memory_map_entry *map)
{
    const struct guest_memory *memory = &machine->memory;
    uint32_t count = 0;

    map[count++] = (struct memory_map_entry){0, LOW_MEMORY_END, MEMORY_TYPE_RAM, 0};
    map[count++] = (struct memory_map_entry){LOW_MEMORY_END, HIGH_MEMORY - LOW_MEMORY_END,
                                             MEMORY_TYPE_RESERVED, 0};
    map[count++] =
        (struct memory_map_entry){HIGH_MEMORY, memory->low - HIGH_MEMORY, MEMORY_TYPE_RAM, 0};
    if (memory->size > memory->low) {
        map[count++] = (struct memory_map_entry){GUEST_HOLE_END, memory->size - memory->low,
                                                 MEMORY_TYPE_RAM, 0};
    }
    return count;
}

void boot_load(struct machine *machine)
{
    const struct options *options = machine->options;
    struct file kernel = file_open("--kernel", options->kernel);
    static struct acpi_tables acpi;
    struct boot_page *page =
        guest_memory_at(&machine->memory, START_INFO, sizeof(struct boot_page));
    char *command_line = guest_memory_at(&machine->memory, COMMAND_LINE, COMMAND_LINE_SIZE);
    uint64_t kernel_end;
    uint64_t entry = load_elf(machine, &kernel, &kernel_end);

    file_close(&kernel);
    acpi_build(&acpi, machine->vcpu_count);
    acpi_place(&acpi, guest_memory_at(&machine->memory, ACPI_TABLES, ACPI_SIZE), ACPI_TABLES);
    if (strlen(options->append) >= COMMAND_LINE_SIZE) {
        die("option --append: more than %u characters", COMMAND_LINE_SIZE - 1);
    }
    memcpy(command_line, options->append, strlen(options->append) + 1);
    if (options->initrd != NULL) {
        page->initrd = load_initrd(machine, kernel_end);
    }
    page->info = (struct start_info){
        .magic = START_INFO_MAGIC,
        .version = START_INFO_VERSION,
        .module_count = options->initrd != NULL ? 1 : 0,
        .modules = options->initrd != NULL ? START_INFO + offsetof(struct boot_page, initrd) : 0,
        .command_line = COMMAND_LINE,
        .rsdp = ACPI_TABLES,
        .memory_map = START_INFO + offsetof(struct boot_page, map),
        .memory_map_entries = fill_memory_map(machine, page->map),
    };
    vcpu_set_protected_mode(&machine->vcpus[0], (uint32_t)entry, START_INFO);
}
