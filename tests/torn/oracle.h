/**
 * What may be seen: the blocks as they were, and for each call in flight the one change that it makes.
 *
 * A call's arguments say what it will do. The program writes the lines that it is at into cells which both map, so we know
 * where a call comes from. Only the state at the beginning is taken from the table.
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
    KIND_BIRTH, // an object is created, in a block from a free list or not
    KIND_TRACK,
    KIND_UNTRACK,
    KIND_CLEAR, // all traces are cleared
};

/** A call into the tracer that has not returned. */
struct flight {
    bool used;
    enum kind kind;
    uint64_t address; // its argument: of a block, or of an object
    uint64_t size;    // its argument
    uint64_t old_size;
    bool takes_empty; // there is an old block, and it has no bytes
    uint32_t domain;
    bool optional; // it may do nothing: it is nested, or tracing is off
    bool was_tracing;
    uint64_t lost_before;
    uint32_t lines[BASE_LINES + 2]; // where it comes from, the newest frame first
    unsigned line_count;            // 0: not known
    bool has_added;                 // a block has appeared, at:
    uint64_t added;
};

enum { FLIGHTS = 64 };

/** What is known of one process. */
struct oracle {
    struct seen_block *blocks; // as they were before the flights
    size_t count;
    struct flight flights[FLIGHTS];
    bool tracing;
    uint64_t lost;
};

/** Where blocks are picked, a new one need not be shown. The mean distance of picked bytes; 0: all are recorded. */
extern uint64_t oracle_sample_period;

/** Begin with what is seen now. */
void oracle_adopt(struct oracle *oracle, const struct seen *seen);
/** A child begins with its parent's blocks, and without a flight. */
void oracle_copy(struct oracle *oracle, const struct oracle *parent);
void oracle_deinit(struct oracle *oracle);

/** A call begins. `name` is the function's. `nested`: it is inside another call of the same thread. */
struct flight *oracle_begin(struct oracle *oracle, const struct process *process, const struct call *call,
                            const char *name, bool nested, const volatile uint16_t *cells, unsigned thread);
/**
 * Whether what is seen is right; if not, `problem` says why. With `ended`, a call has just returned `result`: its change
 * must be made, and is part of the blocks from now on.
 */
bool oracle_check(struct oracle *oracle, struct view *view, const struct seen *seen, struct flight *ended,
                  uint64_t result, char *problem, size_t room);

#endif
