/**
 * The state which the parts of verifying share. Knows no part.
 */
#ifndef TRACEMORTEM_ENGINE_VERIFY_VERIFIER_H
#define TRACEMORTEM_ENGINE_VERIFY_VERIFIER_H

#include "engine/table/table.h"
#include "engine/verify/findings.h"
#include "engine/verify/marks.h"
#include "engine/verify/tallies.h"

/** Memory which something of the table takes. */
struct tm_taken {
    uint64_t start;
    uint64_t end;
    const char *what;
};

struct tm_verifier {
    const struct tm_table *table; // its records are loaded
    const struct tm_root *root;   // the table's
    const struct tm_host *host;
    struct tm_verification *result;
    struct tm_findings findings;
    bool reserved_is_zero; // the table is of no later version, which may use what was reserved
    bool no_memory;        // set where nothing can be returned

    struct tm_marks strings, codes, nodes; // those which are good, with all they lead to
    uint64_t bytes_left;                   // of `bytes`, for what records refer to: no two refer to the same
    struct tm_tallies tallies;
    uint64_t most_allocated; // bytes ever, by any one site
    uint64_t resizing_bytes; // of blocks inside realloc(), which the root does not count
    struct tm_taken *taken;
    size_t taken_count, taken_capacity;
    struct tm_taken *own; // the tracer's mappings, ascending
    size_t own_count;
};

/** Damage of one record of an array. */
#define TM_VERIFY_DAMAGED(verifier, records, what, id, ...)                                                         \
    tm_findings_add(&(verifier)->findings, TM_FINDING_DAMAGE, (what), (id), tm_records_address((records), (id)), 1, \
                    __VA_ARGS__)

/** The loops over records check for Ctrl-C after so many. */
#define TM_VERIFY_BETWEEN_CHECKS 4096u

/** The counters of a site; all 0 where there are none. */
struct tm_counters tm_verify_counters(const struct tm_verifier *verifier, uint64_t site);
/** Note that this memory is the table's. */
void tm_verifier_take(struct tm_verifier *verifier, uint64_t start, uint64_t length, const char *what);
/** Count a live block of a site; `what` and `id` say where it is recorded. */
void tm_verifier_count(struct tm_verifier *verifier, const char *what, uint64_t id, uint64_t address, uint64_t size,
                       uint32_t site);

#endif
