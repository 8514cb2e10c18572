// The file format of speedscope. The frames come last: which there are is known only when all stacks are written.

#include "engine/base/json.h"
#include "engine/export/formats.h"

enum view { VIEW_NEW, VIEW_OLD, VIEW_GROWN };

struct profile {
    const char *name;
    bool blocks; // and not bytes
    enum view view;
};

static const struct profile plain[] = {{"bytes", false, VIEW_NEW}, {"blocks", true, VIEW_NEW}};
static const struct profile compared[] = {
    {"bytes that grew", false, VIEW_GROWN}, {"NEW: bytes", false, VIEW_NEW}, {"OLD: bytes", false, VIEW_OLD},
    {"blocks that grew", true, VIEW_GROWN}, {"NEW: blocks", true, VIEW_NEW}, {"OLD: blocks", true, VIEW_OLD}};

static uint64_t weight_of(const struct tm_stack *stack, const struct profile *profile)
{
    const uint64_t *sides = profile->blocks ? stack->amount.count : stack->amount.size;
    uint64_t now = sides[TM_SIDE_NEW], old = sides[TM_SIDE_OLD];
    if (profile->view == VIEW_GROWN)
        return now > old ? now - old : 0;
    return profile->view == VIEW_NEW ? now : old;
}

static struct tm_error *write_samples(const struct tm_export *export, const struct profile *profile,
                                      struct tm_sink *sink, struct tm_json *json)
{
    tm_json_begin_array(json, "samples");
    for (size_t i = 0; i < export->stacks->count; i++) {
        const struct tm_stack *stack = &export->stacks->items[i];
        uint32_t depth;
        struct tm_error *error = tm_host_check(export->host);
        if (error)
            return error;
        if (weight_of(stack, profile) == 0)
            continue;
        const uint32_t *frames = tm_stack_frames(export->stacks, stack, &depth);
        tm_json_begin_array(json, NULL);
        for (uint32_t j = 0; j < depth; j++)
            tm_json_number(json, NULL, frames[j]);
        tm_json_end_array(json);
        if (tm_sink_pass(sink))
            return NULL;
    }
    tm_json_end_array(json);
    return NULL;
}

static uint64_t write_weights(const struct tm_export *export, const struct profile *profile, struct tm_sink *sink,
                              struct tm_json *json)
{
    uint64_t total = 0;

    tm_json_begin_array(json, "weights");
    for (size_t i = 0; i < export->stacks->count; i++) {
        uint64_t weight = weight_of(&export->stacks->items[i], profile);
        if (weight == 0)
            continue;
        total += weight;
        tm_json_number(json, NULL, weight);
        if (tm_sink_pass(sink))
            break;
    }
    tm_json_end_array(json);
    return total;
}

static struct tm_error *write_profile(const struct tm_export *export, const struct profile *profile,
                                      struct tm_sink *sink, struct tm_json *json)
{
    tm_json_begin_object(json, NULL);
    tm_json_word(json, "type", "sampled");
    tm_json_word(json, "name", profile->name);
    tm_json_word(json, "unit", profile->blocks ? "none" : "bytes");
    tm_json_number(json, "startValue", 0);
    struct tm_error *error = write_samples(export, profile, sink, json);
    if (error)
        return error;
    uint64_t total = write_weights(export, profile, sink, json);
    tm_json_number(json, "endValue", total);
    tm_json_end_object(json);
    return NULL;
}

static void write_escaped(struct tm_json *json, const char *key, const struct tm_name *name, struct tm_text *buffer)
{
    tm_text_clear(buffer);
    tm_text_escape(buffer, name->bytes, name->length);
    json->text->failed = json->text->failed || buffer->failed;
    tm_json_string(json, key, tm_text_string(buffer), buffer->length);
}

static void write_frames(const struct tm_frames *frames, struct tm_sink *sink, struct tm_json *json)
{
    struct tm_text buffer = TM_TEXT_EMPTY;

    tm_json_begin_object(json, "shared");
    tm_json_begin_array(json, "frames");
    for (size_t i = 0; i < frames->count && !tm_sink_pass(sink); i++) {
        const struct tm_frame *frame = frames->items[i];
        tm_json_begin_object(json, NULL);
        if (frame->function) {
            write_escaped(json, "name", frame->function, &buffer);
        } else {
            tm_text_clear(&buffer);
            tm_export_frame_text(&buffer, frame);
            json->text->failed = json->text->failed || buffer.failed;
            tm_json_string(json, "name", tm_text_string(&buffer), buffer.length);
        }
        write_escaped(json, "file", frame->file_name, &buffer);
        if (frame->line > 0)
            tm_json_number(json, "line", frame->line);
        tm_json_end_object(json);
    }
    tm_json_end_array(json);
    tm_json_end_object(json);
    tm_text_deinit(&buffer);
}

struct tm_error *tm_export_speedscope(const struct tm_export *export, struct tm_sink *sink)
{
    struct tm_json json = {&sink->text, false};
    const struct profile *profiles = export->compared ? compared : plain;
    size_t count = export->compared ? sizeof(compared) / sizeof(compared[0]) : sizeof(plain) / sizeof(plain[0]);

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "$schema", "https://www.speedscope.app/file-format-schema.json");
    tm_json_word(&json, "exporter", "tracemortem");
    tm_json_word(&json, "name", export->title);
    tm_json_number(&json, "activeProfileIndex", 0);
    tm_json_begin_array(&json, "profiles");
    for (size_t i = 0; i < count; i++) {
        struct tm_error *error = write_profile(export, &profiles[i], sink, &json);
        if (error)
            return error;
    }
    tm_json_end_array(&json);
    write_frames(&export->stacks->frames, sink, &json);
    tm_json_end_object(&json);
    tm_text_add(&sink->text, "\n");
    return NULL;
}
