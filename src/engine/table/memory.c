// Memory that the table lists beside blocks: the tracer's own mappings, and CPython's arenas.

#include "engine/table/answers.h"

static bool is_range(uint64_t start, uint64_t size)
{
    return size > 0 && size <= UINT64_MAX - start;
}

static struct tm_error *visit_own(const struct tm_table *table, tm_memory_visitor visit, void *context)
{
    struct tm_flaw flaw = {0};
    struct tm_own own;
    struct tm_error *error = NULL;
    for (uint64_t id = 1; !error && id < table->own.count; id = tm_records_skip(&table->own, id + 1))
        if (tm_records_get(&table->own, id, &own, sizeof(own), &flaw) && is_range(own.address, own.size))
            error = visit(context, TM_MEMORY_TRACER, own.address, own.address + own.size);
    return error;
}

static struct tm_error *visit_arenas(const struct tm_table *table, tm_memory_visitor visit, void *context)
{
    struct tm_flaw flaw = {0};
    struct tm_python_arena arena;
    struct tm_error *error = NULL;
    for (uint64_t id = 1; !error && id < table->arenas.count; id = tm_records_skip(&table->arenas, id + 1))
        if (tm_records_get(&table->arenas, id, &arena, sizeof(arena), &flaw) && is_range(arena.address, arena.size))
            error = visit(context, TM_MEMORY_ARENA, arena.address, arena.address + arena.size);
    return error;
}

struct tm_error *tm_table_memory(struct tm_source *source, const struct tm_host *host, tm_memory_visitor visit,
                                 void *context)
{
    struct tm_table *table = tm_table_of(source);
    struct tm_error *error = tm_records_load(&table->own, host, "reading mappings");
    if (!error)
        error = tm_records_load(&table->arenas, host, "reading arenas");
    if (!error)
        error = visit_own(table, visit, context);
    return error ? error : visit_arenas(table, visit, context);
}
