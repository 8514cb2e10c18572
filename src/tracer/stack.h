/**
 * The calling stack as a site: who allocates, found again without walking what has not changed.
 *
 * Two ways lead there. The lock holder's way remembers the stack as it was at the last allocation. Each frame of it is
 * compared with what is there now, from the newest on: where a frame's caller is the one we remember, we go on to
 * *our* copy of its address, so the processor need not wait for one load to start the next. What changed,
 * mostly the newest frame's instruction, is looked up in a small table of transitions. The other way, for threads which
 * hold no lock or another interpreter's, walks and interns every frame under table_lock.
 *
 * The functions here are inlined into hooks.inc.h once for each version of CPython, with its facts as constants.
 */
#ifndef TRACEMORTEM_TRACER_STACK_H
#define TRACEMORTEM_TRACER_STACK_H

#include "intern.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

enum {
    STACK_ENTRIES = 1 << 15, // deeper stacks are walked anew at each allocation
    TRANSITIONS_LOG = 11,
    TRANSITIONS = 1 << TRANSITIONS_LOG,
    TOTAL_FRAMES_LIMIT = 65535, // tracemalloc counts no further
};

struct stack_entry {
    uintptr_t frame;
    uintptr_t word; // of its code and instruction, unique as long as the code object lives; or WORD_NONE
    uint32_t node;  // of this frame as a caller; 0: not known
    uint32_t depth; // complete frames up to this one
    bool skipped;   // not complete: no part of a traceback
};

/**
 * A frame has two nodes: as the newest, with the very instruction which allocates, and as a caller, with the first instruction
 * of the line it calls from, since tracemalloc knows lines only, and a line which calls itself twice, as one that walks a
 * tree does, would otherwise double the tracebacks with each level.
 */
struct stack_nodes {
    uint32_t newest;
    uint32_t caller;
};

/** From the caller's node to that of a frame it calls: exact, for the window of frame_limit frames moves on with it. */
struct transition {
    uintptr_t word;
    uint32_t caller; // the caller's node as one; 0 where only one frame is kept
    uint32_t depth;
    struct stack_nodes nodes;
    uint32_t site[2]; // of the allocators mem and object; 0: not known
};

/** What the holder of the main interpreter's lock remembers; nobody else touches it. */
struct stack {
    struct stack_entry *entries; // [0] stands for no frame; the oldest frame is [1]
    uint32_t count;              // the newest frame's index
    struct transition no_frames; // where nothing runs yet
    struct transition passing;   // into a frame with WORD_NONE
    struct transition transitions[TRANSITIONS];
};
extern struct stack stack;

/** Frames on the way into the table, newest first; under table_lock. */
struct stack_frame {
    uint32_t code;
    int32_t instruction;
};
extern struct stack_frame stack_window[TOTAL_FRAMES_LIMIT];

/** Forget everything, at a start; false: no memory. */
bool stack_reset(void);
/** A code object dies: what is remembered by its address goes. */
void stack_forget_code(uintptr_t code);

// ---------------------------------------------------------------------------------------------------------------
// Reading frames

typedef const struct cpython_facts *facts_t;

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

enum { WORD_NONE = 0, WORD_UNTOLD = 1 };

/**
 * Code and instruction in one word. From 3.11 on the instruction's address says both; before, 16 bits of its offset go above
 * the code's address. WORD_UNTOLD: they are not enough, and the word equals no entry's.
 */
static ALWAYS_INLINE uintptr_t frame_word(facts_t facts, uintptr_t frame)
{
    if (facts->instruction_unit == 0)
        return FIELD(uintptr_t, frame, facts->frame_instruction);
    int offset = FIELD(int, frame, facts->frame_instruction);
    return LIKELY(offset < 0xffff) ? (uintptr_t)(unsigned)offset << 48 | frame_code(facts, frame) : WORD_UNTOLD;
}

/** Byte offset of the frame's instruction in its code. */
static ALWAYS_INLINE int32_t frame_instruction(facts_t facts, uintptr_t frame)
{
    if (facts->instruction_unit == 0)
        return (int32_t)(FIELD(uintptr_t, frame, facts->frame_instruction) - frame_code(facts, frame) -
                         facts->code_bytecode);
    return FIELD(int, frame, facts->frame_instruction) * facts->instruction_unit;
}

/** Frames which are the interpreter's own, or whose function has not begun, are in no traceback. */
static ALWAYS_INLINE bool frame_is_complete(facts_t facts, uintptr_t frame)
{
    if (facts->code_first_traceable == 0)
        return true;
    unsigned owner = frame_owner(facts, frame);
    if (facts->owner_skip != 0 && owner >= facts->owner_skip)
        return false;
    if (owner == OWNER_GENERATOR)
        return true;
    int first = FIELD(int, frame_code(facts, frame), facts->code_first_traceable);
    return frame_instruction(facts, frame) >= first * CODE_UNIT;
}

// ---------------------------------------------------------------------------------------------------------------
// The lock holder's way

/** The nodes of a frame called from `caller`; takes the lock. newest 0: no memory. */
struct stack_nodes stack_child(uint32_t caller, const void *code, int32_t instruction);
/** The site of a transition which it has not, or not yet; takes the lock. 0: not to be had. */
uint32_t stack_find_site(struct transition *transition, unsigned allocator);

/** The transition into an entry whose caller's node is known. NULL: no memory. */
static ALWAYS_INLINE struct transition *stack_transition(facts_t facts, struct stack_entry *entry)
{
    uint32_t caller = table->frame_limit == 1 ? 0 : entry[-1].node;
    uint64_t key = entry->word ^ (uint64_t)caller << 24 ^ (uint64_t)entry->depth << 48;
    struct transition *transition = &stack.transitions[key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - TRANSITIONS_LOG)];
    if (LIKELY(transition->word == entry->word && transition->caller == caller && transition->depth == entry->depth))
        return transition;
    struct stack_nodes nodes =
        stack_child(caller, (const void *)frame_code(facts, entry->frame), frame_instruction(facts, entry->frame));
    if (nodes.newest == 0)
        return NULL;
    if (UNLIKELY(entry->word == WORD_NONE))
        transition = &stack.passing;
    *transition = (struct transition){.word = entry->word, .caller = caller, .depth = entry->depth, .nodes = nodes};
    return transition;
}

/** Fill in the entry of a frame whose caller's entry stands below it. */
static ALWAYS_INLINE void stack_set(facts_t facts, struct stack_entry *entry, uintptr_t frame)
{
    uintptr_t word = frame_word(facts, frame);
    bool complete = frame_is_complete(facts, frame);
    entry->frame = frame;
    entry->word = word == WORD_UNTOLD ? WORD_NONE : word;
    entry->node = 0;
    entry->depth = entry[-1].depth + complete;
    entry->skipped = !complete;
}

/**
 * Compare the entries up to `top`, whose frame is alive, with the frames as they are now, and mend those which went on
 * to another instruction. False: the frames below are not those we know.
 */
static ALWAYS_INLINE bool stack_compare(facts_t facts, struct stack_entry *top)
{
    struct stack_entry *lowest = top + 1;
    for (struct stack_entry *entry = top; entry > stack.entries; entry--) {
        uintptr_t frame = entry->frame; // ours, which is what entry[1]'s frame says is its caller
        if (UNLIKELY(frame_word(facts, frame) != entry->word))
            lowest = entry;
        if (UNLIKELY(frame_previous(facts, frame) != entry[-1].frame))
            return false;
    }
    for (; lowest <= top; lowest++)
        stack_set(facts, lowest, lowest->frame);
    return true;
}

/** Take the whole stack anew. False: it is deeper than we care to remember. */
static ALWAYS_INLINE bool stack_rebuild(facts_t facts, uintptr_t newest)
{
    uint32_t count = 0;
    stack.count = 0;
    for (uintptr_t frame = newest; frame != 0; frame = frame_previous(facts, frame))
        if (++count >= STACK_ENTRIES)
            return false;
    uint32_t index = count;
    for (uintptr_t frame = newest; frame != 0; frame = frame_previous(facts, frame))
        stack.entries[index--].frame = frame;
    for (index = 1; index <= count; index++)
        stack_set(facts, &stack.entries[index], stack.entries[index].frame);
    stack.count = count;
    return true;
}

enum { STACK_STEPS = 16 }; // frames entered, or left, between two allocations: more is rare

/** The entry of a frame among the newest ones; 0: it is not there. */
static ALWAYS_INLINE uint32_t stack_find(uintptr_t frame)
{
    uint32_t lowest = stack.count > STACK_STEPS ? stack.count - STACK_STEPS : 0;
    for (uint32_t i = stack.count; i > lowest; i--)
        if (stack.entries[i].frame == frame)
            return i;
    return 0;
}

/** Frames were entered or left since: find the newest which we know, and take the newer ones anew. */
static ALWAYS_INLINE bool stack_move(facts_t facts, uintptr_t newest)
{
    uintptr_t entered[STACK_STEPS];
    uint32_t count = 0, known = 0;
    for (uintptr_t frame = newest; frame != 0; frame = frame_previous(facts, frame)) {
        if ((known = stack_find(frame)) != 0)
            break;
        if (count == STACK_STEPS)
            return stack_rebuild(facts, newest);
        entered[count++] = frame;
    }
    if (known + count >= STACK_ENTRIES || !stack_compare(facts, &stack.entries[known]))
        return stack_rebuild(facts, newest);
    stack.count = known + count;
    while (count > 0)
        stack_set(facts, &stack.entries[++known], entered[--count]);
    return true;
}

/** Find the nodes of all entries below `top`. False: no memory. */
static ALWAYS_INLINE bool stack_resolve(facts_t facts, struct stack_entry *top)
{
    struct stack_entry *entry = top;
    while (entry > stack.entries + 1 && entry[-1].node == 0)
        entry--;
    for (; entry < top; entry++) {
        if (entry->skipped) {
            entry->node = entry[-1].node;
            continue;
        }
        struct transition *transition = stack_transition(facts, entry);
        if (transition == NULL)
            return false;
        entry->node = transition->nodes.caller;
    }
    return true;
}

/**
 * The transition which leads to the lock holder's present stack; its node and depth tell of it. NULL: not to be had (no
 * memory, or too deep: see stack_walk). `thread` is the holder's state.
 */
static ALWAYS_INLINE struct transition *stack_here(facts_t facts, const PyThreadState *thread)
{
    uintptr_t newest = current_frame(facts, thread);
    struct stack_entry *top = &stack.entries[stack.count];
    if (UNLIKELY(newest != top->frame) || UNLIKELY(!stack_compare(facts, top))) {
        if (!stack_move(facts, newest))
            return NULL;
        top = &stack.entries[stack.count];
    }
    while (UNLIKELY(top->skipped))
        top--;
    if (UNLIKELY(top == stack.entries))
        return &stack.no_frames;
    if (table->frame_limit > 1 && UNLIKELY(top[-1].node == 0) && !stack_resolve(facts, top))
        return NULL;
    struct transition *transition = stack_transition(facts, top);
    if (LIKELY(transition != NULL))
        top->node = transition->nodes.caller;
    return transition;
}

// ---------------------------------------------------------------------------------------------------------------
// Everybody's way

struct stack_trace {
    uint32_t node;
    uint32_t total_frames;
};

/** Walk and intern the frames of `thread`, the calling thread's own state or NULL. Holding table_lock. node 0: no memory. */
static ALWAYS_INLINE struct stack_trace stack_walk(facts_t facts, const PyThreadState *thread)
{
    struct stack_trace trace = {0};
    uint32_t kept = 0;
    uintptr_t frame = thread == NULL ? 0 : current_frame(facts, thread);
    for (; frame != 0 && trace.total_frames < TOTAL_FRAMES_LIMIT; frame = frame_previous(facts, frame)) {
        if (!frame_is_complete(facts, frame))
            continue;
        trace.total_frames++;
        if (kept < table->frame_limit) {
            uint32_t code = intern_code((const void *)frame_code(facts, frame));
            int32_t instruction = frame_instruction(facts, frame);
            stack_window[kept] = (struct stack_frame){
                .code = code, .instruction = kept == 0 ? instruction : code_line_start(code, instruction)};
            kept++;
        }
    }
    if (kept == 0)
        return (struct stack_trace){.node = TM_NODE_UNKNOWN, .total_frames = 1};
    while (kept > 0) {
        const struct stack_frame *oldest = &stack_window[--kept];
        trace.node = intern_node(trace.node, oldest->code, oldest->instruction);
        if (trace.node == 0)
            break;
    }
    return trace;
}

#endif
