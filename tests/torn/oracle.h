/**
 * What may be seen: the blocks as they were, and for each call in flight the one change it is about to make.
 *
 * A call tells by its arguments what it will do; where it comes from is told by the program, in cells which both map, as the
 * lines it is at. Nothing here is taken from the table but where it all began.
 */
#ifndef TRACEMORTEM_TESTS_ORACLE_H
#define TRACEMORTEM_TESTS_ORACLE_H

#include "view.h"

/** The program's cells: for each thread 16. */
enum { CELLS = 2048, CELLS_OF_THREAD = 16, CELL_LINE = 1, CELL_INNER = 2, CELL_BASE = 8, BASE_LINES = 2 };

enum kind {
    KIND_NONE, // it changes nothing
    KIND_ALLOCATE,
    KIND_FREE,
    KIND_RESIZE,
    KIND_REBORN, // an object comes to life, out of a free list or not
    KIND_TRACK,
    KIND_UNTRACK,
    KIND_CLEAR, // all traces go
};

/** A call into the tracer which has not returned. */
struct flight {
    bool used;
    enum kind kind;
    uint64_t address; // which it is given: of a block, or of an object
    uint64_t size;    // which it asks for
    uint64_t old_size;
    bool takes_empty; // the old block is there, and has no bytes
    uint32_t domain;
    bool optional; // it may do nothing: it is nested, or nothing is traced
    bool was_tracing;
    uint64_t lost_before;
    uint32_t lines[BASE_LINES + 2]; // where it comes from, the newest frame first
    unsigned line_count;            // 0: not known
    bool has_added;                 // a block has appeared, here:
    uint64_t added;
};

enum { FLIGHTS = 64 };

/** All of one process. */
struct oracle {
    struct seen_block *blocks; // as they were before the flights
    size_t count;
    struct flight flights[FLIGHTS];
    bool tracing;
    uint64_t lost;
};

/** Begin with what is there. */
void oracle_adopt(struct oracle *oracle, const struct seen *seen);
/** A child has what its parent had, and no flight. */
void oracle_copy(struct oracle *oracle, const struct oracle *parent);
void oracle_deinit(struct oracle *oracle);

/** A call begins. `name` is the function's; `nested`: in another call of the same thread. */
struct flight *oracle_begin(struct oracle *oracle, const struct process *process, const struct call *call,
                            const char *name, bool nested, const volatile uint16_t *cells, unsigned thread);
/**
 * Whether what is seen may be; if not, `problem` says why. With `ended` a call has just returned `result`: its change must have
 * been made, and is part of what was from now on.
 */
bool oracle_check(struct oracle *oracle, struct view *view, const struct seen *seen, struct flight *ended,
                  uint64_t result, char *problem, size_t room);

#endif
