/**
 * Steps of a path from what holds an object to the object: how each thing refers to the next, what it is, and the line
 * that allocated it. As text and as JSON with the same facts.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_HOLDER_STEPS_H
#define TRACEMORTEM_ENGINE_COMMANDS_HOLDER_STEPS_H

#include "engine/base/json.h"
#include "engine/commands/look.h"
#include "engine/graph/holders.h"

struct tm_steps {
    struct tm_look *look;
    struct tm_text *out;
    struct tm_json *json; // NULL: text
    uint32_t depth; // the most steps that are shown, those nearest to the object; 0: all, in text the ends of them
};

/** What a node is, in a few words. */
struct tm_error *tm_step_show(const struct tm_steps *steps, const struct tm_heap_node *node, struct tm_text *text);
/** How `from` refers to `to`; nothing if it does not. */
struct tm_error *tm_step_label(const struct tm_steps *steps, const struct tm_heap_node *from,
                               const struct tm_heap_node *to, struct tm_text *text);
/** A line or an object. */
struct tm_error *tm_step_write(const struct tm_steps *steps, const struct tm_text *label,
                               const struct tm_heap_node *node);
/** All steps of a path. */
struct tm_error *tm_steps_write(const struct tm_steps *steps, const uint32_t *path, size_t count);

#endif
