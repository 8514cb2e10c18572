// A tree of frames' numbers. It is made in the order of the snapshot; then its nodes, and by these the stacks, are put in
// order: children are linked in the order of their frames, and a walk from the root numbers them all.

#include "engine/export/stacks.h"

#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"

// Groups between two questions whether the user wants to stop, and after which their memory is given back.
enum { STEPS = 4096, GROUPS = 1 << 16 };

// ---------------------------------------------------------------------------------------------------------------
// Amounts

void tm_amount_add(struct tm_amount *amount, const struct tm_amount *more)
{
    for (unsigned side = 0; side < TM_SIDES; side++) {
        amount->size[side] = tm_add_saturating(amount->size[side], more->size[side]);
        amount->count[side] = tm_add_saturating(amount->count[side], more->count[side]);
    }
}

uint64_t tm_amount_weight(const struct tm_amount *amount)
{
    uint64_t now = amount->size[TM_SIDE_NEW], old = amount->size[TM_SIDE_OLD];
    return now > old ? now : old;
}

// ---------------------------------------------------------------------------------------------------------------
// Frames

struct numbered {
    const struct tm_frame *frame;
    uint32_t number;
};

static bool is_same_frame(const struct tm_frame *a, const struct tm_frame *b)
{
    return a->file_name == b->file_name && a->line == b->line && a->function == b->function &&
           a->not_recorded == b->not_recorded;
}

static struct tm_error *add_frame(struct tm_frames *frames, const struct tm_frame *frame, uint64_t hash,
                                  struct tm_set_entry *entry)
{
    struct numbered *made = tm_arena_allocate(&frames->arena, sizeof(*made));
    if (!made || frames->count == UINT32_MAX || !TM_GROW(&frames->items, frames->count + 1, &frames->capacity))
        return tm_error_no_memory();
    *made = (struct numbered){frame, (uint32_t)frames->count};
    frames->items[frames->count++] = frame;
    tm_set_put(&frames->numbers, entry, hash, made);
    return NULL;
}

struct tm_error *tm_frames_number(struct tm_frames *frames, const struct tm_frame *frame, uint32_t *result)
{
    uint64_t hash = tm_hash_number((uint64_t)(uintptr_t)frame->file_name ^ (uint64_t)frame->line << 40);
    hash = tm_hash_number(hash ^ (uint64_t)(uintptr_t)frame->function);

    if (!tm_set_reserve(&frames->numbers))
        return tm_error_no_memory();
    struct tm_set_entry *entry = tm_set_first(&frames->numbers, hash);
    while (entry->item && !(entry->hash == hash && is_same_frame(((struct numbered *)entry->item)->frame, frame)))
        entry = tm_set_next(&frames->numbers, entry);
    if (!entry->item) {
        struct tm_error *error = add_frame(frames, frame, hash, entry);
        if (error)
            return error;
    }
    *result = ((const struct numbered *)entry->item)->number;
    return NULL;
}

void tm_frames_deinit(struct tm_frames *frames)
{
    free(frames->items);
    tm_set_deinit(&frames->numbers);
    tm_arena_deinit(&frames->arena);
    *frames = (struct tm_frames){0};
}

// ---------------------------------------------------------------------------------------------------------------
// Nodes

// While stacks are collected: the nodes by their contents, and what the latest traceback had.
struct collector {
    struct tm_stacks *stacks;
    const struct tm_host *host;
    size_t node_capacity;
    uint32_t *table; // a hash table of nodes; 0: free
    size_t table_capacity;
    // The latest traceback, by depth, and its nodes: mostly the next one has the same oldest frames.
    const struct tm_traceback **latest;
    uint32_t *latest_nodes;
    size_t latest_capacity, latest_nodes_capacity;
    uint32_t latest_count;
};

static size_t hash_node(uint32_t older, uint32_t frame, size_t mask)
{
    return tm_hash_number((uint64_t)older << 32 | frame) & mask;
}

static bool grow_table(struct collector *collector)
{
    const struct tm_stacks *stacks = collector->stacks;
    size_t capacity = collector->table_capacity ? collector->table_capacity * 2 : 256, mask = capacity - 1;
    uint32_t *table = calloc(capacity, sizeof(*table));
    if (!table)
        return false;
    for (uint32_t node = 1; node < stacks->node_count; node++) {
        size_t i = hash_node(stacks->nodes[node].older, stacks->nodes[node].frame, mask);
        while (table[i])
            i = (i + 1) & mask;
        table[i] = node;
    }
    free(collector->table);
    collector->table = table;
    collector->table_capacity = capacity;
    return true;
}

static struct tm_error *get_node(struct collector *collector, uint32_t older, uint32_t frame, uint32_t *result)
{
    struct tm_stacks *stacks = collector->stacks;
    if (stacks->node_count >= UINT32_MAX ||
        !TM_GROW(&stacks->nodes, stacks->node_count + 1, &collector->node_capacity) ||
        (stacks->node_count >= collector->table_capacity / 3 * 2 && !grow_table(collector)))
        return tm_error_no_memory();
    size_t mask = collector->table_capacity - 1, i = hash_node(older, frame, mask);
    for (; collector->table[i]; i = (i + 1) & mask) {
        const struct tm_stack_node *node = &stacks->nodes[collector->table[i]];
        if (node->older == older && node->frame == frame) {
            *result = collector->table[i];
            return NULL;
        }
    }
    stacks->nodes[stacks->node_count] = (struct tm_stack_node){older, frame};
    *result = collector->table[i] = (uint32_t)stacks->node_count++;
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Collecting

static struct tm_error *add_path(struct collector *collector, const struct tm_traceback *traceback, uint32_t *node)
{
    uint32_t count = traceback->count, known = collector->latest_count;
    if (!TM_GROW(&collector->latest, count, &collector->latest_capacity) ||
        !TM_GROW(&collector->latest_nodes, count, &collector->latest_nodes_capacity))
        return tm_error_no_memory();
    const struct tm_traceback *rest = traceback;
    for (; rest && !(rest->count <= known && collector->latest[rest->count - 1] == rest); rest = rest->older)
        collector->latest[rest->count - 1] = rest;
    *node = rest ? collector->latest_nodes[rest->count - 1] : 0;
    for (uint32_t i = rest ? rest->count : 0; i < count; i++) {
        uint32_t frame;
        struct tm_error *error = tm_frames_number(&collector->stacks->frames, collector->latest[i]->newest, &frame);
        if (!error)
            error = get_node(collector, *node, frame, node);
        if (error)
            return error;
        collector->latest_nodes[i] = *node;
    }
    collector->latest_count = count;
    if (count > collector->stacks->depth)
        collector->stacks->depth = count;
    return NULL;
}

static struct tm_error *add_estimate(struct tm_stacks *stacks, struct tm_stack *stack, const struct tm_group *group,
                                     unsigned side)
{
    if (!group->estimate)
        return NULL;
    stack->estimates = tm_arena_allocate(&stacks->arena, TM_SIDES * sizeof(*stack->estimates));
    if (!stack->estimates)
        return tm_error_no_memory();
    memset(stack->estimates, 0, TM_SIDES * sizeof(*stack->estimates));
    stack->estimates[side] = *group->estimate;
    return NULL;
}

static struct tm_error *add_group(struct collector *collector, const struct tm_group *group, unsigned side)
{
    struct tm_stacks *stacks = collector->stacks;
    struct tm_stack *stack = &stacks->items[stacks->count];
    *stack = (struct tm_stack){.domain = group->domain};
    struct tm_error *error = add_estimate(stacks, stack, group, side);
    if (error)
        return error;
    stack->amount.size[side] = group->size;
    stack->amount.count[side] = group->count;
    tm_amount_add(&stacks->total, &stack->amount);
    stacks->count++;
    return add_path(collector, group->traceback, &stack->node);
}

// Then the first one is the last, and is the first to be taken.
static void reverse(struct tm_group *groups, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct tm_group kept = groups[i];
        groups[i] = groups[count - 1 - i];
        groups[count - 1 - i] = kept;
    }
}

static void shrink(struct tm_snapshot *snapshot)
{
    struct tm_group *smaller = realloc(snapshot->groups, (snapshot->count + 1) * sizeof(*smaller));
    if (smaller)
        snapshot->groups = smaller;
    snapshot->capacity = snapshot->count + 1;
}

static struct tm_error *add_side(struct collector *collector, struct tm_snapshot *snapshot, unsigned side)
{
    struct tm_error *error = NULL;
    reverse(snapshot->groups, snapshot->count);
    while (snapshot->count > 0 && !error) {
        if (snapshot->count % STEPS == 0)
            error = tm_host_check(collector->host);
        if (snapshot->count % GROUPS == 0)
            shrink(snapshot);
        if (!error)
            error = add_group(collector, &snapshot->groups[--snapshot->count], side);
    }
    return error;
}

static void collector_deinit(struct collector *collector)
{
    free(collector->table);
    free(collector->latest);
    free(collector->latest_nodes);
}

static struct tm_error *collect(struct tm_stacks *stacks, const struct tm_host *host, struct tm_snapshot *now,
                                struct tm_snapshot *old)
{
    struct collector collector = {.stacks = stacks, .host = host};
    stacks->items = calloc(now->count + (old ? old->count : 0) + 1, sizeof(*stacks->items));
    stacks->nodes = TM_GROW(&stacks->nodes, 1, &collector.node_capacity) ? stacks->nodes : NULL;
    if (!stacks->items || !stacks->nodes)
        return tm_error_no_memory();
    stacks->nodes[stacks->node_count++] = (struct tm_stack_node){0, 0};
    struct tm_error *error = add_side(&collector, now, TM_SIDE_NEW);
    if (!error && old)
        error = add_side(&collector, old, TM_SIDE_OLD);
    collector_deinit(&collector);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Order

struct order {
    uint32_t *by_frame; // the nodes, in the order of their frames; later the place of each in the new order
    uint32_t *starts;   // where in it each frame's begin
    uint32_t *child;    // of each node the first one below it; 0: none
    uint32_t *sibling;  // and the next one
    struct tm_stack_node *nodes;
};

static void sort_by_frame(struct order *order, const struct tm_stacks *stacks)
{
    for (size_t node = 1; node < stacks->node_count; node++)
        order->starts[stacks->nodes[node].frame + 1]++;
    for (size_t frame = 0; frame < stacks->frames.count; frame++)
        order->starts[frame + 1] += order->starts[frame];
    for (size_t node = 1; node < stacks->node_count; node++)
        order->by_frame[order->starts[stacks->nodes[node].frame]++] = (uint32_t)node;
}

// The greatest first, each to the front.
static void link_children(struct order *order, const struct tm_stacks *stacks)
{
    for (size_t i = stacks->node_count - 1; i-- > 0;) {
        uint32_t node = order->by_frame[i], older = stacks->nodes[node].older;
        order->sibling[node] = order->child[older];
        order->child[older] = node;
    }
}

static void number_nodes(struct order *order, const struct tm_stacks *stacks)
{
    uint32_t *places = order->by_frame, place = 0, node = 0;
    for (;;) {
        const struct tm_stack_node *found = &stacks->nodes[node];
        places[node] = place;
        order->nodes[place++] = (struct tm_stack_node){node ? places[found->older] : 0, found->frame};
        if (order->child[node]) {
            node = order->child[node];
            continue;
        }
        while (node && !order->sibling[node])
            node = stacks->nodes[node].older;
        if (!node)
            return;
        node = order->sibling[node];
    }
}

static struct tm_error *sort_nodes(struct tm_stacks *stacks, const struct tm_host *host)
{
    struct order order = {.by_frame = calloc(stacks->node_count, sizeof(uint32_t)),
                          .starts = calloc(stacks->frames.count + 2, sizeof(uint32_t)),
                          .child = calloc(stacks->node_count, sizeof(uint32_t)),
                          .sibling = calloc(stacks->node_count, sizeof(uint32_t)),
                          .nodes = calloc(stacks->node_count, sizeof(struct tm_stack_node))};
    bool ready = order.by_frame && order.starts && order.child && order.sibling && order.nodes;
    struct tm_error *error = ready ? tm_host_check(host) : tm_error_no_memory();
    if (!error) {
        sort_by_frame(&order, stacks);
        link_children(&order, stacks);
        number_nodes(&order, stacks);
        for (size_t i = 0; i < stacks->count; i++)
            stacks->items[i].node = order.by_frame[stacks->items[i].node];
        free(stacks->nodes);
        stacks->nodes = order.nodes;
        order.nodes = NULL;
    }
    free(order.by_frame);
    free(order.starts);
    free(order.child);
    free(order.sibling);
    free(order.nodes);
    return error;
}

struct key {
    uint32_t node, domain;
    size_t index; // of the stack
};

static int compare_keys(const void *left, const void *right)
{
    const struct key *a = left, *b = right;
    int order = tm_compare_numbers(a->node, b->node);
    if (order == 0)
        order = tm_compare_numbers(a->domain, b->domain);
    return order ? order : tm_compare_numbers(a->index, b->index);
}

// Each to its place, along the circles in which they replace each other.
static void permute(struct tm_stack *items, struct key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tm_stack kept = items[i];
        size_t to = i;
        while (keys[to].index != i) {
            size_t from = keys[to].index;
            items[to] = items[from];
            keys[to].index = to;
            to = from;
        }
        items[to] = kept;
        keys[to].index = to;
    }
}

static struct tm_error *sort_stacks(struct tm_stacks *stacks, const struct tm_host *host)
{
    struct key *keys = calloc(stacks->count + 1, sizeof(*keys));
    struct tm_error *error = keys ? tm_host_check(host) : tm_error_no_memory();
    for (size_t i = 0; i < stacks->count && !error; i++)
        keys[i] = (struct key){stacks->items[i].node, stacks->items[i].domain, i};
    if (!error) {
        qsort(keys, stacks->count, sizeof(*keys), compare_keys);
        permute(stacks->items, keys, stacks->count);
        error = tm_host_check(host);
    }
    free(keys);
    return error;
}

static void merge(struct tm_stack *stack, const struct tm_stack *more)
{
    tm_amount_add(&stack->amount, &more->amount);
    if (!stack->estimates) {
        stack->estimates = more->estimates;
    } else if (more->estimates) {
        for (unsigned side = 0; side < TM_SIDES; side++)
            tm_estimate_add(&stack->estimates[side], &more->estimates[side]);
    }
}

static void merge_equal(struct tm_stacks *stacks)
{
    size_t kept = 0;

    for (size_t i = 0; i < stacks->count; i++) {
        struct tm_stack *stack = &stacks->items[i], *before = kept > 0 ? &stacks->items[kept - 1] : NULL;
        if (before && before->domain == stack->domain && before->node == stack->node)
            merge(before, stack);
        else
            stacks->items[kept++] = *stack;
    }
    stacks->count = kept;
}

// ---------------------------------------------------------------------------------------------------------------

struct tm_error *tm_stacks_init(struct tm_stacks *stacks, const struct tm_host *host, struct tm_snapshot *now,
                                struct tm_snapshot *old)
{
    memset(stacks, 0, sizeof(*stacks));
    struct tm_error *error = collect(stacks, host, now, old);
    if (!error)
        error = sort_nodes(stacks, host);
    if (!error)
        error = sort_stacks(stacks, host);
    stacks->path = calloc(stacks->depth + 1, sizeof(*stacks->path));
    if (!error && !stacks->path)
        error = tm_error_no_memory();
    if (error)
        tm_stacks_deinit(stacks);
    else
        merge_equal(stacks);
    return error;
}

void tm_stacks_deinit(struct tm_stacks *stacks)
{
    free(stacks->items);
    free(stacks->nodes);
    free(stacks->path);
    tm_frames_deinit(&stacks->frames);
    tm_arena_deinit(&stacks->arena);
    memset(stacks, 0, sizeof(*stacks));
}

const uint32_t *tm_stack_frames(const struct tm_stacks *stacks, const struct tm_stack *stack, uint32_t *depth)
{
    uint32_t at = stacks->depth;
    for (uint32_t node = stack->node; node; node = stacks->nodes[node].older)
        stacks->path[--at] = stacks->nodes[node].frame;
    *depth = stacks->depth - at;
    return stacks->path + at;
}

uint32_t tm_stack_newest(const struct tm_stacks *stacks, const struct tm_stack *stack)
{
    return stacks->nodes[stack->node].frame;
}
