// Joins what the other files offer to what the engine asks for.

#include "process/process.h"

#include <stdlib.h>

#include "engine/base/error.h"
#include "process/table_file.h"

static struct tm_error *finish(struct tm_process *process, struct tm_error *error, struct tm_process **result)
{
    if (error)
        tm_process_close(process);
    else
        *result = process;
    return error;
}

static uint64_t time_of(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * UINT64_C(1000000000) + (uint64_t)time->tv_nsec;
}

// Whether it is the recorder's file of a process that lives.
static bool may_run(const struct tm_core *core)
{
    struct tm_recorder_note note;
    return tm_core_is_recorder(core, &note) && tm_recorder_life(core->file, &note) != TM_LIFE_ENDED;
}

struct tm_error *tm_process_open_core(const char *path, struct tm_process **result)
{
    struct tm_process *process = calloc(1, sizeof(*process));
    if (!process)
        return tm_error_no_memory();
    struct tm_error *error = tm_core_open(path, &process->core);
    if (!error) {
        process->symbols.file = process->core->file;
        struct tm_saved_note saved;
        bool is_saved = tm_core_is_saved(process->core, &saved);
        process->files.latest = is_saved ? saved.moment : time_of(&process->core->status.st_mtim);
        tm_core_find_table(process->core);
        process->may_run = may_run(process->core);
    }
    return finish(process, error, result);
}

struct tm_error *tm_process_open_live(pid_t pid, struct tm_process **result)
{
    struct tm_process *process = calloc(1, sizeof(*process));
    if (!process)
        return tm_error_no_memory();
    struct tm_error *error = tm_live_open(pid, &process->live);
    if (!error) {
        process->may_run = true;
        process->symbols.pid = pid;
        process->symbols.file = process->live->folder;
        error = tm_files_of_process(pid, &process->files);
    }
    return finish(process, error, result);
}

void tm_process_close(struct tm_process *process)
{
    if (!process)
        return;
    tm_copy_deinit(&process->copy);
    tm_symbols_deinit(&process->symbols);
    tm_files_deinit(&process->files);
    tm_core_close(process->core);
    tm_live_close(process->live);
    free(process);
}

// ---------------------------------------------------------------------------------------------------------------
// The engine's callbacks

static const struct tm_target_callbacks *callbacks_of(const struct tm_process *process)
{
    return process->core ? &tm_core_callbacks : &tm_live_callbacks;
}

static void *context_of(const struct tm_process *process)
{
    return process->core ? (void *)process->core : (void *)process->live;
}

static int read_memory(void *context, uint64_t address, void *buffer, uint64_t length)
{
    struct tm_process *process = context;
    if (process->reading == TM_READING_THE_COPY)
        return tm_copy_read(&process->copy, address, buffer, length) ? 0 : -1;
    if (process->reading == TM_READING_AND_NOTING)
        tm_copy_want(&process->copy, address, length);
    return callbacks_of(process)->read(context_of(process), address, buffer, length);
}

bool tm_process_copy(struct tm_process *process, const struct tm_stop *stop, uint64_t most)
{
    return tm_copy_fill(&process->copy, callbacks_of(process), context_of(process), stop, most);
}

static uint64_t find_symbol(void *context, const char *name)
{
    return tm_symbols_find(&((struct tm_process *)context)->symbols, name);
}

static size_t list_regions(void *context, struct tm_region *regions, size_t capacity)
{
    return callbacks_of(context)->regions(context_of(context), regions, capacity);
}

static const char *why_missing(void *context, uint64_t address)
{
    const struct tm_target_callbacks *callbacks = callbacks_of(context);
    return callbacks->why_missing ? callbacks->why_missing(context_of(context), address) : NULL;
}

static uint32_t process_id(void *context)
{
    return callbacks_of(context)->process(context_of(context));
}

static uint64_t private_memory(void *context, uint32_t *kind)
{
    return callbacks_of(context)->private_memory(context_of(context), kind);
}

static size_t list_threads(void *context, struct tm_thread *threads, size_t capacity)
{
    const struct tm_target_callbacks *callbacks = callbacks_of(context);
    return callbacks->threads ? callbacks->threads(context_of(context), threads, capacity) : 0;
}

static size_t list_modules(void *context, struct tm_module *modules, size_t capacity)
{
    return callbacks_of(context)->modules(context_of(context), modules, capacity);
}

static void tell_backing(void *context, struct tm_backing *backing)
{
    callbacks_of(context)->backing(context_of(context), backing);
}

static int page_map(void *context, uint64_t address, uint64_t *entries, uint64_t count)
{
    const struct tm_target_callbacks *callbacks = callbacks_of(context);
    return callbacks->page_map ? callbacks->page_map(context_of(context), address, entries, count) : -1;
}

static uint64_t resident(void *context)
{
    const struct tm_target_callbacks *callbacks = callbacks_of(context);
    return callbacks->resident ? callbacks->resident(context_of(context)) : 0;
}

const struct tm_target_callbacks tm_process_callbacks = {
    .read = read_memory,
    .symbol = find_symbol,
    .regions = list_regions,
    .why_missing = why_missing,
    .process = process_id,
    .private_memory = private_memory,
    .threads = list_threads,
    .modules = list_modules,
    .backing = tell_backing,
    .page_map = page_map,
    .resident = resident,
};
