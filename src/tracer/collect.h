/**
 * Collecting records that nothing refers to any more: sites without live blocks, and the nodes, codes and strings that only
 * such sites used. They are used again. So the table grows with what is alive, not with all that ever was.
 *
 * A collection marks what live blocks refer to, and then frees the rest. It happens at a moment when the lock's holder has no
 * id in hand, and only if no other thread has one: those note what they do (counters.h). Otherwise it waits.
 *
 * The lean profile collects when the records have doubled. The full one keeps what a dead site has counted for as long as
 * there is room.
 */
#ifndef TRACEMORTEM_TRACER_COLLECT_H
#define TRACEMORTEM_TRACER_COLLECT_H

#include "caller.h"
#include "counters.h"
#include "kind.h"

/** Collect, if it is due and nothing is in its way. For the holder of the main interpreter's lock, with no id in hand. Returns
 * whether it has: then nothing that was remembered of ids counts any more. */
bool collect(void);

static ALWAYS_INLINE bool collect_if_due(void)
{
    return UNLIKELY(collection_is_due) && collect();
}

/** While a thread without the lock has the id of a site in hand: it may be dead to a collection. */
static ALWAYS_INLINE void collect_hold(struct caller caller)
{
    if (UNLIKELY(!caller.owns_lock))
        counter_note(1);
}
static ALWAYS_INLINE void collect_release(struct caller caller)
{
    if (UNLIKELY(!caller.owns_lock))
        counter_note(-1);
}

/** While ids are in use outside of the table, nothing is collected. Both nest. With the interpreter's lock. */
void collect_pause(void);
void collect_resume(void);

#endif
