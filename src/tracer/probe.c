// Runs a function on a clean stack, and reads the stack from below. Knows modules and machine code, and nothing of CPython.

#define _GNU_SOURCE
#include "probe.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "modules.h"

#if defined(__x86_64__)

static __thread const uintptr_t *top; // NULL: this thread does not probe
static struct module probed;          // changes with the interpreter's lock only

// probe_call(function, object, where): call function(object). *where: the end of its stack. The stack that it is going to
// use was used by others before, and then by nobody, since signals are blocked.
enum { CLEAN_BYTES = 2048 };
extern void probe_call(void *function, void *object, const uintptr_t **where);
__asm__(".pushsection .text\n"
        ".type probe_call, @function\n"
        ".hidden probe_call\n"
        "probe_call:\n"
        "  .cfi_startproc\n"
        "  push %rbx\n  .cfi_adjust_cfa_offset 8\n  .cfi_rel_offset %rbx, 0\n"
        "  push %rbp\n  .cfi_adjust_cfa_offset 8\n  .cfi_rel_offset %rbp, 0\n"
        "  push %r12\n  .cfi_adjust_cfa_offset 8\n  .cfi_rel_offset %r12, 0\n"
        "  push %r13\n  .cfi_adjust_cfa_offset 8\n  .cfi_rel_offset %r13, 0\n"
        "  push %r14\n  .cfi_adjust_cfa_offset 8\n  .cfi_rel_offset %r14, 0\n"
        "  push %r15\n  .cfi_adjust_cfa_offset 8\n  .cfi_rel_offset %r15, 0\n"
        "  sub $8, %rsp\n  .cfi_adjust_cfa_offset 8\n"
        "  mov %rsp, (%rdx)\n"
        "  mov %rdi, %r9\n"
        "  mov %rsi, %r8\n"
        "  lea -2048(%rsp), %rdi\n" // CLEAN_BYTES
        "  xor %eax, %eax\n"
        "  mov $256, %ecx\n"
        "  rep stosq\n"
        "  mov %r8, %rdi\n"
        "  xor %esi, %esi\n  xor %edx, %edx\n"
        "  xor %ebx, %ebx\n  xor %ebp, %ebp\n"
        "  xor %r12d, %r12d\n  xor %r13d, %r13d\n  xor %r14d, %r14d\n  xor %r15d, %r15d\n"
        "  call *%r9\n"
        "  add $8, %rsp\n  .cfi_adjust_cfa_offset -8\n"
        "  pop %r15\n  .cfi_adjust_cfa_offset -8\n  .cfi_restore %r15\n"
        "  pop %r14\n  .cfi_adjust_cfa_offset -8\n  .cfi_restore %r14\n"
        "  pop %r13\n  .cfi_adjust_cfa_offset -8\n  .cfi_restore %r13\n"
        "  pop %r12\n  .cfi_adjust_cfa_offset -8\n  .cfi_restore %r12\n"
        "  pop %rbp\n  .cfi_adjust_cfa_offset -8\n  .cfi_restore %rbp\n"
        "  pop %rbx\n  .cfi_adjust_cfa_offset -8\n  .cfi_restore %rbx\n"
        "  ret\n"
        "  .cfi_endproc\n"
        ".size probe_call, . - probe_call\n"
        ".popsection\n");

bool probe_run(void *function, void *object)
{
    sigset_t all, before;
    if (!module_at(&probed, function))
        return false;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return false;
    probe_call(function, object, &top);
    top = NULL;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return true;
}

/** The readable code that contains an address; NULL: it is no such code. */
static const ElfW(Phdr) * code_at(uintptr_t address)
{
    const ElfW(Phdr) *segment = module_segment(&probed, (void *)address);
    return segment != NULL && (segment->p_flags & (PF_R | PF_X)) == (PF_R | PF_X) ? segment : NULL;
}

bool probe_path(const uintptr_t *lowest, struct probe_path *path)
{
    path->count = 0;
    if (top == NULL || lowest >= top || top - lowest > CLEAN_BYTES / (ptrdiff_t)sizeof *top)
        return false;
    // The first word below the top is the return address into probe_call(), in another module.
    for (const uintptr_t *word = top - 1; word >= lowest; word--) {
        if (code_at(*word) == NULL)
            continue;
        if (path->count == PROBE_STEPS)
            return false;
        path->steps[path->count++] = (struct probe_step){word, *word};
    }
    return path->count > 0;
}

/** Where the function at `code` really is, if that is a stub of the linker. */
static uintptr_t behind_stub(uintptr_t code)
{
    static const unsigned char endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa}, bnd[] = {0xf2}, jump_by_word[] = {0xff, 0x25};
    const unsigned char *at = (const unsigned char *)code;
    int32_t distance;
    at += memcmp(at, endbr64, sizeof endbr64) == 0 ? sizeof endbr64 : 0;
    at += memcmp(at, bnd, sizeof bnd) == 0 ? sizeof bnd : 0;
    if (memcmp(at, jump_by_word, sizeof jump_by_word) != 0)
        return code;
    at += sizeof jump_by_word;
    memcpy(&distance, at, sizeof distance);
    const uintptr_t *slot = (const uintptr_t *)(at + sizeof distance + distance);
    return module_contains(&probed, slot) && (uintptr_t)slot % sizeof *slot == 0 ? *slot : 0;
}

void *probe_called(uintptr_t address)
{
    enum { CALL = 0xe8, CALL_BYTES = 5, LONGEST_STUB = 16 };
    const ElfW(Phdr) *segment = code_at(address);
    int32_t distance;
    if (segment == NULL || code_at(address - CALL_BYTES) != segment ||
        *(const unsigned char *)(address - CALL_BYTES) != CALL)
        return NULL;
    memcpy(&distance, (const void *)(address - sizeof distance), sizeof distance);
    uintptr_t called = address + (uintptr_t)distance;
    if (code_at(called) == NULL || code_at(called + LONGEST_STUB) == NULL)
        return NULL;
    called = behind_stub(called);
    return code_at(called) == NULL ? NULL : (void *)called;
}

#else

bool probe_run(void *function, void *object)
{
    (void)function;
    (void)object;
    return false;
}

bool probe_path(const uintptr_t *lowest, struct probe_path *path)
{
    (void)lowest;
    path->count = 0;
    return false;
}

void *probe_called(uintptr_t address)
{
    (void)address;
    return NULL;
}

#endif
