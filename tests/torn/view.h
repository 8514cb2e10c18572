/**
 * What the engine sees of a stopped process: its answers as plain numbers, and whether they can have changed.
 *
 * The engine reads a copy of the pages that it asks for. Its answers depend on nothing else, so they stay the same while none
 * of these pages changes.
 */
#ifndef TRACEMORTEM_TESTS_VIEW_H
#define TRACEMORTEM_TESTS_VIEW_H

#include "engine/model/source.h"
#include "tracee.h"

struct seen_block {
    uint64_t address, size;
    uint32_t domain;
    bool resizing;
    const struct tm_traceback *traceback; // of the view's pool: equal ones are the same pointer
};

/** The engine's answers at one stop. */
struct seen {
    char problem[512]; // an error, or damage; "": none
    struct tm_info info;
    struct seen_block *blocks; // by address, then domain
    size_t count, capacity;
    uint64_t count_off; // blocks by which the sites' counters and their blocks differ, summed over the sites
    uint64_t bytes_off;
};

struct view;
struct view *view_create(const struct process *process, uint64_t root_variable, const struct view *like);
void view_destroy(struct view *view);
/** Whether a page that the engine has read has changed since the last look. */
bool view_changed(struct view *view);
/** Ask the engine everything. The answers stay valid until the next look but one. */
const struct seen *view_look(struct view *view);
/** The answer of tm_source_find() for an address: the block of domain 0, or false. After view_look(). */
bool view_find(struct view *view, uint64_t address, struct seen_block *block);

#endif
