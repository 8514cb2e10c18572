// A jump in place of a function's first bytes. Knows x86-64 machine code and modules, and nothing of CPython.
//
// The jump is `jmp *word(%rip)`, six bytes. It needs no register, and reaches any address through a word near the function.
// Of the instructions that we know to begin functions, six bytes cover one to four.

#define _GNU_SOURCE
#include "entry.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "modules.h"
#include "pages.h"

#if defined(__x86_64__)

// ---------------------------------------------------------------------------------------------------------------
// What is there

/** The length of an instruction's ModRM byte and the address after it. */
static unsigned operand_length(const unsigned char *modrm)
{
    unsigned mode = *modrm >> 6, base = *modrm & 7, length = 1;
    if (mode == 3)
        return length;
    bool has_sib = base == 4;
    if (has_sib)
        base = modrm[length++] & 7;
    if (mode == 1)
        return length + 1;
    return length + (mode == 2 || base == 5 ? 4 : 0);
}

/** The length of an instruction that may begin a function, and that does not jump. 0: it is another one. */
static unsigned plain_length(const unsigned char *code)
{
    unsigned rex = (*code & 0xf0) == 0x40;
    code += rex;
    switch (*code) {
    case 0x50 ... 0x57: // push
        return rex + 1;
    case 0x31: // xor
    case 0x33:
    case 0x85: // test
    case 0x89: // mov
    case 0x8b:
    case 0x8d: // lea
        return rex + 1 + operand_length(code + 1);
    case 0x80: // cmp, sub and the like, with a byte
    case 0x83:
        return rex + 1 + operand_length(code + 1) + 1;
    case 0x81:
        return rex + 1 + operand_length(code + 1) + 4;
    default:
        return 0;
    }
}

enum {
    LONGEST = 16, // instruction
    SCANNED = 4096,
};

/** Whether the bytes that the jump replaces belong to plain instructions. A breakpoint (int3) is not one. */
static bool begins_plainly(const unsigned char *at)
{
    for (unsigned length, offset = 0; offset < ENTRY_JUMP; offset += length) {
        length = plain_length(at + offset);
        if (length == 0)
            return false;
    }
    return true;
}

/** Where a jump or call leads if one is here; 0: there is none here. Wherever bytes look like one, one may be. */
static uintptr_t branch_target(const unsigned char *code)
{
    int32_t distance;
    uintptr_t next;
    if ((*code & 0xf0) == 0x70 || *code == 0xeb || (*code & 0xfc) == 0xe0)
        return (uintptr_t)code + 2 + (uintptr_t)(int8_t)code[1];
    if (*code == 0xe8 || *code == 0xe9)
        next = (uintptr_t)code + 5;
    else if (*code == 0x0f && (code[1] & 0xf0) == 0x80)
        next = (uintptr_t)code + 6;
    else
        return 0;
    memcpy(&distance, (void *)(next - sizeof distance), sizeof distance);
    return next + (uintptr_t)distance;
}

/** Whether code near the function may jump between the bytes that the jump replaces. Looks too often like it, never too
 * seldom. */
static bool is_jumped_into(const unsigned char *at, const unsigned char *first, const unsigned char *end)
{
    const unsigned char *low = at - first > SCANNED ? at - SCANNED : first;
    const unsigned char *high = end - at > SCANNED ? at + SCANNED : end - LONGEST;
    for (const unsigned char *code = low; code < high; code++) {
        bool replaced = code >= at && code < at + ENTRY_JUMP;
        if (!replaced && branch_target(code) - (uintptr_t)at - 1 < ENTRY_JUMP - 1)
            return true;
    }
    return false;
}

static int protection_of(const ElfW(Phdr) * segment)
{
    return (segment->p_flags & PF_R ? PROT_READ : 0) | (segment->p_flags & PF_W ? PROT_WRITE : 0) |
           (segment->p_flags & PF_X ? PROT_EXEC : 0);
}

/** Find where the jump is to be, and keep what is there. False: better no jump. */
static bool choose_place(struct entry *entry, const struct module *module, void *function)
{
    static const unsigned char endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    const ElfW(Phdr) *segment = module_segment(module, function);
    if (segment == NULL || (segment->p_flags & (PF_R | PF_X)) != (PF_R | PF_X))
        return false;
    unsigned char *first = (unsigned char *)(module->base + segment->p_vaddr), *end = first + segment->p_filesz;
    unsigned char *at = function;
    if (end - at < 4 * LONGEST)
        return false;
    if (memcmp(at, endbr64, sizeof endbr64) == 0)
        at += sizeof endbr64;
    if (!begins_plainly(at) || is_jumped_into(at, first, end))
        return false;
    entry->at = at;
    entry->protection = protection_of(segment);
    memcpy(entry->kept, at, ENTRY_JUMP);
    return true;
}

// ---------------------------------------------------------------------------------------------------------------
// The jump

static bool reaches(const struct entry *entry, const void *word)
{
    intptr_t distance = (intptr_t)((uintptr_t)word - ((uintptr_t)entry->at + ENTRY_JUMP));
    return distance == (int32_t)distance;
}

/** Below the module, where neither its own memory nor the heap grows. */
static void *map_page_near(const struct entry *entry, const struct module *module)
{
    uintptr_t first = UINTPTR_MAX;
    for (unsigned i = 0; i < module->segment_count; i++) {
        const ElfW(Phdr) *segment = &module->segments[i];
        if (segment->p_type == PT_LOAD && module->base + segment->p_vaddr < first)
            first = module->base + segment->p_vaddr;
    }
    first &= ~(uintptr_t)(PAGE_BYTES - 1);
    for (uintptr_t distance = 16 * PAGE_BYTES; distance < 1u << 30 && distance < first; distance *= 4) {
        void *page = pages_map_at(first - distance, PAGE_BYTES);
        if (page != NULL && reaches(entry, page))
            return page;
        if (page != NULL)
            pages_unmap(page, PAGE_BYTES);
    }
    return NULL;
}

/** The word through which the jump reaches its target. False: there is no place for it. */
static bool choose_word(struct entry *entry, const struct module *module)
{
    entry->page = reaches(entry, &entry->own_target) ? NULL : map_page_near(entry, module);
    entry->target = entry->page == NULL ? &entry->own_target : entry->page;
    return reaches(entry, entry->target);
}

static void make_jump(struct entry *entry)
{
    static const unsigned char jump_by_word[] = {0xff, 0x25};
    int32_t distance = (int32_t)((uintptr_t)entry->target - ((uintptr_t)entry->at + ENTRY_JUMP));
    memcpy(entry->jump, jump_by_word, sizeof jump_by_word);
    memcpy(entry->jump + sizeof jump_by_word, &distance, sizeof distance);
}

/** Other threads may be running other code of the same page, so it stays executable. */
static bool write_code(const struct entry *entry, const unsigned char *code)
{
    int saved = errno;
    uintptr_t page = (uintptr_t)entry->at & ~(uintptr_t)(PAGE_BYTES - 1);
    size_t size = (uintptr_t)entry->at + ENTRY_JUMP - page;
    bool writable = mprotect((void *)page, size, entry->protection | PROT_WRITE) == 0;
    if (writable) {
        memcpy(entry->at, code, ENTRY_JUMP);
        mprotect((void *)page, size, entry->protection);
    }
    errno = saved;
    return writable;
}

static void forget(struct entry *entry)
{
    if (entry->page != NULL)
        pages_unmap(entry->page, PAGE_BYTES);
    *entry = (struct entry){0};
}

bool entry_redirect(struct entry *entry, void *function, void *to)
{
    struct module module;
    *entry = (struct entry){0};
    if (!module_at(&module, function) || !choose_place(entry, &module, function) || !choose_word(entry, &module)) {
        forget(entry);
        return false;
    }
    *entry->target = to;
    make_jump(entry);
    if (!write_code(entry, entry->jump)) {
        forget(entry);
        return false;
    }
    return true;
}

bool entry_restore(struct entry *entry)
{
    struct module module;
    bool here = entry->at != NULL && module_at(&module, entry->at) && module_segment(&module, entry->at) != NULL;
    if (here && (memcmp(entry->at, entry->jump, ENTRY_JUMP) != 0 || !write_code(entry, entry->kept)))
        return false;
    forget(entry);
    return true;
}

#else

bool entry_redirect(struct entry *entry, void *function, void *to)
{
    (void)function;
    (void)to;
    *entry = (struct entry){0};
    return false;
}

bool entry_restore(struct entry *entry)
{
    (void)entry;
    return true;
}

#endif
