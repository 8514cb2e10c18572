// The lock holder's memory of the stack: its storage, and the slow steps of looking things up.

#include "stack.h"

#include <string.h>

#include "pages.h"

struct stack stack;
struct stack_frame stack_window[TOTAL_FRAMES_LIMIT];

bool stack_reset(void)
{
    if (stack.entries == NULL)
        stack.entries = pages_map(STACK_ENTRIES * sizeof *stack.entries);
    if (stack.entries == NULL)
        return false;
    stack.count = 0;
    stack.entries[0] = (struct stack_entry){.frame = 0};
    memset(stack.transitions, 0, sizeof stack.transitions);
    stack.no_frames = (struct transition){.nodes = {.newest = TM_NODE_UNKNOWN}, .depth = 1};
    return true;
}

void stack_forget_code(uintptr_t code)
{
    // The entries above the present stack may tell of the dead object's instructions, and so may the transitions. A
    // word is the address of an instruction inside the object, or the object's own in its low 48 bits.
    const struct cpython_facts *facts = cpython.facts;
    const uintptr_t address_bits = facts->instruction_unit == 0 ? ~(uintptr_t)0 : ((uintptr_t)1 << 48) - 1;
    uintptr_t size = 1;
    if (facts->instruction_unit == 0)
        size = facts->code_bytecode + (uintptr_t)FIELD(Py_ssize_t, code, VAR_OBJECT_SIZE) * CODE_UNIT + CODE_UNIT;
    stack.count = 0;
    for (unsigned i = 0; i < TRANSITIONS; i++)
        if ((stack.transitions[i].word & address_bits) - code < size)
            stack.transitions[i].word = 0;
}

/** The path to `node` without its oldest frame: the window moves on by one. */
static uint32_t slide(uint32_t node)
{
    uint32_t kept = table->frame_limit - 1;
    for (uint32_t i = 0; i < kept; i++) {
        const struct tm_node *record = TABLE_NODE(node);
        stack_window[i] = (struct stack_frame){.code = record->code, .instruction = record->instruction};
        node = record->parent;
    }
    uint32_t moved = 0;
    while (kept > 0) {
        const struct stack_frame *oldest = &stack_window[--kept];
        moved = intern_node(moved, oldest->code, oldest->instruction);
        if (moved == 0)
            return 0;
    }
    return moved;
}

static struct stack_nodes child(uint32_t parent, const void *object, int32_t instruction)
{
    struct stack_nodes nodes = {0};
    uint32_t code = intern_code(object);
    bool full = parent != 0 && TABLE_NODE(parent)->depth >= table->frame_limit;
    if (full && (parent = slide(parent)) == 0)
        return nodes;
    nodes.newest = intern_node(parent, code, instruction);
    if (table->frame_limit > 1)
        nodes.caller = intern_node(parent, code, code_line_start(code, instruction));
    if (table->frame_limit > 1 && nodes.caller == 0)
        nodes.newest = 0;
    return nodes;
}

struct stack_nodes stack_child(uint32_t caller, const void *object, int32_t instruction)
{
    pthread_mutex_lock(&table_lock);
    struct stack_nodes nodes = child(caller, object, instruction);
    pthread_mutex_unlock(&table_lock);
    return nodes;
}

uint32_t stack_find_site(struct transition *transition, unsigned allocator)
{
    uint32_t total = transition->depth < TOTAL_FRAMES_LIMIT ? transition->depth : TOTAL_FRAMES_LIMIT;
    struct site_key key = {.node = transition->nodes.newest,
                           .total_frames = (uint16_t)total,
                           .allocator = (uint8_t)allocator,
                           .flags = allocator == TM_ALLOCATOR_RAW ? TM_SITE_SHARED : 0};
    pthread_mutex_lock(&table_lock);
    uint32_t site = intern_site(&key);
    pthread_mutex_unlock(&table_lock);
    if (allocator != TM_ALLOCATOR_RAW)
        transition->site[allocator - TM_ALLOCATOR_MEM] = site;
    return site;
}
