// tm-memory: what all memory of the process is; tm-memory pools: why CPython's object allocator keeps free memory.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/account/fragmentation.h"
#include "engine/commands/command.h"
#include "engine/commands/memory.h"
#include "engine/commands/query.h"
#include "engine/commands/report.h"
#include "engine/target/backing.h"

#define MEMORY_OPTIONS(X) \
    TM_OPTIONS_LIMIT(X) TM_OPTIONS_MINE(X) TM_OPTIONS_FILTERS(X) TM_OPTIONS_PLAIN(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {MEMORY_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] =
    TM_HELP("Show what all memory of the process is, in rows that add up to it.", "tm-memory [pools [KEY]] [OPTION]...",
            "It answers where the rest is, if tracemalloc knows a few MiB and the process has\n"
            "many: in what C code allocated, in what was freed and not given back, in shared\n"
            "memory, in stacks. A process need not be traced.\n"
            "\n"
            "Rows, the largest first:\n"
            "  traced        live blocks that the table knows; tm-top shows their lines\n"
            "  rest of pymalloc\n"
            "                CPython's allocator of objects, but for what is traced\n"
            "  rest of C heaps\n"
            "                glibc's malloc(), likewise: what C code has in use, what is\n"
            "                free, what threads keep in caches\n"
            "  large blocks  those of glibc that have a mapping of their own\n"
            "  other anonymous memory\n"
            "                what C code mapped by itself, or an allocator that is not known\n"
            "Other allocators (jemalloc, tcmalloc, mimalloc) are shown as a whole.\n"
            "\n"
            "Of a process the system says which pages are resident, and which it shares with\n"
            "others since a fork. A core does not know it: there all pages count that are not\n"
            "all zero.\n"
            "\n"
            "\"pools\" shows how full the pools of pymalloc are, by the size of blocks, and\n"
            "which lines' blocks keep memory that is mostly free: an arena is given back only\n"
            "when its last block is freed. Of the free memory of its pool, and of the free\n"
            "pools of its arena, each block keeps an equal part. Only here filters, --mine\n"
            "and -n have an effect.\n"
            "\n" TM_HELP_KEYS("lineno") "\n" TM_HELP_FILTERS,
            MEMORY_OPTIONS,
            "Examples:\n"
            "  tm-memory\n"
            "  tm-memory --json\n"
            "  tm-memory pools -n 5\n"
            "  tm-memory pools traceback -n 1\n"
            "  tm-diff OLD.core --memory        what grew\n"
            "\n"
            "The JSON object has:\n"
            "  command\n"
            "  residency     \"rss\": what is resident, as the system says; \"nonzero\": pages\n"
            "                that are not all zero\n"
            "  size          of all, which rows and not_accounted add up to\n"
            "  mapped, swapped, absent, absent_files\n"
            "                mapped in all; swapped out; not in the core: of memory, of files\n"
            "  is_traced     whether there is a table with traces\n"
            "  sample_period if only samples are traced: the mean distance of picked bytes\n"
            "  rows          traced, pymalloc, heaps, large_blocks, allocator, stacks,\n"
            "                frames, data, files, tracer, shared_memory, other: each with\n"
            "                size, shared (with other processes since a fork), and its parts,\n"
            "                if it has some; heaps and large_blocks also untraced_blocks,\n"
            "                heaps also free_blocks (how many)\n"
            "  not_accounted what is in no row\n"
            "  domains       domain, size (live), resident, count; no byte is in two\n"
            "  arenas, pools, free_pools, pools_room, pools_used\n"
            "                of pymalloc: how many; bytes for blocks in pools in use, and\n"
            "                those in use\n"
            "  heaps, damaged_heaps, caches\n"
            "                of glibc: how many; with chunks that make no sense; caches found\n"
            "  no_memory     bytes of traced blocks that are in no memory of the process\n"
            "  missing       " TM_HELP_JSON_MISSING
            "With \"pools\" it has, beside command, json_version, is_traced, arenas, pools,\n"
            "free_pools and missing:\n"
            "  key, limit\n" TM_HELP_JSON_FILTERS "  arena_size, resident, used, free, unused\n"
            "                bytes: of an arena, of all; in use, free in pools in use, in\n"
            "                free pools\n"
            "  kept_by_untraced, kept_by_nothing\n"
            "                free memory that blocks keep which are not traced; in arenas\n"
            "                without any block\n"
            "  sizes         for each size of blocks: block_size, pools, half_empty (pools),\n"
            "                used, room (blocks), free (bytes)\n"
            "  statistics    the rows: " TM_HELP_JSON_PLACES
            "                size (of free memory that they keep), count (blocks), own_size\n"
            "                (what these take)\n"
            "  other         how many rows are not shown\n");

enum { ACTION_ACCOUNT, ACTION_POOLS };

static struct tm_error *prepare(struct tm_request *request)
{
    request->key = TM_KEY_LINENO;
    struct tm_error *error = tm_request_check_words(request, 2);
    if (error || request->words.count == 0)
        return error;
    if (strcmp(request->words.items[0], "pools") != 0)
        return tm_usage_error(request->command->name, "unknown word \"", request->words.items[0],
                              "\": the only one is pools");
    request->action = ACTION_POOLS;
    error = request->words.count == 2 ? tm_request_set_key(request, request->words.items[1]) : NULL;
    if (!error && (tm_key_has_type(request->key) || request->settings.type))
        error = tm_usage_error(request->command->name, "pools are not grouped by type. Try \"",
                               "tm-memory pools lineno", "\"");
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Pools

struct answer {
    struct tm_request *request;
    struct tm_process_memory memory;
    struct tm_fragmentation fragmentation;
    const struct tm_pool_class *classes[TM_POOL_CLASSES]; // those with pools, by what is free
    size_t class_count;
    struct tm_query query;
    size_t shown;
};

static int compare_classes(const void *a, const void *b)
{
    const struct tm_pool_class *left = *(const struct tm_pool_class *const *)a;
    const struct tm_pool_class *right = *(const struct tm_pool_class *const *)b;
    int order = tm_compare_numbers(right->free, left->free);
    return order ? order : tm_compare_numbers(left->block_size, right->block_size);
}

static void add_size(struct tm_text *out, uint64_t size)
{
    tm_format_size(out, false, size, false);
}

static unsigned percent(uint64_t part, uint64_t whole)
{
    return whole ? (unsigned)((unsigned __int128)part * 100 / whole) : 0;
}

static void write_classes(const struct answer *answer, struct tm_text *out)
{
    size_t limit = tm_request_limit(answer->request);
    size_t shown = limit < answer->class_count ? limit : answer->class_count;
    for (size_t i = 0; i < shown; i++) {
        const struct tm_pool_class *class = answer->classes[i];
        tm_text_printf(out, "blocks of %" PRIu32 " B: ", class->block_size);
        add_size(out, class->free);
        tm_text_printf(out, " free, %" PRIu64 " of %" PRIu64 " blocks in use (%u%%) in ", class->used, class->room,
                       percent(class->used, class->room));
        tm_report_count(out, class->pools, "pool");
        tm_text_printf(out, ", %" PRIu64 " of them at most half full\n", class->half_empty);
    }
    if (shown < answer->class_count)
        tm_text_printf(out, "%zu other sizes of blocks\n", answer->class_count - shown);
}

static void write_rows(const struct answer *answer, struct tm_text *out)
{
    const struct tm_statistics *statistics = &answer->query.statistics;
    for (size_t i = 0; i < answer->shown; i++) {
        const struct tm_statistic *row = statistics->items[i];
        tm_format_place(out, &row->place);
        tm_text_add(out, ": keeps ");
        add_size(out, row->size);
        tm_text_add(out, " free with ");
        tm_report_count(out, row->count, "block");
        tm_text_add(out, " of ");
        add_size(out, row->churn.allocated);
        tm_text_add(out, "\n");
        tm_report_detail(out, answer->request, &row->place, row->mixed);
    }
    if (answer->shown < statistics->count)
        tm_text_printf(out, "%zu other\n", statistics->count - answer->shown);
}

static void write_pools(const struct answer *answer, struct tm_text *out)
{
    const struct tm_fragmentation *fragmentation = &answer->fragmentation;
    if (fragmentation->arenas == 0) {
        tm_text_add(out, "pymalloc has no arena here: this Python uses another allocator\n");
        tm_memory_write_absent(&answer->memory, out);
        return;
    }
    tm_text_add(out, "pymalloc: ");
    tm_report_count(out, fragmentation->arenas, "arena");
    tm_text_add(out, ", ");
    add_size(out, fragmentation->resident);
    tm_text_add(out, ": ");
    add_size(out, fragmentation->used);
    tm_text_add(out, " in use, ");
    add_size(out, fragmentation->free);
    tm_text_add(out, " free in ");
    tm_report_count(out, fragmentation->pools, "used pool");
    tm_text_add(out, ", ");
    add_size(out, fragmentation->unused);
    tm_text_add(out, " in ");
    tm_report_count(out, fragmentation->unused_pools, "free pool");
    tm_text_add(out, "\n");
    write_classes(answer, out);
    write_rows(answer, out);
    if (fragmentation->untraced > 0) {
        tm_text_add(out, "blocks that are not traced keep ");
        add_size(out, fragmentation->untraced);
        tm_text_add(out, " free\n");
    }
    tm_report_filters(out, answer->request);
    tm_memory_write_untraced(&answer->memory, out);
    tm_memory_write_samples(&answer->memory, out);
    tm_memory_write_absent(&answer->memory, out);
    tm_report_damage(out, &answer->query.damage);
}

static void write_classes_json(const struct answer *answer, struct tm_json *json)
{
    tm_json_begin_array(json, "sizes");
    for (size_t i = 0; i < answer->class_count; i++) {
        const struct tm_pool_class *class = answer->classes[i];
        tm_json_begin_object(json, NULL);
        tm_json_number(json, "block_size", class->block_size);
        tm_json_number(json, "pools", class->pools);
        tm_json_number(json, "half_empty", class->half_empty);
        tm_json_number(json, "used", class->used);
        tm_json_number(json, "room", class->room);
        tm_json_number(json, "free", class->free);
        tm_json_end_object(json);
    }
    tm_json_end_array(json);
}

static void write_rows_json(const struct answer *answer, struct tm_json *json)
{
    const struct tm_statistics *statistics = &answer->query.statistics;
    tm_json_begin_array(json, "statistics");
    for (size_t i = 0; i < answer->shown; i++) {
        const struct tm_statistic *row = statistics->items[i];
        tm_json_begin_object(json, NULL);
        tm_report_place_json(json, &row->place, answer->request->key, row->mixed);
        tm_json_number(json, "size", row->size);
        tm_json_number(json, "count", row->count);
        tm_json_number(json, "own_size", row->churn.allocated);
        tm_json_end_object(json);
    }
    tm_json_end_array(json);
    tm_json_number(json, "other", statistics->count - answer->shown);
}

static void write_pools_json(const struct answer *answer, struct tm_json *json)
{
    const struct tm_fragmentation *fragmentation = &answer->fragmentation;
    tm_json_word(json, "key", tm_key_name(answer->request->key));
    tm_json_number(json, "limit", tm_request_limit(answer->request));
    tm_report_filters_json(json, answer->request);
    tm_json_bool(json, "is_traced", !answer->memory.untraced);
    tm_json_number(json, "arenas", fragmentation->arenas);
    tm_json_number(json, "arena_size", fragmentation->arena_size);
    tm_json_number(json, "resident", fragmentation->resident);
    tm_json_number(json, "used", fragmentation->used);
    tm_json_number(json, "free", fragmentation->free);
    tm_json_number(json, "unused", fragmentation->unused);
    tm_json_number(json, "pools", fragmentation->pools);
    tm_json_number(json, "free_pools", fragmentation->unused_pools);
    tm_json_number(json, "kept_by_untraced", fragmentation->untraced);
    tm_json_number(json, "kept_by_nothing", fragmentation->nothing);
    write_classes_json(answer, json);
    write_rows_json(answer, json);
    tm_report_damage_json(json, "missing", &answer->query.damage);
}

static struct tm_error *look_at_pools(struct answer *answer, struct tm_target *target, struct tm_pool *pool)
{
    struct tm_request *request = answer->request;
    const struct tm_host *host = &request->session->host;
    struct tm_snapshot kept = {0};
    struct tm_error *error = tm_memory_survey(&answer->memory, target, host, pool);
    if (!error)
        error = tm_fragmentation_take(&answer->fragmentation, &answer->memory.survey, &kept);
    for (size_t i = 0; i < TM_POOL_CLASSES; i++)
        if (answer->fragmentation.classes[i].pools)
            answer->classes[answer->class_count++] = &answer->fragmentation.classes[i];
    qsort(answer->classes, answer->class_count, sizeof(answer->classes[0]), compare_classes);
    if (!error)
        error = tm_query_statistics(&answer->query, request, pool, &kept);
    if (!error)
        error = tm_statistics_sort(&answer->query.statistics, host, TM_ORDER_SIZE, tm_request_limit(request));
    size_t limit = tm_request_limit(request), count = answer->query.statistics.count;
    answer->shown = limit < count ? limit : count;
    tm_snapshot_deinit(&kept);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Running

static struct tm_error *ask(struct answer *answer, struct tm_target *current, struct tm_pool *pool)
{
    if (answer->request->action == ACTION_POOLS)
        return look_at_pools(answer, current, pool);
    return tm_memory_init(&answer->memory, current, &answer->request->session->host, pool);
}

static void write(const struct answer *answer, struct tm_text *out)
{
    bool pools = answer->request->action == ACTION_POOLS;
    struct tm_json json = {out, false};
    if (!answer->request->settings.json) {
        if (pools)
            write_pools(answer, out);
        else
            tm_memory_write(&answer->memory, out);
        return;
    }
    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", answer->request->command->name);
    if (pools)
        write_pools_json(answer, &json);
    else
        tm_memory_write_json(&answer->memory, &json);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct answer answer = {.request = request};
    struct tm_pool *pool;
    struct tm_error *error = tm_backing_require_program(current);
    if (!error)
        error = tm_pool_create(&pool);
    if (error)
        return error;
    error = ask(&answer, current, pool);
    if (!error)
        write(&answer, out);
    tm_query_deinit(&answer.query);
    tm_memory_deinit(&answer.memory);
    tm_pool_destroy(pool);
    return error;
}

static void complete(const struct tm_session *session, const struct tm_words *before, struct tm_text *candidates)
{
    (void)session;
    if (before->count == 0)
        tm_text_add(candidates, "pools\n");
    else if (before->count == 1)
        tm_complete_keys(candidates);
}

const struct tm_command tm_command_memory = {
    .name = "tm-memory",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .needs_target = true,
    .prepare = prepare,
    .run = run,
    .complete = complete,
};
