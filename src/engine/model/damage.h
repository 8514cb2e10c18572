/**
 * Damage: what an answer leaves out, and why. Knows no table and no record.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_DAMAGE_H
#define TRACEMORTEM_ENGINE_MODEL_DAMAGE_H

#include "engine/target/target.h"

/** All zero: nothing is left out. Sums saturate. */
struct tm_damage {
    uint64_t unreadable_records; // the target's memory there could not be read (pages missing from a core)
    uint64_t unreadable_bytes;   // how much memory that is
    uint64_t corrupt_records;    // read, but contradicting the layout: a link out of range, a count too large
    uint64_t first_address;      // of the first such record; 0: none
    uint64_t torn_records;       // out of reach: the process was stopped in the middle of a change of the table
    const char *why;             // why memory is missing, as the front end knows; NULL: not known. The target's
};

/** Whether anything is left out. */
bool tm_damage_any(const struct tm_damage *damage);

/** Add all of `more` but its `why`. */
void tm_damage_merge(struct tm_damage *damage, const struct tm_damage *more);

/** Set `why` where memory is missing and the front end can say why. */
void tm_damage_explain(struct tm_damage *damage, const struct tm_target *target);

#endif
