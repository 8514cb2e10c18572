/**
 * From the calling stack to the site of an allocation, without walking what has not changed since the last one.
 *
 * There are three ways. The lock holder's way remembers the stack of the last allocation and compares it with the present one.
 * If a frame's caller is the one we remember, we go on to *our* copy of its address, so the processor need not wait for one
 * load before it starts the next. The *window* is the frames that a traceback keeps: there the instructions are compared
 * too. Older frames are only counted, so only their presence is compared. What changed, mostly the newest frame's
 * instruction, is looked up in a small table of transitions.
 *
 * The second way is for threads that hold no lock, or another interpreter's. It walks and interns all frames under table_lock.
 *
 * The third way is the lock holder's if one frame is kept and no others are counted: the newest frame's instruction alone
 * finds the site, in a table of *places*. Nothing else is remembered.
 *
 * The functions here are inlined into hooks.inc.h, once for each family of CPython, with its facts as constants.
 */
#ifndef TRACEMORTEM_TRACER_STACK_H
#define TRACEMORTEM_TRACER_STACK_H

#include "intern.h"
#include "profile.h"

enum {
    STACK_ENTRIES = 1 << 15,    // deeper stacks are walked at each allocation
    STACK_STEPS = 64,           // frames entered between two allocations; more is rare
    STACK_INDEXED = 512,        // see `index_of`
    TOTAL_FRAMES_LIMIT = 65535, // tracemalloc counts no further
};

/**
 * A frame is recorded in two ways. As the newest frame it has the instruction that allocates. As a caller it has the first
 * instruction of the line it calls from. tracemalloc knows only lines; and a line that calls itself twice, such as one that
 * walks a tree, would otherwise double the tracebacks with each level.
 *
 * A *path* is the node of the callers that a traceback has room for beside the newest frame: frame_limit - 1 of them, or as
 * many as there are; 0 if there are none.
 */
#define PATH_UNKNOWN UINT32_MAX    // not looked up yet
#define PATH_LOST (UINT32_MAX - 1) // there was no room for it: tracebacks with this path keep only the newest frame

/** What is compared of a frame that is remembered. Its word is WORD_NONE where we would not notice the end of its code object. */
struct known_frame {
    uintptr_t address;
    uintptr_t word; // identifies code and instruction as long as the code object lives, or WORD_NONE
};

/** What else is remembered of it. */
struct stack_entry {
    uint32_t path;  // ends with this frame
    uint32_t depth; // number of complete frames up to this one; that of the entry below if it is not complete itself
};

/** What follows from the path of the callers and the frame's instruction. */
struct transition {
    uintptr_t word;
    uint32_t callers; // a path
    uint32_t depth;   // see stack_depth(); 0: this is about the frame as a caller
    uint32_t node;    // of the newest frame; or the path that ends with the frame as a caller
    uint32_t site[2]; // of the allocators mem and object; 0: not known
};

/**
 * What follows from the instruction of a frame alone, as long as its code object lives. While `newest_only` that is its site.
 * Else it is what a path is made of.
 */
struct place {
    uintptr_t key; // see stack_place_key(), or the frame's word; 0: unused
    union {
        uint32_t site[2]; // of the allocators mem and object; 0: not known
        struct {
            uint32_t code;
            int32_t line_start; // see code_line_start()
        };
    };
};

/** What the holder of the main interpreter's lock remembers. No other thread touches it. */
struct stack {
    bool newest_only; // a traceback is the newest frame alone, and no others are counted
    struct place *places;
    unsigned places_shift; // 64 - log2 of their number
    uint32_t places_used;
    struct known_frame *frames;  // [0] is no frame, [1] is the oldest
    struct stack_entry *entries; // likewise
    uint32_t count;              // the newest frame's index
    uint32_t floor;              // the window is above it
    uint16_t
        index_of[STACK_INDEXED]; // the index of a frame, by a hash of its address; a later frame may have its place
    uint32_t unsettled;          // the oldest entry whose function has not begun; STACK_ENTRIES: there is none
    struct transition *last;     // of the remembered stack; NULL: to be looked up
    struct transition *transitions;
    unsigned transitions_shift;  // 64 - log2 of their number
    unsigned evicted;            // transitions in use that were displaced by others since the table grew
    struct transition no_frames; // when no Python code runs
    struct transition passing;   // of a frame with WORD_NONE; valid until the next one
};
extern struct stack stack;

/** Frames on their way into the table, newest first. Under table_lock. */
struct stack_frame {
    uint32_t code;
    int32_t instruction;
};
extern struct stack_frame stack_window[TOTAL_FRAMES_LIMIT];

/** Forget everything, when tracing starts with this frame limit in the present profile. False: no memory. */
bool stack_reset(unsigned frame_limit);
/** Forget the frames, not what follows from them. */
void stack_forget(void);
/** Forget all ids of nodes and sites, because they may be used again. */
void stack_forget_ids(void);
/**
 * In a forked child, begin with small tables of what follows from frames. A child runs code of its own before it ends, and
 * each thing that it learns would be on another page of its parent's large tables, which is then copied.
 */
void stack_after_fork_in_child(void);
/** A code object somewhere in a range of addresses dies: forget what was remembered by its address. */
void stack_forget_code(uintptr_t address, size_t size);

// ---------------------------------------------------------------------------------------------------------------
// Reading frames

static ALWAYS_INLINE uintptr_t current_frame(facts_t facts, const PyThreadState *thread)
{
    uintptr_t frame = FIELD(uintptr_t, thread, facts->thread_frame);
    return facts->cframe_frame >= 0 ? FIELD(uintptr_t, frame, facts->cframe_frame) : frame;
}

static ALWAYS_INLINE uintptr_t frame_previous(facts_t facts, uintptr_t frame)
{
    return FIELD(uintptr_t, frame, facts->frame_previous);
}

static ALWAYS_INLINE uintptr_t frame_code(facts_t facts, uintptr_t frame)
{
    return FIELD(uintptr_t, frame, facts->frame_code) & ~(uintptr_t)facts->frame_code_tags;
}

static ALWAYS_INLINE unsigned frame_owner(facts_t facts, uintptr_t frame)
{
    return facts->frame_owner >= 0 ? FIELD(unsigned char, frame, facts->frame_owner) : 0;
}

enum { WORD_NONE = 0, WORD_TOO_FAR = 1 };

/**
 * Code and instruction in one word. From 3.11 on it is the instruction's address. Before, it is the code's address with 16
 * bits of the instruction's offset above. WORD_TOO_FAR: 16 bits are not enough; this equals no entry's word.
 */
static ALWAYS_INLINE uintptr_t frame_word(facts_t facts, uintptr_t frame)
{
    if (facts->instruction_unit == 0)
        return FIELD(uintptr_t, frame, facts->frame_instruction);
    int offset = FIELD(int, frame, facts->frame_instruction);
    return LIKELY(offset < 0xffff) ? (uintptr_t)(unsigned)offset << 48 | frame_code(facts, frame) : WORD_TOO_FAR;
}

/** Where the bytecode that a frame runs begins: in its code object, or in the thread's own copy. */
static ALWAYS_INLINE uintptr_t frame_bytecode(facts_t facts, uintptr_t frame)
{
    uintptr_t code = frame_code(facts, frame);
    if (facts->code_copies == 0)
        return code + facts->code_bytecode;
    uintptr_t copies = __atomic_load_n((const uintptr_t *)(code + facts->code_copies), __ATOMIC_ACQUIRE);
    int32_t copy = FIELD(int32_t, frame, facts->frame_copy);
    return FIELD(uintptr_t, copies, COPIES_ENTRIES + (uintptr_t)copy * sizeof(uintptr_t));
}

/** Byte offset of the frame's instruction in its code. */
static ALWAYS_INLINE int32_t frame_instruction(facts_t facts, uintptr_t frame)
{
    if (facts->instruction_unit == 0)
        return (int32_t)(FIELD(uintptr_t, frame, facts->frame_instruction) - frame_bytecode(facts, frame));
    return FIELD(int, frame, facts->frame_instruction) * facts->instruction_unit;
}

/** Whether it is a frame of the interpreter's own. Such frames are in no traceback. They, and no others, are in the C stack. */
static ALWAYS_INLINE bool frame_is_internal(facts_t facts, uintptr_t frame)
{
    return facts->owner_skip != 0 && frame_owner(facts, frame) >= facts->owner_skip;
}

/** Whether the function has passed its preparations. */
static ALWAYS_INLINE bool frame_has_begun(facts_t facts, uintptr_t frame)
{
    if (facts->code_first_traceable == 0)
        return true;
    int first = FIELD(int, frame_code(facts, frame), facts->code_first_traceable);
    return frame_instruction(facts, frame) >= first * CODE_UNIT;
}

/** Whether the frame is part of a traceback: not the interpreter's own, and its function has begun. */
static ALWAYS_INLINE bool frame_is_complete(facts_t facts, uintptr_t frame)
{
    if (frame_is_internal(facts, frame))
        return false;
    return frame_owner(facts, frame) == OWNER_GENERATOR || frame_has_begun(facts, frame);
}

// ---------------------------------------------------------------------------------------------------------------
// The lock holder's way

_Static_assert(sizeof(struct transition) == 32 && sizeof(struct place) == 16, "a set of two is aligned to its size");

/** Fill in a transition that is not known, for a frame. Takes table_lock. */
struct transition *stack_learn(const struct transition *key, struct known_frame *frame, const void *code,
                               int32_t instruction);
/** The site of the present stack's transition, which does not have it yet. Takes table_lock. 0: no room. */
uint32_t stack_find_site(struct transition *transition, unsigned allocator);

/** The first of the two transitions for a key; the other one is beside it. */
static ALWAYS_INLINE struct transition *stack_transitions_of(uintptr_t word, uint32_t callers, uint32_t depth)
{
    uint64_t key = word ^ (uint64_t)callers << 24 ^ (uint64_t)depth << 48;
    return &stack.transitions[key * UINT64_C(0x9e3779b97f4a7c15) >> stack.transitions_shift];
}

static ALWAYS_INLINE struct transition *stack_other_transition(struct transition *transition)
{
    return (struct transition *)((uintptr_t)transition ^ sizeof *transition);
}

static ALWAYS_INLINE bool transition_is(const struct transition *transition, uintptr_t word, uint32_t callers,
                                        uint32_t depth)
{
    return transition->word == word && transition->callers == callers && transition->depth == depth;
}

/** The transition of a word that is not WORD_NONE; NULL: it is not known. */
static ALWAYS_INLINE struct transition *stack_known_transition(uintptr_t word, uint32_t callers, uint32_t depth)
{
    struct transition *transition = stack_transitions_of(word, callers, depth);
    if (LIKELY(transition_is(transition, word, callers, depth)))
        return transition;
    transition = stack_other_transition(transition);
    return LIKELY(transition_is(transition, word, callers, depth)) ? transition : NULL;
}

/** The transition of an entry in the window. */
static ALWAYS_INLINE struct transition *stack_transition(facts_t facts, uint32_t index, uint32_t callers,
                                                         uint32_t depth)
{
    struct known_frame *known = &stack.frames[index];
    uintptr_t word = known->word, frame = known->address;
    struct transition *transition = word != WORD_NONE ? stack_known_transition(word, callers, depth) : NULL;
    if (LIKELY(transition != NULL))
        return transition;
    struct transition key = {.word = word, .callers = callers, .depth = depth};
    return stack_learn(&key, known, (const void *)frame_code(facts, frame), frame_instruction(facts, frame));
}

/** Whether the number of all frames is known, where older ones were cut off. */
static ALWAYS_INLINE bool stack_counts(facts_t facts, profile_t profile)
{
    return facts->counts_frames && profile->counts_frames;
}

/** The depth in the newest frame's transition is the number of frames; where that is not known, 2 if older ones were cut off
 * by the frame limit, and 1 if there are none. */
static ALWAYS_INLINE uint32_t stack_depth(facts_t facts, profile_t profile, uint32_t depth)
{
    return stack_counts(facts, profile) ? depth : 1u + (depth > table->frame_limit);
}

/** Whether the entry's frame is not complete, so not part of a traceback. */
static ALWAYS_INLINE bool stack_skips(uint32_t index)
{
    return index > 0 && stack.entries[index].depth == stack.entries[index - 1].depth;
}

/** The entry just below the window of the entry `top`. */
static ALWAYS_INLINE uint32_t stack_floor(uint32_t top)
{
    uint32_t limit = table->frame_limit, floor = top > limit ? top - limit : 0;
    // An entry below has at most one complete frame less.
    while (floor > 0 && stack.entries[floor].depth + limit > stack.entries[top].depth) {
        uint32_t missing = stack.entries[floor].depth + limit - stack.entries[top].depth;
        floor = floor > missing ? floor - missing : 0;
    }
    while (floor > 0 && UNLIKELY(stack_skips(floor)))
        floor--;
    return floor < stack.unsettled ? floor : stack.unsettled - 1;
}

/** Fill in the entry of a frame; that of its caller is below it and filled in. */
static ALWAYS_INLINE void stack_set(facts_t facts, uint32_t index)
{
    struct stack_entry *entry = &stack.entries[index];
    uintptr_t frame = stack.frames[index].address, word = frame_word(facts, frame);
    bool complete = !frame_is_internal(facts, frame);
    if (complete && UNLIKELY(!frame_has_begun(facts, frame))) {
        // The word of a generator's frame must not say of another frame that its function has begun.
        word = WORD_TOO_FAR;
        complete = frame_owner(facts, frame) == OWNER_GENERATOR;
        if (!complete && stack.unsettled > index)
            stack.unsettled = index;
    }
    stack.frames[index].word = word == WORD_TOO_FAR ? WORD_NONE : word;
    entry->path = PATH_UNKNOWN;
    entry->depth = entry[-1].depth + complete;
}

/** Fill in the entries from `lowest` on again, from the same frames. */
static ALWAYS_INLINE void stack_refresh(facts_t facts, uint32_t lowest)
{
    if (stack.unsettled >= lowest)
        stack.unsettled = STACK_ENTRIES;
    for (; lowest <= stack.count; lowest++)
        stack_set(facts, lowest);
}

enum { STACK_BROKEN = 0 };

/** Whether a frame that is alive has been called from the one that we remember. If so, that one is alive, too: the next
 * comparison goes on with our copy of its address. */
static ALWAYS_INLINE bool known_has_caller(facts_t facts, const struct known_frame *known)
{
    return LIKELY(frame_previous(facts, known->address) == known[-1].address);
}

static ALWAYS_INLINE bool known_is_same(facts_t facts, const struct known_frame *known)
{
    return LIKELY(frame_word(facts, known->address) == known->word) && known_has_caller(facts, known);
}

/**
 * Compare the entries up to `top`, whose frame is alive, with the frames as they are now. Returns the lowest entry that is
 * at another instruction, or top + 1. STACK_BROKEN: these are other frames than we remember, below the entry *broken.
 *
 * Below the window only the callers are compared. That is enough to know the number of complete frames. No Python code runs
 * above a frame that has not begun (up to 3.11 it may; such a frame is `unsettled` and kept above the floor). And no other
 * frame takes the place of an internal one, in the C stack, until the interpreter maps memory: see arena_alloc() in hooks.c.
 */
static ALWAYS_INLINE uint32_t stack_compare(facts_t facts, profile_t profile, uint32_t top, uint32_t floor,
                                            uint32_t *broken)
{
    uint32_t lowest = top + 1;
    const struct known_frame *known = &stack.frames[top], *end = &stack.frames[floor];
    while (known > end) {
        while (known - end >= 4 && known_is_same(facts, known) && known_is_same(facts, known - 1) &&
               known_is_same(facts, known - 2) && known_is_same(facts, known - 3))
            known -= 4;
        if (UNLIKELY(known == end))
            break;
        // One by one: what has changed, and the last few.
        if (frame_word(facts, known->address) != known->word)
            lowest = (uint32_t)(known - stack.frames);
        if (UNLIKELY(!known_has_caller(facts, known))) {
            *broken = (uint32_t)(known - stack.frames);
            return STACK_BROKEN;
        }
        known--;
    }
    end = stack_counts(facts, profile) ? stack.frames : end;
    while (known - end >= 4 && known_has_caller(facts, known) && known_has_caller(facts, known - 1) &&
           known_has_caller(facts, known - 2) && known_has_caller(facts, known - 3))
        known -= 4;
    for (; known > end; known--)
        if (UNLIKELY(!known_has_caller(facts, known))) {
            *broken = (uint32_t)(known - stack.frames);
            return STACK_BROKEN;
        }
    return lowest;
}

static ALWAYS_INLINE uint16_t *stack_index_of(uintptr_t frame)
{
    return &stack.index_of[(frame >> 4 ^ frame >> 13) % STACK_INDEXED];
}

/** Make a frame that of an entry. */
static ALWAYS_INLINE void stack_put(uint32_t index, uintptr_t frame)
{
    stack.frames[index].address = frame;
    *stack_index_of(frame) = (uint16_t)index;
}

/** The entry of a frame, among the oldest `count`; 0: it is not there, or was not found. */
static ALWAYS_INLINE uint32_t stack_find(uintptr_t frame, uint32_t count)
{
    uint32_t index = *stack_index_of(frame);
    return index <= count && stack.frames[index].address == frame ? index : 0;
}

/** Walk the whole stack. False: it is too deep to remember. */
static ALWAYS_INLINE bool stack_rebuild(facts_t facts, uintptr_t newest)
{
    uint32_t count = 0;
    stack_forget();
    for (uintptr_t frame = newest; frame != 0; frame = frame_previous(facts, frame))
        if (++count >= STACK_ENTRIES)
            return false;
    stack.count = count;
    for (uintptr_t frame = newest; frame != 0; frame = frame_previous(facts, frame))
        stack_put(count--, frame);
    stack_refresh(facts, 1);
    return true;
}

/**
 * Frames were entered or left: merge the stack as it is now, from the newest frame on, with the one that we remember. If
 * a frame has another caller than we remember, as a generator's may, the frames below it are merged likewise.
 */
static ALWAYS_INLINE bool stack_move(facts_t facts, profile_t profile, uintptr_t newest)
{
    uintptr_t entered[STACK_STEPS];
    uint32_t count = 0, known = 0, remembered = stack.count, lowest = 1, broken = 0;
    uintptr_t frame = newest;
    while (frame != 0) {
        known = stack_find(frame, remembered);
        if (known == 0) {
            if (UNLIKELY(count == STACK_STEPS))
                return stack_rebuild(facts, newest);
            entered[count++] = frame;
            frame = frame_previous(facts, frame);
            continue;
        }
        lowest = stack_compare(facts, profile, known, stack_floor(known), &broken);
        if (LIKELY(lowest != STACK_BROKEN))
            break;
        if (UNLIKELY(count + known - broken >= STACK_STEPS))
            return stack_rebuild(facts, newest);
        for (; known >= broken; known--)
            entered[count++] = stack.frames[known].address;
        frame = frame_previous(facts, stack.frames[broken].address);
        remembered = known;
        known = 0;
    }
    if (UNLIKELY(known + count >= STACK_ENTRIES))
        return stack_rebuild(facts, newest);
    stack.count = known;
    while (count > 0)
        stack_put(++stack.count, entered[--count]);
    stack_refresh(facts, known == 0 ? 1 : lowest);
    return true;
}

/** Find the path that ends with an entry in the window or just below it. */
static ALWAYS_INLINE void stack_find_path(facts_t facts, uint32_t index)
{
    uint32_t i = index;
    if (table->frame_limit == 1) {
        stack.entries[index].path = 0;
        return;
    }
    while (i > stack.floor && stack.entries[i].path == PATH_UNKNOWN)
        i--;
    // From the floor on there are as many frames as the last path has room for; the paths on the way there have too few.
    bool whole = i > stack.floor || i == 0;
    uint32_t path = whole ? stack.entries[i].path : 0;
    for (i++; i <= index; i++) {
        if (!stack_skips(i))
            path = stack_transition(facts, i, path, 0)->node;
        if (whole)
            stack.entries[i].path = path;
    }
    stack.entries[index].path = path;
}

/** As stack_here(), if the stack has changed or its transition is not known: `lowest` is from stack_compare(), or
 * STACK_BROKEN if the newest frame is another one. */
static ALWAYS_INLINE struct transition *stack_follow(facts_t facts, profile_t profile, uintptr_t newest,
                                                     uint32_t lowest)
{
    stack.last = NULL;
    if (lowest != STACK_BROKEN)
        stack_refresh(facts, lowest);
    else if (!stack_move(facts, profile, newest))
        return NULL;
    uint32_t top = stack.count;
    stack.floor = stack_floor(top);
    while (UNLIKELY(stack_skips(top)))
        top--;
    if (UNLIKELY(top == 0))
        return stack.last = &stack.no_frames;
    if (stack.entries[top - 1].path == PATH_UNKNOWN)
        stack_find_path(facts, top - 1);
    struct transition *transition = stack_transition(facts, top, stack.entries[top - 1].path,
                                                     stack_depth(facts, profile, stack.entries[top].depth));
    if (transition != &stack.passing)
        stack.last = transition;
    return transition;
}

/**
 * The transition of the lock holder's present stack, with its node and sites. NULL: the stack is too deep, see stack_walk().
 * `thread` is the holder's state, `follow` is stack_follow() out of line.
 */
static ALWAYS_INLINE struct transition *stack_here(facts_t facts, profile_t profile, const PyThreadState *thread,
                                                   struct transition *(*follow)(uintptr_t newest, uint32_t lowest))
{
    uintptr_t newest = current_frame(facts, thread);
    uint32_t top = stack.count;
    if (UNLIKELY(newest != stack.frames[top].address))
        return follow(newest, STACK_BROKEN);
    uint32_t broken, lowest = stack_compare(facts, profile, top, stack.floor, &broken);
    if (lowest > top && LIKELY(stack.last != NULL))
        return stack.last;
    struct stack_entry *entry = &stack.entries[top];
    if (UNLIKELY(lowest != top) || UNLIKELY(entry[-1].path == PATH_UNKNOWN) || UNLIKELY(stack.unsettled <= top))
        return follow(newest, lowest);
    // Only the newest frame has moved on. A word in the table is of a function that has begun.
    uint32_t callers = entry[-1].path, depth = entry[-1].depth + 1u;
    uintptr_t word = frame_word(facts, newest);
    struct transition *transition = stack_known_transition(word, callers, stack_depth(facts, profile, depth));
    if (UNLIKELY(transition == NULL))
        return follow(newest, lowest);
    stack.frames[top].word = word;
    *entry = (struct stack_entry){.path = PATH_UNKNOWN, .depth = depth};
    return stack.last = transition;
}

// ---------------------------------------------------------------------------------------------------------------
// The way of threads without the lock

struct stack_trace {
    uint32_t node;
    uint32_t total_frames;
    uint8_t flags; // TM_SITE_CUT, TM_SITE_SHORTENED
};

/** The node of the `kept` frames in stack_window, or without room for them, of the newest one. Holding table_lock. */
uint32_t stack_intern_window(uint32_t kept);

/** Walk and intern the frames of `thread`: the calling thread's own state, or NULL. Holding table_lock. */
static ALWAYS_INLINE struct stack_trace stack_walk(facts_t facts, profile_t profile, const PyThreadState *thread)
{
    struct stack_trace trace = {0};
    uint32_t kept = 0;
    uintptr_t frame = thread == NULL ? 0 : current_frame(facts, thread);
    bool counts = stack_counts(facts, profile) || table->frame_limit >= TOTAL_FRAMES_LIMIT;
    uint32_t counted = counts ? TOTAL_FRAMES_LIMIT : table->frame_limit + 1;
    for (; frame != 0 && trace.total_frames < counted; frame = frame_previous(facts, frame)) {
        if (!frame_is_complete(facts, frame))
            continue;
        trace.total_frames++;
        if (kept < table->frame_limit) {
            uint32_t code = intern_code((const void *)frame_code(facts, frame)).id;
            int32_t instruction = frame_instruction(facts, frame);
            stack_window[kept] = (struct stack_frame){
                .code = code, .instruction = kept == 0 ? instruction : code_line_start(code, instruction)};
            kept++;
        }
    }
    if (kept == 0)
        return (struct stack_trace){.node = TM_NODE_UNKNOWN, .total_frames = 1};
    trace.node = stack_intern_window(kept);
    if (trace.total_frames > kept)
        trace.flags |= TM_SITE_CUT;
    if (TABLE_NODE(trace.node)->depth < kept)
        trace.flags |= TM_SITE_SHORTENED;
    if (trace.flags & TM_SITE_CUT && !counts)
        trace.total_frames = TABLE_NODE(trace.node)->depth;
    return trace;
}

// ---------------------------------------------------------------------------------------------------------------
// The way by the newest frame alone

/** Whether older frames than this one are part of the stack. */
static ALWAYS_INLINE bool stack_has_older(facts_t facts, uintptr_t frame)
{
    // From 3.12 on no Python code runs above a frame that has not begun: mostly the caller settles it.
    uintptr_t caller = frame_previous(facts, frame);
    while (caller != 0) {
        if (LIKELY(facts->owner_skip != 0 ? !frame_is_internal(facts, caller) : frame_is_complete(facts, caller)))
            return true;
        caller = frame_previous(facts, caller);
    }
    return false;
}

/**
 * What identifies the site of a traceback that is cut to this frame: its word, which is even, and whether older frames were
 * cut off. Only words of complete frames that have begun are among the places.
 */
static ALWAYS_INLINE uintptr_t stack_place_key(facts_t facts, uintptr_t frame)
{
    return frame_word(facts, frame) | !stack_has_older(facts, frame);
}

/** The first of the two places for a key; the other one is beside it. */
static ALWAYS_INLINE struct place *stack_places_of(uintptr_t key)
{
    return &stack.places[key * UINT64_C(0x9e3779b97f4a7c15) >> stack.places_shift];
}

static ALWAYS_INLINE struct place *stack_other_place(struct place *place)
{
    return (struct place *)((uintptr_t)place ^ sizeof *place);
}

/** The site of a traceback that is cut to this frame; 0: not known. */
static ALWAYS_INLINE uint32_t stack_find_place(facts_t facts, uintptr_t frame, unsigned allocator)
{
    uintptr_t key = stack_place_key(facts, frame);
    struct place *place = stack_places_of(key);
    if (UNLIKELY(place->key != key)) {
        place = stack_other_place(place);
        if (UNLIKELY(place->key != key))
            return 0;
    }
    return place->site[allocator - TM_ALLOCATOR_MEM];
}

/** The site of what the holder of the lock allocates now; 0: not known, see stack_newest_site(). While there are places. */
static ALWAYS_INLINE uint32_t stack_site_here(facts_t facts, const PyThreadState *thread, unsigned allocator)
{
    uintptr_t frame = current_frame(facts, thread);
    return LIKELY(frame != 0) ? stack_find_place(facts, frame, allocator) : 0;
}

/** Remember the site of a key, while `newest_only`. */
void stack_learn_place(uintptr_t key, unsigned allocator, uint32_t site);

/** The newest frame that is part of a traceback; 0: there is none. */
static ALWAYS_INLINE uintptr_t stack_newest_complete(facts_t facts, const PyThreadState *thread)
{
    uintptr_t frame = current_frame(facts, thread);
    while (frame != 0 && !frame_is_complete(facts, frame))
        frame = frame_previous(facts, frame);
    return frame;
}

/** Whether the places may have the frame's word: its function has begun, and we notice the end of its code object. */
static ALWAYS_INLINE bool stack_may_be_place(facts_t facts, uintptr_t frame)
{
    return frame != 0 && frame_has_begun(facts, frame) && frame_word(facts, frame) != WORD_TOO_FAR &&
           intern_code((const void *)frame_code(facts, frame)).watched;
}

/**
 * The site of what the holder of the lock allocates now, if the newest frame is not a place: it is new, or not complete. A
 * function that makes cells for its closures allocates before it begins. 0: no room.
 */
static ALWAYS_INLINE uint32_t stack_newest_site(facts_t facts, profile_t profile, const PyThreadState *thread,
                                                unsigned allocator)
{
    uintptr_t frame = stack_newest_complete(facts, thread);
    bool cached = allocator != TM_ALLOCATOR_RAW && frame != 0;
    uint32_t site = cached ? stack_find_place(facts, frame, allocator) : 0;
    if (LIKELY(site != 0))
        return site;
    table_lock();
    struct stack_trace trace = stack_walk(facts, profile, thread);
    struct site_key key = {.node = trace.node,
                           .total_frames = (uint16_t)trace.total_frames,
                           .allocator = (uint8_t)allocator,
                           .flags = (uint8_t)(trace.flags | (allocator == TM_ALLOCATOR_RAW ? TM_SITE_SHARED : 0))};
    site = intern_site(&key);
    // What had no room now is tried again the next time.
    if (cached && site != 0 && TABLE_SITE(site)->node == trace.node && stack_may_be_place(facts, frame))
        stack_learn_place(stack_place_key(facts, frame), allocator, site);
    table_unlock();
    return site;
}

#endif
