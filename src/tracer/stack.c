// What the lock holder remembers of the stack: its storage, and the slow steps of a look-up.

#include "stack.h"

#include <string.h>

#include "pages.h"

struct stack stack;
struct stack_frame stack_window[TOTAL_FRAMES_LIMIT];

// The table of transitions begins with four pages. It doubles while transitions in use displace each other.
enum { FIRST_LOG = 9, LAST_LOG = 14, IN_USE = 8 };

static size_t transitions_count(void)
{
    return stack.transitions == NULL ? 0 : (size_t)1 << (64 - stack.transitions_shift);
}

/** An empty table of 1 << log transitions. False: no memory, and the old table stays. */
static bool new_transitions(unsigned log)
{
    struct transition *transitions = pages_map(sizeof *transitions << log);
    if (transitions == NULL)
        return false;
    stack.transitions = transitions;
    stack.transitions_shift = 64 - log;
    stack.evicted = 0;
    stack.last = NULL;
    return true;
}

bool stack_reset(void)
{
    if (stack.frames == NULL)
        stack.frames = pages_map(STACK_ENTRIES * sizeof *stack.frames);
    if (stack.entries == NULL)
        stack.entries = pages_map(STACK_ENTRIES * sizeof *stack.entries);
    struct transition *old = stack.transitions;
    size_t old_size = transitions_count() * sizeof *old;
    if (stack.frames == NULL || stack.entries == NULL || !new_transitions(FIRST_LOG))
        return false;
    if (old != NULL)
        pages_unmap(old, old_size);
    stack_forget();
    stack.no_frames = (struct transition){.node = TM_NODE_UNKNOWN, .depth = 1};
    return true;
}

void stack_forget(void)
{
    stack.count = stack.floor = 0;
    stack.unsettled = STACK_ENTRIES;
    stack.last = NULL;
}

void stack_forget_code(uintptr_t address, size_t size)
{
    // The entries above the present stack may have words of the dead object, and so may the transitions. A word is the
    // address of an instruction inside the object, or has the object's address in its low 48 bits.
    const uintptr_t address_bits = cpython.facts->instruction_unit == 0 ? ~(uintptr_t)0 : ((uintptr_t)1 << 48) - 1;
    stack_forget();
    for (size_t i = 0; i < transitions_count(); i++)
        if ((stack.transitions[i].word & address_bits) - address < size)
            stack.transitions[i] = (struct transition){.word = WORD_NONE};
}

/** Double the table and keep its transitions. Without memory for that, this one stays. */
static void grow_transitions(void)
{
    struct transition *old = stack.transitions;
    size_t count = transitions_count();
    if (!new_transitions(64 - stack.transitions_shift + 1))
        return;
    for (size_t i = 0; i < count; i++)
        if (old[i].word != WORD_NONE)
            *stack_place(old[i].word, old[i].callers, old[i].depth) = old[i];
    pages_unmap(old, count * sizeof *old);
}

/** Whether a transition was worth remembering. */
static bool in_use(const struct transition *transition)
{
    if (transition->word == WORD_NONE)
        return false;
    if (transition->depth == 0)
        return true;
    uint64_t blocks = 0;
    for (int i = 0; i < 2; i++)
        if (transition->site[i] != 0)
            blocks += TABLE_SITE(transition->site[i])->allocations;
    return blocks >= IN_USE;
}

static struct transition *remember(const struct transition *key)
{
    if (key->word == WORD_NONE)
        return &stack.passing;
    struct transition *place = stack_place(key->word, key->callers, key->depth);
    if (in_use(place) && ++stack.evicted > transitions_count() && stack.transitions_shift > 64 - LAST_LOG) {
        grow_transitions();
        place = stack_place(key->word, key->callers, key->depth);
    }
    return place;
}

/** The path of the `kept` frames in stack_window; PATH_LOST: no room. */
static uint32_t intern_window(uint32_t kept)
{
    uint32_t path = 0;
    while (kept > 0 && path != PATH_LOST) {
        const struct stack_frame *oldest = &stack_window[--kept];
        path = intern_node(path, oldest->code, oldest->instruction);
        if (path == 0)
            path = PATH_LOST;
    }
    return path;
}

/** The newest frame's node: below `callers`, or without room for that, alone. */
static uint32_t intern_newest(uint32_t callers, uint32_t code, int32_t instruction)
{
    uint32_t node = callers == PATH_LOST ? 0 : intern_node(callers, code, instruction);
    if (node == 0)
        node = intern_node(0, code, instruction);
    if (node != 0)
        return node;
    table_lost_frame();
    return TM_NODE_UNKNOWN;
}

uint32_t stack_intern_window(uint32_t kept)
{
    uint32_t path = intern_window(kept);
    return path == PATH_LOST ? intern_newest(path, stack_window[0].code, stack_window[0].instruction) : path;
}

/** The newest `kept` frames of a path. */
static uint32_t shorten(uint32_t path, uint32_t kept)
{
    for (uint32_t i = 0; i < kept; i++) {
        const struct tm_node *record = TABLE_NODE(path);
        stack_window[i] = (struct stack_frame){.code = record->code, .instruction = record->instruction};
        path = record->parent;
    }
    return intern_window(kept);
}

/** The path of a frame called from `callers`. At the frame limit, the oldest frame makes room for it. */
static uint32_t extend(uint32_t callers, uint32_t code, int32_t instruction)
{
    uint32_t room = table->frame_limit - 1;
    if (callers != 0 && callers != PATH_LOST && TABLE_NODE(callers)->depth >= room)
        callers = shorten(callers, room - 1);
    uint32_t path = callers == PATH_LOST ? 0 : intern_node(callers, code, code_line_start(code, instruction));
    return path == 0 ? PATH_LOST : path;
}

struct transition *stack_learn(const struct transition *key, struct stack_entry *entry, const void *object,
                               int32_t instruction)
{
    table_lock();
    struct interned_code code = intern_code(object);
    uint32_t node = key->depth == 0 ? extend(key->callers, code.id, instruction)
                                    : intern_newest(key->callers, code.id, instruction);
    table_unlock();
    // What had no room now is tried again the next time.
    bool lost = node == PATH_LOST || node == TM_NODE_UNKNOWN;
    if (!code.watched)
        entry->word = WORD_NONE;
    struct transition *transition = lost || !code.watched ? &stack.passing : remember(key);
    *transition = *key;
    transition->node = node;
    return transition;
}

uint32_t stack_find_site(struct transition *transition, unsigned allocator)
{
    uint32_t kept = TABLE_NODE(transition->node)->depth;
    bool counted = stack_counts(cpython.facts, profile_now);
    // Without any frame, TM_NODE_UNKNOWN counts as one.
    uint32_t there = counted || transition == &stack.no_frames ? transition->depth : stack.entries[stack.count].depth;
    bool cut = there > table->frame_limit, shortened = kept < there && kept < table->frame_limit;
    struct site_key key = {.node = transition->node,
                           .total_frames = (uint16_t)(cut && !counted ? kept : there),
                           .allocator = (uint8_t)allocator,
                           .flags = (allocator == TM_ALLOCATOR_RAW ? TM_SITE_SHARED : 0) | (cut ? TM_SITE_CUT : 0) |
                                    (shortened ? TM_SITE_SHORTENED : 0)};
    table_lock();
    uint32_t site = intern_site(&key);
    table_unlock();
    if (allocator != TM_ALLOCATOR_RAW)
        transition->site[allocator - TM_ALLOCATOR_MEM] = site;
    return site;
}
