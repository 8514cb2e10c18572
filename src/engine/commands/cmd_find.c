// tm-find: the objects of a type, with their addresses.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/commands/command.h"
#include "engine/commands/inspect.h"
#include "engine/commands/look.h"
#include "engine/commands/report.h"
#include "engine/objects/dicts.h"

#define FIND_OPTIONS(X)                                                         \
    TM_OPTIONS_LIMIT(X)                                                         \
    X(TM_OPTION_ATTRIBUTE, 0, "    ", "--attr", " NAME[=VALUE]",                \
      "Only objects with this attribute, or with this value of it: as repr()\n" \
      "        shows it, where a string may be without its quotes.")            \
    TM_OPTIONS_FILTERS(X) TM_OPTIONS_PLAIN(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {FIND_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] =
    TM_HELP("List the objects of a type, with their addresses.", "tm-find --type PATTERN [OPTION]...",
            "Each row is an object: its address, its value as far as one is known, its size\n"
            "with that of its parts, and the line that allocated it. Rows are in the order of\n"
            "addresses. tm-object shows one of them, tm-holders what holds it.\n"
            "\n"
            "Only traced blocks are looked at: of a program in the sampled profile those that\n"
            "were picked. \"tm-top type\" lists the names of types.\n"
            "\n" TM_HELP_FILTERS,
            FIND_OPTIONS,
            "Examples:\n"
            "  tm-find --type 'shop.Basket'\n"
            "  tm-find --type 'shop.*' --attr user=mary -n 50\n"
            "  tm-find --type dict --include '*/views.py:120'\n"
            "\n"
            "The JSON object has:\n"
            "  command, limit, type (the pattern), attribute\n" TM_HELP_JSON_FILTERS
            "  objects       the rows: address, type, type_address, refcount, immortal,\n"
            "                value, truncated, size, parts_size, filename, lineno and,\n"
            "                where known, name\n"
            "  other         how many are not shown\n"
            "  total_count, total_size\n"
            "                of all, with their parts\n"
            "  sample_period if blocks are sampled: the mean distance of picked bytes\n"
            "  blocks_unreadable\n"
            "                how many blocks could not be looked at\n"
            "  missing       " TM_HELP_JSON_MISSING);

static struct tm_error *prepare(struct tm_request *request)
{
    struct tm_error *error = tm_request_check_words(request, 0);
    if (!error && !request->settings.type)
        error = tm_usage_error(request->command->name, "missing type. Usage: ", "tm-find --type PATTERN",
                               "; \"tm-top type\" lists types");
    return error;
}

struct answer {
    const struct tm_request *request;
    struct tm_look look;
    char *attribute;   // its name; NULL: none is wanted
    const char *value; // or NULL
    uint32_t *rows;    // numbers of nodes
    size_t count;
    size_t capacity;
    uint64_t *parts; // bytes, by the number of the node
    uint64_t total_count, total_size;
};

// ---------------------------------------------------------------------------------------------------------------
// Attributes

struct wanted {
    struct answer *answer;
    bool matches;
};

// Whether a value's text is what was asked for: a string may be without its quotes.
static bool is_value(const char *text, size_t length, const char *wanted)
{
    size_t wanted_length = strlen(wanted);
    if (length == wanted_length && memcmp(text, wanted, length) == 0)
        return true;
    return length == wanted_length + 2 && (text[0] == '\'' || text[0] == '"') && text[0] == text[length - 1] &&
           memcmp(text + 1, wanted, wanted_length) == 0;
}

static struct tm_error *check_member(void *context, const struct tm_member *member)
{
    struct wanted *wanted = context;
    struct answer *answer = wanted->answer;
    struct tm_text text = TM_TEXT_EMPTY;
    bool truncated;
    if (!member->attribute || strcmp(member->attribute, answer->attribute) != 0)
        return NULL;
    if (!answer->value) {
        wanted->matches = true;
        return NULL;
    }
    struct tm_error *error = tm_show_value(&answer->look.objects, member->value, &text, &truncated);
    if (!error && is_value(tm_text_string(&text), text.length, answer->value))
        wanted->matches = true;
    tm_text_deinit(&text);
    return error;
}

static struct tm_error *has_attribute(struct answer *answer, const struct tm_heap_node *node, bool *result)
{
    struct wanted wanted = {answer, false};
    struct tm_object object;
    uint64_t total;
    bool found = false;
    *result = !answer->attribute;
    if (*result || node->kind != TM_NODE_OBJECT)
        return NULL;
    struct tm_error *error = tm_object_at(&answer->look.objects, tm_node_object(node), &object, &found);
    if (!error && found)
        error = tm_members_visit(&answer->look.objects, &object, UINT32_MAX, check_member, &wanted, &total);
    *result = wanted.matches;
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Collecting

static struct tm_error *add_row(void *context, const struct tm_trace *trace, const struct tm_heap_node *node)
{
    struct answer *answer = context;
    const struct tm_nodes *nodes = &answer->look.nodes;
    const struct tm_heap_node *owner = tm_node_owner(nodes, node);
    bool wanted;
    (void)trace;
    if (node != owner)
        return NULL; // parts are added to their owners' rows below
    struct tm_error *error = has_attribute(answer, node, &wanted);
    if (error || !wanted)
        return error;
    answer->total_count++;
    answer->total_size = tm_add_saturating(answer->total_size, node->size + answer->parts[tm_node_number(nodes, node)]);
    if (answer->count >= tm_request_limit(answer->request))
        return NULL;
    if (!TM_GROW(&answer->rows, answer->count + 1, &answer->capacity))
        return tm_error_no_memory();
    answer->rows[answer->count++] = (uint32_t)tm_node_number(nodes, node);
    return NULL;
}

static struct tm_error *split_attribute(struct answer *answer, const char *text)
{
    if (!text)
        return NULL;
    answer->attribute = strdup(text);
    if (!answer->attribute)
        return tm_error_no_memory();
    char *equals = strchr(answer->attribute, '=');
    if (equals) {
        *equals = '\0';
        answer->value = equals + 1;
    }
    return NULL;
}

static struct tm_error *add_parts(struct answer *answer)
{
    const struct tm_nodes *nodes = &answer->look.nodes;
    answer->parts = calloc(nodes->count + 1, sizeof(*answer->parts));
    if (!answer->parts)
        return tm_error_no_memory();
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes->items[i].owner)
            answer->parts[nodes->items[i].owner - 1] =
                tm_add_saturating(answer->parts[nodes->items[i].owner - 1], nodes->items[i].size);
    return NULL;
}

static struct tm_error *collect(struct answer *answer, struct tm_target *target, struct tm_pool *pool)
{
    struct tm_error *error = split_attribute(answer, answer->request->settings.attribute);
    if (!error)
        error = tm_look_init(&answer->look, answer->request, target, pool);
    if (!error)
        error = add_parts(answer);
    if (!error)
        error = tm_look_visit(&answer->look, answer->request, pool, add_row, answer);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

static const struct tm_frame *newest_frame(const struct answer *answer, const struct tm_heap_node *node)
{
    const struct tm_traceback *traceback = answer->look.nodes.origins[node->origin].traceback;
    return traceback->newest;
}

static struct tm_error *write_value(struct answer *answer, const struct tm_heap_node *node, struct tm_text *text,
                                    bool *truncated)
{
    *truncated = false;
    if (node->kind == TM_NODE_OBJECT)
        return tm_show_value(&answer->look.objects, tm_node_object(node), text, truncated);
    tm_text_add(text, node->kind == TM_NODE_DEAD ? TM_FREE_LIST : TM_NO_OBJECT);
    return NULL;
}

static struct tm_error *write_row(struct answer *answer, uint32_t number, struct tm_text *out)
{
    const struct tm_heap_node *node = &answer->look.nodes.items[number];
    const struct tm_place place = {.frame = *newest_frame(answer, node)};
    const struct tm_type *type = tm_node_type(&answer->look.objects, node);
    struct tm_text value = TM_TEXT_EMPTY;
    bool truncated;

    struct tm_error *error = write_value(answer, node, &value, &truncated);
    tm_text_printf(out, "0x%" PRIx64 ": ", tm_node_object(node));
    if (type && !strstr(tm_text_string(&value), " at 0x")) {
        tm_type_write_name(type, out);
        tm_text_add(out, " ");
    }
    tm_text_bytes(out, tm_text_string(&value), value.length);
    tm_text_add(out, ", size=");
    tm_format_size(out, false, tm_add_saturating(node->size, answer->parts[number]), false);
    tm_text_add(out, ", ");
    tm_format_place(out, &place);
    if (!answer->request->settings.plain)
        tm_format_function(out, &place.frame);
    tm_text_add(out, "\n");
    tm_text_deinit(&value);
    return error;
}

static struct tm_error *write_text(struct answer *answer, struct tm_text *out)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < answer->count; i++)
        error = write_row(answer, answer->rows[i], out);
    if (answer->total_count > answer->count)
        tm_text_printf(out, "%" PRIu64 " other\n", answer->total_count - answer->count);
    tm_report_count(out, answer->total_count, "object");
    tm_text_add(out, ", ");
    tm_format_kib(out, false, answer->total_size, false);
    tm_text_add(out, " with their parts\n");
    if (answer->look.nodes.traces.sample_period)
        tm_text_add(out,
                    "These are the samples among them, and others are not recorded: \"tm-top type\" estimates all\n");
    tm_report_filters(out, answer->request);
    tm_report_damage(out, &answer->look.nodes.traces.damage);
    return error;
}

static struct tm_error *write_row_json(struct answer *answer, uint32_t number, struct tm_json *json)
{
    const struct tm_heap_node *node = &answer->look.nodes.items[number];
    const struct tm_type *type = tm_node_type(&answer->look.objects, node);
    struct tm_text value = TM_TEXT_EMPTY;
    struct tm_object object = {0};
    bool truncated, found = false;

    struct tm_error *error = write_value(answer, node, &value, &truncated);
    if (!error && node->kind == TM_NODE_OBJECT)
        error = tm_object_at(&answer->look.objects, tm_node_object(node), &object, &found);
    tm_json_begin_object(json, NULL);
    tm_json_number(json, "address", tm_node_object(node));
    if (type)
        tm_inspect_type_json(type, json);
    if (found) {
        tm_json_number(json, "refcount", object.references);
        tm_json_bool(json, "immortal", object.immortal);
    }
    tm_json_string(json, "value", tm_text_string(&value), value.length);
    tm_json_bool(json, "truncated", truncated);
    tm_json_number(json, "size", node->size);
    tm_json_number(json, "parts_size", answer->parts[number]);
    tm_report_frame_json(json, newest_frame(answer, node));
    tm_json_end_object(json);
    tm_text_deinit(&value);
    return error;
}

static struct tm_error *write_json(struct answer *answer, struct tm_text *out)
{
    const struct tm_settings *settings = &answer->request->settings;
    struct tm_json json = {out, false};
    struct tm_error *error = NULL;

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", answer->request->command->name);
    tm_json_number(&json, "limit", tm_request_limit(answer->request));
    tm_json_string(&json, "type", settings->type, strlen(settings->type));
    if (settings->attribute)
        tm_json_string(&json, "attribute", settings->attribute, strlen(settings->attribute));
    else
        tm_json_null(&json, "attribute");
    tm_report_filters_json(&json, answer->request);
    tm_json_begin_array(&json, "objects");
    for (size_t i = 0; !error && i < answer->count; i++) {
        error = write_row_json(answer, answer->rows[i], &json);
        if (!error && i % 256 == 255)
            error = tm_host_check(&answer->request->session->host);
    }
    tm_json_end_array(&json);
    tm_json_number(&json, "other", answer->total_count - answer->count);
    tm_json_number(&json, "total_count", answer->total_count);
    tm_json_number(&json, "total_size", answer->total_size);
    if (answer->look.nodes.traces.sample_period)
        tm_json_number(&json, "sample_period", answer->look.nodes.traces.sample_period);
    tm_json_number(&json, "blocks_unreadable", answer->look.nodes.unreadable);
    tm_report_damage_json(&json, "missing", &answer->look.nodes.traces.damage);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
    return error;
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct answer answer = {.request = request};
    struct tm_pool *pool;

    struct tm_error *error = tm_pool_create(&pool);
    if (error)
        return error;
    error = collect(&answer, current, pool);
    if (!error)
        error = request->settings.json ? write_json(&answer, out) : write_text(&answer, out);
    free(answer.rows);
    free(answer.parts);
    free(answer.attribute);
    tm_look_deinit(&answer.look);
    tm_pool_destroy(pool);
    return error;
}

const struct tm_command tm_command_find_objects = {
    .name = "tm-find",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .needs_target = true,
    .prepare = prepare,
    .run = run,
};
