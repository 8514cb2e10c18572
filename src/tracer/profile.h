/**
 * Profiles: how much is recorded. *full* records all that tracemalloc does. *lean* is for production: it records each block
 * with its exact frames, as many as the frame limit allows, and leaves out what costs most beside that. *sampled* is for
 * processes that nobody looks at until something goes wrong: it records a few blocks, picked by chance, as lean does.
 *
 * A profile is chosen when tracing starts, and holds until tracing stops. The hooks are compiled once for each, with its
 * fields as constants, just as with the facts of CPython (facts.h).
 */
#ifndef TRACEMORTEM_TRACER_PROFILE_H
#define TRACEMORTEM_TRACER_PROFILE_H

#include <stdbool.h>

enum { PROFILE_LEAN = 1, PROFILE_FULL = 2, PROFILE_SAMPLED = 3 }; // 0: nothing is recorded

struct profile {
    int number;
    bool counts_frames; // all frames of a stack, where tracemalloc does (facts.h): not only whether some were cut off
    bool counts_sites;  // what was allocated from each site and freed again
    bool picks;         // only picked blocks are recorded (sample.h), in no grid, and no births
};

/** In the functions that are compiled for each profile this is a constant. */
typedef const struct profile *profile_t;

static const struct profile profile_lean = {.number = PROFILE_LEAN};
static const struct profile profile_full = {.number = PROFILE_FULL, .counts_frames = true, .counts_sites = true};
static const struct profile profile_sampled = {.number = PROFILE_SAMPLED, .picks = true};

/** What the profiles are called, for messages. */
#define PROFILE_NAMES "lean, full or sampled"

/** The profile of this name; NULL: there is none. */
profile_t profile_called(const char *name);

/** The profile of the present trace, or of the latest one. Never NULL. */
extern profile_t profile_now;

#endif
