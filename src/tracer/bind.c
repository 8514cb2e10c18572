// Global offset tables. We change only the slots of the functions below, each by one store. If the linker has made a slot's
// page read-only, we make it writable for that store.

#define _GNU_SOURCE
#include "bind.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "cpython.h"
#include "pages.h"
#include "track.h"

#if defined(__x86_64__)
enum { JUMP_SLOT = R_X86_64_JUMP_SLOT, GLOBAL_DATA = R_X86_64_GLOB_DAT };
#elif defined(__aarch64__)
enum { JUMP_SLOT = R_AARCH64_JUMP_SLOT, GLOBAL_DATA = R_AARCH64_GLOB_DAT };
#endif

/** The interpreter loads an extension module: bind it, and the libraries it brings. */
static void *load_module(const char *path, int mode)
{
    void *module = dlopen(path, mode);
    if (module != NULL)
        bind_modules();
    return module;
}

static const struct binding {
    const char *name;
    void *ours;
    bool of_interpreter; // changed in the interpreter's own table, and in no other
} bindings[] = {
    {"PyTraceMalloc_Track", (void *)track_block, false},
    {"PyTraceMalloc_Untrack", (void *)untrack_block, false},
    {"_PyTraceMalloc_GetTraceback", (void *)tracked_traceback, false},
    {"dlopen", (void *)load_module, true},
};

struct module {
    ElfW(Addr) base;
    const ElfW(Sym) * symbols;
    const char *strings;
    const ElfW(Rela) * tables[2]; // of data, and of functions
    size_t sizes[2];              // bytes
    const ElfW(Phdr) * read_only; // the segment that is read-only after relocation, or NULL
    bool is_interpreter;
};

/** False: it has no symbols. glibc's loader has made the addresses in a dynamic section absolute, except in the vDSO. */
static bool module_init(struct module *module, const struct dl_phdr_info *info)
{
    const ElfW(Dyn) *dynamic = NULL;
    *module = (struct module){.base = info->dlpi_addr};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_DYNAMIC)
            dynamic = (const ElfW(Dyn) *)start;
        else if (segment->p_type == PT_GNU_RELRO)
            module->read_only = segment;
        else if (segment->p_type == PT_LOAD && (uintptr_t)Py_GetVersion - start < segment->p_memsz)
            module->is_interpreter = true;
    }
    for (; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++) {
        const void *address = (const void *)dynamic->d_un.d_ptr;
        if (dynamic->d_tag == DT_SYMTAB)
            module->symbols = address;
        else if (dynamic->d_tag == DT_STRTAB)
            module->strings = address;
        else if (dynamic->d_tag == DT_RELA)
            module->tables[0] = address;
        else if (dynamic->d_tag == DT_RELASZ)
            module->sizes[0] = dynamic->d_un.d_val;
        else if (dynamic->d_tag == DT_JMPREL)
            module->tables[1] = address;
        else if (dynamic->d_tag == DT_PLTRELSZ)
            module->sizes[1] = dynamic->d_un.d_val;
    }
    return (uintptr_t)module->symbols > info->dlpi_addr && (uintptr_t)module->strings > info->dlpi_addr;
}

static void change_slot(const struct module *module, void **slot, void *ours)
{
    if (__atomic_load_n(slot, __ATOMIC_RELAXED) == ours)
        return;
    const ElfW(Phdr) *read_only = module->read_only;
    bool locked = read_only != NULL && (uintptr_t)slot - (module->base + read_only->p_vaddr) < read_only->p_memsz;
    void *page = (void *)((uintptr_t)slot & ~(uintptr_t)(PAGE_BYTES - 1));
    if (locked && mprotect(page, PAGE_BYTES, PROT_READ | PROT_WRITE) != 0)
        return;
    __atomic_store_n(slot, ours, __ATOMIC_RELEASE);
    if (locked)
        mprotect(page, PAGE_BYTES, PROT_READ);
}

static void bind_relocation(const struct module *module, const ElfW(Rela) * relocation)
{
    unsigned type = ELF64_R_TYPE(relocation->r_info);
    if (type != JUMP_SLOT && type != GLOBAL_DATA)
        return;
    const char *name = module->strings + module->symbols[ELF64_R_SYM(relocation->r_info)].st_name;
    for (size_t i = 0; i < sizeof bindings / sizeof *bindings; i++)
        if (module->is_interpreter == bindings[i].of_interpreter && strcmp(name, bindings[i].name) == 0)
            change_slot(module, (void **)(module->base + relocation->r_offset), bindings[i].ours);
}

static int bind_module(struct dl_phdr_info *info, size_t size, void *self)
{
    struct module module;
    (void)size;
    if (info->dlpi_addr == (ElfW(Addr))(uintptr_t)self || !module_init(&module, info))
        return 0;
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; module.tables[t] != NULL && i < module.sizes[t] / sizeof(ElfW(Rela)); i++)
            bind_relocation(&module, &module.tables[t][i]);
    return 0;
}

void bind_modules(void)
{
    Dl_info self;
    if (dladdr((void *)bind_modules, &self) != 0)
        dl_iterate_phdr(bind_module, self.dli_fbase);
}
