// The interpreter facts, one row per version family, and the check that the running interpreter keeps to them.
// Knows nothing of the trace table but the names of the line table formats.

#define _GNU_SOURCE
#include "cpython.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../layout/trace_table.h"

struct cpython cpython;

// 3.8 and 3.9 are alike.
const struct cpython_facts cpython_3_8 = {
    .version = 0x308,
    .thread_frame = 24,
    .cframe_frame = -1,
    .frame_code = 32,
    .frame_previous = 24,
    .frame_instruction = 104,
    .frame_owner = -1,
    .instruction_unit = 1,
    .code_first_line = 40,
    .code_filename = 104,
    .code_name = 112,
    .code_lines = 120,
    .code_bytecode = 48,
    .line_table_kind = TM_LINES_LNOTAB,
};

const struct cpython_facts cpython_3_10 = {
    .version = 0x30a,
    .thread_frame = 24,
    .cframe_frame = -1,
    .frame_code = 32,
    .frame_previous = 24,
    .frame_instruction = 96,
    .frame_owner = -1,
    .instruction_unit = CODE_UNIT,
    .code_first_line = 40,
    .code_filename = 104,
    .code_name = 112,
    .code_lines = 120,
    .code_bytecode = 48,
    .line_table_kind = TM_LINES_3_10,
};

const struct cpython_facts cpython_3_11 = {
    .version = 0x30b,
    .thread_frame = 56,
    .cframe_frame = 8,
    .frame_code = 32,
    .frame_previous = 48,
    .frame_instruction = 56,
    .frame_owner = 69,
    .code_first_line = 72,
    .code_filename = 112,
    .code_name = 128,
    .code_lines = 136,
    .code_bytecode = 184,
    .code_first_traceable = 168,
    .line_table_kind = TM_LINES_LOCATIONS,
};

const struct cpython_facts cpython_3_12 = {
    .version = 0x30c,
    .thread_frame = 56,
    .cframe_frame = 0,
    .frame_code = 0,
    .frame_previous = 8,
    .frame_instruction = 56,
    .frame_owner = 70,
    .owner_skip = 3,
    .code_first_line = 68,
    .code_filename = 112,
    .code_name = 128,
    .code_lines = 136,
    .code_bytecode = 192,
    .code_first_traceable = 176,
    .line_table_kind = TM_LINES_LOCATIONS,
};

const struct cpython_facts cpython_3_13 = {
    .version = 0x30d,
    .thread_frame = 72,
    .cframe_frame = -1,
    .frame_code = 0,
    .frame_previous = 8,
    .frame_instruction = 56,
    .frame_owner = 70,
    .owner_skip = 3,
    .code_first_line = 68,
    .code_filename = 112,
    .code_name = 128,
    .code_lines = 136,
    .code_bytecode = 200,
    .code_first_traceable = 184,
    .line_table_kind = TM_LINES_LOCATIONS,
};

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

static const struct cpython_facts *facts_of(uint32_t version_hex)
{
    switch (version_hex >> 16) {
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
    default:
        return NULL;
    }
}

const char *cpython_attach(void)
{
    const char *text = Py_GetVersion();
    cpython.version_hex = parse_version(text);
    cpython.facts = facts_of(cpython.version_hex);
    if (cpython.facts == NULL)
        return "this CPython's version is not one of 3.8 to 3.13";
    if ((cpython.version_hex >> 4 & 0xf) < 0xc)
        return "alpha and beta releases of CPython are not supported";
    if (strstr(text, "free-threading") != NULL)
        return "free-threaded builds of CPython are not supported";
    cpython.lock_is_global = cpython.facts->version < 0x30c;
    cpython.current_thread =
        PyThreadState_GetUnchecked != NULL ? PyThreadState_GetUnchecked : _PyThreadState_UncheckedGet;
    if (cpython.current_thread == NULL)
        return "this CPython does not export its thread state";
    return NULL;
}

bool cpython_is_finalizing(void)
{
    return Py_IsFinalizing != NULL ? Py_IsFinalizing() : _Py_IsFinalizing != NULL && _Py_IsFinalizing();
}

void *cpython_function(const char *name)
{
    // Preloaded, we come before the interpreter; imported, ours are not among the program's symbols.
    void *function = dlsym(RTLD_NEXT, name);
    return function != NULL ? function : dlsym(RTLD_DEFAULT, name);
}

bool cpython_read(const void *address, void *buffer, size_t length)
{
    struct iovec local = {buffer, length}, remote = {(void *)address, length};
    ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
    if (got == (ssize_t)length)
        return true;
    if (got >= 0 || address == NULL || (uintptr_t)address < 4096)
        return false;
    if (errno == EFAULT)
        return false;
    memcpy(buffer, address, length);
    return true;
}

static bool read_word(const void *base, size_t offset, uintptr_t *word)
{
    return cpython_read((const char *)base + offset, word, sizeof *word);
}

static bool code_makes_sense(const struct cpython_facts *facts, const void *code)
{
    uintptr_t type, filename, filename_type, lines, lines_type;
    return read_word(code, OBJECT_TYPE, &type) && type == (uintptr_t)&PyCode_Type &&
           read_word(code, facts->code_filename, &filename) &&
           read_word((const void *)filename, OBJECT_TYPE, &filename_type) &&
           filename_type == (uintptr_t)&PyUnicode_Type && read_word(code, facts->code_lines, &lines) &&
           read_word((const void *)lines, OBJECT_TYPE, &lines_type) && lines_type == (uintptr_t)&PyBytes_Type;
}

bool cpython_frames_make_sense(const void *thread)
{
    const struct cpython_facts *facts = cpython.facts;
    uintptr_t frame;
    if (thread == NULL)
        return true;
    if (!read_word(thread, facts->thread_frame, &frame))
        return false;
    if (facts->cframe_frame >= 0 && frame != 0 && !read_word((const void *)frame, (size_t)facts->cframe_frame, &frame))
        return false;
    for (int steps = 0; frame != 0 && steps < 16; steps++) {
        unsigned char owner = 0;
        uintptr_t code, instruction;
        if (facts->frame_owner >= 0 && !cpython_read((const char *)frame + facts->frame_owner, &owner, 1))
            return false;
        if (owner > 4)
            return false;
        if ((facts->owner_skip == 0 || owner < facts->owner_skip) &&
            (!read_word((const void *)frame, facts->frame_code, &code) ||
             !code_makes_sense(facts, (const void *)code) ||
             !read_word((const void *)frame, facts->frame_instruction, &instruction)))
            return false;
        if (!read_word((const void *)frame, facts->frame_previous, &frame))
            return false;
    }
    return true;
}
