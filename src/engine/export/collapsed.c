// Collapsed stacks, and what several formats need of a frame and of the order of stacks.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/export/formats.h"

// Escaped as in all answers; and without the character that separates frames.
static void add_name(struct tm_text *text, const struct tm_name *name)
{
    const char *bytes = name->bytes, *end = bytes + name->length;
    while (bytes < end) {
        const char *separator = memchr(bytes, ';', (size_t)(end - bytes));
        tm_text_escape(text, bytes, (size_t)((separator ? separator : end) - bytes));
        if (separator)
            tm_text_add(text, "\\x3b");
        bytes = separator ? separator + 1 : end;
    }
}

void tm_export_frame_text(struct tm_text *text, const struct tm_frame *frame)
{
    if (frame->function) {
        add_name(text, frame->function);
        tm_text_add(text, " (");
    }
    add_name(text, frame->file_name);
    tm_text_printf(text, ":%" PRIu32 "%s", frame->line, frame->function ? ")" : "");
}

struct tm_error *tm_export_collapsed(const struct tm_export *export, struct tm_sink *sink)
{
    const struct tm_stacks *stacks = export->stacks;

    for (size_t i = 0; i < stacks->count;) {
        const struct tm_stack *stack = stacks->items[i];
        struct tm_amount amount = stack->amount;
        struct tm_error *error = tm_host_check(export->host);
        if (error)
            return error;
        // Stacks that differ in their domain only are neighbours.
        for (i++; i < stacks->count && tm_stacks_same_frames(stack, stacks->items[i]); i++)
            tm_amount_add(&amount, &stacks->items[i]->amount);
        for (uint32_t j = 0; j < stack->depth; j++) {
            tm_text_add(&sink->text, j > 0 ? ";" : "");
            tm_export_frame_text(&sink->text, stacks->frames.items[stack->frames[j]]);
        }
        if (export->compared)
            tm_text_printf(&sink->text, " %" PRIu64, amount.size[TM_SIDE_OLD]);
        tm_text_printf(&sink->text, " %" PRIu64 "\n", amount.size[TM_SIDE_NEW]);
        if (tm_sink_pass(sink))
            break;
    }
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Ranking

struct ranked {
    uint64_t weight, size;
    const struct tm_stack *stack;
    size_t index; // in the order of the frames: equal ones keep it
};

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    int order = tm_compare_numbers(b->weight, a->weight);
    if (order == 0)
        order = tm_compare_numbers(b->size, a->size);
    return order != 0 ? order : tm_compare_numbers(a->index, b->index);
}

struct tm_error *tm_export_rank(const struct tm_export *export, const struct tm_stack ***result)
{
    const struct tm_stacks *stacks = export->stacks;
    struct ranked *ranked = calloc(stacks->count + 1, sizeof(*ranked));

    struct tm_error *error = ranked ? tm_host_check(export->host) : tm_error_no_memory();
    if (!error) {
        for (size_t i = 0; i < stacks->count; i++) {
            const struct tm_amount *amount = &stacks->items[i]->amount;
            uint64_t now = amount->size[TM_SIDE_NEW];
            ranked[i] = (struct ranked){tm_distance(amount->size[TM_SIDE_OLD], now), now, stacks->items[i], i};
        }
        qsort(ranked, stacks->count, sizeof(*ranked), compare_ranked);
        *result = calloc(stacks->count + 1, sizeof(const struct tm_stack *));
        error = *result ? tm_host_check(export->host) : tm_error_no_memory();
        for (size_t i = 0; *result && i < stacks->count; i++)
            (*result)[i] = ranked[i].stack;
        if (error)
            free(*result);
    }
    free(ranked);
    return error;
}
