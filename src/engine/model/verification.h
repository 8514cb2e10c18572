/**
 * Verifying: what is asked of a check of a whole table, and what it answers. Knows no table.
 *
 * The check reports *findings*, each about one record. A core taken in the middle of an update is not damaged: what one
 * update explains is a finding of its own kind.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_VERIFICATION_H
#define TRACEMORTEM_ENGINE_MODEL_VERIFICATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    uint64_t address; // of the record in the target, or of a block; 0: not known
    const char *why;  // the engine's own words; valid during the call
};
/** Called for the first findings of each kind, as many as the request asks for. */
typedef void (*tm_finding_visitor)(void *context, const struct tm_finding *finding);

struct tm_verify_request {
    tm_finding_visitor visit;
    void *context;
    size_t limit; // findings of each kind which are visited
    bool strict;  // the tracer is known to be at rest: what looks like an update in flight is damage
};

struct tm_verification {
    uint64_t table_address;
    uint64_t records[TM_FINDING_KINDS]; // concerned, at least one for each finding
    uint64_t unreadable_bytes;          // of the missing ones
    // What was checked.
    uint64_t strings, codes, nodes, sites, leaves, grids, lists, tracked, watched; // chunks of lists
    uint64_t blocks, bytes;                                                        // live ones found, and their sizes
    uint32_t full;                                                                 // TM_FULL_*
    uint64_t lost_blocks, lost_frames;    // as the tracer counted them: not recorded
    uint64_t hidden_blocks, hidden_bytes; // up to so many live ones have no traceback that can be read
};

#endif
