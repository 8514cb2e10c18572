/**
 * A look at all live blocks of a target and at what they are, for the commands about types and objects.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_LOOK_H
#define TRACEMORTEM_ENGINE_COMMANDS_LOOK_H

#include "engine/commands/request.h"
#include "engine/graph/graph.h"
#include "engine/objects/census.h"

struct tm_look {
    struct tm_pattern *type; // of --type, or NULL
    struct tm_objects objects;
    struct tm_nodes nodes;
    struct tm_graph graph; // where it is asked for
};

/** The caller calls tm_look_deinit(), whatever is returned. */
struct tm_error *tm_look_init(struct tm_look *look, const struct tm_request *request, struct tm_target *target,
                              struct tm_pool *pool);
/** The same with the untraced blocks and with all references. Needs a table of tracemortem's tracer. */
struct tm_error *tm_look_init_graph(struct tm_look *look, const struct tm_request *request, struct tm_target *target,
                                    struct tm_pool *pool);
void tm_look_deinit(struct tm_look *look);
/** Whether memory is missing that may hold references. */
bool tm_look_is_suspect(const struct tm_look *look);

/** As tm_query_traces(), of the blocks whose object has a type that matches, and of its parts; with their nodes. */
typedef struct tm_error *(*tm_node_visitor)(void *context, const struct tm_trace *trace,
                                            const struct tm_heap_node *node);
struct tm_error *tm_look_visit(struct tm_look *look, const struct tm_request *request, struct tm_pool *pool,
                               tm_node_visitor visit, void *context);

#endif
