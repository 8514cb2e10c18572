/**
 * _PyTraceMalloc_NewReference(object): the function by which CPython up to 3.12 reports each new object to the stock tracer.
 * While the stock tracer is ours (stock.h), a call of it takes a lock, with it a clock, and looks the block up. Here the call
 * becomes one of ours: by a jump at the function's entry, or, where the system does not let us write one, by leaving out the
 * lock and the clock (tables_lock.h).
 */
#ifndef TRACEMORTEM_TRACER_NEW_REFERENCE_H
#define TRACEMORTEM_TRACER_NEW_REFERENCE_H

/** How births come from CPython, the cheapest last. */
enum birth_way {
    BIRTHS_MISSED,   // they do not
    BIRTHS_BY_TABLE, // look-ups in the stock tracer's table of traces
    BIRTHS_BY_SLOTS, // the same, without lock and clock
    BIRTHS_BY_ENTRY, // a jump at the function's entry
    BIRTHS_BY_EVENTS // from 3.13 on: the reference tracer
};

/** Take the function over as well as possible; after stock_begin(), with the interpreter's lock. */
enum birth_way new_reference_take(void);

/** Undo it, if no other thread can be inside the function. Otherwise it stays, and what is called there passes on. */
void new_reference_give_back(void);

#endif
