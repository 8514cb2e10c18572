// The facts, as text and as JSON.

#include "engine/commands/recorder_facts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/commands/format.h"
#include "engine/commands/report.h"

#define SECOND UINT64_C(1000000000)

// ---------------------------------------------------------------------------------------------------------------
// Finding them

// Of a process whose table is in a file: the file that is mapped where the root is.
static struct tm_error *find_file(struct tm_recorder_facts *facts, const struct tm_target *target, uint64_t root)
{
    struct tm_module *modules;
    size_t count;
    struct tm_error *error = tm_target_modules(target, &modules, &count);
    if (error)
        return error;
    for (size_t i = 0; i < count; i++)
        if (modules[i].start <= root && root < modules[i].end)
            tm_escape_into(facts->file, sizeof(facts->file), modules[i].path, strlen(modules[i].path));
    free(modules);
    return NULL;
}

static void find_last(struct tm_recorder_facts *facts, const struct tm_info *info)
{
    const uint64_t times[] = {info->tracer.started,       info->tracer.cleared, facts->recorder.reached,
                              facts->recorder.failed_at,  facts->note.made,     facts->note.ended,
                              facts->backing.file_changed};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        if (times[i] > facts->last)
            facts->last = times[i];
}

struct tm_error *tm_recorder_facts_init(struct tm_recorder_facts *facts, const struct tm_target *target,
                                        const struct tm_info *info)
{
    struct tm_error *error = NULL;
    memset(facts, 0, sizeof(*facts));
    if (!info->has_tracer)
        return NULL;
    tm_target_backing(target, &facts->backing);
    facts->has_note = tm_backing_recorder(&facts->backing, &facts->note);
    facts->has_saved = tm_backing_saved(&facts->backing, &facts->saved);
    facts->recorder = info->tracer.recorder;
    if (facts->has_note)
        memcpy(facts->file, facts->backing.file, sizeof(facts->file));
    else if (facts->recorder.state == TM_RECORDER_FILE && !facts->has_saved)
        error = find_file(facts, target, info->table_address);
    find_last(facts, info);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Text

static void begin_fact(struct tm_text *out, const char *name)
{
    tm_text_printf(out, "%s:%*s", name, (int)(18 - strlen(name)), "");
}

// "3 s", "5 min", "2 h 10 min", "4 days".
static void add_duration(struct tm_text *out, uint64_t nanoseconds)
{
    uint64_t seconds = nanoseconds / SECOND;
    if (seconds < 120)
        tm_text_printf(out, "%" PRIu64 " s", seconds);
    else if (seconds < 7200)
        tm_text_printf(out, "%" PRIu64 " min", seconds / 60);
    else if (seconds < 172800)
        tm_text_printf(out, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds / 60 % 60);
    else
        tm_text_printf(out, "%" PRIu64 " days", seconds / 86400);
}

static void add_time(const struct tm_recorder_facts *facts, uint64_t time, struct tm_text *out)
{
    tm_report_time(out, time);
    if (facts->backing.now < time || time == 0)
        return;
    tm_text_add(out, " (");
    add_duration(out, facts->backing.now - time);
    tm_text_add(out, " ago)");
}

static void write_process(const struct tm_recorder_facts *facts, struct tm_text *out)
{
    const struct tm_recorder_note *note = &facts->note;
    begin_fact(out, "process");
    tm_text_printf(out, "%" PRIu32, note->pid);
    if (note->outer_pid && note->outer_pid != note->pid)
        tm_text_printf(out, " (%" PRIu32 " outside)", note->outer_pid);
    if (note->end == TM_RECORDER_END_CLEAN || note->end == TM_RECORDER_END_EXIT)
        tm_text_printf(out, ", exited with status %" PRId32 " at ", note->status);
    else if (note->end == TM_RECORDER_END_EXEC)
        tm_text_add(out, ", became another program (exec) at ");
    else if (facts->backing.life == TM_LIFE_LIVES)
        tm_text_add(out, ", lives");
    else if (facts->backing.life == TM_LIFE_ENDED)
        tm_text_add(out, ", died: no end is recorded, so it was killed, or crashed");
    else
        tm_text_add(out, ", may live: this cannot be found out here");
    if (note->end != TM_RECORDER_END_NONE)
        add_time(facts, note->ended, out);
    tm_text_add(out, "\n");
}

// How the tracer fared with its file.
static void write_state(const struct tm_recorder *recorder, struct tm_text *out)
{
    if (recorder->state == TM_RECORDER_PRIVATE) {
        begin_fact(out, "recorder");
        tm_text_add(out, "in private memory since the fork: no file could be made for this process");
    } else if (recorder->state == TM_RECORDER_CUT) {
        begin_fact(out, "recorder");
        tm_text_add(out, "somebody else cut the file: nothing is recorded any more");
    } else if (recorder->error) {
        begin_fact(out, "recorder");
        tm_text_add(out, recorder->state == TM_RECORDER_FILE ? "the file could not be made longer"
                                                             : "in private memory: no file could be made");
    } else {
        return;
    }
    if (recorder->error)
        tm_text_printf(out, " (%s)", strerror((int)recorder->error));
    if (recorder->refused)
        tm_text_printf(out, ", refused %" PRIu64 " times: see \"not recorded\"", recorder->refused);
    tm_text_add(out, "\n");
}

static void write_moments(const struct tm_recorder_facts *facts, struct tm_text *out)
{
    const struct tm_recorder *recorder = &facts->recorder;
    if (recorder->reached) {
        begin_fact(out, "limit reached");
        tm_format_size(out, false, recorder->limit, false);
        tm_text_add(out, " at ");
        tm_report_time(out, recorder->reached);
        tm_text_add(out, ", with ");
        tm_format_size(out, false, recorder->reached_traced, false);
        tm_text_add(out, " traced\n");
    }
    if (recorder->failed) {
        begin_fact(out, "out of memory");
        tm_report_count(out, recorder->failed, "allocation");
        tm_text_add(out, ", the last of ");
        tm_format_size(out, false, recorder->failed_size, false);
        tm_text_add(out, " at ");
        tm_report_time(out, recorder->failed_at);
        tm_text_add(out, "\n");
    }
}

void tm_recorder_write_text(const struct tm_recorder_facts *facts, struct tm_text *out)
{
    if (facts->has_saved) {
        begin_fact(out, "saved table");
        tm_text_add(out, "of ");
        add_time(facts, facts->saved.moment, out);
        if (facts->saved.missing)
            tm_text_printf(out, ", without %" PRIu64 " bytes that could not be read", facts->saved.missing);
        tm_text_add(out, "\n");
    }
    if (facts->file[0]) {
        begin_fact(out, "recorder's file");
        tm_text_add(out, facts->file);
        if (facts->has_note) {
            tm_text_add(out, ", made ");
            add_time(facts, facts->note.made, out);
        }
        tm_text_add(out, "\n");
    }
    if (facts->has_note) {
        write_process(facts, out);
        begin_fact(out, "last known moment");
        add_time(facts, facts->last, out);
        tm_text_add(out, "\n");
    }
    write_state(&facts->recorder, out);
    write_moments(facts, out);
}

// ---------------------------------------------------------------------------------------------------------------
// JSON

static void write_time(struct tm_json *json, const char *key, uint64_t time)
{
    struct tm_text text = TM_TEXT_EMPTY;
    if (time == 0) {
        tm_json_null(json, key);
        return;
    }
    tm_report_time(&text, time);
    tm_json_word(json, key, tm_text_string(&text));
    json->text->failed = json->text->failed || text.failed;
    tm_text_deinit(&text);
}

static const char *process_word(const struct tm_recorder_facts *facts)
{
    if (facts->note.end == TM_RECORDER_END_EXEC)
        return "exec";
    if (facts->note.end != TM_RECORDER_END_NONE)
        return "exited";
    return facts->backing.life == TM_LIFE_LIVES ? "lives" : facts->backing.life == TM_LIFE_ENDED ? "died" : "unknown";
}

static const char *state_word(uint32_t state)
{
    return state == TM_RECORDER_FILE      ? "file"
           : state == TM_RECORDER_PRIVATE ? "private"
           : state == TM_RECORDER_CUT     ? "cut"
                                          : "none";
}

void tm_recorder_write_json(const struct tm_recorder_facts *facts, struct tm_json *json)
{
    const struct tm_recorder *recorder = &facts->recorder;
    if (facts->has_saved) {
        tm_json_begin_object(json, "saved");
        write_time(json, "moment", facts->saved.moment);
        write_time(json, "saved", facts->saved.saved);
        tm_json_number(json, "missing", facts->saved.missing);
        tm_json_end_object(json);
    }
    if (recorder->state == TM_RECORDER_NONE && !recorder->error && !facts->has_note)
        return;
    tm_json_begin_object(json, "recorder");
    tm_json_word(json, "state", state_word(recorder->state));
    if (facts->file[0])
        tm_json_string(json, "file", facts->file, strlen(facts->file));
    else
        tm_json_null(json, "file");
    if (facts->has_note) {
        write_time(json, "made", facts->note.made);
        write_time(json, "last", facts->last);
        tm_json_word(json, "process", process_word(facts));
        write_time(json, "ended", facts->note.ended);
        if (facts->note.end == TM_RECORDER_END_CLEAN || facts->note.end == TM_RECORDER_END_EXIT)
            tm_json_number(json, "status", (uint64_t)(uint8_t)facts->note.status);
        else
            tm_json_null(json, "status");
    }
    tm_json_number(json, "error", recorder->error);
    tm_json_number(json, "refused", recorder->refused);
    tm_json_number(json, "limit", recorder->limit);
    write_time(json, "reached", recorder->reached);
    tm_json_number(json, "reached_traced", recorder->reached_traced);
    tm_json_number(json, "failed", recorder->failed);
    write_time(json, "failed_at", recorder->failed_at);
    tm_json_number(json, "failed_size", recorder->failed_size);
    tm_json_end_object(json);
}
