// From a target to its nodes.

#include "engine/commands/look.h"

#include <string.h>

#include "engine/commands/sift.h"
#include "engine/open.h"

static struct tm_error *open_objects(struct tm_look *look, const struct tm_request *request, struct tm_target *target,
                                     struct tm_pool *pool)
{
    const struct tm_host *host = &request->session->host;
    const char *type = request->settings.type;
    struct tm_source *source = NULL;

    memset(look, 0, sizeof(*look));
    struct tm_error *error = type ? tm_pattern_create(type, strlen(type), &look->type) : NULL;
    if (!error)
        error = tm_source_open(target, host, &source);
    if (!error)
        error = tm_source_require_tracing(source);
    return error ? error : tm_objects_init(&look->objects, target, source, host, pool);
}

struct tm_error *tm_look_init(struct tm_look *look, const struct tm_request *request, struct tm_target *target,
                              struct tm_pool *pool)
{
    struct tm_error *error = open_objects(look, request, target, pool);
    return error ? error : tm_nodes_init(&look->nodes, &look->objects, NULL);
}

struct tm_error *tm_look_init_graph(struct tm_look *look, const struct tm_request *request, struct tm_target *target,
                                    struct tm_pool *pool)
{
    struct tm_info info;
    struct tm_error *error = open_objects(look, request, target, pool);
    if (!error)
        error = tm_source_info(look->objects.source, look->objects.host, &info);
    if (error)
        return error;
    // CPython's own tracemalloc keeps the address of every block in memory of C: it would seem to hold them all.
    if (!info.has_tracer)
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "what holds a block cannot be told here: CPython's own tracemalloc keeps the address of "
                               "every block, and its tables would seem to hold them all\nRun the program under "
                               "tracemortem's tracer. \"tm-top type\" and \"tm-object\" work here too");
    // Blocks that no table knows hold others, too; without them nearly all would seem to be held by nothing.
    if (info.sample_period)
        return tm_error_create(
            TM_ERROR_UNSUPPORTED,
            "what holds a block cannot be told here: the program runs in the sampled profile, and "
            "most of its blocks are not recorded\nRun it with TRACEMORTEM_DETAIL=lean. \"tm-object\" "
            "works here too, and \"tm-top type\" estimates");
    return tm_graph_init(&look->graph, &look->objects, &look->nodes);
}

void tm_look_deinit(struct tm_look *look)
{
    tm_graph_deinit(&look->graph);
    tm_nodes_deinit(&look->nodes);
    tm_objects_deinit(&look->objects);
    tm_pattern_destroy(look->type);
}

bool tm_look_is_suspect(const struct tm_look *look)
{
    return look->graph.unreadable_roots > 0 || look->graph.unreadable_nodes > 0 || look->nodes.unreadable > 0;
}

struct visit {
    tm_node_visitor visit;
    void *context;
    const struct tm_heap_node *node; // of the trace that is being visited
};

static struct tm_error *pass_on(void *context, const struct tm_trace *trace)
{
    const struct visit *visit = context;
    return visit->visit(visit->context, trace, visit->node);
}

static struct tm_error *visit_all(struct tm_look *look, const struct tm_census_names *names, struct tm_sifter *sifter,
                                  struct visit *visit)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < look->nodes.count; i++) {
        visit->node = &look->nodes.items[i];
        if (visit->node->origin == TM_UNTRACED)
            continue;
        const struct tm_trace trace = {visit->node->address, visit->node->size,
                                       &look->nodes.origins[visit->node->origin], false};
        if (tm_census_name(names, tm_node_owner(&look->nodes, visit->node)))
            error = tm_sift(sifter, &trace);
        if (!error && i % 65536 == 0)
            error = tm_host_check(look->objects.host);
    }
    return error;
}

struct tm_error *tm_look_visit(struct tm_look *look, const struct tm_request *request, struct tm_pool *pool,
                               tm_node_visitor visitor, void *context)
{
    struct visit visit = {visitor, context, NULL};
    struct tm_census_names names;
    struct tm_sifter sifter;

    struct tm_error *error = tm_census_names_init(&names, &look->objects, look->type);
    if (error)
        return error;
    error = tm_sifter_init(&sifter, request, pool, pass_on, &visit);
    if (!error)
        error = visit_all(look, &names, &sifter, &visit);
    tm_sifter_deinit(&sifter);
    tm_census_names_deinit(&names);
    return error;
}
