/**
 * The parts of verifying, which only they know: one file for what stands by itself (root, arrays), one for records, one
 * for blocks and what counts them.
 */
#ifndef TRACEMORTEM_ENGINE_VERIFY_PARTS_H
#define TRACEMORTEM_ENGINE_VERIFY_PARTS_H

#include "engine/verify/verify.h"

/** Marks on the ids below `limit`: a bit for each, made by the page as they are set. */
struct tm_marks {
    uint64_t limit;
    uint8_t **pages; // NULL: none is set
};
/** False: no memory. */
bool tm_marks_set(struct tm_marks *marks, uint32_t id);
bool tm_marks_has(const struct tm_marks *marks, uint64_t id);
void tm_marks_deinit(struct tm_marks *marks);

/** Memory which something of the table takes. */
struct tm_taken {
    uint64_t start;
    uint64_t end;
    const char *what;
};

/** What was found of a site's blocks. */
struct tm_tally {
    uint64_t blocks;
    uint64_t bytes;
    uint8_t known;   // the record could be read
    uint8_t tells;   // its traceback can be told
    uint8_t foreign; // its blocks are not of CPython's domain
};
#define TM_TALLIES_IN_PAGE 4096u

struct tm_verifier {
    const struct tm_verify_table *table;
    const struct tm_root *root;
    const struct tm_verify_request *request;
    struct tm_verification *result;
    uint64_t visited[TM_FINDING_KINDS];
    bool reserved_is_zero; // the table is of no later version, which may use what was reserved
    bool no_memory;        // where nothing can be returned

    struct tm_marks strings, codes, nodes; // those which are good, with all they lead to
    uint64_t bytes_left;                   // of `bytes`, for what records refer to: nothing is referred to twice
    struct tm_tally **tallies;             // by site
    uint64_t most_allocated;               // bytes ever, by any one site
    struct tm_taken *taken;
    size_t taken_count, taken_capacity;
};

/** A finding about so many records; `why` as printf() takes it. */
void tm_verify_tell(struct tm_verifier *verifier, enum tm_finding_kind kind, const char *what, uint64_t id,
                    uint64_t address, uint64_t records, const char *why, ...) __attribute__((format(printf, 7, 8)));
/** Damage of one record of an array. */
#define TM_VERIFY_DAMAGED(verifier, records, what, id, ...) \
    tm_verify_tell((verifier), TM_FINDING_DAMAGE, (what), (id), tm_records_address((records), (id)), 1, __VA_ARGS__)
/** What looks like an update in flight. */
enum tm_finding_kind tm_verify_in_flight(const struct tm_verifier *verifier);
/** Remember that this memory is the table's. */
void tm_verify_take(struct tm_verifier *verifier, uint64_t start, uint64_t length, const char *what);

/** No program has so many live blocks or bytes. */
#define TM_VERIFY_COUNTER_LIMIT (UINT64_C(1) << 60)
/** The loops over records ask for Ctrl-C now and then. */
#define TM_VERIFY_BETWEEN_CHECKS 4096u

void tm_verify_root(struct tm_verifier *verifier);
/** After all else: whether any two things take the same memory, and how much it is. */
void tm_verify_memory(struct tm_verifier *verifier);
struct tm_error *tm_verify_records(struct tm_verifier *verifier);
struct tm_error *tm_verify_blocks(struct tm_verifier *verifier);
struct tm_error *tm_verify_tracked(struct tm_verifier *verifier);

/** The tally of a site whose record could be read, or NULL. */
struct tm_tally *tm_verify_tally(const struct tm_verifier *verifier, uint64_t site);
/** A live block of a site; `what` and `id` say where it is recorded. */
void tm_verify_count(struct tm_verifier *verifier, const char *what, uint64_t id, uint64_t address, uint64_t size,
                     uint32_t site);

#endif
