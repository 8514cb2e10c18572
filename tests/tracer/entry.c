/**
 * Functions with all kinds of first instructions are redirected by their entries (src/tracer/entry.h), and come back to what
 * they were. Where a jump could do harm, none is written.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "tracer/entry.h"

typedef int (*function)(int);

/** A function that adds 1 to its argument. It is longer than what is looked at. */
#define FUNCTION(name, first, last)                                                          \
    extern int name(int);                                                                    \
    __asm__(".pushsection .text\n.p2align 4\n.type " #name ", @function\n" #name ":\n" first \
            "lea 1(%rdi), %eax\n" last "ret\n.skip 64, 0x90\n.size " #name ", . - " #name "\n.popsection\n")

FUNCTION(pushes, "push %rbp\npush %rbx\nsub $8, %rsp\n", "add $8, %rsp\npop %rbx\npop %rbp\n");
FUNCTION(pushes_more, "push %r15\npush %r14\npush %r13\n", "pop %r13\npop %r14\npop %r15\n");
FUNCTION(has_frame_pointer, "push %rbp\nmov %rsp, %rbp\nsub $0x100, %rsp\n", "leave\n");
FUNCTION(loads, "mov variable(%rip), %rax\npush %rbx\n", "pop %rbx\n");
FUNCTION(loads_int, "mov variable(%rip), %eax\ntest %eax, %eax\n", "");
FUNCTION(compares, "cmpl $0, variable(%rip)\n", "");
FUNCTION(uses_stack, "mov %rdi, -8(%rsp)\nlea -64(%rsp,%rax,8), %rdx\n", "");
FUNCTION(has_endbr, "endbr64\npush %rbx\nmov %rdi, %rbx\nsub $16, %rsp\n", "add $16, %rsp\npop %rbx\n");
FUNCTION(has_breakpoint, "int3\nmov variable(%rip), %rax\n", "");
FUNCTION(has_second_breakpoint, "push %rbx\nint3\nmov variable(%rip), %rax\n", "pop %rbx\n");
FUNCTION(is_traced, "call other\nmov variable(%rip), %rax\n", "");
FUNCTION(is_jumped_over, "jmp 1f\n.byte 0x90, 0x90, 0x90\n1:\n", "");
FUNCTION(is_hooked, ".byte 0xff, 0x25\n.long variable - . - 4\n", "");
FUNCTION(loops, "push %rbx\n1: mov %rdi, %rbx\nxor %eax, %eax\ntest %eax, %eax\njne 1b\n", "pop %rbx\n");
FUNCTION(loops_far, "push %rbx\n1: mov %rdi, %rbx\nxor %eax, %eax\n.skip 300, 0x90\ntest %eax, %eax\njne 1b\n",
         "pop %rbx\n");
FUNCTION(is_patched, "nopl 0(%rax,%rax,1)\nmov variable(%rip), %rax\n", "");
extern int other(int);
__asm__(".pushsection .text\nother: ret\n.popsection\n.pushsection .data\nvariable: .quad 0\n.popsection\n");

static int twice(int argument)
{
    return 2 * argument;
}

static int failed;

static void require(int condition, const char *name, const char *what)
{
    if (condition)
        return;
    printf("%s: %s\n", name, what);
    failed = 1;
}

enum { LOOKED_AT = 64 };

/** With the record far away, or near: the jump reaches its target in two ways. */
static void comes_and_goes_by(struct entry *entry, int is_far, const char *name, function redirected)
{
    unsigned char before[LOOKED_AT];
    memcpy(before, (void *)redirected, sizeof before);
    for (int round = 0; round < 3; round++) {
        require(redirected(20) == 21, name, "is not itself");
        require(entry_redirect(entry, (void *)redirected, (void *)twice), name, "was not redirected");
        require((entry->page != NULL) == is_far, name, "has its target elsewhere");
        require(redirected(20) == 40, name, "was not replaced");
        int other_bytes = 0;
        for (int i = 0; i < LOOKED_AT; i++)
            other_bytes += ((unsigned char *)redirected)[i] != before[i] &&
                           (i < entry->at - (unsigned char *)redirected ||
                            i >= entry->at - (unsigned char *)redirected + ENTRY_JUMP);
        require(other_bytes == 0, name, "other bytes were changed");
        require(entry_restore(entry), name, "was not restored");
        require(memcmp(before, (void *)redirected, sizeof before) == 0 && redirected(20) == 21, name,
                "is another one now");
    }
}

static void comes_and_goes(const char *name, function redirected)
{
    static struct entry near;
    static struct entry *far;
    if (far == NULL)
        far = mmap(NULL, sizeof *far, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    comes_and_goes_by(&near, 0, name, redirected);
    comes_and_goes_by(far, 1, name, redirected);
}

static void stays(const char *name, function redirected)
{
    static struct entry entry;
    unsigned char before[LOOKED_AT];
    memcpy(before, (void *)redirected, sizeof before);
    require(!entry_redirect(&entry, (void *)redirected, (void *)twice), name, "was redirected");
    require(entry.at == NULL && memcmp(before, (void *)redirected, sizeof before) == 0, name, "was changed");
    require(entry_restore(&entry), name, "could not be left alone");
}

/** What a debugger does at the jump's first byte, and then takes away. */
static void survives_a_breakpoint(function redirected)
{
    static struct entry entry;
    unsigned char *code = (unsigned char *)redirected, *page = (unsigned char *)((uintptr_t)code & ~(uintptr_t)4095);
    require(entry_redirect(&entry, code, (void *)twice), "breakpoint", "was not redirected");
    mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    unsigned char kept = *code;
    *code = 0xcc;
    require(!entry_restore(&entry) && *code == 0xcc && entry.at != NULL, "breakpoint", "was overwritten");
    *code = kept;
    require(redirected(20) == 40, "breakpoint", "the jump is lost");
    require(entry_restore(&entry) && redirected(20) == 21, "breakpoint", "was not restored");
    mprotect(page, 8192, PROT_READ | PROT_EXEC);
}

#define EACH(check, ...)                                      \
    do {                                                      \
        const struct {                                        \
            const char *name;                                 \
            function redirected;                              \
        } all[] = {__VA_ARGS__};                              \
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) \
            check(all[i].name, all[i].redirected);            \
    } while (0)
#define F(name)     \
    {               \
#name, name \
    }

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "sealed") == 0) {
        if (prctl(65 /* PR_SET_MDWE */, 1, 0, 0, 0) != 0)
            return 77;
        EACH(stays, F(pushes), F(loads), F(has_endbr));
        return failed;
    }
    EACH(comes_and_goes, F(pushes), F(pushes_more), F(has_frame_pointer), F(loads), F(loads_int), F(compares),
         F(uses_stack), F(has_endbr));
    EACH(stays, F(has_breakpoint), F(has_second_breakpoint), F(is_traced), F(is_jumped_over), F(is_hooked), F(loops),
         F(loops_far), F(is_patched));
    survives_a_breakpoint(loads);
    void *data = calloc(1, 4096), *text = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EACH(stays, {"data", (function)data}, {"no module's", (function)text}, {"own data", (function)(void *)&failed});
    return failed;
}
