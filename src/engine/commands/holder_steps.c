// A path as steps.

#include "engine/commands/holder_steps.h"

#include <inttypes.h>
#include <string.h>

#include "engine/commands/inspect.h"
#include "engine/commands/report.h"
#include "engine/objects/references.h"

enum { SHOWN_ENDS = 20 };

struct tm_error *tm_step_show(const struct tm_steps *steps, const struct tm_heap_node *node, struct tm_text *text)
{
    if (node->kind == TM_NODE_OBJECT)
        return tm_show_short(&steps->look->objects, tm_node_object(node), text);
    tm_text_printf(text, "%s of %" PRIu64 " bytes at 0x%" PRIx64,
                   node->kind == TM_NODE_DEAD ? "dead object" : "block of C", node->size, node->address);
    return NULL;
}

struct finding {
    const struct tm_steps *steps;
    const struct tm_heap_node *to;
    uint64_t offset;
    bool found;
};

static struct tm_error *match_word(void *context, uint64_t offset, uint64_t word)
{
    struct finding *finding = context;
    bool counts;
    if (!finding->found && tm_graph_target(&finding->steps->look->graph, word, &counts) == finding->to) {
        finding->offset = offset;
        finding->found = true;
    }
    return NULL;
}

// How `from` refers to `to`.
struct tm_error *tm_step_label(const struct tm_steps *steps, const struct tm_heap_node *from,
                               const struct tm_heap_node *to, struct tm_text *text)
{
    struct tm_objects *objects = &steps->look->objects;
    struct finding finding = {.steps = steps, .to = to};
    bool unreadable = false;
    struct tm_error *error = tm_references_visit(objects, &steps->look->nodes, from, match_word, &finding, &unreadable);
    if (!error && finding.found)
        error = tm_reference_label(objects, &steps->look->nodes, from, finding.offset, text);
    return error;
}

static void write_place(const struct tm_steps *steps, const struct tm_heap_node *node)
{
    const struct tm_origin *origin = tm_node_origin(&steps->look->nodes, node);
    if (!origin) {
        tm_text_add(steps->out, "  (not traced)");
        return;
    }
    const struct tm_place place = {.frame = *origin->traceback->newest};
    tm_text_add(steps->out, "  ");
    tm_format_place(steps->out, &place);
}

static void write_place_json(const struct tm_steps *steps, const struct tm_heap_node *node)
{
    const struct tm_origin *origin = tm_node_origin(&steps->look->nodes, node);
    if (origin) {
        tm_report_frame_json(steps->json, origin->traceback->newest);
        return;
    }
    tm_json_null(steps->json, "filename");
    tm_json_null(steps->json, "lineno");
}

struct tm_error *tm_step_write(const struct tm_steps *steps, const struct tm_text *label_text,
                               const struct tm_heap_node *node)
{
    const struct tm_type *type = tm_node_type(&steps->look->objects, node);
    struct tm_text value = TM_TEXT_EMPTY;
    struct tm_error *error = tm_step_show(steps, node, &value);
    if (steps->json) {
        tm_json_begin_object(steps->json, NULL);
        tm_json_string(steps->json, "label", tm_text_string(label_text), label_text->length);
        tm_json_number(steps->json, "address", tm_node_object(node));
        if (type)
            tm_inspect_type_json(type, steps->json);
        tm_json_string(steps->json, "value", tm_text_string(&value), value.length);
        write_place_json(steps, node);
        tm_json_end_object(steps->json);
    } else {
        tm_text_add(steps->out, "  ");
        tm_text_bytes(steps->out, tm_text_string(label_text), label_text->length);
        tm_text_add(steps->out, label_text->length ? "  " : "");
        if (type && node->kind == TM_NODE_OBJECT && !strstr(tm_text_string(&value), " at 0x")) {
            tm_type_write_name(type, steps->out);
            tm_text_printf(steps->out, " at 0x%" PRIx64 ": ", tm_node_object(node));
        }
        tm_text_bytes(steps->out, tm_text_string(&value), value.length);
        write_place(steps, node);
        tm_text_add(steps->out, "\n");
    }
    tm_text_deinit(&value);
    return error;
}

// Parts and the dicts of modules and instances are no steps of their own: what they add goes before the next label.
static bool is_step(const struct tm_steps *steps, const uint32_t *path, size_t i, size_t count)
{
    return i + 1 == count || !steps->look->nodes.items[path[i]].owner;
}

// The label of step i: with those of the parts before it, which are no steps.
static struct tm_error *add_label(const struct tm_steps *steps, const uint32_t *path, size_t i, struct tm_text *text)
{
    const struct tm_heap_node *items = steps->look->nodes.items;
    size_t before = text->length;
    if (i == 0)
        return NULL;
    struct tm_error *error = tm_step_label(steps, &items[path[i - 1]], &items[path[i]], text);
    // A word that leads to a part says nothing that the part's own words do not say.
    if (!error && items[path[i]].owner == path[i - 1] + 1 && text->length > before) {
        text->length = before;
        text->bytes[before] = '\0';
    }
    return error;
}

// Which steps are left out: those from *first to *end.
static void leave_out(const struct tm_steps *steps, size_t count, size_t *first, size_t *end)
{
    *first = *end = 0;
    if (steps->depth && steps->depth < count) {
        *end = count - steps->depth;
    } else if (!steps->depth && !steps->json && count > 2 * SHOWN_ENDS) {
        *first = SHOWN_ENDS;
        *end = count - SHOWN_ENDS;
    }
}

struct tm_error *tm_steps_write(const struct tm_steps *steps, const uint32_t *path, size_t count)
{
    // A module that begins a path is named above it.
    size_t start = count > 1 && tm_holders_is_module(&steps->look->graph, path[0]), total = 0, number = 0, first, end;
    struct tm_text text = TM_TEXT_EMPTY;
    struct tm_error *error = NULL;
    for (size_t i = start; i < count; i++)
        total += is_step(steps, path, i, count);
    leave_out(steps, total, &first, &end);
    for (size_t i = start; !error && i < count; i++) {
        bool shown = number < first || number >= end;
        if (shown || number + 1 == end) // the label of the first one shown may begin here
            error = add_label(steps, path, i, &text);
        if (error || !is_step(steps, path, i, count))
            continue;
        if (shown)
            error = tm_step_write(steps, &text, &steps->look->nodes.items[path[i]]);
        else if (number == first && !steps->json)
            tm_text_printf(steps->out, "  … %zu more step%s\n", end - first, end - first == 1 ? "" : "s");
        number++;
        tm_text_clear(&text);
    }
    tm_text_deinit(&text);
    return error;
}
