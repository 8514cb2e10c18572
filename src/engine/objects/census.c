// One pass over the nodes, with a hash table of groups.

#include "engine/objects/census.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"

enum { BETWEEN_CHECKS = 65536 };

// ---------------------------------------------------------------------------------------------------------------
// Names

static struct tm_error *name_of(struct tm_objects *objects, const struct tm_type *type, const struct tm_name **result)
{
    struct tm_text text = TM_TEXT_EMPTY;
    *result = type->name;
    if (type->name)
        return NULL;
    tm_type_write_name(type, &text);
    struct tm_error *error = tm_text_check(&text);
    if (!error)
        error = tm_pool_name(objects->pool, tm_text_string(&text), (uint32_t)text.length, result);
    tm_text_deinit(&text);
    return error;
}

static unsigned char judge(const struct tm_pattern *pattern, const struct tm_name *name)
{
    return !pattern || tm_pattern_matches(pattern, name->bytes, name->length);
}

static struct tm_error *name_all(struct tm_census_names *names)
{
    struct tm_objects *objects = names->objects;
    struct tm_error *error = tm_pool_name(objects->pool, TM_NO_OBJECT, strlen(TM_NO_OBJECT), &names->no_object);
    if (!error)
        error = tm_pool_name(objects->pool, TM_FREE_LIST, strlen(TM_FREE_LIST), &names->free_list);
    for (size_t i = 0; !error && i < objects->type_count; i++) {
        error = name_of(objects, objects->list[i], &names->names[i]);
        if (!error)
            names->verdicts[i] = judge(names->pattern, names->names[i]);
    }
    if (!error) {
        names->verdicts[objects->type_count] = judge(names->pattern, names->no_object);
        names->verdicts[objects->type_count + 1] = judge(names->pattern, names->free_list);
    }
    return error;
}

struct tm_error *tm_census_names_init(struct tm_census_names *names, struct tm_objects *objects,
                                      const struct tm_pattern *pattern)
{
    *names = (struct tm_census_names){.objects = objects, .pattern = pattern};
    names->names = calloc(objects->type_count + 1, sizeof(*names->names));
    names->verdicts = calloc(objects->type_count + 2, 1);
    struct tm_error *error = names->names && names->verdicts ? name_all(names) : tm_error_no_memory();
    if (error)
        tm_census_names_deinit(names);
    return error;
}

void tm_census_names_deinit(struct tm_census_names *names)
{
    free(names->names);
    free(names->verdicts);
    *names = (struct tm_census_names){0};
}

const struct tm_name *tm_census_name(const struct tm_census_names *names, const struct tm_heap_node *node)
{
    size_t types = names->objects->type_count;
    if (node->kind == TM_NODE_DEAD)
        return names->verdicts[types + 1] ? names->free_list : NULL;
    if (node->kind == TM_NODE_BLOCK || node->type == 0)
        return names->verdicts[types] ? names->no_object : NULL;
    return names->verdicts[node->type - 1] ? names->names[node->type - 1] : NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Counting

void tm_census_groups_init(struct tm_census_groups *groups, const struct tm_nodes *nodes, struct tm_snapshot *snapshot)
{
    *groups = (struct tm_census_groups){.nodes = nodes, .snapshot = snapshot};
}

void tm_census_groups_deinit(struct tm_census_groups *groups)
{
    tm_set_deinit(&groups->numbers);
}

struct tm_error *tm_census_groups_add(struct tm_census_groups *groups, const struct tm_heap_node *owner,
                                      const struct tm_name *name, uint64_t size, uint64_t count)
{
    uint64_t key = tm_hash_number((uint64_t)(uintptr_t)name) ^ owner->origin;
    if (!tm_set_reserve(&groups->numbers))
        return tm_error_no_memory();
    struct tm_set_entry *entry = tm_set_find_number(&groups->numbers, key);
    if (!entry->item) {
        const struct tm_origin *origin = &groups->nodes->origins[owner->origin];
        const struct tm_group group = {.traceback = origin->traceback, .domain = origin->domain, .type = name};
        struct tm_error *error = tm_snapshot_add(groups->snapshot, &group);
        if (error)
            return error;
        tm_set_put_number(&groups->numbers, entry, key, (void *)(uintptr_t)groups->snapshot->count);
    }
    struct tm_group *group = &groups->snapshot->groups[(uintptr_t)entry->item - 1];
    uint64_t period = groups->nodes->traces.sample_period;
    if (!period) {
        group->size = tm_add_saturating(group->size, size);
        group->count += count;
        return NULL;
    }
    const struct tm_estimate estimate = tm_estimate_of(period, size);
    if (!group->estimate)
        group->estimate = tm_snapshot_estimate(groups->snapshot, NULL);
    if (!group->estimate)
        return tm_error_no_memory();
    tm_estimate_sum(&group->size, &group->count, group->estimate, size, count, &estimate);
    return NULL;
}

static void count_lack(struct tm_census *census, const struct tm_heap_node *owner, uint64_t size)
{
    struct tm_lack *lack = owner->kind == TM_NODE_DEAD    ? &census->free_lists
                           : owner->kind == TM_NODE_BLOCK ? &census->not_objects
                                                          : NULL;
    if (lack) {
        lack->size = tm_add_saturating(lack->size, size);
        lack->count++;
    }
}

static struct tm_error *count_all(struct tm_census_groups *groups, const struct tm_census_names *names,
                                  struct tm_census *census)
{
    struct tm_error *error = NULL;
    bool sampled = groups->nodes->traces.sample_period;
    for (size_t i = 0; !error && i < groups->nodes->count; i++) {
        const struct tm_heap_node *node = &groups->nodes->items[i];
        const struct tm_heap_node *owner = sampled ? node : tm_node_owner(groups->nodes, node);
        const struct tm_name *name = tm_census_name(names, owner);
        if (!sampled)
            count_lack(census, owner, node->size);
        if (name)
            error = tm_census_groups_add(groups, owner, name, node->size, owner == node);
        if (!error && i % BETWEEN_CHECKS == 0)
            error = tm_host_check(names->objects->host);
    }
    return error;
}

struct tm_error *tm_census_take(struct tm_objects *objects, const struct tm_nodes *nodes,
                                const struct tm_pattern *pattern, struct tm_snapshot *snapshot,
                                struct tm_census *result)
{
    struct tm_census_groups groups;
    struct tm_census_names names;

    *result = (struct tm_census){.taken = true,
                                 .sampled = nodes->traces.sample_period,
                                 .unnamed = objects->unnamed,
                                 .unreadable = nodes->unreadable,
                                 .data_unknown = objects->data_count == 0};
    struct tm_error *error = tm_census_names_init(&names, objects, pattern);
    if (error)
        return error;
    snapshot->count = 0;
    snapshot->has_churn = false;
    snapshot->damage = nodes->traces.damage; // the same table was read: nothing counts twice
    tm_census_groups_init(&groups, nodes, snapshot);
    error = count_all(&groups, &names, result);
    tm_census_groups_deinit(&groups);
    tm_census_names_deinit(&names);
    return error;
}
