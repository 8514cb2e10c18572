/**
 * Profiles: how much is recorded. Both record each block with its exact frames, as many as the frame limit allows.
 *
 * *lean* is for production: it leaves out what costs most beside that. *full* records all that tracemalloc does. A profile is
 * chosen when tracing starts, and holds until tracing stops. The hooks are compiled once for each, with its fields as
 * constants, just as with the facts of CPython (facts.h).
 */
#ifndef TRACEMORTEM_TRACER_PROFILE_H
#define TRACEMORTEM_TRACER_PROFILE_H

#include <stdbool.h>

enum { PROFILE_LEAN = 1, PROFILE_FULL = 2 }; // 0: nothing is recorded

struct profile {
    int number;
    bool counts_frames; // all frames of a stack, where tracemalloc does (facts.h): not only whether some were cut off
    bool counts_sites;  // what was allocated from each site and freed again
};

/** In the functions that are compiled for each profile this is a constant. */
typedef const struct profile *profile_t;

static const struct profile profile_lean = {.number = PROFILE_LEAN, .counts_frames = false, .counts_sites = true};
static const struct profile profile_full = {.number = PROFILE_FULL, .counts_frames = true, .counts_sites = true};

/** The profile of this name, "lean" or "full"; NULL: there is none. */
profile_t profile_called(const char *name);

/** The profile of the present trace, or of the latest one. Never NULL. */
extern profile_t profile_now;

#endif
