// Collapsed stacks, and what several formats need of a frame and of the order of stacks.

#define _GNU_SOURCE // qsort_r
#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/export/formats.h"
#include "engine/export/frame_texts.h"

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
    tm_text_add(text, ":");
    tm_text_number(text, frame->line);
    tm_text_add(text, frame->function ? ")" : "");
}

static void add_stack(struct tm_text *text, const struct tm_export *export, const struct tm_stack *stack,
                      const struct tm_amount *amount, struct tm_frame_texts *texts)
{
    uint32_t depth;
    const uint32_t *frames = tm_stack_frames(export->stacks, stack, &depth);

    for (uint32_t i = 0; i < depth; i++) {
        tm_text_add(text, i > 0 ? ";" : "");
        tm_frame_texts_add(texts, frames[i], text);
    }
    for (unsigned side = export->compared ? TM_SIDES : 1; side-- > 0;) { // OLD is the last side
        tm_text_add(text, " ");
        tm_text_number(text, amount->size[side]);
    }
    tm_text_add(text, "\n");
}

struct tm_error *tm_export_collapsed(const struct tm_export *export, struct tm_sink *sink)
{
    const struct tm_stacks *stacks = export->stacks;
    struct tm_frame_texts texts;

    struct tm_error *error = tm_frame_texts_init(&texts, &stacks->frames, tm_export_frame_text);
    for (size_t i = 0; i < stacks->count && !error;) {
        const struct tm_stack *stack = &stacks->items[i];
        struct tm_amount amount = stack->amount;
        // Stacks that differ in their domain only are neighbours.
        for (i++; i < stacks->count && stacks->items[i].node == stack->node; i++)
            tm_amount_add(&amount, &stacks->items[i].amount);
        add_stack(&sink->text, export, stack, &amount, &texts);
        if (tm_sink_pass(sink))
            break;
        error = tm_host_check(export->host);
    }
    tm_frame_texts_deinit(&texts);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Ranking

// By their change, then by their size; equal ones keep the order of the stacks.
static int compare_ranked(const void *left, const void *right, void *context)
{
    const uint32_t *a = left, *b = right;
    const struct tm_stacks *stacks = context;
    const uint64_t *a_size = stacks->items[*a].amount.size, *b_size = stacks->items[*b].amount.size;
    int order = tm_compare_numbers(tm_distance(b_size[TM_SIDE_OLD], b_size[TM_SIDE_NEW]),
                                   tm_distance(a_size[TM_SIDE_OLD], a_size[TM_SIDE_NEW]));
    if (order == 0)
        order = tm_compare_numbers(b_size[TM_SIDE_NEW], a_size[TM_SIDE_NEW]);
    return order != 0 ? order : tm_compare_numbers(*a, *b);
}

struct tm_error *tm_export_rank(const struct tm_export *export, uint32_t **result)
{
    const struct tm_stacks *stacks = export->stacks;
    uint32_t *order = calloc(stacks->count + 1, sizeof(*order));

    struct tm_error *error = order ? tm_host_check(export->host) : tm_error_no_memory();
    if (error) {
        free(order);
        return error;
    }
    for (size_t i = 0; i < stacks->count; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, stacks->count, sizeof(*order), compare_ranked, (void *)(uintptr_t)stacks);
    *result = order;
    return NULL;
}
