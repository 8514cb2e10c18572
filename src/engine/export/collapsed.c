// Collapsed stacks, and what several formats need of a frame and of the order of stacks.

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

static void add_stack(struct tm_text *text, const struct tm_stack *stack, const struct tm_amount *amount, bool compared,
                      struct tm_frame_texts *texts)
{
    for (uint32_t i = 0; i < stack->depth; i++) {
        tm_text_add(text, i > 0 ? ";" : "");
        tm_frame_texts_add(texts, stack->frames[i], text);
    }
    for (unsigned side = compared ? TM_SIDES : 1; side-- > 0;) { // OLD is the last side
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
        const struct tm_stack *stack = stacks->items[i];
        struct tm_amount amount = stack->amount;
        // Stacks that differ in their domain only are neighbours.
        for (i++; i < stacks->count && tm_stacks_same_frames(stack, stacks->items[i]); i++)
            tm_amount_add(&amount, &stacks->items[i]->amount);
        add_stack(&sink->text, stack, &amount, export->compared, &texts);
        if (tm_sink_pass(sink))
            break;
        error = tm_host_check(export->host);
    }
    tm_frame_texts_deinit(&texts);
    return error;
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
