/**
 * What the environment asks of the tracer: the one place that reads our variables. Each of them may be absent or empty, which
 * means its default. Nonsense in one is said in one line on stderr, once a process, and then nothing is traced.
 */
#ifndef TRACEMORTEM_TRACER_ENVIRONMENT_H
#define TRACEMORTEM_TRACER_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile.h"
#include "recorder_place.h"

/** How many frames to keep, if tracing is wanted from the start. 0: it is not, or some variable is nonsense. */
unsigned environment_frame_limit(void);

/** TRACEMORTEM=dormant or dormant:N: how many frames to keep once somebody starts the tracer; 1 if it does not say. */
unsigned environment_dormant_frames(void);

/** TRACEMORTEM_SIGNAL: the signal that starts and stops, such as RTMIN+5. 0: none, or it is nonsense, which this says. */
int environment_signal(void);
/** The folder of TRACEMORTEM_FILE, where snapshots go, as far as it fits. "." if it names none. */
void environment_folder(char *folder, size_t capacity);

/** Whether the variables that say how to trace make sense. If not, this says so. */
bool environment_is_sound(void);

/** TRACEMORTEM_DETAIL: the profile to trace in. `preset` if it does not say, or is nonsense. */
profile_t environment_profile(profile_t preset);

/** TRACEMORTEM_REUSE: whether to watch objects created in memory from free lists. The default if it is nonsense. */
enum environment_reuse {
    REUSE_FORGET,         // do not
    REUSE_EXACT,          // the default
    REUSE_EXACT_UNCHANGED // without changing the interpreter's code, or its slots for libc's functions
};
enum environment_reuse environment_reuse(void);

/** TRACEMORTEM_RECORDS: at most how many sites. The default if it is nonsense. */
uint64_t environment_records(void);

/** TRACEMORTEM_SAMPLE: the mean distance of picked bytes in the sampled profile. The default if it is nonsense. */
uint64_t environment_sample_period(void);
/** TRACEMORTEM_SEED: which bytes are picked; for tests. 0: by chance. */
uint64_t environment_seed(void);

/** TRACEMORTEM_FILE, _FILE_ARGS and _KEEP: where the recorder's file is wanted. */
struct recorder_wish {
    char pattern[PATH_MAX]; // "": no file is wanted
    bool arguments;         // it shall have the command line
    struct recorder_keep keep;
};
void environment_recorder(struct recorder_wish *wish);

/** TRACEMORTEM_AT: at how much memory the moment is marked. */
struct moment_wish {
    unsigned percent; // of the process's limit; 0: see bytes
    uint64_t bytes;   // 0 too: nothing is wanted
    int signal;       // that the process sends to itself then; 0: none
};
void environment_moment(struct moment_wish *wish);

/** Undo what `python3 -m tracemortem` did to the environment, unless it is to stay for child processes. */
void environment_restore(void);

/** Hide PYTHONTRACEMALLOC from the interpreter, which is about to read it. */
void environment_hide_stock(void);
/** The interpreter has read it. If the launcher started us, the program gets the variable back. */
void environment_show_stock(void);

#endif
