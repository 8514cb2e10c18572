// What the lock holder remembers of the stack: its storage, and the slow steps of a look-up.

#include "stack.h"

#include <string.h>

#include "pages.h"

struct stack stack;
struct stack_frame stack_window[TOTAL_FRAMES_LIMIT];

// The table of transitions begins with four pages. It doubles when as many as a quarter of it were displaced by others.
enum { FIRST_LOG = 9, LAST_LOG = 14 };

// Half of the places are in use at most, until there are many.
enum { PLACES_FIRST_LOG = 9, PLACES_LAST_LOG = 15 };

static size_t places_count(void)
{
    return stack.places == NULL ? 0 : (size_t)1 << (64 - stack.places_shift);
}

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

/** Begin with few transitions, and none of them in use. False: no memory, and the old table stays. */
static bool reset_transitions(void)
{
    struct transition *old = stack.transitions;
    size_t old_size = transitions_count() * sizeof *old;
    if (!new_transitions(FIRST_LOG))
        return false;
    if (old != NULL)
        pages_unmap(old, old_size);
    return true;
}

/** Memory for the lock holder's way. False: there is none. */
static bool reset_frames(void)
{
    if (stack.frames == NULL)
        stack.frames = pages_map(STACK_ENTRIES * sizeof *stack.frames);
    if (stack.entries == NULL)
        stack.entries = pages_map(STACK_ENTRIES * sizeof *stack.entries);
    if (stack.frames == NULL || stack.entries == NULL || !reset_transitions())
        return false;
    stack_forget();
    stack.no_frames = (struct transition){.node = TM_NODE_UNKNOWN, .depth = 1};
    return true;
}

/** An empty table of 1 << log places. False: no memory, and the old table stays. */
static bool new_places(unsigned log)
{
    struct place *places = pages_map(sizeof *places << log);
    if (places == NULL)
        return false;
    stack.places = places;
    stack.places_shift = 64 - log;
    stack.places_used = 0;
    return true;
}

/** Begin with few places, and none of them in use. False: no memory, and the old table stays. */
static bool reset_places(void)
{
    struct place *old = stack.places;
    size_t old_size = places_count() * sizeof *old;
    if (!new_places(PLACES_FIRST_LOG))
        return false;
    if (old != NULL)
        pages_unmap(old, old_size);
    return true;
}

bool stack_reset(unsigned frame_limit)
{
    stack.newest_only = frame_limit == 1 && !profile_now->counts_frames;
    return reset_places() && (stack.newest_only || reset_frames());
}

void stack_after_fork_in_child(void)
{
    if (places_count() > (size_t)1 << PLACES_FIRST_LOG)
        reset_places();
    if (transitions_count() > (size_t)1 << FIRST_LOG)
        reset_transitions();
}

/** Put a place into one of its two. If both are in use, the other one's makes room. */
static void put_place(const struct place *place)
{
    struct place *first = stack_places_of(place->key), *other = stack_other_place(first);
    if (first->key != 0 && other->key != 0)
        *other = *first;
    else
        stack.places_used++;
    *(first->key != 0 && other->key == 0 ? other : first) = *place;
}

/** Double the table and keep the places. Without memory for that, this one stays. */
static void grow_places(void)
{
    struct place *old = stack.places;
    size_t count = places_count();
    if (!new_places(64 - stack.places_shift + 1))
        return;
    for (size_t i = 0; i < count; i++)
        if (old[i].key != 0)
            put_place(&old[i]);
    pages_unmap(old, count * sizeof *old);
}

/** The place of a key; NULL: it is not known. */
static struct place *find_place(uintptr_t key)
{
    struct place *place = stack_places_of(key);
    if (place->key != key)
        place = stack_other_place(place);
    return place->key == key ? place : NULL;
}

static void add_place(const struct place *place)
{
    if (stack.places_used * 2 >= places_count() && stack.places_shift > 64 - PLACES_LAST_LOG)
        grow_places();
    put_place(place);
}

void stack_learn_place(uintptr_t key, unsigned allocator, uint32_t site)
{
    struct place *known = find_place(key), new = {.key = key};
    (known != NULL ? known : &new)->site[allocator - TM_ALLOCATOR_MEM] = site;
    if (known == NULL)
        add_place(&new);
}

/** Forget the places of a code object. */
static void forget_places(uintptr_t address, size_t size, uintptr_t address_bits)
{
    for (size_t i = 0; i < places_count(); i++)
        if (stack.places[i].key != 0 && (stack.places[i].key & address_bits) - address < size) {
            stack.places[i] = (struct place){0};
            stack.places_used--;
        }
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
    forget_places(address, size, address_bits);
    if (stack.newest_only)
        return;
    stack_forget();
    for (size_t i = 0; i < transitions_count(); i++)
        if ((stack.transitions[i].word & address_bits) - address < size)
            stack.transitions[i] = (struct transition){.word = WORD_NONE};
}

void stack_forget_ids(void)
{
    memset(stack.places, 0, places_count() * sizeof *stack.places);
    stack.places_used = 0;
    if (stack.newest_only)
        return;
    stack_forget();
    memset(stack.transitions, 0, transitions_count() * sizeof *stack.transitions);
    stack.no_frames.site[0] = stack.no_frames.site[1] = 0;
}

/** The one of a key's two transitions to be written. If both are in use, the other one's makes room. */
static struct transition *transition_to_write(uintptr_t word, uint32_t callers, uint32_t depth)
{
    struct transition *first = stack_transitions_of(word, callers, depth), *other = stack_other_transition(first);
    if (first->word == WORD_NONE || other->word == WORD_NONE)
        return first->word == WORD_NONE ? first : other;
    stack.evicted++;
    *other = *first;
    return first;
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
            *transition_to_write(old[i].word, old[i].callers, old[i].depth) = old[i];
    stack.evicted = 0;
    pages_unmap(old, count * sizeof *old);
}

static struct transition *remember(const struct transition *key)
{
    if (key->word == WORD_NONE)
        return &stack.passing;
    if (stack.evicted > transitions_count() / 4 && stack.transitions_shift > 64 - LAST_LOG)
        grow_transitions();
    return transition_to_write(key->word, key->callers, key->depth);
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
static uint32_t extend(uint32_t callers, uint32_t code, int32_t line_start)
{
    uint32_t room = table->frame_limit - 1;
    if (callers != 0 && callers != PATH_LOST && TABLE_NODE(callers)->depth >= room)
        callers = shorten(callers, room - 1);
    uint32_t path = callers == PATH_LOST ? 0 : intern_node(callers, code, line_start);
    return path == 0 ? PATH_LOST : path;
}

enum { LINE_START_UNKNOWN = INT32_MIN };

/** The place of a frame's word. Those of unwatched code objects are looked up each time; *watched is false for them. */
static struct place *know_place(uintptr_t word, const void *object, bool *watched)
{
    static struct place passing;
    struct place *known = word == WORD_NONE ? NULL : find_place(word);
    *watched = true;
    if (known != NULL)
        return known;
    struct interned_code code = intern_code(object);
    passing = (struct place){.key = word, .code = code.id, .line_start = LINE_START_UNKNOWN};
    *watched = code.watched;
    if (!code.watched || word == WORD_NONE)
        return &passing;
    add_place(&passing);
    return find_place(word);
}

static int32_t line_start_of(struct place *place, int32_t instruction)
{
    if (place->line_start == LINE_START_UNKNOWN)
        place->line_start = code_line_start(place->code, instruction);
    return place->line_start;
}

struct transition *stack_learn(const struct transition *key, struct known_frame *frame, const void *object,
                               int32_t instruction)
{
    bool watched;
    table_lock();
    struct place *place = know_place(key->word, object, &watched);
    uint32_t node = key->depth == 0 ? extend(key->callers, place->code, line_start_of(place, instruction))
                                    : intern_newest(key->callers, place->code, instruction);
    table_unlock();
    // What had no room now is tried again the next time.
    bool lost = node == PATH_LOST || node == TM_NODE_UNKNOWN;
    if (!watched)
        frame->word = WORD_NONE;
    struct transition *transition = lost || !watched ? &stack.passing : remember(key);
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
