// ELF as it is in memory. Knows nothing of CPython.
//
// A slot is changed by one store. If the linker has made its page read-only, the page is writable for that store. (Linked
// with `-z norelro` the tracer's own slots would stay writable for the whole life of the program. So they are like others.)

#define _GNU_SOURCE
#include "modules.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>

#include "pages.h"

#if defined(__x86_64__)
enum { JUMP_SLOT = R_X86_64_JUMP_SLOT, GLOBAL_DATA = R_X86_64_GLOB_DAT };
#elif defined(__aarch64__)
enum { JUMP_SLOT = R_AARCH64_JUMP_SLOT, GLOBAL_DATA = R_AARCH64_GLOB_DAT };
#endif

// ---------------------------------------------------------------------------------------------------------------
// A module

/** glibc's loader has made the addresses in a dynamic section absolute, except in the vDSO. musl's leaves them relative. */
static const void *dynamic_address(const struct module *module, const ElfW(Dyn) * entry)
{
    ElfW(Addr) address = entry->d_un.d_ptr;
    return (const void *)(address < module->base ? module->base + address : address);
}

static void read_dynamic(struct module *module, const ElfW(Dyn) * entry)
{
    for (; entry->d_tag != DT_NULL; entry++) {
        const void *address = dynamic_address(module, entry);
        if (entry->d_tag == DT_SYMTAB)
            module->symbols = address;
        else if (entry->d_tag == DT_STRTAB)
            module->strings = address;
        else if (entry->d_tag == DT_GNU_HASH)
            module->gnu_hash = address;
        else if (entry->d_tag == DT_HASH)
            module->hash = address;
        else if (entry->d_tag == DT_RELA)
            module->tables[0] = address;
        else if (entry->d_tag == DT_RELASZ)
            module->sizes[0] = entry->d_un.d_val;
        else if (entry->d_tag == DT_JMPREL)
            module->tables[1] = address;
        else if (entry->d_tag == DT_PLTRELSZ)
            module->sizes[1] = entry->d_un.d_val;
    }
}

bool module_init(struct module *module, const struct dl_phdr_info *info)
{
    *module = (struct module){.base = info->dlpi_addr,
                              .path = info->dlpi_name,
                              .segments = info->dlpi_phdr,
                              .segment_count = info->dlpi_phnum};
    for (unsigned i = 0; i < module->segment_count; i++) {
        const ElfW(Phdr) *segment = &module->segments[i];
        if (segment->p_type == PT_DYNAMIC)
            read_dynamic(module, (const ElfW(Dyn) *)(module->base + segment->p_vaddr));
        else if (segment->p_type == PT_GNU_RELRO)
            module->read_only = segment;
    }
    return module->symbols != NULL && module->strings != NULL;
}

const ElfW(Phdr) * module_segment(const struct module *module, const void *address)
{
    for (unsigned i = 0; i < module->segment_count; i++) {
        const ElfW(Phdr) *segment = &module->segments[i];
        if (segment->p_type == PT_LOAD && (uintptr_t)address - (module->base + segment->p_vaddr) < segment->p_memsz)
            return segment;
    }
    return NULL;
}

bool module_contains(const struct module *module, const void *address)
{
    return module_segment(module, address) != NULL;
}

struct search {
    struct module *module;
    const void *address;
};

static int look_at(struct dl_phdr_info *info, size_t size, void *context)
{
    const struct search *search = context;
    (void)size;
    return module_init(search->module, info) && module_contains(search->module, search->address);
}

bool module_at(struct module *module, const void *address)
{
    return dl_iterate_phdr(look_at, &(struct search){module, address}) != 0;
}

// ---------------------------------------------------------------------------------------------------------------
// What it defines

static void *definition(const struct module *module, uint32_t index, const char *name)
{
    const ElfW(Sym) *symbol = &module->symbols[index];
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS ||
        (type != STT_FUNC && type != STT_OBJECT && type != STT_NOTYPE) ||
        strcmp(module->strings + symbol->st_name, name) != 0)
        return NULL;
    return (void *)(module->base + symbol->st_value);
}

static void *find_by_gnu_hash(const struct module *module, const char *name)
{
    uint32_t hash = 5381;
    for (const unsigned char *c = (const unsigned char *)name; *c != '\0'; c++)
        hash = hash * 33 + *c;
    const uint32_t *table = module->gnu_hash;
    uint32_t bucket_count = table[0], first = table[1], words = table[2];
    const uint32_t *buckets = table + 4 + words * (sizeof(ElfW(Addr)) / sizeof *table);
    const uint32_t *chain = buckets + bucket_count;
    uint32_t index = bucket_count == 0 ? 0 : buckets[hash % bucket_count];
    if (index < first)
        return NULL;
    for (;; index++) {
        uint32_t found = chain[index - first];
        void *address = (found | 1) == (hash | 1) ? definition(module, index, name) : NULL;
        if (address != NULL || found & 1)
            return address;
    }
}

static void *find_by_hash(const struct module *module, const char *name)
{
    uint32_t hash = 0;
    for (const unsigned char *c = (const unsigned char *)name; *c != '\0'; c++) {
        hash = (hash << 4) + *c;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    uint32_t bucket_count = module->hash[0];
    const uint32_t *buckets = module->hash + 2, *chain = buckets + bucket_count;
    for (uint32_t index = bucket_count == 0 ? 0 : buckets[hash % bucket_count]; index != 0; index = chain[index]) {
        void *address = definition(module, index, name);
        if (address != NULL)
            return address;
    }
    return NULL;
}

void *module_symbol(const struct module *module, const char *name)
{
    if (module->gnu_hash != NULL)
        return find_by_gnu_hash(module, name);
    return module->hash == NULL ? NULL : find_by_hash(module, name);
}

// ---------------------------------------------------------------------------------------------------------------
// Its slots

static bool change_slot(const struct module *module, void **slot, void *value)
{
    if (__atomic_load_n(slot, __ATOMIC_RELAXED) == value)
        return true;
    const ElfW(Phdr) *read_only = module->read_only;
    bool locked = read_only != NULL && (uintptr_t)slot - (module->base + read_only->p_vaddr) < read_only->p_memsz;
    void *page = (void *)((uintptr_t)slot & ~(uintptr_t)(PAGE_BYTES - 1));
    if (locked && mprotect(page, PAGE_BYTES, PROT_READ | PROT_WRITE) != 0)
        return false;
    __atomic_store_n(slot, value, __ATOMIC_RELEASE);
    if (locked)
        mprotect(page, PAGE_BYTES, PROT_READ);
    return true;
}

/** False: its page could not be made writable. */
static bool change_slot_of(const struct module *module, const ElfW(Rela) * relocation, module_chooser choose,
                           void *context)
{
    unsigned type = ELF64_R_TYPE(relocation->r_info);
    const ElfW(Sym) *symbol = &module->symbols[ELF64_R_SYM(relocation->r_info)];
    if ((type != JUMP_SLOT && type != GLOBAL_DATA) || symbol->st_shndx != SHN_UNDEF)
        return true;
    void **slot = (void **)(module->base + relocation->r_offset);
    void *value = choose(context, module->strings + symbol->st_name, *slot);
    return value == NULL || change_slot(module, slot, value);
}

bool module_change_slots(const struct module *module, module_chooser choose, void *context)
{
    bool changed = true;
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; module->tables[t] != NULL && i < module->sizes[t] / sizeof(ElfW(Rela)); i++)
            if (!change_slot_of(module, &module->tables[t][i], choose, context))
                changed = false;
    return changed;
}
