// The running interpreter: its version, whether it agrees with the facts of that version, and its thread states.
// Knows nothing of the trace table.

#define _GNU_SOURCE
#include "cpython.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "interpreter.h"
#include "modules.h"

struct cpython cpython;

/** "3.13.0rc2 (main, …" as PY_VERSION_HEX; 0 if the text has another form. */
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

// ---------------------------------------------------------------------------------------------------------------
// What the interpreter says about itself before it has any frame: the members of its types, and from 3.13 on the description.

// PyTypeObject, behind the head of every object: the same in all releases.
enum { TYPE_BASIC_SIZE = 16, TYPE_MEMBERS = 224 };

struct member {
    const char *name; // NULL: the last one
    int type;
    Py_ssize_t offset;
    int flags;
    const char *documentation;
};

/** Whether a type has its member at that offset, or does not list it. */
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
    bool has_bytes = facts->code_first_traceable == 0; // the bytecode is a bytes object, not the code object's end
    return member_is_at(&PyCode_Type, "co_firstlineno", facts->code_first_line) &&
           member_is_at(&PyCode_Type, "co_filename", facts->code_filename) &&
           member_is_at(&PyCode_Type, facts->code_name_member, facts->code_name) &&
           member_is_at(&PyCode_Type, facts->code_lines_member, facts->code_lines) &&
           (has_bytes
                ? member_is_at(&PyCode_Type, "co_code", facts->code_bytecode)
                : FIELD(Py_ssize_t, &PyCode_Type, facts->object_size + TYPE_BASIC_SIZE) == facts->code_bytecode) &&
           (facts->frame_owner >= 0 || (member_is_at(&PyFrame_Type, "f_code", facts->frame_code) &&
                                        member_is_at(&PyFrame_Type, "f_back", facts->frame_previous)));
}

enum { DESCRIPTION_FREE_THREADED = 16 };

static bool has_description(void)
{
    return _PyRuntime != NULL && memcmp(_PyRuntime, "xdebugpy", 8) == 0;
}

static bool description_is_known(const struct cpython_facts *facts)
{
    if (facts->description.thread == 0)
        return true;
    if (!has_description())
        return false;
    const uint64_t *thread = (const uint64_t *)(_PyRuntime + facts->description.thread);
    const uint64_t *frame = (const uint64_t *)(_PyRuntime + facts->description.frame);
    const uint64_t *code = (const uint64_t *)(_PyRuntime + facts->description.code);
    // In the order of the description; we do not use the words in between.
    return thread[0] == THREAD_INTERPRETER && thread[1] == facts->thread_frame && frame[0] == facts->frame_previous &&
           frame[1] == facts->frame_code && frame[2] == facts->frame_instruction &&
           frame[4] == (uint64_t)facts->frame_owner && code[0] == facts->code_filename && code[2] == facts->code_name &&
           code[3] == facts->code_lines && code[4] == facts->code_first_line && code[8] == facts->code_bytecode &&
           (facts->code_copies == 0 || (frame[6] == facts->frame_copy && code[9] == facts->code_copies));
}

/** By the description, where the version has one that we know, or by the version's text. */
static bool is_free_threaded(uint32_t version, const char *text)
{
    int family = family_of(version, true);
    bool described = family != FAMILY_UNKNOWN && family_facts(family)->description.thread != 0 && has_description() &&
                     FIELD(uint64_t, _PyRuntime, DESCRIPTION_FREE_THREADED) != 0;
    return described || strstr(text, "free-threading") != NULL;
}

static const char *refuse_version(void)
{
    static char text[80];
    uint32_t oldest = family_oldest_version(), newest = family_newest_version();
    snprintf(text, sizeof text, "this CPython's version is not one of %u.%u to %u.%u", oldest >> 8, oldest & 0xff,
             newest >> 8, newest & 0xff);
    return text;
}

const char *cpython_attach(void)
{
    interpreter_find();
    const char *text = Py_GetVersion();
    cpython.version_hex = parse_version(text);
    uint32_t version = cpython.version_hex >> 16;
    cpython.family = family_of(version, is_free_threaded(version, text));
    if (cpython.family == FAMILY_UNKNOWN)
        return refuse_version();
    cpython.facts = family_facts(cpython.family);
    if ((cpython.version_hex >> 4 & 0xf) < 0xc)
        return "alpha and beta releases of CPython are not supported";
    if (!types_are_known(cpython.facts) || !description_is_known(cpython.facts))
        return "the code objects or frames of this CPython differ from those of its version (a modified build?)";
    cpython.debug_build = _Py_NegativeRefcount != NULL;
    cpython.current_thread =
        PyThreadState_GetUnchecked != NULL ? PyThreadState_GetUnchecked : _PyThreadState_UncheckedGet;
    if (cpython.current_thread == NULL)
        return "this CPython does not export its thread state";
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Looking at frames which may not be where the facts say

/** For sandboxes that forbid process_vm_readv(): write() fails as well if what it shall write is absent. */
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

/** The address of the bytecode that a frame runs: its code object's own, or one of the copies. */
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

/** Whether a frame is at an instruction of its code, or just before the first one; *behind: how far behind the first. */
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

/** What a look at the frames has found so far. */
struct look {
    unsigned frames; // of Python code
    unsigned idle;   // callers at or before their first instruction, from where hardly anything is called
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
    // If the interpreter has frames of its own, the oldest frame is one.
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
 * Look at the frames before they are read for the first time: at any allocation while the interpreter starts. An interpreter
 * with another layout must survive until it is refused.
 */
static bool frames_become_known(const PyThreadState *thread)
{
    static __thread uintptr_t looked_at; // a word that did not lead to a frame
    if (thread == NULL || FIELD(uintptr_t, thread, cpython.facts->thread_frame) == looked_at)
        return false;
    looked_at = FIELD(uintptr_t, thread, cpython.facts->thread_frame);
    return cpython_look_at_frames(thread) >= CPYTHON_FRAMES_RUN;
}

// ---------------------------------------------------------------------------------------------------------------
// Threads

// From 3.12 on the current thread state is in a thread-local variable. If CPython is a shared library, its function asks the
// dynamic linker for the variable at each call; we ask once a thread. It is the only thread-local variable that holds a
// thread state: the only word of CPython's thread-local memory that equals the function's answer.

__thread PyThreadState *const *cpython_thread_variable;

static struct {
    unsigned long module, offset; // what the dynamic linker calls a tls_index
} thread_variable;                // module 0: not found

extern void *__tls_get_addr(void *index);

/** Look for the thread state that `context` points to in the thread-local memory of CPython's module. */
static int search_thread_locals(struct dl_phdr_info *module, size_t size, void *context)
{
    const PyThreadState *thread = context;
    struct module elf;
    if (size < sizeof *module || !module_init(&elf, module) || !module_contains(&elf, (void *)cpython.current_thread))
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
    if (cpython.facts->thread_is_in_tls && thread_variable.module == 0 && thread != NULL)
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
    // With one lock for all interpreters, a thread that runs another interpreter has replaced its own state by that one's.
    // We cannot tell whether this thread has done so, or whether another thread does while this one waits.
    bool may_run_another = cpython.facts->lock_is_global && PyInterpreterState_Head() != PyInterpreterState_Main();
    // While the interpreter finalizes, a thread state may be gone.
    return cpython_frames_are_known() && !may_run_another && !is_finalizing();
}
