/**
 * From the calling stack to the site of an allocation, without walking what has not changed since the last one.
 *
 * There are two ways. The lock holder's way remembers the stack of the last allocation and compares it with the present one.
 * If a frame's caller is the one we remember, we go on to *our* copy of its address, so the processor need not wait for one
 * load before it starts the next. The *window* is the frames that a traceback keeps: there the instructions are compared
 * too. Older frames are only counted, so only their presence is compared. What changed, mostly the newest frame's
 * instruction, is looked up in a small table of transitions.
 *
 * The other way is for threads that hold no lock, or another interpreter's. It walks and interns all frames under table_lock.
 *
 * The functions here are inlined into hooks.inc.h, once for each family of CPython, with its facts as constants.
 */
#ifndef TRACEMORTEM_TRACER_STACK_H
#define TRACEMORTEM_TRACER_STACK_H

#include "intern.h"
#include "profile.h"

enum {
    STACK_ENTRIES = 1 << 15,    // deeper stacks are walked at each allocation
    STACK_STEPS = 16,           // frames entered or left between two allocations; more is rare
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

/** What is remembered of a frame. Its word is WORD_NONE where we would not notice the end of its code object. */
struct stack_entry {
    uintptr_t word;       // identifies code and instruction as long as the code object lives, or WORD_NONE
    uint32_t path;        // ends with this frame
    uint32_t depth : 31;  // number of complete frames up to this one
    uint32_t skipped : 1; // not complete, so not part of a traceback
};

/** What follows from the path of the callers and the frame's instruction. */
struct transition {
    uintptr_t word;
    uint32_t callers; // a path
    uint32_t depth;   // see stack_depth(); 0: this is about the frame as a caller
    uint32_t node;    // of the newest frame; or the path that ends with the frame as a caller
    uint32_t site[2]; // of the allocators mem and object; 0: not known
};

/** What the holder of the main interpreter's lock remembers. No other thread touches it. */
struct stack {
    uintptr_t *frames;           // [0] is no frame, [1] is the oldest
    struct stack_entry *entries; // likewise
    uint32_t count;              // the newest frame's index
    uint32_t floor;              // the window is above it
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

/** Forget everything, when tracing starts. False: no memory. */
bool stack_reset(void);
/** Forget the frames, not what follows from them. */
void stack_forget(void);
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

/** Fill in a transition that is not known, for an entry. Takes table_lock. */
struct transition *stack_learn(const struct transition *key, struct stack_entry *entry, const void *code,
                               int32_t instruction);
/** The site of the present stack's transition, which does not have it yet. Takes table_lock. 0: no room. */
uint32_t stack_find_site(struct transition *transition, unsigned allocator);

static ALWAYS_INLINE struct transition *stack_place(uintptr_t word, uint32_t callers, uint32_t depth)
{
    uint64_t key = word ^ (uint64_t)callers << 24 ^ (uint64_t)depth << 48;
    return &stack.transitions[key * UINT64_C(0x9e3779b97f4a7c15) >> stack.transitions_shift];
}

static ALWAYS_INLINE bool transition_is(const struct transition *transition, uintptr_t word, uint32_t callers,
                                        uint32_t depth)
{
    return transition->word == word && transition->callers == callers && transition->depth == depth;
}

/** The transition of an entry in the window. */
static ALWAYS_INLINE struct transition *stack_transition(facts_t facts, uint32_t index, uint32_t callers,
                                                         uint32_t depth)
{
    struct stack_entry *entry = &stack.entries[index];
    uintptr_t word = entry->word, frame = stack.frames[index];
    struct transition *transition = stack_place(word, callers, depth);
    if (LIKELY(word != WORD_NONE) && LIKELY(transition_is(transition, word, callers, depth)))
        return transition;
    struct transition key = {.word = word, .callers = callers, .depth = depth};
    return stack_learn(&key, entry, (const void *)frame_code(facts, frame), frame_instruction(facts, frame));
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

/** The entry just below the window of the entry `top`. */
static ALWAYS_INLINE uint32_t stack_floor(uint32_t top)
{
    uint32_t limit = table->frame_limit, floor = top > limit ? top - limit : 0;
    while (floor > 0 && (stack.entries[floor].depth + limit > stack.entries[top].depth || stack.entries[floor].skipped))
        floor--;
    return floor < stack.unsettled ? floor : stack.unsettled - 1;
}

/** Fill in the entry of a frame; that of its caller is below it and filled in. */
static ALWAYS_INLINE void stack_set(facts_t facts, uint32_t index)
{
    struct stack_entry *entry = &stack.entries[index];
    uintptr_t frame = stack.frames[index], word = frame_word(facts, frame);
    bool complete = !frame_is_internal(facts, frame);
    if (complete && UNLIKELY(!frame_has_begun(facts, frame))) {
        // The word of a generator's frame must not say of another frame that its function has begun.
        word = WORD_TOO_FAR;
        complete = frame_owner(facts, frame) == OWNER_GENERATOR;
        if (!complete && stack.unsettled > index)
            stack.unsettled = index;
    }
    entry->word = word == WORD_TOO_FAR ? WORD_NONE : word;
    entry->path = PATH_UNKNOWN;
    entry->depth = (entry[-1].depth + complete) & INT32_MAX;
    entry->skipped = !complete;
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

/**
 * Compare the entries up to `top`, whose frame is alive, with the frames as they are now. Returns the lowest entry that is
 * at another instruction, or top + 1; STACK_BROKEN: these are other frames than we remember.
 *
 * Below the window only the callers are compared. That is enough to know the number of complete frames. No Python code runs
 * above a frame that has not begun (up to 3.11 it may; such a frame is `unsettled` and kept above the floor). And no other
 * frame takes the place of an internal one, in the C stack, until the interpreter maps memory: see arena_alloc() in hooks.c.
 */
static ALWAYS_INLINE uint32_t stack_compare(facts_t facts, profile_t profile, uint32_t top, uint32_t floor)
{
    uint32_t lowest = top + 1;
    const uintptr_t *known = &stack.frames[top], *end = &stack.frames[floor];
    const struct stack_entry *entry = &stack.entries[top];
    uintptr_t frame = *known;
    while (known > end) {
        if (frame_word(facts, frame) != entry->word)
            lowest = (uint32_t)(entry - stack.entries);
        entry--;
        // If the frame says what our copy says, go on with our copy.
        if (UNLIKELY(frame_previous(facts, frame) != *--known))
            return STACK_BROKEN;
        frame = *known;
    }
    end = stack_counts(facts, profile) ? stack.frames : end;
    for (; known - end >= 4; frame = *known) {
        // cppcheck-suppress objectIndex // `frames` is an array; cppcheck takes it for the local variable
        if (UNLIKELY(frame_previous(facts, frame) != known[-1] || frame_previous(facts, known[-1]) != known[-2] ||
                     frame_previous(facts, known[-2]) != known[-3] || frame_previous(facts, known[-3]) != known[-4]))
            return STACK_BROKEN;
        known -= 4;
    }
    while (known > end) {
        if (UNLIKELY(frame_previous(facts, frame) != *--known))
            return STACK_BROKEN;
        frame = *known;
    }
    return lowest;
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
        stack.frames[count--] = frame;
    stack_refresh(facts, 1);
    return true;
}

/** The entry of a frame, among the newest entries; 0: it is not there. */
static ALWAYS_INLINE uint32_t stack_find(uintptr_t frame)
{
    uint32_t lowest = stack.count > STACK_STEPS ? stack.count - STACK_STEPS : 0;
    for (uint32_t i = stack.count; i > lowest; i--)
        if (stack.frames[i] == frame)
            return i;
    return 0;
}

/** Frames were entered or left: find the newest frame that we remember, and fill in the newer ones. */
static ALWAYS_INLINE bool stack_move(facts_t facts, profile_t profile, uintptr_t newest)
{
    uintptr_t entered[STACK_STEPS];
    uint32_t count = 0, known = 0;
    uintptr_t frame = newest;
    // Mostly the newest frame that we remember has called a function.
    if (newest != 0 && stack.count > 0 && frame_previous(facts, newest) == stack.frames[stack.count]) {
        entered[count++] = newest;
        known = stack.count;
        frame = 0;
    }
    for (; frame != 0 && (known = stack_find(frame)) == 0; frame = frame_previous(facts, frame)) {
        if (count == STACK_STEPS)
            return stack_rebuild(facts, newest);
        entered[count++] = frame;
    }
    uint32_t lowest = stack_compare(facts, profile, known, stack_floor(known));
    if (lowest == STACK_BROKEN || known + count >= STACK_ENTRIES)
        return stack_rebuild(facts, newest);
    stack.count = known;
    while (count > 0)
        stack.frames[++stack.count] = entered[--count];
    stack_refresh(facts, lowest);
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
        if (!stack.entries[i].skipped)
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
    while (UNLIKELY(stack.entries[top].skipped))
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
    if (UNLIKELY(newest != stack.frames[top]))
        return follow(newest, STACK_BROKEN);
    uint32_t lowest = stack_compare(facts, profile, top, stack.floor);
    if (lowest > top && LIKELY(stack.last != NULL))
        return stack.last;
    struct stack_entry *entry = &stack.entries[top];
    if (UNLIKELY(lowest != top) || UNLIKELY(entry[-1].path == PATH_UNKNOWN) || UNLIKELY(stack.unsettled <= top))
        return follow(newest, lowest);
    // Only the newest frame has moved on. A word in the table is of a function that has begun.
    uint32_t callers = entry[-1].path, depth = entry[-1].depth + 1u;
    uintptr_t word = frame_word(facts, newest);
    struct transition *transition = stack_place(word, callers, stack_depth(facts, profile, depth));
    if (UNLIKELY(!transition_is(transition, word, callers, stack_depth(facts, profile, depth))))
        return follow(newest, lowest);
    *entry = (struct stack_entry){.word = word, .path = PATH_UNKNOWN, .depth = depth & INT32_MAX};
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

#endif
