// The order of the parts, and what they start with.

#include "engine/verify/verify.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/verify/parts.h"

static void report_missing(struct tm_verifier *verifier, const struct tm_records *records, const char *what)
{
    const struct tm_damage *damage = &records->damage;
    if (!damage->unreadable_records)
        return;
    verifier->result->unreadable_bytes += damage->unreadable_bytes;
    tm_findings_add(&verifier->findings, TM_FINDING_MISSING, what, 0, damage->first_address, damage->unreadable_records,
                    "%" PRIu64 " cannot be read: %" PRIu64 " bytes of memory are missing", damage->unreadable_records,
                    damage->unreadable_bytes);
}

static struct tm_error *run(struct tm_verifier *verifier)
{
    const struct tm_table *table = verifier->table;
    report_missing(verifier, &table->bytes, "bytes");
    report_missing(verifier, &table->strings, "strings");
    report_missing(verifier, &table->codes, "code objects");
    report_missing(verifier, &table->nodes, "nodes");
    report_missing(verifier, &table->sites, "sites");
    report_missing(verifier, &table->counters, "counters");
    report_missing(verifier, &table->leaves, "leaves");
    report_missing(verifier, &table->tracked, "tracked blocks");
    report_missing(verifier, &table->arenas, "arenas");
    report_missing(verifier, &table->own, "mappings");
    tm_verify_root(verifier);
    struct tm_error *error = tm_verify_records(verifier);
    if (!error)
        error = tm_verify_copies(verifier);
    if (!error)
        error = tm_verify_places(verifier);
    if (!error)
        error = tm_verify_tracked(verifier);
    if (!error)
        error = tm_verify_blocks(verifier);
    if (!error)
        tm_verify_memory(verifier);
    return !error && verifier->no_memory ? tm_error_no_memory() : error;
}

static void deinit(struct tm_verifier *verifier)
{
    tm_marks_deinit(&verifier->strings);
    tm_marks_deinit(&verifier->codes);
    tm_marks_deinit(&verifier->nodes);
    tm_tallies_deinit(&verifier->tallies);
    free(verifier->taken);
    free(verifier->own);
}

struct tm_error *tm_verify_table(struct tm_source *source, const struct tm_host *host,
                                 const struct tm_verify_request *request, struct tm_verification *result)
{
    const struct tm_table *table;
    struct tm_error *error = tm_table_load(source, host, &table);
    if (error)
        return error;
    *result = (struct tm_verification){.table_address = table->place.address,
                                       .full = tm_table_full(table),
                                       .lost_blocks = table->place.root.lost_blocks,
                                       .lost_frames = table->place.root.lost_frames};
    struct tm_verifier verifier = {.table = table,
                                   .root = &table->place.root,
                                   .host = host,
                                   .result = result,
                                   .findings = {.request = request, .result = result},
                                   .reserved_is_zero = table->place.root.layout_minor == TM_LAYOUT_MINOR,
                                   .strings = {.limit = table->strings.count},
                                   .codes = {.limit = table->codes.count},
                                   .nodes = {.limit = table->nodes.count},
                                   .bytes_left = table->bytes.bytes_loaded};
    error = tm_tallies_init(&verifier.tallies) ? run(&verifier) : tm_error_no_memory();
    deinit(&verifier);
    return error;
}
