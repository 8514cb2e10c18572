/**
 * Census: live blocks grouped by the line that allocated them and by the type of the object in them. Parts count with
 * their owner: with its type and with its line. Knows no command.
 */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_CENSUS_H
#define TRACEMORTEM_ENGINE_OBJECTS_CENSUS_H

#include "engine/base/match.h"
#include "engine/model/snapshot.h"
#include "engine/model/statistics.h"
#include "engine/objects/nodes.h"

/** The names of what is no live object. */
#define TM_NO_OBJECT "<block>"
#define TM_FREE_LIST "<free list>"

struct tm_census {
    bool taken;
    bool sampled;               // then these two are not known
    struct tm_lack not_objects; // blocks that are neither objects nor parts of some
    struct tm_lack free_lists;  // dead objects that CPython keeps for reuse
    uint64_t unnamed;           // types whose name cannot be read
    uint64_t unreadable;        // blocks that cannot be read
    uint64_t data_unknown;      // 1: it is not known where modules have their data
};

/**
 * Replace the groups of a snapshot by those of the nodes (of samples by their estimates, without what belongs to an object:
 * mostly one of the two is no sample); each has a type. `pattern`: only objects of types whose name
 * matches; NULL: all.
 */
struct tm_error *tm_census_take(struct tm_objects *objects, const struct tm_nodes *nodes,
                                const struct tm_pattern *pattern, struct tm_snapshot *snapshot,
                                struct tm_census *result);

/** Nodes counted into the groups of a snapshot, one for each allocation site and type. */
struct tm_census_groups {
    const struct tm_nodes *nodes;
    struct tm_snapshot *snapshot;
    struct tm_set numbers; // the number plus 1 in the snapshot, by origin and name
};
void tm_census_groups_init(struct tm_census_groups *groups, const struct tm_nodes *nodes, struct tm_snapshot *snapshot);
void tm_census_groups_deinit(struct tm_census_groups *groups);
/** Add bytes, and so many objects, to the group of a traced node. Of a sample it adds what the sample stands for. */
struct tm_error *tm_census_groups_add(struct tm_census_groups *groups, const struct tm_heap_node *owner,
                                      const struct tm_name *name, uint64_t size, uint64_t count);

/** For each node in the order of addresses whether its object, or that of which it is a part, has a type that matches. */
struct tm_census_names {
    struct tm_objects *objects;
    const struct tm_pattern *pattern;
    const struct tm_name *no_object, *free_list;
    const struct tm_name **names; // by a type's number
    unsigned char *verdicts;      // of the types, and then of the two others
};
struct tm_error *tm_census_names_init(struct tm_census_names *names, struct tm_objects *objects,
                                      const struct tm_pattern *pattern);
void tm_census_names_deinit(struct tm_census_names *names);
/** The name of what a node without an owner is; NULL: the pattern does not match it. */
const struct tm_name *tm_census_name(const struct tm_census_names *names, const struct tm_heap_node *node);

#endif
