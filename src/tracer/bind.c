// Which slots of which modules get which of our functions. How a slot is changed is in modules.h.

#define _GNU_SOURCE
#include "bind.h"

#include <dlfcn.h>
#include <string.h>

#include "ends.h"
#include "interpreter.h"
#include "modules.h"
#include "recorder.h"
#include "track.h"

/** How many modules had ever been loaded and unloaded when we last looked, and how many there were. */
static struct seen {
    unsigned long long loaded, unloaded;
    unsigned count;
} bound;

/**
 * The interpreter calls it right after it has loaded an extension module, to find the module's PyInit function. (In place of
 * its dlopen() we would make the dynamic linker look for libraries by our search path and not by the interpreter's.) The call
 * at the end is a jump, so that dlsym() sees the interpreter as its caller.
 */
static void *find_symbol(void *handle, const char *name)
{
    bind_modules();
    return dlsym(handle, name);
}

struct binding {
    const char *name;
    void *ours;
};
static const struct binding of_extensions[] = {
    {"PyTraceMalloc_Track", (void *)track_block},
    {"PyTraceMalloc_Untrack", (void *)untrack_block},
    {"_PyTraceMalloc_GetTraceback", (void *)tracked_traceback},
    {NULL, NULL},
};
static const struct binding of_interpreter[] = {
    {"dlsym", (void *)find_symbol},
    {NULL, NULL},
};
static const struct binding of_recorder[] = {
    {"_exit", (void *)ends_exit},
    {"execv", (void *)ends_execv},
    {"execve", (void *)ends_execve},
    {"fexecve", (void *)ends_fexecve},
    {NULL, NULL},
};

static void *choose(void *bindings, const char *name, void *now)
{
    (void)now;
    for (const struct binding *binding = bindings; binding->name != NULL; binding++)
        if (strcmp(name, binding->name) == 0)
            return binding->ours;
    return NULL;
}

static void bind(const struct module *module)
{
    bool is_interpreter = interpreter_is(module);
    module_change_slots(module, choose, (void *)(is_interpreter ? of_interpreter : of_extensions));
    // CPython's subprocesses may be started by an extension module.
    if (recorder_is_on())
        module_change_slots(module, choose, (void *)of_recorder);
}

static int bind_module(struct dl_phdr_info *info, size_t size, void *context)
{
    struct seen *seen = context;
    struct module module;
    (void)size;
    seen->loaded = info->dlpi_adds;
    seen->unloaded = info->dlpi_subs;
    bool known = seen->count++ < bound.count && seen->unloaded == bound.unloaded; // new modules come last
    if (seen->loaded == bound.loaded && known)
        return 1;
    if (!known && module_init(&module, info) && !module_contains(&module, (void *)bind_module))
        bind(&module);
    return 0;
}

void bind_modules(void)
{
    struct seen seen = {0};
    if (dl_iterate_phdr(bind_module, &seen) == 0)
        bound = seen;
}
