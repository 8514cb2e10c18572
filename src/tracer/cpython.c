// The running interpreter: its version, whether it keeps to the facts of it, and its thread states.
// Knows nothing of the trace table but the names of the line table formats.

#define _GNU_SOURCE
#include "cpython.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "layout/trace_table.h"

struct cpython cpython;

static const struct cpython_description descriptions[] = {
    {.version = 0x30d, .thread = 176, .frame = 232, .code = 280},
    {.version = 0x30e, .thread = 200, .frame = 256, .code = 320},
    {.version = 0x30f, .thread = 200, .frame = 320, .code = 384},
};

const struct cpython_description *cpython_description_of(uint32_t version)
{
    for (size_t i = 0; i < sizeof descriptions / sizeof *descriptions; i++)
        if (descriptions[i].version == version)
            return &descriptions[i];
    return NULL;
}

bool cpython_present(void)
{
    return Py_GetVersion != NULL && PyMem_SetAllocator != NULL;
}

/** "3.13.0rc2 (main, …" as PY_VERSION_HEX; 0 if it does not look like that. */
static uint32_t parse_version(const char *text)
{
    char *end;
    unsigned long major = strtoul(text, &end, 10);
    if (*end != '.')
        return 0;
    unsigned long minor = strtoul(end + 1, &end, 10);
    unsigned long micro = *end == '.' ? strtoul(end + 1, &end, 10) : 0;
    unsigned long level = 0xf, serial = 0;
    if (*end == 'a' || *end == 'b' || *end == 'r') {
        level = *end == 'r' ? 0xc : (unsigned long)*end - 'a' + 0xa;
        end += *end == 'r' ? 2 : 1;
        serial = strtoul(end, &end, 10);
    }
    if (major > 255 || minor > 255 || micro > 255 || serial > 15)
        return 0;
    return (uint32_t)(major << 24 | minor << 16 | micro << 8 | level << 4 | serial);
}

const struct cpython_facts *cpython_facts_of(uint32_t version, bool free_threaded)
{
    if (free_threaded)
        return version == 0x30d ? &cpython_3_13t : version == 0x30e || version == 0x30f ? &cpython_3_14t : NULL;
    switch (version) {
    case 0x308:
    case 0x309:
        return &cpython_3_8;
    case 0x30a:
        return &cpython_3_10;
    case 0x30b:
        return &cpython_3_11;
    case 0x30c:
        return &cpython_3_12;
    case 0x30d:
        return &cpython_3_13;
    case 0x30e:
    case 0x30f:
        return &cpython_3_14;
    default:
        return NULL;
    }
}

// ---------------------------------------------------------------------------------------------------------------
// What the interpreter tells of itself, before it has any frame: the members of its types, and from 3.13 on the description.

// PyTypeObject: the same in all of them, behind the head which all objects have.
enum { TYPE_BASIC_SIZE = 16, TYPE_MEMBERS = 224 };

struct member {
    const char *name; // NULL: the last one
    int type;
    Py_ssize_t offset;
    int flags;
    const char *documentation;
};

/** Whether a type has its member there, or hides where it is. */
static bool member_is_at(const PyTypeObject *type, const char *name, uint16_t offset)
{
    const struct member *member = FIELD(const struct member *, type, cpython.facts->object_size + TYPE_MEMBERS);
    for (; member != NULL && member->name != NULL; member++)
        if (strcmp(member->name, name) == 0)
            return member->offset == offset;
    return true;
}

static bool types_are_known(const struct cpython_facts *facts)
{
    bool has_code = facts->code_first_traceable == 0; // as an object of its own, and not at the code object's end
    return member_is_at(&PyCode_Type, "co_firstlineno", facts->code_first_line) &&
           member_is_at(&PyCode_Type, "co_filename", facts->code_filename) &&
           member_is_at(&PyCode_Type, has_code ? "co_name" : "co_qualname", facts->code_name) &&
           member_is_at(&PyCode_Type, facts->version < 0x30a ? "co_lnotab" : "co_linetable", facts->code_lines) &&
           (has_code ? member_is_at(&PyCode_Type, "co_code", facts->code_bytecode)
                     : FIELD(Py_ssize_t, &PyCode_Type, facts->object_size + TYPE_BASIC_SIZE) == facts->code_bytecode) &&
           (facts->frame_owner >= 0 || (member_is_at(&PyFrame_Type, "f_code", facts->frame_code) &&
                                        member_is_at(&PyFrame_Type, "f_back", facts->frame_previous)));
}

enum { DESCRIPTION_FREE_THREADED = 16 };

static bool description_is_known(const struct cpython_facts *facts, uint32_t version)
{
    const struct cpython_description *where = cpython_description_of(version);
    if (where == NULL)
        return true;
    if (_PyRuntime == NULL || memcmp(_PyRuntime, "xdebugpy", 8) != 0)
        return false;
    const uint64_t *thread = (const uint64_t *)(_PyRuntime + where->thread);
    const uint64_t *frame = (const uint64_t *)(_PyRuntime + where->frame);
    const uint64_t *code = (const uint64_t *)(_PyRuntime + where->code);
    // In the order of the description; what stands between is not ours.
    return thread[0] == THREAD_INTERPRETER && thread[1] == facts->thread_frame && frame[0] == facts->frame_previous &&
           frame[1] == facts->frame_code && frame[2] == facts->frame_instruction &&
           frame[4] == (uint64_t)facts->frame_owner && code[0] == facts->code_filename && code[2] == facts->code_name &&
           code[3] == facts->code_lines && code[4] == facts->code_first_line && code[8] == facts->code_bytecode &&
           (facts->code_copies == 0 || (frame[6] == facts->frame_copy && code[9] == facts->code_copies));
}

/** By the description, where there is one as we know it; the version's text tells too. */
static bool is_free_threaded(uint32_t version, const char *text)
{
    bool described = cpython_description_of(version) != NULL && _PyRuntime != NULL &&
                     memcmp(_PyRuntime, "xdebugpy", 8) == 0 &&
                     FIELD(uint64_t, _PyRuntime, DESCRIPTION_FREE_THREADED) != 0;
    return described || strstr(text, "free-threading") != NULL;
}

const char *cpython_attach(void)
{
    const char *text = Py_GetVersion();
    cpython.version_hex = parse_version(text);
    uint32_t version = cpython.version_hex >> 16;
    cpython.facts = cpython_facts_of(version, is_free_threaded(version, text));
    if (cpython.facts == NULL)
        return "this CPython's version is not one of 3.8 to 3.15";
    if ((cpython.version_hex >> 4 & 0xf) < 0xc)
        return "alpha and beta releases of CPython are not supported";
    if (!types_are_known(cpython.facts) || !description_is_known(cpython.facts, version))
        return "this CPython does not keep its code objects and frames as its version should; a build of its own?";
    cpython.debug_build = _Py_NegativeRefcount != NULL;
    cpython.lock_is_global = version < 0x30c;
    cpython.counts_frames = version >= 0x309;
    cpython.current_thread =
        PyThreadState_GetUnchecked != NULL ? PyThreadState_GetUnchecked : _PyThreadState_UncheckedGet;
    if (cpython.current_thread == NULL)
        return "this CPython does not export its thread state";
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// What its frames tell, read without trust

/** Where a sandbox forbids process_vm_readv(): the kernel tells as well when it is to write what is not there. */
static bool read_through_pipe(const void *address, void *buffer, size_t length)
{
    int ends[2];
    if (length > PIPE_BUF || pipe2(ends, O_CLOEXEC) != 0)
        return false;
    bool good = write(ends[1], address, length) == (ssize_t)length && read(ends[0], buffer, length) == (ssize_t)length;
    close(ends[0]);
    close(ends[1]);
    return good;
}

bool cpython_read(const void *address, void *buffer, size_t length)
{
    struct iovec local = {buffer, length}, remote = {(void *)address, length};
    ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
    if (got == (ssize_t)length)
        return true;
    return got < 0 && errno != EFAULT && read_through_pipe(address, buffer, length);
}

static bool read_word(const void *base, size_t offset, uintptr_t *word)
{
    return cpython_read((const char *)base + offset, word, sizeof *word);
}

static bool code_makes_sense(const struct cpython_facts *facts, const void *code)
{
    uintptr_t type, filename, filename_type, lines, lines_type;
    return read_word(code, facts->object_type, &type) && type == (uintptr_t)&PyCode_Type &&
           read_word(code, facts->code_filename, &filename) &&
           read_word((const void *)filename, facts->object_type, &filename_type) &&
           filename_type == (uintptr_t)&PyUnicode_Type && read_word(code, facts->code_lines, &lines) &&
           read_word((const void *)lines, facts->object_type, &lines_type) && lines_type == (uintptr_t)&PyBytes_Type;
}

/** The address of the bytecode which a frame runs: its code object's, or one of the copies. */
static bool read_bytecode(const struct cpython_facts *facts, const void *frame, const void *code, uintptr_t *bytecode)
{
    uintptr_t copies, count;
    int32_t copy = -1;
    *bytecode = (uintptr_t)code + facts->code_bytecode;
    if (facts->code_copies == 0)
        return true;
    return read_word(code, facts->code_copies, &copies) && read_word((const void *)copies, 0, &count) &&
           cpython_read((const char *)frame + facts->frame_copy, &copy, sizeof copy) && copy >= 0 &&
           (uintptr_t)copy < count &&
           read_word((const void *)copies, COPIES_ENTRIES + (uintptr_t)copy * sizeof *bytecode, bytecode);
}

/** Whether a complete or nearly complete frame is at an instruction of its code; *behind: how far behind the first one. */
static bool instruction_makes_sense(const struct cpython_facts *facts, const void *frame, const void *code,
                                    intptr_t *behind)
{
    uintptr_t instruction, size, bytecode;
    int offset = 0;
    if (facts->instruction_unit == 0) {
        if (!read_word(frame, facts->frame_instruction, &instruction) || !read_word(code, facts->object_size, &size) ||
            !read_bytecode(facts, frame, code, &bytecode))
            return false;
        *behind = (intptr_t)(instruction - bytecode);
        size *= CODE_UNIT;
    } else {
        if (!cpython_read((const char *)frame + facts->frame_instruction, &offset, sizeof offset) ||
            !read_word(code, facts->code_bytecode, &bytecode) ||
            !read_word((const void *)bytecode, facts->object_size, &size))
            return false;
        *behind = (intptr_t)offset * facts->instruction_unit;
    }
    return *behind >= -CODE_UNIT && *behind <= (intptr_t)size;
}

/** What a look at the frames has met so far. */
struct look {
    unsigned frames; // of Python's
    unsigned idle;   // callers which are not behind their first instruction, where hardly anything is called
    bool internal;   // one was the interpreter's own
};

static bool frame_makes_sense(const struct cpython_facts *facts, const void *frame, struct look *look)
{
    unsigned char owner = 0;
    uintptr_t code;
    intptr_t behind;
    if (facts->frame_owner >= 0 && !cpython_read((const char *)frame + facts->frame_owner, &owner, 1))
        return false;
    if (owner > 4)
        return false;
    if (facts->owner_skip != 0 && owner >= facts->owner_skip) {
        look->internal = true;
        return true;
    }
    if (!read_word(frame, facts->frame_code, &code))
        return false;
    code &= ~(uintptr_t)facts->frame_code_tags;
    if (!code_makes_sense(facts, (const void *)code) ||
        !instruction_makes_sense(facts, frame, (const void *)code, &behind))
        return false;
    if (look->frames++ > 0 && behind <= 0)
        look->idle++;
    return true;
}

static enum cpython_frames look_at_frames(const void *thread)
{
    const struct cpython_facts *facts = cpython.facts;
    struct look look = {0};
    uintptr_t frame;
    int steps = 0;
    if (thread == NULL)
        return CPYTHON_FRAMES_NONE;
    if (!read_word(thread, facts->thread_frame, &frame))
        return CPYTHON_FRAMES_STRANGE;
    if (facts->cframe_frame >= 0 && frame != 0 && !read_word((const void *)frame, (size_t)facts->cframe_frame, &frame))
        return CPYTHON_FRAMES_STRANGE;
    for (; frame != 0 && steps < 32; steps++) {
        if (!frame_makes_sense(facts, (const void *)frame, &look) ||
            !read_word((const void *)frame, facts->frame_previous, &frame))
            return CPYTHON_FRAMES_STRANGE;
    }
    // Where the interpreter has frames of its own, the oldest is one.
    if (steps > 0 && frame == 0 && facts->owner_skip != 0 && !look.internal)
        return CPYTHON_FRAMES_STRANGE;
    if (look.frames == 0)
        return CPYTHON_FRAMES_NONE;
    return look.frames > 1 && look.idle == 0 ? CPYTHON_FRAMES_CALL : CPYTHON_FRAMES_RUN;
}

enum cpython_frames cpython_look_at_frames(const void *thread)
{
    enum cpython_frames found = look_at_frames(thread);
    if (found > __atomic_load_n(&cpython.frames, __ATOMIC_RELAXED))
        __atomic_store_n(&cpython.frames, found, __ATOMIC_RELAXED);
    return found;
}

/**
 * Look at the frames before they are read for the first time, which is while the interpreter starts, at any allocation. One
 * which keeps them elsewhere must come as far as to be refused.
 */
static bool frames_become_known(const PyThreadState *thread)
{
    static __thread uintptr_t looked_at; // a word which did not lead to a frame
    if (thread == NULL || FIELD(uintptr_t, thread, cpython.facts->thread_frame) == looked_at)
        return false;
    looked_at = FIELD(uintptr_t, thread, cpython.facts->thread_frame);
    return cpython_look_at_frames(thread) >= CPYTHON_FRAMES_RUN;
}

// ---------------------------------------------------------------------------------------------------------------
// Threads, and functions

// From 3.12 on the current thread state is in a thread-local variable, and where CPython is a shared library its function
// has to ask the dynamic linker for it at each call. We ask once a thread. The variable is the only thread-local one which
// holds a thread state: the only word of CPython's thread-local memory which equals what the function answers.

__thread PyThreadState *const *cpython_thread_variable;

static struct {
    unsigned long module, offset; // as the dynamic linker wants them; it calls this a tls_index
} thread_variable;                // module 0: not found

extern void *__tls_get_addr(void *index);

static bool module_holds(const struct dl_phdr_info *module, uintptr_t address)
{
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &module->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && address - (module->dlpi_addr + segment->p_vaddr) < segment->p_memsz)
            return true;
    }
    return false;
}

/** Look for the thread state which `context` points to in the thread-local memory of CPython's module. */
static int search_thread_locals(struct dl_phdr_info *module, size_t size, void *context)
{
    const PyThreadState *thread = context;
    if (size < sizeof *module || !module_holds(module, (uintptr_t)cpython.current_thread))
        return 0;
    const char *memory = module->dlpi_tls_data;
    unsigned long found = 0, offset = 0;
    for (int i = 0; i < module->dlpi_phnum && memory != NULL; i++) {
        if (module->dlpi_phdr[i].p_type != PT_TLS)
            continue;
        for (unsigned long at = 0; at + sizeof thread <= module->dlpi_phdr[i].p_memsz; at += sizeof thread)
            if (FIELD(const PyThreadState *, memory, at) == thread) {
                found++;
                offset = at;
            }
    }
    if (found == 1) {
        thread_variable.offset = offset;
        __atomic_store_n(&thread_variable.module, module->dlpi_tls_modid, __ATOMIC_RELEASE);
    }
    return 1;
}

void cpython_find_current_thread(void)
{
    PyThreadState *thread = cpython.current_thread();
    if (cpython.facts->version >= 0x30c && thread_variable.module == 0 && thread != NULL)
        dl_iterate_phdr(search_thread_locals, thread);
}

PyThreadState *cpython_ask_current_thread(void)
{
    PyThreadState *thread = cpython.current_thread();
    if (!cpython_frames_are_known() && !frames_become_known(thread))
        return NULL;
    if (__atomic_load_n(&thread_variable.module, __ATOMIC_ACQUIRE) != 0) {
        PyThreadState *const *variable = __tls_get_addr(&thread_variable);
        if (*variable == thread)
            cpython_thread_variable = variable;
    }
    return thread;
}

static bool is_finalizing(void)
{
    return Py_IsFinalizing != NULL ? Py_IsFinalizing() : _Py_IsFinalizing != NULL && _Py_IsFinalizing();
}

bool cpython_own_frames_are_known(void)
{
    // To 3.11 a thread which runs another interpreter has put that one's state in the place of its own, and nothing tells
    // whether it has, or whether another thread does while this one waits.
    bool may_run_another = cpython.lock_is_global && PyInterpreterState_Head() != PyInterpreterState_Main();
    // A thread state may be gone while the interpreter goes away.
    return cpython_frames_are_known() && !may_run_another && !is_finalizing();
}

void *cpython_function(const char *name)
{
    // Preloaded, we come before the interpreter; imported, ours are not among the program's symbols.
    void *function = dlsym(RTLD_NEXT, name);
    return function != NULL ? function : dlsym(RTLD_DEFAULT, name);
}
