/**
 * The modules that the dynamic linker has loaded (ELF files: the program and its shared libraries): finding one, the symbols
 * that it defines, and the slots through which it reaches those of others.
 *
 * We read what the dynamic linker itself has read and used. dlsym() does not do: it finds no symbol of a module that came
 * with RTLD_LOCAL, and it may not be asked about a module whose loading has not ended.
 */
#ifndef TRACEMORTEM_TRACER_MODULES_H
#define TRACEMORTEM_TRACER_MODULES_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct module {
    ElfW(Addr) base;
    const char *path; // the dynamic linker's; "" for the program
    const ElfW(Phdr) * segments;
    unsigned segment_count;
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *gnu_hash, *hash; // the tables that find a symbol by its name; NULL: absent
    const ElfW(Rela) * tables[2];    // relocations of data, and of functions
    size_t sizes[2];                 // bytes
    const ElfW(Phdr) * read_only;    // the segment that is read-only after relocation, or NULL
};

/** False: it has no symbols. */
bool module_init(struct module *module, const struct dl_phdr_info *info);

/** The segment that contains an address; NULL: none of the module's does. */
const ElfW(Phdr) * module_segment(const struct module *module, const void *address);

/** Whether an address is in one of the module's segments. */
bool module_contains(const struct module *module, const void *address);

/** The module that contains an address. False: none does. */
bool module_at(struct module *module, const void *address);

/** The address of what a module defines and exports by this name; NULL: nothing. */
void *module_symbol(const struct module *module, const char *name);

/** What a slot for the symbol `name` shall point to, in place of what it points to now; NULL: leave it as it is. */
typedef void *(*module_chooser)(void *context, const char *name, void *now);

/**
 * Change the slots through which a module reaches symbols of others. Only from within a call of dl_iterate_phdr(): its lock
 * is what keeps other threads from changing the same page. False: a page could not be made writable.
 */
bool module_change_slots(const struct module *module, module_chooser choose, void *context);

#endif
