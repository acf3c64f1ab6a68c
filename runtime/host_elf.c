/*
 * Names of functions from the symbols of the file they were loaded from,
 * those that are static too. For where libdw is not at hand.
 *
 * The file is mapped for one look-up and searched from end to end: that is
 * some milliseconds for a large program, on the monitor's thread.
 */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/host_monitor.h"

/* The file an address was loaded from, and where in it the address is. */
struct place {
    uintptr_t address;
    char path[512];
    uintptr_t base;
    bool found;
};

static int look(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct place *place = argument;

    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;

        if (header->p_type != PT_LOAD || place->address < start
            || place->address >= start + header->p_memsz)
            continue;
        place->found = true;
        place->base = info->dlpi_addr;
        (void)snprintf(place->path, sizeof place->path, "%s",
                       info->dlpi_name[0] != '\0' ? info->dlpi_name : "/proc/self/exe");
        return 1;
    }
    return 0;
}

/* The symbol of a table that covers the address; NULL if there is none. */
static const ElfW(Sym) * find(const ElfW(Sym) * symbols, size_t n, uintptr_t address)
{
    for (size_t i = 0; i < n; i++)
        if ((symbols[i].st_info & 0xf) == STT_FUNC && symbols[i].st_shndx != SHN_UNDEF
            && address >= symbols[i].st_value && address - symbols[i].st_value < symbols[i].st_size)
            return &symbols[i];
    return NULL;
}

/* Lies inside of a file of n_bytes. */
static bool inside(uint64_t offset, uint64_t length, size_t n_bytes)
{
    return offset <= n_bytes && length <= n_bytes - offset;
}

/* What is looked for, and what was found. */
struct wanted {
    uintptr_t address; /* as the file counts */
    char *name;
    size_t room;
    uintptr_t entry;
};

static bool search(const char *file, size_t n_bytes, struct wanted *wanted)
{
    const ElfW(Ehdr) *head = (const void *)file;
    const ElfW(Shdr) * sections;

    if (n_bytes < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0
        || !inside(head->e_shoff, (uint64_t)head->e_shnum * sizeof *sections, n_bytes))
        return false;
    sections = (const void *)(file + head->e_shoff);
    for (unsigned i = 0; i < head->e_shnum; i++) {
        const ElfW(Shdr) *table = &sections[i], *names;
        const ElfW(Sym) * symbol;

        if ((table->sh_type != SHT_SYMTAB && table->sh_type != SHT_DYNSYM)
            || table->sh_link >= head->e_shnum
            || !inside(table->sh_offset, table->sh_size, n_bytes))
            continue;
        names = &sections[table->sh_link];
        symbol = find((const void *)(file + table->sh_offset), table->sh_size / sizeof *symbol,
                      wanted->address);
        if (symbol == NULL || !inside(names->sh_offset, names->sh_size, n_bytes)
            || symbol->st_name >= names->sh_size)
            continue;
        (void)snprintf(wanted->name, wanted->room, "%.*s", (int)(names->sh_size - symbol->st_name),
                       file + names->sh_offset + symbol->st_name); /* A cut name is still a hint. */
        wanted->entry = symbol->st_value;
        return true;
    }
    return false;
}

bool gv_host_elf_name(uintptr_t address, char *name, size_t room, uintptr_t *entry)
{
    struct place place = {.address = address};
    struct stat info;
    struct wanted wanted = {.name = name, .room = room};
    void *file;
    bool found = false;
    int fd;

    *entry = 0;
    (void)dl_iterate_phdr(look, &place);
    if (!place.found)
        return false;
    wanted.address = address - place.base;
    fd = open(place.path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fstat(fd, &info) == 0 && info.st_size > 0) {
        file = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (file != MAP_FAILED) {
            found = search(file, (size_t)info.st_size, &wanted);
            (void)munmap(file, (size_t)info.st_size); /* It was mapped just now. */
        }
    }
    (void)close(fd); /* It was only read. */
    if (found)
        *entry = wanted.entry + place.base;
    else
        (void)snprintf(name, room, "%s+0x%llx", place.path,
                       (unsigned long long)(wanted.address)); /* As above. */
    return true;
}
