// An account as rows that add up to it. Each row is a few amounts, its parts.

#include "engine/commands/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/commands/format.h"
#include "engine/commands/report.h"
#include "engine/open.h"

enum { MOST_PARTS = 6, SIZE_WIDTH = 10, NUMPY = 389047 };
// What is worth a line that says what to do: a tenth of the process, and not little.
#define NOTABLE_PART 10
#define NOTABLE (UINT64_C(1) << 20)

struct part {
    enum tm_account_kind kind;
    const char *key, *text;
};

/** Its parts end with one without a key, or after the last possible one. */
struct row {
    const char *key, *text;
    struct part parts[MOST_PARTS];
};

static const struct row rows[] = {
    {"traced",
     "traced",
     {{TM_ACCOUNT_TRACED_POOLS, "pymalloc", "in pymalloc"},
      {TM_ACCOUNT_TRACED_HEAPS, "heaps", "in C heaps"},
      {TM_ACCOUNT_TRACED_MAPPED, "large_blocks", "in large blocks"},
      {TM_ACCOUNT_TRACED_ELSEWHERE, "elsewhere", "elsewhere"}}},
    {"pymalloc",
     "the rest of pymalloc",
     {{TM_ACCOUNT_POOLS_FREE, "free", "free in used pools"},
      {TM_ACCOUNT_POOLS_UNUSED, "free_pools", "free pools"},
      {TM_ACCOUNT_POOLS_UNTRACED, "untraced", "in use and not traced"},
      {TM_ACCOUNT_POOLS_ROUNDING, "rounding", "rounding"}}},
    {"heaps",
     "the rest of C heaps",
     {{TM_ACCOUNT_HEAPS_UNTRACED, "untraced", "in use and not traced"},
      {TM_ACCOUNT_HEAPS_FREE, "free", "free"},
      {TM_ACCOUNT_HEAPS_CACHED, "cached", "free in caches"},
      {TM_ACCOUNT_HEAPS_TOP, "top", "free at the end"},
      {TM_ACCOUNT_HEAPS_ROUNDING, "rounding", "rounding"},
      {TM_ACCOUNT_HEAPS_UNKNOWN, "unknown", "behind damaged chunks"}}},
    {"large_blocks",
     "large blocks of C",
     {{TM_ACCOUNT_MAPPED_UNTRACED, "untraced", "in use and not traced"},
      {TM_ACCOUNT_MAPPED_ROUNDING, "rounding", "rounding"}}},
    {"allocator", "of another allocator", {{TM_ACCOUNT_ALLOCATOR, "all", ""}}},
    {"stacks", "stacks of threads", {{TM_ACCOUNT_STACKS, "all", ""}}},
    {"frames", "Python's frames", {{TM_ACCOUNT_FRAMES, "all", ""}}},
    {"data", "data of programs and libraries", {{TM_ACCOUNT_DATA, "all", ""}}},
    {"files", "files", {{TM_ACCOUNT_FILES, "all", ""}}},
    {"tracer", "the tracer", {{TM_ACCOUNT_TRACER, "all", ""}}},
    {"shared_memory", "shared memory", {{TM_ACCOUNT_SHARED, "all", ""}}},
    {"other", "other anonymous memory", {{TM_ACCOUNT_OTHER, "all", ""}}},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]), TRACED = 0, HEAPS = 2, LARGE = 3, ALLOCATOR = 4 };

static bool is_part(const struct row *row, size_t index)
{
    return index < MOST_PARTS && row->parts[index].key;
}

static struct tm_amount row_sum(const struct tm_account *account, const struct row *row)
{
    struct tm_amount sum = {0, 0, 0};
    for (size_t i = 0; is_part(row, i); i++) {
        const struct tm_amount *amount = &account->amounts[row->parts[i].kind];
        sum.size += amount->size;
        sum.shared += amount->shared;
        sum.count += amount->count;
    }
    return sum;
}

// ---------------------------------------------------------------------------------------------------------------
// Making one

static bool is_about_table(enum tm_error_code code)
{
    return code != TM_ERROR_NO_MEMORY && code != TM_ERROR_INTERRUPTED;
}

struct tm_error *tm_memory_survey(struct tm_process_memory *memory, struct tm_target *target,
                                  const struct tm_host *host, struct tm_pool *pool)
{
    struct tm_source *source = NULL;
    memset(memory, 0, sizeof(*memory));
    struct tm_error *error = tm_target_is_file(target) ? NULL : tm_source_open(target, host, &source);
    bool found = !error && source;
    if (found)
        error = tm_source_require_tracing(source);
    if (error && !is_about_table(tm_error_code(error)))
        return error;
    // Whatever is wrong with the table, memory can be looked at.
    memory->untraced = error;
    return tm_survey_init(&memory->survey, target, found ? source : NULL, !error, host, pool);
}

struct tm_error *tm_memory_init(struct tm_process_memory *memory, struct tm_target *target, const struct tm_host *host,
                                struct tm_pool *pool)
{
    struct tm_error *error = tm_memory_survey(memory, target, host, pool);
    return error ? error : tm_account_take(&memory->account, &memory->survey);
}

void tm_memory_deinit(struct tm_process_memory *memory)
{
    tm_survey_deinit(&memory->survey);
    tm_error_destroy(memory->untraced);
    memory->untraced = NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Text

static void add_size(struct tm_text *out, uint64_t size)
{
    tm_format_size(out, false, size, false);
}

// A size, so that those of several lines are one below the other.
static void add_column(struct tm_text *out, bool negative, uint64_t size, bool sign)
{
    struct tm_text text = TM_TEXT_EMPTY;
    tm_format_size(&text, negative, size, sign);
    tm_text_printf(out, "%*s", SIZE_WIDTH, tm_text_string(&text));
    out->failed = out->failed || text.failed;
    tm_text_deinit(&text);
}

static void add_percent(struct tm_text *out, uint64_t part, uint64_t whole)
{
    tm_text_printf(out, "%u%%", whole ? (unsigned)((unsigned __int128)part * 100 / whole) : 0);
}

static bool has_count(enum tm_account_kind kind)
{
    return kind == TM_ACCOUNT_HEAPS_UNTRACED || kind == TM_ACCOUNT_HEAPS_FREE || kind == TM_ACCOUNT_HEAPS_CACHED ||
           kind == TM_ACCOUNT_MAPPED_UNTRACED;
}

// What a row says beside its size: how many blocks, and its parts.
static void add_details(const struct tm_account *account, size_t index, struct tm_text *out)
{
    const struct row *row = &rows[index];
    const char *comma = ": ";
    if (index == ALLOCATOR)
        tm_text_printf(out, ": %s, in use and not traced, or free", account->allocator);
    for (size_t i = 0; is_part(row, i) && is_part(row, 1); i++) {
        const struct tm_amount *amount = &account->amounts[row->parts[i].kind];
        if (amount->size == 0)
            continue;
        tm_text_add(out, comma);
        add_size(out, amount->size);
        tm_text_printf(out, " %s", row->parts[i].text);
        if (row->parts[i].kind == TM_ACCOUNT_POOLS_FREE) {
            tm_text_add(out, " (");
            add_percent(out, account->pool_used, account->pool_room);
            tm_text_add(out, " full)");
        }
        if (has_count(row->parts[i].kind) && amount->count > 0) {
            tm_text_add(out, " (");
            tm_report_count(out, amount->count, "block");
            tm_text_add(out, ")");
        }
        comma = ", ";
    }
    const struct tm_amount sum = row_sum(account, row);
    if (sum.shared) {
        tm_text_add(out, "; ");
        add_size(out, sum.shared);
        tm_text_add(out, " shared since a fork");
    }
}

// The domains, if there are several, below the row of what is traced.
static void write_domains(const struct tm_account *account, struct tm_text *out)
{
    for (size_t i = 0; account->domain_count > 1 && i < account->domain_count; i++) {
        const struct tm_account_domain *domain = &account->domains[i];
        tm_text_add(out, "  ");
        add_column(out, false, domain->resident, false);
        tm_text_printf(out, "  of that domain %" PRIu32 "%s: live ", domain->domain,
                       domain->domain == 0       ? ", Python itself"
                       : domain->domain == NUMPY ? ", numpy"
                                                 : "");
        add_size(out, domain->size);
        tm_text_add(out, " in ");
        tm_report_count(out, domain->count, "block");
        tm_text_add(out, "\n");
    }
}

static void write_traced_details(const struct tm_account *account, struct tm_text *out)
{
    uint64_t size = 0, count = 0;
    for (size_t i = 0; i < account->domain_count; i++) {
        size = tm_add_saturating(size, account->domains[i].size);
        count += account->domains[i].count;
    }
    tm_text_add(out, " (tm-top), live ");
    add_size(out, size);
    tm_text_add(out, " in ");
    tm_report_count(out, count, "block");
}

static void write_row(const struct tm_account *account, size_t index, struct tm_text *out)
{
    const struct tm_amount sum = row_sum(account, &rows[index]);
    if (sum.size == 0)
        return;
    add_column(out, false, sum.size, false);
    tm_text_printf(out, "  %s", rows[index].text);
    if (index == TRACED)
        write_traced_details(account, out);
    add_details(account, index, out);
    tm_text_add(out, "\n");
    if (index == TRACED)
        write_domains(account, out);
}

struct order {
    size_t index;
    uint64_t size;
};

static int compare_orders(const void *a, const void *b)
{
    const struct order *left = a, *right = b;
    int order = tm_compare_numbers(right->size, left->size);
    return order ? order : tm_compare_numbers(left->index, right->index);
}

static bool is_notable(const struct tm_account *account, uint64_t size)
{
    return size >= NOTABLE && size >= account->size / NOTABLE_PART;
}

// What to do about what is much.
static void write_advice(const struct tm_account *account, bool sampled, struct tm_text *out)
{
    const struct tm_amount *amounts = account->amounts;
    uint64_t free_pools = amounts[TM_ACCOUNT_POOLS_FREE].size + amounts[TM_ACCOUNT_POOLS_UNUSED].size;
    uint64_t free_heaps = amounts[TM_ACCOUNT_HEAPS_FREE].size + amounts[TM_ACCOUNT_HEAPS_CACHED].size +
                          amounts[TM_ACCOUNT_HEAPS_TOP].size;
    uint64_t c = amounts[TM_ACCOUNT_HEAPS_UNTRACED].size + amounts[TM_ACCOUNT_MAPPED_UNTRACED].size;
    if (is_notable(account, free_pools))
        tm_text_add(out, "pymalloc keeps much free memory: tm-memory pools shows which lines' blocks keep it from "
                         "being given back\n");
    if (is_notable(account, free_heaps))
        tm_text_add(out, "C heaps keep much free memory: it was freed and not given back to the system\n");
    if (is_notable(account, c) && !sampled)
        tm_text_add(out,
                    "C code allocated much by malloc(), of which Python's allocators and the tracer know nothing\n");
    if (is_notable(account, amounts[TM_ACCOUNT_SHARED].size))
        tm_text_add(out, "mmap objects have shared memory, too: tm-find --type mmap.mmap\n");
    if (is_notable(account, amounts[TM_ACCOUNT_OTHER].size)) {
        tm_text_printf(
            out,
            "other anonymous memory was mapped by C code or by an allocator that is not known, most at 0x%" PRIx64 " (",
            account->largest_other);
        add_size(out, account->largest_other_size);
        tm_text_add(out, ")\n");
    }
}

static void write_lacks(const struct tm_account *account, struct tm_text *out)
{
    if (account->kind == TM_RESIDENCY_NONZERO) {
        tm_text_add(out, "not known here: which pages were resident; all that are not zero are counted\n");
        if (account->absent_files) {
            tm_text_add(out, "not in the core: ");
            add_size(out, account->absent_files);
            tm_text_add(out, " of files that were mapped\n");
        }
    }
    if (account->swapped) {
        tm_text_add(out, "swapped out, and in no row: ");
        add_size(out, account->swapped);
        tm_text_add(out, "\n");
    }
    if (account->damaged_heaps) {
        tm_report_count(out, account->damaged_heaps, "C heap");
        tm_text_add(out, account->damaged_heaps == 1 ? " has" : " have");
        tm_text_add(out, " a chunk that makes no sense: it is damaged, or was just being changed\n");
    }
    if (account->heaps && !account->caches)
        tm_text_add(out, "no thread's cache of C blocks is found: what is in it counts as in use\n");
    if (account->no_memory) {
        add_size(out, account->no_memory);
        tm_text_add(out, " of traced blocks have addresses where the process has no memory\n");
    }
}

void tm_memory_write_absent(const struct tm_process_memory *memory, struct tm_text *out)
{
    if (memory->survey.map.absent == 0)
        return;
    tm_text_add(out, "not in the core: ");
    add_size(out, memory->survey.map.absent);
    tm_text_add(out, " of memory that was mapped\n");
}

void tm_memory_write_untraced(const struct tm_process_memory *memory, struct tm_text *out)
{
    if (!memory->untraced)
        return;
    const char *message = tm_error_message(memory->untraced);
    tm_text_add(out, "nothing is traced: ");
    tm_text_bytes(out, message, strcspn(message, "\n"));
    tm_text_add(out, "\n");
}

static bool is_sampled(const struct tm_process_memory *memory)
{
    return memory->survey.source && tm_source_sample_period(memory->survey.source);
}

void tm_memory_write_samples(const struct tm_process_memory *memory, struct tm_text *out)
{
    if (is_sampled(memory))
        tm_text_add(out, "only samples are traced, and what Python allocated beside them is in the other rows: tm-top "
                         "estimates it\n");
}

void tm_memory_write(const struct tm_process_memory *memory, struct tm_text *out)
{
    const struct tm_account *account = &memory->account;
    struct order order[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        order[i] = (struct order){i, row_sum(account, &rows[i]).size};
    qsort(order, ROWS, sizeof(order[0]), compare_orders);
    add_column(out, false, account->size, false);
    if (account->kind == TM_RESIDENCY_PAGES) {
        tm_text_add(out, "  resident, of ");
        add_size(out, account->mapped);
        tm_text_add(out, " mapped\n");
    } else {
        tm_text_add(out, "  in pages that are not all zero\n");
    }
    for (size_t i = 0; i < ROWS; i++)
        write_row(account, order[i].index, out);
    add_column(out, false, account->not_accounted, false);
    tm_text_add(out, "  not accounted for\n");
    write_advice(account, is_sampled(memory), out);
    tm_memory_write_untraced(memory, out);
    tm_memory_write_samples(memory, out);
    write_lacks(account, out);
    tm_memory_write_absent(memory, out);
    tm_report_damage(out, &account->damage);
}

// ---------------------------------------------------------------------------------------------------------------
// JSON

static void write_row_json(const struct tm_account *account, size_t index, struct tm_json *json)
{
    const struct row *row = &rows[index];
    const struct tm_amount sum = row_sum(account, row);
    tm_json_begin_object(json, row->key);
    tm_json_number(json, "size", sum.size);
    tm_json_number(json, "shared", sum.shared);
    for (size_t i = 0; is_part(row, i) && is_part(row, 1); i++)
        tm_json_number(json, row->parts[i].key, account->amounts[row->parts[i].kind].size);
    if (index == HEAPS || index == LARGE)
        tm_json_number(json, "untraced_blocks", account->amounts[row->parts[0].kind].count);
    if (index == HEAPS)
        tm_json_number(json, "free_blocks", account->amounts[TM_ACCOUNT_HEAPS_FREE].count);
    if (index == ALLOCATOR)
        tm_json_word(json, "name", account->allocator);
    tm_json_end_object(json);
}

static void write_domains_json(const struct tm_account *account, struct tm_json *json)
{
    tm_json_begin_array(json, "domains");
    for (size_t i = 0; i < account->domain_count; i++) {
        tm_json_begin_object(json, NULL);
        tm_json_number(json, "domain", account->domains[i].domain);
        tm_json_number(json, "size", account->domains[i].size);
        tm_json_number(json, "resident", account->domains[i].resident);
        tm_json_number(json, "count", account->domains[i].count);
        tm_json_end_object(json);
    }
    tm_json_end_array(json);
}

void tm_memory_write_json(const struct tm_process_memory *memory, struct tm_json *json)
{
    const struct tm_account *account = &memory->account;
    tm_json_word(json, "residency", account->kind == TM_RESIDENCY_PAGES ? "rss" : "nonzero");
    tm_json_number(json, "size", account->size);
    tm_json_number(json, "mapped", account->mapped);
    tm_json_number(json, "swapped", account->swapped);
    tm_json_number(json, "absent", account->absent);
    tm_json_number(json, "absent_files", account->absent_files);
    tm_json_bool(json, "is_traced", !memory->untraced);
    if (is_sampled(memory))
        tm_json_number(json, "sample_period", tm_source_sample_period(memory->survey.source));
    tm_json_begin_object(json, "rows");
    for (size_t i = 0; i < ROWS; i++)
        write_row_json(account, i, json);
    tm_json_end_object(json);
    tm_json_number(json, "not_accounted", account->not_accounted);
    write_domains_json(account, json);
    tm_json_number(json, "arenas", account->arenas);
    tm_json_number(json, "pools", account->pools);
    tm_json_number(json, "free_pools", account->unused_pools);
    tm_json_number(json, "pools_room", account->pool_room);
    tm_json_number(json, "pools_used", account->pool_used);
    tm_json_number(json, "heaps", account->heaps);
    tm_json_number(json, "damaged_heaps", account->damaged_heaps);
    tm_json_number(json, "caches", account->caches);
    tm_json_number(json, "no_memory", account->no_memory);
    tm_report_damage_json(json, "missing", &account->damage);
}

// ---------------------------------------------------------------------------------------------------------------
// Growth

/** A row of both, or a part of one. */
struct growth {
    const char *text, *of; // of the row, and of the part; NULL: a whole row
    uint64_t old, now;
};

static int compare_growths(const void *a, const void *b)
{
    const struct growth *left = a, *right = b;
    int order = tm_compare_numbers(tm_distance(right->old, right->now), tm_distance(left->old, left->now));
    order = order ? order : tm_compare_numbers(right->now, left->now);
    return order ? order : strcmp(left->text, right->text);
}

static void write_growth(const struct growth *growth, struct tm_text *out)
{
    add_column(out, false, growth->now, false);
    add_column(out, growth->now < growth->old, tm_distance(growth->old, growth->now), true);
    tm_text_printf(out, "  %s", growth->text);
    if (growth->of)
        tm_text_printf(out, ", %s", growth->of);
    tm_text_add(out, "\n");
}

void tm_memory_write_growth(const struct tm_process_memory *old, const struct tm_process_memory *now,
                            struct tm_text *out)
{
    struct growth growths[ROWS * MOST_PARTS];
    size_t count = 0;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; is_part(&rows[i], j); j++) {
            enum tm_account_kind kind = rows[i].parts[j].kind;
            bool whole = i == TRACED;
            if (whole && j > 0)
                break;
            growths[count++] = (struct growth){
                .text = rows[i].text,
                .of = whole || !is_part(&rows[i], 1) ? NULL : rows[i].parts[j].text,
                .old = whole ? row_sum(&old->account, &rows[i]).size : old->account.amounts[kind].size,
                .now = whole ? row_sum(&now->account, &rows[i]).size : now->account.amounts[kind].size,
            };
        }
    qsort(growths, count, sizeof(growths[0]), compare_growths);
    const struct growth all = {now->account.kind == TM_RESIDENCY_PAGES ? "resident" : "in pages that are not all zero",
                               NULL, old->account.size, now->account.size};
    const struct growth rest = {"not accounted for", NULL, old->account.not_accounted, now->account.not_accounted};
    write_growth(&all, out);
    for (size_t i = 0; i < count; i++)
        if (growths[i].old != growths[i].now)
            write_growth(&growths[i], out);
    write_growth(&rest, out);
    if (old->account.kind != now->account.kind)
        tm_text_add(out,
                    "of one side the system says what is resident, of the other pages count that are not all zero\n");
}

static void write_change_json(struct tm_json *json, const char *key, uint64_t old, uint64_t now)
{
    tm_json_begin_object(json, key);
    tm_json_number(json, "size", now);
    tm_json_signed(json, "size_diff", now < old, tm_distance(old, now));
    tm_json_end_object(json);
}

void tm_memory_write_growth_json(const struct tm_process_memory *old, const struct tm_process_memory *now,
                                 struct tm_json *json)
{
    const struct tm_account *before = &old->account, *after = &now->account;
    tm_json_begin_object(json, "memory");
    tm_json_word(json, "residency", after->kind == TM_RESIDENCY_PAGES ? "rss" : "nonzero");
    tm_json_word(json, "residency_old", before->kind == TM_RESIDENCY_PAGES ? "rss" : "nonzero");
    write_change_json(json, "all", before->size, after->size);
    for (size_t i = 0; i < ROWS; i++) {
        tm_json_begin_object(json, rows[i].key);
        const uint64_t sums[] = {row_sum(before, &rows[i]).size, row_sum(after, &rows[i]).size};
        tm_json_number(json, "size", sums[1]);
        tm_json_signed(json, "size_diff", sums[1] < sums[0], tm_distance(sums[0], sums[1]));
        for (size_t j = 0; is_part(&rows[i], j) && is_part(&rows[i], 1); j++)
            write_change_json(json, rows[i].parts[j].key, before->amounts[rows[i].parts[j].kind].size,
                              after->amounts[rows[i].parts[j].kind].size);
        tm_json_end_object(json);
    }
    write_change_json(json, "not_accounted", before->not_accounted, after->not_accounted);
    tm_json_end_object(json);
}
