// Looks through the dynamic symbols of a file. Knows no process.

#define _GNU_SOURCE

#include "process/exported.h"

#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <unistd.h>

static bool find_symbol(Elf *elf, const char *name, GElf_Sym *symbol)
{
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
        GElf_Shdr header;
        if (!gelf_getshdr(section, &header) || header.sh_type != SHT_DYNSYM || !header.sh_entsize)
            continue;
        Elf_Data *data = elf_getdata(section, NULL);
        for (int i = 1; data && (uint64_t)i < header.sh_size / header.sh_entsize; i++) {
            const char *found = gelf_getsym(data, i, symbol) ? elf_strptr(elf, header.sh_link, symbol->st_name) : NULL;
            if (found && strcmp(found, name) == 0 && symbol->st_shndx != SHN_UNDEF)
                return true;
        }
    }
    return false;
}

// Where an address of the file is in the file.
static bool find_offset(Elf *elf, uint64_t address, off_t *offset)
{
    size_t count = 0;
    if (elf_getphdrnum(elf, &count) != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr segment;
        if (!gelf_getphdr(elf, (int)i, &segment) || segment.p_type != PT_LOAD || address < segment.p_vaddr ||
            address - segment.p_vaddr >= segment.p_filesz)
            continue;
        *offset = (off_t)(segment.p_offset + (address - segment.p_vaddr));
        return true;
    }
    return false;
}

bool tm_exported_find(const char *file, const char *name, struct tm_exported *result)
{
    GElf_Sym symbol;
    off_t offset;
    elf_version(EV_CURRENT);
    int descriptor = open(file, O_RDONLY | O_CLOEXEC);
    Elf *elf = descriptor < 0 ? NULL : elf_begin(descriptor, ELF_C_READ, NULL);
    bool found = elf && find_symbol(elf, name, &symbol) && symbol.st_size >= TM_EXPORTED_BYTES &&
                 find_offset(elf, symbol.st_value, &offset) &&
                 pread(descriptor, result->code, TM_EXPORTED_BYTES, offset) == TM_EXPORTED_BYTES;
    if (found)
        result->address = symbol.st_value;
    if (elf)
        elf_end(elf);
    if (descriptor >= 0)
        close(descriptor);
    return found;
}
