// Finding the interpreter among the modules, and giving our weak symbols the addresses of what it defines. Knows modules, and
// of CPython two names.

#define _GNU_SOURCE
#include "interpreter.h"

#include <dlfcn.h>
#include <string.h>

#include "cpython.h"
#include "modules.h"

static struct module interpreter; // without symbols: not found yet

bool interpreter_present(void)
{
    return Py_GetVersion != NULL && PyMem_SetAllocator != NULL;
}

static bool exports_cpython(const struct module *module)
{
    return module_symbol(module, "Py_GetVersion") != NULL && module_symbol(module, "PyMem_SetAllocator") != NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Finding it

static int look_for_interpreter(struct dl_phdr_info *info, size_t size, void *found)
{
    struct module *module = found;
    (void)size;
    return module_init(module, info) && exports_cpython(module);
}

void interpreter_find(void)
{
    struct module module;
    if (interpreter.symbols != NULL)
        return;
    // A program may have a stub of its own for a function of its library, and its address is the function's then.
    if ((module_at(&module, (void *)Py_GetVersion) && exports_cpython(&module)) ||
        dl_iterate_phdr(look_for_interpreter, &module) != 0)
        interpreter = module;
}

bool interpreter_is(const struct module *module)
{
    return module->symbols == interpreter.symbols;
}

void *interpreter_function(const char *name)
{
    return interpreter.symbols == NULL ? NULL : module_symbol(&interpreter, name);
}

void *interpreter_function_at(const void *address, const char *name)
{
    struct module module;
    return module_at(&module, address) ? module_symbol(&module, name) : NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Connecting to it

static void *symbol_of_interpreter(void *module, const char *name, void *now)
{
    (void)now;
    bool of_cpython = strncmp(name, "Py", 2) == 0 || strncmp(name, "_Py", 3) == 0;
    return of_cpython ? module_symbol(module, name) : NULL;
}

static int fill_own_slots(struct dl_phdr_info *info, size_t size, void *module)
{
    struct module own;
    (void)size;
    return module_init(&own, info) && module_contains(&own, (void *)fill_own_slots) &&
           module_change_slots(&own, symbol_of_interpreter, module);
}

/** With RTLD_NOLOAD no file is looked for, so nobody's search path matters. */
static void keep_loaded(const struct module *module)
{
    if (*module->path != '\0')
        dlopen(module->path, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/** None is known yet. False: the system does not let us change our own memory. */
static bool connect_to(struct module *module)
{
    if (dl_iterate_phdr(fill_own_slots, module) == 0)
        return false;
    keep_loaded(module);
    interpreter = *module;
    return true;
}

enum interpreter interpreter_connect(const void *address)
{
    struct module module;
    bool exports = module_at(&module, address) && exports_cpython(&module);
    if (interpreter_present()) {
        interpreter_find();
        bool ours = !exports || interpreter.symbols == NULL || interpreter.symbols == module.symbols;
        return ours ? INTERPRETER_OURS : INTERPRETER_SECOND;
    }
    if (!exports)
        return INTERPRETER_ABSENT;
    return connect_to(&module) ? INTERPRETER_OURS : INTERPRETER_UNREACHABLE;
}

enum interpreter interpreter_connect_any(void)
{
    struct module module;
    if (interpreter_present())
        return INTERPRETER_OURS;
    if (dl_iterate_phdr(look_for_interpreter, &module) == 0)
        return INTERPRETER_ABSENT;
    return connect_to(&module) ? INTERPRETER_OURS : INTERPRETER_UNREACHABLE;
}
