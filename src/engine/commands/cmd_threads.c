// tm-threads: what each Python thread was doing.

#include <inttypes.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/inspect.h"
#include "engine/commands/report.h"
#include "engine/objects/stacks.h"
#include "engine/open.h"

#define THREADS_OPTIONS(X)                                                                                           \
    X(TM_OPTION_LIMIT, 'n', "-n, ", "--limit", " N", "Show the N most recent frames of each thread (default: all).") \
    X(TM_OPTION_LOCALS, 'l', "-l, ", "--locals", "", "Show the local variables of each frame, with their values.")   \
    TM_OPTIONS_PLAIN(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {THREADS_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] = TM_HELP("Show what each Python thread was doing.", "tm-threads [OPTION]...",
                                   "For each thread that runs Python: the frames of its stack, most recent call\n"
                                   "first, as faulthandler prints them, with the function's qualified name from\n"
                                   "CPython 3.11 on. The program need not be traced when it stopped, but its\n"
                                   "table must be there.\n"
                                   "\n"
                                   "With --locals the variables follow their frame: name, value as tm-object\n"
                                   "shows it, and the address of what has no value of its own.\n",
                                   THREADS_OPTIONS,
                                   "Examples:\n"
                                   "  tm-threads\n"
                                   "  tm-threads -n 1\n"
                                   "  tm-threads --locals -n 3\n"
                                   "\n"
                                   "The JSON object has:\n"
                                   "  command\n"
                                   "  threads       each with thread_id (threading.get_ident()), native_id (the\n"
                                   "                system's, from 3.11 on, else null), interpreter (its number),\n"
                                   "                frames, frames_total\n"
                                   "  frames        most recent first, each with filename, lineno, name (null: not\n"
                                   "                known), qualname (from 3.11 on), and with --locals locals: each\n"
                                   "                with name, address, value\n"
                                   "  incomplete    whether a list could not be followed to its end\n");

static struct tm_error *prepare(struct tm_request *request)
{
    return tm_request_check_words(request, 0);
}

struct writer {
    const struct tm_request *request;
    struct tm_objects *objects;
    struct tm_text *out;
    struct tm_json *json; // NULL: text
    uint64_t threads;
    uint64_t frames; // of this thread
};

static bool is_shown(const struct writer *writer)
{
    const struct tm_settings *settings = &writer->request->settings;
    return !settings->has_limit || writer->frames < (uint64_t)settings->limit;
}

static void end_thread(struct writer *writer)
{
    const struct tm_settings *settings = &writer->request->settings;
    if (writer->threads == 0)
        return;
    if (writer->json) {
        tm_json_end_array(writer->json);
        tm_json_number(writer->json, "frames_total", writer->frames);
        tm_json_end_object(writer->json);
    } else if (settings->has_limit && writer->frames > (uint64_t)settings->limit) {
        tm_text_printf(writer->out, "  %" PRIu64 " more\n", writer->frames - (uint64_t)settings->limit);
    } else if (writer->frames == 0) {
        tm_text_add(writer->out, "  <no Python frame>\n");
    }
}

static struct tm_error *write_thread(void *context, const struct tm_python_thread *thread)
{
    struct writer *writer = context;
    end_thread(writer);
    writer->frames = 0;
    if (writer->json) {
        tm_json_begin_object(writer->json, NULL);
        tm_json_number(writer->json, "thread_id", thread->id);
        if (thread->native_id)
            tm_json_number(writer->json, "native_id", thread->native_id);
        else
            tm_json_null(writer->json, "native_id");
        tm_json_number(writer->json, "interpreter", thread->interpreter);
        tm_json_begin_array(writer->json, "frames");
    } else {
        tm_text_printf(writer->out, "%sThread 0x%016" PRIx64 " (", writer->threads ? "\n" : "", thread->id);
        if (!writer->request->settings.plain && thread->native_id)
            tm_text_printf(writer->out, "LWP %" PRIu64 ", ", thread->native_id);
        if (!writer->request->settings.plain && thread->interpreter)
            tm_text_printf(writer->out, "interpreter %" PRIu64 ", ", thread->interpreter);
        tm_text_add(writer->out, "most recent call first):\n");
    }
    writer->threads++;
    return NULL;
}

static struct tm_error *write_local(struct writer *writer, const char *name, uint64_t value)
{
    struct tm_text text = TM_TEXT_EMPTY;
    bool truncated;
    struct tm_error *error = tm_show_value(writer->objects, value, &text, &truncated);
    if (writer->json) {
        tm_json_begin_object(writer->json, NULL);
        tm_json_string(writer->json, "name", name, strlen(name));
        tm_json_number(writer->json, "address", value);
        tm_json_string(writer->json, "value", tm_text_string(&text), text.length);
        tm_json_end_object(writer->json);
    } else {
        tm_text_add(writer->out, "    ");
        tm_text_escape(writer->out, name, strlen(name));
        tm_text_add(writer->out, " = ");
        tm_text_bytes(writer->out, tm_text_string(&text), text.length);
        tm_text_add(writer->out, "\n");
    }
    tm_text_deinit(&text);
    return error;
}

static struct tm_error *write_locals(struct writer *writer, const struct tm_python_frame *frame)
{
    char name[256];
    uint64_t value;
    struct tm_error *error = NULL;
    for (uint32_t i = 0; !error && i < frame->local_count; i++)
        if (tm_frame_local(writer->objects, frame, i, name, sizeof(name), &value))
            error = write_local(writer, name, value);
    return error;
}

static void write_name_json(struct tm_json *json, const char *key, const struct tm_name *name)
{
    if (name)
        tm_json_string(json, key, name->bytes, name->length);
    else
        tm_json_null(json, key);
}

static void write_name(struct tm_text *out, const struct tm_name *name)
{
    if (name)
        tm_text_escape(out, name->bytes, name->length);
    else
        tm_text_add(out, "???"); // as faulthandler
}

static struct tm_error *write_frame(void *context, const struct tm_python_frame *frame)
{
    struct writer *writer = context;
    struct tm_error *error = NULL;
    bool locals = writer->request->settings.locals;
    if (!is_shown(writer)) {
        writer->frames++;
        return NULL;
    }
    writer->frames++;
    if (writer->json) {
        tm_json_begin_object(writer->json, NULL);
        write_name_json(writer->json, "filename", frame->file_name);
        tm_json_number(writer->json, "lineno", (uint64_t)frame->line);
        write_name_json(writer->json, "name", frame->name);
        if (frame->qualified_name)
            write_name_json(writer->json, "qualname", frame->qualified_name);
        if (locals)
            tm_json_begin_array(writer->json, "locals");
        if (locals)
            error = write_locals(writer, frame);
        if (locals)
            tm_json_end_array(writer->json);
        tm_json_end_object(writer->json);
        return error;
    }
    tm_text_add(writer->out, "  File \"");
    write_name(writer->out, frame->file_name);
    if (frame->line)
        tm_text_printf(writer->out, "\", line %" PRId64 " in ", frame->line);
    else
        tm_text_add(writer->out, "\", line ??? in ");
    write_name(writer->out,
               frame->qualified_name && !writer->request->settings.plain ? frame->qualified_name : frame->name);
    tm_text_add(writer->out, "\n");
    return locals ? write_locals(writer, frame) : NULL;
}

static struct tm_error *answer(const struct tm_request *request, struct tm_objects *objects, struct tm_text *out)
{
    struct tm_json json = {out, false};
    struct writer writer = {request, objects, out, request->settings.json ? &json : NULL, 0, 0};
    const struct tm_stack_visitor visitor = {write_thread, write_frame, &writer};
    bool incomplete;
    if (writer.json) {
        tm_json_begin_object(&json, NULL);
        tm_json_word(&json, "command", request->command->name);
        tm_json_begin_array(&json, "threads");
    }
    struct tm_error *error = tm_stacks_visit(objects, &visitor, &incomplete);
    if (error)
        return error;
    end_thread(&writer);
    if (writer.json) {
        tm_json_end_array(&json);
        tm_json_bool(&json, "incomplete", incomplete);
        tm_json_end_object(&json);
        tm_text_add(out, "\n");
    } else if (incomplete) {
        tm_text_add(out, "(incomplete: a list of threads or frames could not be followed to its end)\n");
    }
    return NULL;
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    const struct tm_host *host = &request->session->host;
    struct tm_objects objects;
    struct tm_source *source;
    struct tm_pool *pool;

    struct tm_error *error = tm_source_open(current, host, &source);
    if (!error)
        error = tm_pool_create(&pool);
    if (error)
        return error;
    error = tm_objects_init(&objects, current, source, host, pool);
    if (!error) {
        error = answer(request, &objects, out);
        tm_objects_deinit(&objects);
    }
    tm_pool_destroy(pool);
    return error;
}

const struct tm_command tm_command_threads = {
    .name = "tm-threads",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .needs_target = true,
    .prepare = prepare,
    .run = run,
};
