/**
 * Verifying: walks a whole native table and checks every invariant which docs/layout.md states.
 *
 * What is found out is told as *findings*, each with the record it is about. A core taken in the middle of an update is not
 * damaged: what one update explains is told apart. Knows records and what they mean together; no command and no output.
 */
#ifndef TRACEMORTEM_ENGINE_VERIFY_VERIFY_H
#define TRACEMORTEM_ENGINE_VERIFY_VERIFY_H

#include "engine/table/records.h"
#include "engine/table/root.h"

enum tm_finding_kind {
    TM_FINDING_DAMAGE,    // contradicts the layout
    TM_FINDING_MISSING,   // cannot be read
    TM_FINDING_IN_FLIGHT, // an update was going on when the target was stopped
};
#define TM_FINDING_KINDS 3

struct tm_finding {
    enum tm_finding_kind kind;
    const char *what; // "node", "site", "block"
    uint64_t id;      // of the record; 0: it has none
    uint64_t address; // of the record in the target, or of a block; 0: nowhere
    const char *why;  // the engine's own words; valid during the call
};
/** Called for the first findings of each kind, as many as were asked for. */
typedef void (*tm_finding_visitor)(void *context, const struct tm_finding *finding);

struct tm_verification {
    uint64_t table_address;
    uint64_t records[TM_FINDING_KINDS]; // concerned, at least one for each finding
    uint64_t unreadable_bytes;          // of the missing ones
    // What was checked.
    uint64_t strings, codes, nodes, sites, branches, leaves, tracked, watched;
    uint64_t blocks, bytes;               // live ones found, and their sizes
    uint64_t hidden_blocks, hidden_bytes; // up to so many live ones have no traceback that can be told
};

struct tm_verify_request {
    tm_finding_visitor visit;
    void *context;
    size_t limit; // findings of each kind which are visited
    bool strict;  // the tracer is known to be at rest: what looks like an update in flight is damage
};

/** A table whose arrays are loaded. */
struct tm_verify_table {
    struct tm_target *target;
    const struct tm_host *host;
    const struct tm_root_place *place;
    const struct tm_records *bytes, *strings, *codes, *nodes, *sites, *tracked;
};

/** Memory is bounded by what was read. Fails only if interrupted or for want of memory. */
struct tm_error *tm_verify(const struct tm_verify_table *table, const struct tm_verify_request *request,
                           struct tm_verification *result);

#endif
