// The only file that knows all sources: it chooses one, and gives our own table its check.

#include "engine/open.h"

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

// Where our tracer runs, CPython's own tracemalloc may be there too, with empty tables.
static struct tm_error *open_memory(struct tm_target *target, const struct tm_host *host, struct tm_source **result)
{
    struct tm_error *error = open_table(target, host, result);
    if (!error || !ask_stock(tm_error_code(error)))
        return error;
    bool may_be_ours = tm_error_code(error) == TM_ERROR_INCOMPLETE;
    struct tm_error *stock_error = tm_stock_open(target, host, may_be_ours, result);
    bool ours = stock_error && ours_helps_more(tm_error_code(error), tm_error_code(stock_error));
    tm_error_destroy(ours ? stock_error : error);
    return ours ? error : stock_error;
}

static void destroy(void *source)
{
    tm_source_destroy(source);
}

struct tm_error *tm_source_open(struct tm_target *target, const struct tm_host *host, struct tm_source **result)
{
    if (!tm_target_owned(target)) {
        struct tm_source *source = NULL;
        struct tm_error *error =
            tm_target_is_file(target) ? tm_snapshot_file_open(target, &source) : open_memory(target, host, &source);
        if (error)
            return error;
        tm_target_own(target, source, destroy);
    }
    *result = tm_target_owned(target);
    return NULL;
}

uint64_t tm_target_started(const struct tm_target *target)
{
    const struct tm_source *source = tm_target_owned(target);
    return source ? tm_source_started(source) : 0;
}
