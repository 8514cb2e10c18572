/**
 * Asks a CPython of 3.14 or later to run a script, as sys.remote_exec() does (PEP 768). The main thread runs it between two
 * instructions of its Python code, so not while it waits. Knows nothing of what the script does.
 */
#ifndef TRACEMORTEM_PROCESS_REMOTE_H
#define TRACEMORTEM_PROCESS_REMOTE_H

#include "process/stop.h"

enum tm_remote_offer {
    TM_REMOTE_UNKNOWN, // an older CPython, or one whose description does not make sense
    TM_REMOTE_OFF,     // it was switched off, in the environment or on the command line
    TM_REMOTE_READY,
};

/** Where the main thread of the main interpreter looks. */
struct tm_remote {
    uint64_t breaker;  // a word of bits that interrupt it
    uint64_t pending;  // a number: 1: there is a script
    uint64_t script;   // its path, NUL-terminated
    uint64_t capacity; // of the path
};

/** What the process offers whose `_PyRuntime` is at this address. */
enum tm_remote_offer tm_remote_find(const struct tm_live *live, uint64_t runtime, struct tm_remote *result);

/** Writes the request. The process is held still meanwhile. False: it cannot be written, or another request waits. */
bool tm_remote_ask(const struct tm_live *live, const struct tm_remote *remote, const char *script);
enum tm_remote_withdrawal {
    TM_REMOTE_UNCHANGED, // it cannot be written
    TM_REMOTE_BEGUN,     // the script was begun
    TM_REMOTE_WITHDRAWN,
};
/** Takes the request back, likewise. Where the process is not held, the script may have begun all the same. */
enum tm_remote_withdrawal tm_remote_withdraw(const struct tm_live *live, const struct tm_remote *remote);

#endif
