// tm-object: what is at an address: the object, its members, and where it was allocated.

#include <inttypes.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/inspect.h"
#include "engine/commands/report.h"
#include "engine/commands/words.h"

#define OBJECT_OPTIONS(X)                                                                                   \
    X(TM_OPTION_LIMIT, 'n', "-n, ", "--limit", " N", "Show the first N items and attributes (default 10).") \
    TM_OPTIONS_PLAIN(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {OBJECT_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] = TM_HELP("Show the Python object at an address.", "tm-object [OPTION]... ADDRESS|EXPRESSION",
                                   "The address may be anywhere inside an object's block. A plain number is used as\n"
                                   "it is. Anything else is an expression in the debugger's language. Options come\n"
                                   "before it, and \"--\" ends the options.\n"
                                   "\n"
                                   "Shown are the type, how many references are counted, the size with that of its\n"
                                   "parts (the items of a list, the keys of a dict), the items or attributes, and\n"
                                   "the traceback of the allocation if the block is traced. Nothing of the program\n"
                                   "runs: only objects of built-in types have a value, others have an address. What\n"
                                   "does not make sense as an object is called unknown.\n",
                                   OBJECT_OPTIONS,
                                   "Examples:\n"
                                   "  tm-object 0x7f3a5c0e4d30\n"
                                   "  tm-object -n 100 self\n"
                                   "  tm-find --type 'shop.Basket'        for addresses to ask about\n"
                                   "\n"
                                   "The JSON object has:\n"
                                   "  command, asked (the address), address (of the object; null: none is known)\n"
                                   "  type, type_address, refcount, immortal, tracked (by the collector)\n"
                                   "  length        len(), where it has one that is known\n"
                                   "  value         as repr(), shortened; truncated: whether it is\n"
                                   "  items         each with key, index or attribute; address, type, value\n"
                                   "  items_total   how many there are\n"
                                   "  size, parts_size\n"
                                   "                of the block and of the parts, where they are traced\n"
                                   "  block         address, size, domain; null: not traced\n"
                                   "  " TM_HELP_JSON_FRAMES "\n");

// ---------------------------------------------------------------------------------------------------------------
// Text

struct writer {
    struct tm_inspection *inspection;
    struct tm_text *out;
    struct tm_json *json; // NULL: text
    uint64_t shown;
};

static struct tm_error *write_member_name(struct writer *writer, const struct tm_member *member)
{
    struct tm_error *error = NULL;
    if (member->attribute)
        tm_text_escape(writer->out, member->attribute, strlen(member->attribute));
    else if (member->has_index)
        tm_text_printf(writer->out, "[%" PRIu64 "]", member->index);
    else if (member->key) {
        tm_text_add(writer->out, "[");
        error = tm_show_key(&writer->inspection->objects, member->key, writer->out);
        tm_text_add(writer->out, "]");
    }
    return error;
}

static struct tm_error *write_member(void *context, const struct tm_member *member)
{
    struct writer *writer = context;
    bool truncated;
    writer->shown++;
    tm_text_add(writer->out, "  ");
    struct tm_error *error = write_member_name(writer, member);
    if (error)
        return error;
    if (member->attribute || member->has_index || member->key)
        tm_text_add(writer->out, "  ");
    error = tm_show_value(&writer->inspection->objects, member->value, writer->out, &truncated);
    tm_text_add(writer->out, "\n");
    return error;
}

static void write_counts(const struct tm_inspection *inspection, struct tm_text *out)
{
    const struct tm_object *object = &inspection->object;
    tm_text_add(out, ": ");
    if (object->immortal)
        tm_text_add(out, "immortal");
    else
        tm_report_count(out, object->references, "reference");
    if (inspection->has_block) {
        tm_text_add(out, ", ");
        tm_report_count(out, inspection->block.size, "byte");
        if (inspection->parts_size > 0)
            tm_text_printf(out, " and %" PRIu64 " of parts", inspection->parts_size);
    }
    if (object->has_length) {
        tm_text_add(out, ", length ");
        tm_text_printf(out, "%" PRIu64, object->length);
    }
    if (object->is_gc)
        tm_text_add(out, object->tracked ? ", tracked by gc" : ", not tracked by gc");
    tm_text_add(out, "\n");
}

static struct tm_error *write_value(struct tm_inspection *inspection, struct tm_text *out)
{
    struct tm_text value = TM_TEXT_EMPTY;
    bool truncated;
    struct tm_error *error = tm_show_value(&inspection->objects, inspection->object.address, &value, &truncated);
    if (!error && !strstr(tm_text_string(&value), " object at 0x")) { // else the first line says it
        tm_text_add(out, "  ");
        tm_text_bytes(out, tm_text_string(&value), value.length);
        tm_text_add(out, "\n");
    }
    tm_text_deinit(&value);
    return error;
}

static struct tm_error *write_members(const struct tm_request *request, struct tm_inspection *inspection,
                                      struct tm_text *out)
{
    struct writer writer = {inspection, out, NULL, 0};
    uint64_t total;
    struct tm_error *error = tm_members_visit(&inspection->objects, &inspection->object, tm_request_limit(request),
                                              write_member, &writer, &total);
    if (total > writer.shown)
        tm_text_printf(out, "  %" PRIu64 " more\n", total - writer.shown);
    return error;
}

static struct tm_error *write_object(const struct tm_request *request, struct tm_inspection *inspection,
                                     struct tm_text *out)
{
    struct tm_object *object = &inspection->object;
    tm_type_write_name(object->type, out);
    tm_text_printf(out, " object at 0x%" PRIx64, object->address);
    write_counts(inspection, out);
    if (inspection->asked != object->address) {
        tm_text_printf(out, "  0x%" PRIx64 " is in its block, ", inspection->asked);
        tm_report_count(out, tm_distance(inspection->asked, object->address), "byte");
        tm_text_add(out, inspection->asked < object->address ? " before it\n" : " into it\n");
    }
    struct tm_error *error = write_value(inspection, out);
    return error ? error : write_members(request, inspection, out);
}

static void write_block(const struct tm_request *request, const struct tm_inspection *inspection, struct tm_text *out)
{
    if (!inspection->has_block) {
        tm_text_add(out, tm_objects_in_data(&inspection->objects, inspection->object.address) &&
                                 inspection->objects.data_count > 0
                             ? "not allocated: it is in the data of a program or library\n"
                         : tm_source_sample_period(inspection->objects.source)
                             ? "not sampled: only some blocks are recorded (TRACEMORTEM_DETAIL=lean records all)\n"
                             : "not traced: it was allocated before tracing began, or not by Python's allocators\n");
        return;
    }
    const struct tm_traceback *traceback = inspection->block.traceback;
    tm_text_add(out, "allocated at (most recent call last):\n");
    tm_format_frames(out, &request->session->host, traceback, 0, traceback->count, !request->settings.plain);
}

static struct tm_error *write_text(const struct tm_request *request, struct tm_inspection *inspection,
                                   struct tm_text *out)
{
    struct tm_error *error = NULL;
    if (inspection->has_object) {
        error = write_object(request, inspection, out);
    } else {
        tm_text_printf(out, "block at 0x%" PRIx64 " of ", inspection->block.address);
        tm_report_count(out, inspection->block.size, "byte");
        tm_text_add(out, inspection->dead ? ": a dead object that CPython keeps for reuse\n"
                                          : ": no object begins in it; it may be a part of one\n");
    }
    write_block(request, inspection, out);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// JSON

static struct tm_error *write_value_json(struct tm_objects *objects, uint64_t address, struct tm_json *json)
{
    struct tm_text text = TM_TEXT_EMPTY;
    struct tm_object object;
    bool truncated = false, found = false;
    struct tm_error *error = tm_show_value(objects, address, &text, &truncated);
    if (!error)
        error = tm_object_at(objects, address, &object, &found);
    if (!error && found)
        tm_inspect_type_json(object.type, json);
    if (!error && found)
        tm_json_string(json, "value", tm_text_string(&text), text.length);
    else
        tm_json_null(json, "value");
    tm_json_bool(json, "truncated", truncated);
    tm_text_deinit(&text);
    return error;
}

static struct tm_error *write_member_json(void *context, const struct tm_member *member)
{
    struct writer *writer = context;
    struct tm_objects *objects = &writer->inspection->objects;
    struct tm_error *error = NULL;
    tm_json_begin_object(writer->json, NULL);
    if (member->attribute)
        tm_json_string(writer->json, "attribute", member->attribute, strlen(member->attribute));
    else if (member->has_index)
        tm_json_number(writer->json, "index", member->index);
    else if (member->key) {
        struct tm_text key = TM_TEXT_EMPTY;
        error = tm_show_key(objects, member->key, &key);
        tm_json_string(writer->json, "key", tm_text_string(&key), key.length);
        tm_text_deinit(&key);
    }
    tm_json_number(writer->json, "address", member->value);
    if (!error)
        error = write_value_json(objects, member->value, writer->json);
    tm_json_end_object(writer->json);
    return error;
}

static struct tm_error *write_object_json(const struct tm_request *request, struct tm_inspection *inspection,
                                          struct tm_json *json)
{
    const struct tm_object *object = &inspection->object;
    struct writer writer = {inspection, NULL, json, 0};
    uint64_t total;
    tm_json_number(json, "address", object->address);
    tm_json_number(json, "refcount", object->references);
    tm_json_bool(json, "immortal", object->immortal);
    tm_json_bool(json, "tracked", object->tracked);
    if (object->has_length)
        tm_json_number(json, "length", object->length);
    struct tm_error *error = write_value_json(&inspection->objects, object->address, json);
    if (error)
        return error;
    tm_json_begin_array(json, "items");
    error =
        tm_members_visit(&inspection->objects, object, tm_request_limit(request), write_member_json, &writer, &total);
    tm_json_end_array(json);
    tm_json_number(json, "items_total", total);
    return error;
}

static struct tm_error *write_json(const struct tm_request *request, struct tm_inspection *inspection,
                                   struct tm_text *out)
{
    struct tm_json json = {out, false};
    struct tm_error *error = NULL;
    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_json_number(&json, "asked", inspection->asked);
    if (inspection->has_object)
        error = write_object_json(request, inspection, &json);
    else
        tm_json_null(&json, "address");
    if (inspection->has_block) {
        const struct tm_block *block = &inspection->block;
        tm_json_number(&json, "size", block->size);
        tm_json_number(&json, "parts_size", inspection->parts_size);
        tm_json_begin_object(&json, "block");
        tm_json_number(&json, "address", block->address);
        tm_json_number(&json, "size", block->size);
        tm_json_number(&json, "domain", block->domain);
        tm_json_end_object(&json);
        tm_report_frames_json(&json, block->traceback, 0, block->traceback->count);
    } else {
        tm_json_null(&json, "block");
    }
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
    return error;
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct tm_inspection inspection;
    struct tm_error *error = tm_inspection_init(&inspection, request, current);
    if (!error)
        error = request->settings.json ? write_json(request, &inspection, out) : write_text(request, &inspection, out);
    tm_inspection_deinit(&inspection);
    return error;
}

const struct tm_command tm_command_object = {
    .name = "tm-object",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .takes_expression = true,
    .needs_target = true,
    .prepare = tm_request_take_address,
    .run = run,
};
