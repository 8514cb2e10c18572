// The only file that knows all sources: it chooses one, and gives our own table its check.

#include "engine/open.h"

#include <stdlib.h>

#include "engine/model/source_ops.h"
#include "engine/snapshot/source.h"
#include "engine/stock/stock.h"
#include "engine/table/table.h"
#include "engine/target/target.h"
#include "engine/verify/verify.h"

static struct tm_error *open_table(struct tm_target *target, const struct tm_host *host, struct tm_source **result)
{
    struct tm_error *error = tm_table_open(target, host, result);
    if (!error)
        (*result)->verify = tm_verify_table;
    return error;
}

// Whether CPython's tables matter, or why they are of no use.
static bool ask_stock(enum tm_error_code ours)
{
    return ours == TM_ERROR_NO_TABLE || ours == TM_ERROR_NOT_TRACING || ours == TM_ERROR_INCOMPLETE;
}

// Which of two errors helps the user more: ours does where our tracer is there, or may be, and where nothing is known of
// any tracemalloc.
static bool ours_helps_more(enum tm_error_code ours, enum tm_error_code stock)
{
    switch (stock) {
    case TM_ERROR_INTERRUPTED:
        return false;
    case TM_ERROR_NO_TABLE:
        return true;
    case TM_ERROR_UNSUPPORTED:
    case TM_ERROR_CORRUPT: // there are tables
        return ours == TM_ERROR_NOT_TRACING;
    default:
        return ours != TM_ERROR_NO_TABLE;
    }
}

// What a target remembers.
struct opened {
    bool wants_samples;
    bool has_samples_beside;
    struct tm_source *source; // NULL: not asked yet
};

// Our table has samples only. The program's own tracemalloc, if it is on, has all blocks.
static struct tm_error *open_beside(struct tm_target *target, const struct tm_host *host, struct opened *opened)
{
    struct tm_source *stock = NULL;
    struct tm_error *error = tm_stock_open_beside(target, host, &stock);
    if (error && tm_error_code(error) != TM_ERROR_INTERRUPTED && tm_error_code(error) != TM_ERROR_NO_MEMORY) {
        tm_error_destroy(error);
        return NULL;
    }
    if (error) {
        tm_source_destroy(opened->source);
        opened->source = NULL;
        return error;
    }
    tm_source_destroy(opened->source);
    opened->source = stock;
    opened->has_samples_beside = true;
    return NULL;
}

// Where our tracer runs, CPython's own tracemalloc may be there too, with empty tables.
static struct tm_error *open_memory(struct tm_target *target, const struct tm_host *host, struct opened *opened)
{
    struct tm_error *error = open_table(target, host, &opened->source);
    if (!error && tm_source_sample_period(opened->source) && !opened->wants_samples)
        return open_beside(target, host, opened);
    if (!error || !ask_stock(tm_error_code(error)))
        return error;
    bool may_be_ours = tm_error_code(error) == TM_ERROR_INCOMPLETE;
    struct tm_error *stock_error = tm_stock_open(target, host, may_be_ours, &opened->source);
    bool ours = stock_error && ours_helps_more(tm_error_code(error), tm_error_code(stock_error));
    tm_error_destroy(ours ? stock_error : error);
    return ours ? error : stock_error;
}

static void destroy(void *owned)
{
    struct opened *opened = owned;
    if (opened->source)
        tm_source_destroy(opened->source);
    free(opened);
}

// What the target remembers; made if there is nothing. NULL: no memory.
static struct opened *opened_of(struct tm_target *target)
{
    struct opened *opened = tm_target_owned(target);
    if (!opened) {
        opened = calloc(1, sizeof(*opened));
        if (opened)
            tm_target_own(target, opened, destroy);
    }
    return opened;
}

struct tm_error *tm_source_open(struct tm_target *target, const struct tm_host *host, struct tm_source **result)
{
    struct opened *opened = opened_of(target);
    if (!opened)
        return tm_error_no_memory();
    if (!opened->source) {
        struct tm_error *error = tm_target_is_file(target) ? tm_snapshot_file_open(target, &opened->source)
                                                           : open_memory(target, host, opened);
        if (error)
            return error;
    }
    *result = opened->source;
    return NULL;
}

void tm_source_want_samples(struct tm_target *target, bool wanted)
{
    struct opened *opened = tm_target_owned(target);
    if (opened ? opened->wants_samples == wanted : !wanted)
        return;
    tm_target_own(target, NULL, NULL);
    opened = opened_of(target);
    if (opened) // else there is no memory, as opening will say
        opened->wants_samples = wanted;
}

bool tm_source_has_samples_beside(const struct tm_target *target)
{
    const struct opened *opened = tm_target_owned(target);
    return opened && opened->has_samples_beside;
}

uint64_t tm_target_started(const struct tm_target *target)
{
    const struct opened *opened = tm_target_owned(target);
    return opened && opened->source ? tm_source_started(opened->source) : 0;
}
