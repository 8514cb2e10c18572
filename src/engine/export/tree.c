// Two passes over the stacks, which are in the order of the tree: the first one counts how many nodes there are of which
// weight, the second one keeps those that are heavy enough. No pass has more nodes in memory than are kept, and one path.

#include "engine/export/tree.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"

// A node that is open: the stacks below it are still being read.
struct open_node {
    uint32_t frame;
    struct tm_amount amount, cut;
    uint64_t stacks, cut_stacks, whole_stacks; // of those below it
    size_t kept;                               // its index in the tree
};

// Classes of weights: 16 for each power of two.
enum { STEPS_LOG = 4, CLASSES = 64 << STEPS_LOG };

struct walk {
    const struct tm_host *host;
    struct tm_tree *tree; // NULL in the first pass
    unsigned least;       // all nodes of this class of weights or a heavier one are kept
    size_t more;          // and so many of the class below it
    struct open_node *path;
    size_t depth;
    size_t capacity;
    struct open_node root;
    uint64_t *classes; // how many nodes, by their weight
};

static unsigned class_of(uint64_t weight)
{
    if (weight < 1u << STEPS_LOG)
        return (unsigned)weight;
    unsigned log = 63 - (unsigned)__builtin_clzll(weight);
    return ((log - STEPS_LOG + 1) << STEPS_LOG) + (unsigned)(weight >> (log - STEPS_LOG) & ((1u << STEPS_LOG) - 1));
}

// ---------------------------------------------------------------------------------------------------------------
// A path

static struct tm_error *open_node(struct walk *walk, uint32_t frame)
{
    struct tm_tree *tree = walk->tree;

    if (!TM_GROW(&walk->path, walk->depth + 1, &walk->capacity))
        return tm_error_no_memory();
    walk->path[walk->depth] = (struct open_node){.frame = frame};
    if (tree) {
        if (!TM_GROW(&tree->nodes, tree->count + 1, &tree->capacity))
            return tm_error_no_memory();
        walk->path[walk->depth].kept = tree->count;
        tree->nodes[tree->count++] = (struct tm_tree_node){.depth = (uint32_t)walk->depth, .frame = frame};
    }
    walk->depth++;
    return NULL;
}

// Whether the node whose index is `kept` is kept, when all below it are closed.
static bool keeps(struct walk *walk, unsigned class, size_t kept)
{
    if (walk->depth >= TM_TREE_DEPTH)
        return false;
    if (class >= walk->least)
        return true;
    bool above = walk->tree->count > kept + 1; // a node that is kept
    if (!above && (class + 1 < walk->least || walk->more == 0))
        return false;
    walk->more -= walk->more > 0;
    return true;
}

// All below it are closed. A light node goes, and with it what is below it, which is lighter still.
static void close_node(struct walk *walk)
{
    struct open_node node = walk->path[--walk->depth];
    struct open_node *parent = walk->depth > 0 ? &walk->path[walk->depth - 1] : &walk->root;
    uint64_t weight = tm_amount_weight(&node.amount);

    tm_amount_add(&parent->amount, &node.amount);
    parent->stacks += node.stacks;
    if (walk->classes)
        walk->classes[class_of(weight)]++;
    if (!walk->tree)
        return;
    if (!keeps(walk, class_of(weight), node.kept)) {
        walk->tree->count = node.kept;
        tm_amount_add(&parent->cut, &node.amount);
        parent->cut_stacks += node.stacks;
        return;
    }
    struct tm_tree_node *kept = &walk->tree->nodes[node.kept];
    kept->amount = node.amount;
    kept->cut = node.cut;
    kept->cut_stacks = node.cut_stacks;
    parent->whole_stacks += node.whole_stacks;
}

// The path is that of the stack before; `differs`: not only in its domain.
static struct tm_error *follow(struct walk *walk, const struct tm_stacks *stacks, const struct tm_stack *stack,
                               bool differs)
{
    size_t common = 0;
    uint32_t depth;
    const uint32_t *frames = tm_stack_frames(stacks, stack, &depth);

    while (common < walk->depth && common < depth && walk->path[common].frame == frames[common])
        common++;
    while (walk->depth > common)
        close_node(walk);
    while (walk->depth < depth) {
        struct tm_error *error = open_node(walk, frames[walk->depth]);
        if (error)
            return error;
    }
    struct open_node *newest = &walk->path[walk->depth - 1];
    tm_amount_add(&newest->amount, &stack->amount);
    if (differs) {
        newest->stacks++;
        newest->whole_stacks++;
    }
    return NULL;
}

static struct tm_error *pass(struct walk *walk, const struct tm_stacks *stacks)
{
    struct tm_error *error = NULL;

    walk->root = (struct open_node){0};
    for (size_t i = 0; i < stacks->count && !error; i++) {
        error = i % 1024 == 0 ? tm_host_check(walk->host) : NULL;
        if (!error)
            error =
                follow(walk, stacks, &stacks->items[i], i == 0 || stacks->items[i - 1].node != stacks->items[i].node);
    }
    while (walk->depth > 0)
        close_node(walk);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// The tree

// Which weights there is room for.
static void choose(struct walk *walk, size_t limit)
{
    walk->least = CLASSES;
    while (walk->least > 0 && walk->classes[walk->least - 1] <= limit)
        limit -= walk->classes[--walk->least];
    walk->more = limit;
}

struct tm_error *tm_tree_init(struct tm_tree *tree, const struct tm_host *host, const struct tm_stacks *stacks,
                              size_t limit)
{
    struct walk walk = {.host = host};

    memset(tree, 0, sizeof(*tree));
    walk.classes = calloc(CLASSES, sizeof(*walk.classes));
    struct tm_error *error = walk.classes ? pass(&walk, stacks) : tm_error_no_memory();
    if (!error) {
        choose(&walk, limit);
        walk.tree = tree;
        error = pass(&walk, stacks);
        tree->cut = walk.root.cut;
        tree->cut_stacks = walk.root.cut_stacks;
        tree->stacks = walk.root.stacks;
        tree->whole_stacks = walk.root.whole_stacks;
    }
    free(walk.classes);
    free(walk.path);
    if (error)
        tm_tree_deinit(tree);
    return error;
}

void tm_tree_deinit(struct tm_tree *tree)
{
    free(tree->nodes);
    memset(tree, 0, sizeof(*tree));
}
