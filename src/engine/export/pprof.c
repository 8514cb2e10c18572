// The profile.proto of pprof. Its few messages are written by hand: a library would be larger than they are.
//
// Fields may come in any order, so samples are written as they are seen, and each string, function and location when it is
// first used.

#include <stdio.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/export/formats.h"

enum wire { VARINT = 0, BYTES = 2 };

enum profile_field {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE = 2,
    PROFILE_LOCATION = 4,
    PROFILE_FUNCTION = 5,
    PROFILE_STRING = 6,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD = 12,
    PROFILE_COMMENT = 13,
    PROFILE_DEFAULT_SAMPLE_TYPE = 14,
};
enum value_type_field { VALUE_TYPE = 1, VALUE_UNIT = 2 };
enum sample_field { SAMPLE_LOCATIONS = 1, SAMPLE_VALUES = 2, SAMPLE_LABEL = 3 };
enum label_field { LABEL_KEY = 1, LABEL_STRING = 2 };
enum location_field { LOCATION_ID = 1, LOCATION_LINE = 4 };
enum line_field { LINE_FUNCTION = 1, LINE_NUMBER = 2 };
enum function_field { FUNCTION_ID = 1, FUNCTION_NAME = 2, FUNCTION_FILE = 4 };

struct string {
    uint64_t index;
    size_t length;
    char bytes[];
};

struct function {
    const struct tm_frame *frame; // one of its frames
    uint64_t id, file;
};

struct writer {
    const struct tm_host *host;
    struct tm_sink *sink;
    struct tm_frames frames; // a location's id is the frame's number + 1
    struct tm_set strings;
    struct tm_set functions;
    struct tm_arena arena;
    struct tm_text buffer, message, inner;
    uint64_t next_string, next_function;
    bool has_churn;
    uint64_t period; // mean distance of samples, in bytes; 1: all blocks are there
};

// ---------------------------------------------------------------------------------------------------------------
// The wire format

static void put_varint(struct tm_text *text, uint64_t value)
{
    char bytes[10];
    size_t length = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[length++] = (char)(value | 0x80);
    bytes[length++] = (char)value;
    tm_text_bytes(text, bytes, length);
}

static void put_number(struct tm_text *text, unsigned field, uint64_t value)
{
    put_varint(text, field << 3 | VARINT);
    put_varint(text, value);
}

static void put_bytes(struct tm_text *text, unsigned field, const char *bytes, size_t length)
{
    put_varint(text, field << 3 | BYTES);
    put_varint(text, length);
    tm_text_bytes(text, bytes, length);
}

static void put_message(struct tm_text *text, unsigned field, const struct tm_text *message)
{
    put_bytes(text, field, tm_text_string(message), message->length);
    text->failed = text->failed || message->failed;
}

// ---------------------------------------------------------------------------------------------------------------
// Strings

static struct tm_error *put_string(struct writer *writer, const char *bytes, size_t length, uint64_t *index)
{
    uint64_t hash = tm_hash_bytes(bytes, length);

    if (!tm_set_reserve(&writer->strings))
        return tm_error_no_memory();
    struct tm_set_entry *entry = tm_set_first(&writer->strings, hash);
    for (; entry->item; entry = tm_set_next(&writer->strings, entry)) {
        const struct string *string = entry->item;
        if (entry->hash == hash && string->length == length && memcmp(string->bytes, bytes, length) == 0) {
            *index = string->index;
            return NULL;
        }
    }
    struct string *made = tm_arena_allocate(&writer->arena, sizeof(*made) + length);
    if (!made)
        return tm_error_no_memory();
    *made = (struct string){writer->next_string, length};
    memcpy(made->bytes, bytes, length);
    tm_set_put(&writer->strings, entry, hash, made);
    put_bytes(&writer->sink->text, PROFILE_STRING, bytes, length);
    *index = writer->next_string++;
    return NULL;
}

static struct tm_error *put_word(struct writer *writer, const char *word, uint64_t *index)
{
    return put_string(writer, word, strlen(word), index);
}

// Escaped: the strings of a protocol buffer are valid UTF-8.
static struct tm_error *put_name(struct writer *writer, const struct tm_name *name, uint64_t *index)
{
    tm_text_clear(&writer->buffer);
    tm_text_escape(&writer->buffer, name->bytes, name->length);
    struct tm_error *error = tm_text_check(&writer->buffer);
    return error ? error : put_string(writer, tm_text_string(&writer->buffer), writer->buffer.length, index);
}

// ---------------------------------------------------------------------------------------------------------------
// Functions and locations

// Where no function is known, each line is one of its own: rows of pprof are functions.
static struct tm_error *put_function_name(struct writer *writer, const struct tm_frame *frame, uint64_t *index)
{
    if (frame->function)
        return put_name(writer, frame->function, index);
    tm_text_clear(&writer->buffer);
    tm_export_frame_text(&writer->buffer, frame);
    struct tm_error *error = tm_text_check(&writer->buffer);
    return error ? error : put_string(writer, tm_text_string(&writer->buffer), writer->buffer.length, index);
}

static bool is_function_of(const struct function *function, const struct tm_frame *frame)
{
    return function->frame->file_name == frame->file_name && function->frame->function == frame->function &&
           (frame->function || function->frame->line == frame->line);
}

// Without a system name: pprof would take it for one of C++, and "<module>" for an argument of a template.
static struct tm_error *make_function(struct writer *writer, const struct tm_frame *frame, struct function *function)
{
    uint64_t name;

    struct tm_error *error = put_name(writer, frame->file_name, &function->file);
    if (!error)
        error = put_function_name(writer, frame, &name);
    if (error)
        return error;
    function->frame = frame;
    function->id = ++writer->next_function;
    tm_text_clear(&writer->message);
    put_number(&writer->message, FUNCTION_ID, function->id);
    put_number(&writer->message, FUNCTION_NAME, name);
    put_number(&writer->message, FUNCTION_FILE, function->file);
    put_message(&writer->sink->text, PROFILE_FUNCTION, &writer->message);
    return NULL;
}

static struct tm_error *put_function(struct writer *writer, const struct tm_frame *frame, uint64_t *id)
{
    uint64_t hash = tm_hash_number((uint64_t)(uintptr_t)frame->file_name ^ (frame->function ? 0 : frame->line));
    hash = tm_hash_number(hash ^ (uint64_t)(uintptr_t)frame->function);

    if (!tm_set_reserve(&writer->functions))
        return tm_error_no_memory();
    struct tm_set_entry *entry = tm_set_first(&writer->functions, hash);
    while (entry->item && !(entry->hash == hash && is_function_of(entry->item, frame)))
        entry = tm_set_next(&writer->functions, entry);
    if (!entry->item) {
        struct function *made = tm_arena_allocate(&writer->arena, sizeof(*made));
        struct tm_error *error = made ? make_function(writer, frame, made) : tm_error_no_memory();
        if (error)
            return error;
        tm_set_put(&writer->functions, entry, hash, made);
    }
    *id = ((const struct function *)entry->item)->id;
    return NULL;
}

static struct tm_error *put_location(struct writer *writer, const struct tm_frame *frame, uint64_t *id)
{
    size_t known = writer->frames.count;
    uint32_t number;
    uint64_t function = 0;

    struct tm_error *error = tm_frames_number(&writer->frames, frame, &number);
    if (error)
        return error;
    *id = (uint64_t)number + 1;
    if (number < known)
        return NULL;
    error = put_function(writer, frame, &function);
    if (error)
        return error;
    tm_text_clear(&writer->inner);
    put_number(&writer->inner, LINE_FUNCTION, function);
    put_number(&writer->inner, LINE_NUMBER, frame->line);
    tm_text_clear(&writer->message);
    put_number(&writer->message, LOCATION_ID, *id);
    put_message(&writer->message, LOCATION_LINE, &writer->inner);
    put_message(&writer->sink->text, PROFILE_LOCATION, &writer->message);
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Samples

static struct tm_error *put_label(struct writer *writer, struct tm_text *sample, const char *key, const char *value)
{
    uint64_t key_index, value_index;

    struct tm_error *error = put_word(writer, key, &key_index);
    if (!error)
        error = put_word(writer, value, &value_index);
    if (error)
        return error;
    tm_text_clear(&writer->inner);
    put_number(&writer->inner, LABEL_KEY, key_index);
    put_number(&writer->inner, LABEL_STRING, value_index);
    put_message(sample, SAMPLE_LABEL, &writer->inner);
    return NULL;
}

static struct tm_error *put_type(struct writer *writer, struct tm_text *sample, const struct tm_name *type)
{
    struct tm_text name = TM_TEXT_EMPTY;

    tm_text_escape(&name, type->bytes, type->length);
    struct tm_error *error = tm_text_check(&name);
    if (!error)
        error = put_label(writer, sample, "type", tm_text_string(&name));
    tm_text_deinit(&name);
    return error;
}

// Values are signed 64-bit numbers; those of the base of a comparison are negative.
static void put_value(struct tm_text *text, uint64_t value, bool negative)
{
    int64_t number = value > INT64_MAX ? INT64_MAX : (int64_t)value;
    put_varint(text, (uint64_t)(negative ? -number : number));
}

static void put_values(struct writer *writer, struct tm_text *sample, const struct tm_group *group, bool negative)
{
    tm_text_clear(&writer->inner);
    if (writer->has_churn) {
        put_value(&writer->inner, group->churn ? group->churn->allocations : 0, negative);
        put_value(&writer->inner, group->churn ? group->churn->allocated : 0, negative);
    }
    put_value(&writer->inner, group->count, negative);
    put_value(&writer->inner, group->size, negative);
    put_message(sample, SAMPLE_VALUES, &writer->inner);
}

static struct tm_error *put_sample(struct writer *writer, const struct tm_group *group, bool base,
                                   struct tm_text *locations, struct tm_text *sample)
{
    const struct tm_traceback *traceback = group->traceback;
    char domain[16];

    tm_text_clear(locations);
    for (; traceback; traceback = traceback->older) {
        uint64_t id;
        struct tm_error *error = put_location(writer, traceback->newest, &id);
        if (error)
            return error;
        put_varint(locations, id);
    }
    tm_text_clear(sample);
    put_message(sample, SAMPLE_LOCATIONS, locations);
    put_values(writer, sample, group, base);
    snprintf(domain, sizeof(domain), "%u", (unsigned)group->domain);
    struct tm_error *error = put_label(writer, sample, "domain", domain);
    if (!error && group->type)
        error = put_type(writer, sample, group->type);
    if (!error && base)
        error = put_label(writer, sample, "pprof::base", "true");
    if (!error)
        put_message(&writer->sink->text, PROFILE_SAMPLE, sample);
    return error;
}

static struct tm_error *put_samples(struct writer *writer, const struct tm_snapshot *snapshot, bool base)
{
    struct tm_text locations = TM_TEXT_EMPTY, sample = TM_TEXT_EMPTY;
    struct tm_error *error = NULL;

    for (size_t i = 0; i < snapshot->count && !error; i++) {
        error = i % 1024 == 0 ? tm_host_check(writer->host) : NULL;
        if (!error)
            error = put_sample(writer, &snapshot->groups[i], base, &locations, &sample);
        if (!error && tm_sink_pass(writer->sink))
            break;
    }
    tm_text_deinit(&locations);
    tm_text_deinit(&sample);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// The profile

static struct tm_error *put_value_type(struct writer *writer, unsigned field, const char *type, const char *unit)
{
    uint64_t type_index, unit_index;

    struct tm_error *error = put_word(writer, type, &type_index);
    if (!error)
        error = put_word(writer, unit, &unit_index);
    if (error)
        return error;
    tm_text_clear(&writer->message);
    put_number(&writer->message, VALUE_TYPE, type_index);
    put_number(&writer->message, VALUE_UNIT, unit_index);
    put_message(&writer->sink->text, field, &writer->message);
    return NULL;
}

// The types that heap profiles of Go have, in their order. Their values are estimates of all blocks, too, and the period
// says how fine the samples are.
static struct tm_error *put_types(struct writer *writer)
{
    uint64_t first;
    struct tm_error *error = put_word(writer, "", &first); // string 0
    if (!error && writer->has_churn)
        error = put_value_type(writer, PROFILE_SAMPLE_TYPE, "alloc_objects", "count");
    if (!error && writer->has_churn)
        error = put_value_type(writer, PROFILE_SAMPLE_TYPE, "alloc_space", "bytes");
    if (!error)
        error = put_value_type(writer, PROFILE_SAMPLE_TYPE, "inuse_objects", "count");
    if (!error)
        error = put_value_type(writer, PROFILE_SAMPLE_TYPE, "inuse_space", "bytes");
    if (!error)
        error = put_value_type(writer, PROFILE_PERIOD_TYPE, "space", "bytes");
    if (error)
        return error;
    put_number(&writer->sink->text, PROFILE_PERIOD, writer->period);
    error = put_word(writer, "inuse_space", &first);
    if (!error)
        put_number(&writer->sink->text, PROFILE_DEFAULT_SAMPLE_TYPE, first);
    return error;
}

static struct tm_error *put_notes(struct writer *writer, const char *notes)
{
    while (notes && *notes) {
        size_t length = strcspn(notes, "\n");
        uint64_t index;
        struct tm_error *error = put_string(writer, notes, length, &index);
        if (error)
            return error;
        put_number(&writer->sink->text, PROFILE_COMMENT, index);
        notes += length + (notes[length] == '\n');
    }
    return NULL;
}

struct tm_error *tm_export_pprof(const struct tm_host *host, const struct tm_snapshot *now,
                                 const struct tm_snapshot *old, const char *notes, struct tm_sink *sink)
{
    struct writer writer = {.host = host, .sink = sink};

    writer.has_churn = now->has_churn && (!old || old->has_churn);
    writer.period = now->sample_period ? now->sample_period : old && old->sample_period ? old->sample_period : 1;
    struct tm_error *error = put_types(&writer);
    if (!error)
        error = put_notes(&writer, notes);
    if (!error)
        error = put_samples(&writer, now, false);
    if (!error && old)
        error = put_samples(&writer, old, true);
    tm_frames_deinit(&writer.frames);
    tm_set_deinit(&writer.strings);
    tm_set_deinit(&writer.functions);
    tm_arena_deinit(&writer.arena);
    tm_text_deinit(&writer.buffer);
    tm_text_deinit(&writer.message);
    tm_text_deinit(&writer.inner);
    return error;
}
