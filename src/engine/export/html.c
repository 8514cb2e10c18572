// The data of a page, as JSON. It is made smaller until the page is small enough.

#include "engine/export/html.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/export/page.h"
#include "engine/export/places.h"
#include "engine/export/tree.h"
#include "engine/model/source_line.h"

// How many nodes and places are tried first, the longest name, and how much source text there may be.
enum { NODES = 32768, LONGEST_NAME = 240, LONGEST_LINE = 160, SOURCE_LINES = 4000 };
enum { PLACES_SHARE = 64 }; // of the nodes' limit, for each kind of place
enum { SOURCE_ROOM = 120000 };

static const enum tm_key place_keys[] = {TM_KEY_LINENO, TM_KEY_FUNCTION, TM_KEY_FILENAME};
enum { PLACE_KEYS = sizeof(place_keys) / sizeof(place_keys[0]) };

// One try.
struct attempt {
    const struct tm_export *export;
    struct tm_spots *spots; // of each key
    struct tm_tree tree;
    struct tm_text *text;
    struct tm_json json;
    uint32_t *index_of; // by the number of a frame: its index in the page, plus 1
    uint32_t *frames;   // the other way round
    size_t frame_count;
    struct tm_set names; // by address: the index of a string in the page, plus 1
    size_t name_count;
    struct tm_text buffer;
};

struct tm_error *tm_export_html_require(void)
{
    if (tm_page_length > 0)
        return NULL;
    return tm_error_create(TM_ERROR_UNSUPPORTED,
                           "this build has no HTML page: the JavaScript libraries that draw it (d3, d3-flame-graph) "
                           "were missing when it was built\n"
                           "Run \"make deps all\" where npm is installed, or use another format: speedscope, pprof, "
                           "collapsed, json, csv");
}

// ---------------------------------------------------------------------------------------------------------------
// Amounts

static void put_sides(struct attempt *attempt, const uint64_t sides[TM_SIDES])
{
    tm_json_number(&attempt->json, NULL, sides[TM_SIDE_NEW]);
    if (attempt->export->compared)
        tm_json_number(&attempt->json, NULL, sides[TM_SIDE_OLD]);
}

// Size and count; of a comparison each is followed by what it was.
static void put_amount(struct attempt *attempt, const struct tm_amount *amount)
{
    put_sides(attempt, amount->size);
    put_sides(attempt, amount->count);
}

static void put_amount_as(struct attempt *attempt, const char *key, const struct tm_amount *amount)
{
    tm_json_begin_array(&attempt->json, key);
    put_amount(attempt, amount);
    tm_json_end_array(&attempt->json);
}

// ---------------------------------------------------------------------------------------------------------------
// Frames and names

static uint32_t index_of_frame(struct attempt *attempt, uint32_t frame)
{
    if (attempt->index_of[frame] == 0) {
        attempt->frames[attempt->frame_count++] = frame;
        attempt->index_of[frame] = (uint32_t)attempt->frame_count;
    }
    return attempt->index_of[frame] - 1;
}

static const struct tm_frame *frame_at(const struct attempt *attempt, size_t index)
{
    return attempt->export->stacks->frames.items[attempt->frames[index]];
}

// Adds a string to the page's list; a long one is cut.
static void put_name(struct attempt *attempt, const struct tm_name *name)
{
    char cut[LONGEST_NAME + 1];

    tm_escape_into(cut, sizeof(cut), name->bytes, name->length);
    tm_text_clear(&attempt->buffer);
    tm_text_escape(&attempt->buffer, name->bytes, name->length);
    if (attempt->buffer.length > strlen(cut)) {
        tm_text_clear(&attempt->buffer);
        tm_text_printf(&attempt->buffer, "%s\xe2\x80\xa6 (%u bytes)", cut, (unsigned)name->length);
    }
    tm_json_string(&attempt->json, NULL, tm_text_string(&attempt->buffer), attempt->buffer.length);
}

static struct tm_error *put_names(struct attempt *attempt)
{
    tm_json_begin_array(&attempt->json, "strings");
    for (size_t i = 0; i < 2 * attempt->frame_count; i++) {
        const struct tm_frame *frame = frame_at(attempt, i / 2);
        const struct tm_name *name = i % 2 == 0 ? frame->file_name : frame->function;
        if (!name)
            continue;
        if (!tm_set_reserve(&attempt->names))
            return tm_error_no_memory();
        struct tm_set_entry *entry = tm_set_find_number(&attempt->names, (uintptr_t)name);
        if (entry->item)
            continue;
        tm_set_put_number(&attempt->names, entry, (uintptr_t)name, (void *)(uintptr_t)++attempt->name_count);
        put_name(attempt, name);
    }
    tm_json_end_array(&attempt->json);
    return NULL;
}

static uint64_t index_of_name(const struct attempt *attempt, const struct tm_name *name)
{
    return (uintptr_t)tm_set_find_number(&attempt->names, (uintptr_t)name)->item - 1;
}

// File, line and function of each frame; -1: the function is not known.
static void put_frames(struct attempt *attempt)
{
    struct tm_json *json = &attempt->json;

    tm_json_begin_array(json, "frames");
    for (size_t i = 0; i < attempt->frame_count; i++) {
        const struct tm_frame *frame = frame_at(attempt, i);
        tm_json_number(json, NULL, index_of_name(attempt, frame->file_name));
        tm_json_number(json, NULL, frame->line);
        if (frame->function)
            tm_json_number(json, NULL, index_of_name(attempt, frame->function));
        else
            tm_json_signed(json, NULL, true, 1);
    }
    tm_json_end_array(json);
}

// The source lines of as many frames as there is room for, those of the largest places first.
static struct tm_error *put_source(struct attempt *attempt)
{
    const struct tm_host *host = attempt->export->host;
    size_t end = attempt->text->length + SOURCE_ROOM, count = 0;
    struct tm_error *error = NULL;
    struct tm_text line = TM_TEXT_EMPTY, mark = TM_TEXT_EMPTY;
    char key[24];

    tm_json_begin_object(&attempt->json, "source");
    for (size_t i = 0; i < attempt->frame_count && count < SOURCE_LINES && attempt->text->length < end && !error; i++) {
        const struct tm_frame *frame = frame_at(attempt, i);
        tm_text_clear(&line);
        tm_text_clear(&mark);
        tm_source_line_get(host, frame, &line, &mark);
        error = tm_host_check(host);
        if (!line.length || line.failed || mark.failed)
            continue;
        char cut[LONGEST_LINE + 1];
        tm_escape_into(cut, sizeof(cut), tm_text_string(&line), line.length);
        tm_text_clear(&line);
        tm_text_printf(&line, "%s%s%s", cut, mark.length ? "  " : "", tm_text_string(&mark));
        snprintf(key, sizeof(key), "%zu", i);
        tm_json_string(&attempt->json, key, tm_text_string(&line), line.length);
        count++;
    }
    tm_json_end_object(&attempt->json);
    tm_text_deinit(&line);
    tm_text_deinit(&mark);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Places and nodes

static void put_places(struct attempt *attempt)
{
    struct tm_json *json = &attempt->json;

    tm_json_begin_object(json, "places");
    for (size_t i = 0; i < PLACE_KEYS; i++) {
        const struct tm_spots *spots = &attempt->spots[i];
        tm_json_begin_object(json, tm_key_name(place_keys[i]));
        tm_json_begin_array(json, "rows");
        for (size_t j = 0; j < spots->count; j++) {
            tm_json_number(json, NULL, index_of_frame(attempt, spots->items[j].frame));
            put_amount(attempt, &spots->items[j].own);
            put_amount(attempt, &spots->items[j].below);
        }
        tm_json_end_array(json);
        tm_json_number(json, "others", spots->all - spots->count);
        put_amount_as(attempt, "other", &spots->other);
        tm_json_end_object(json);
    }
    tm_json_end_object(json);
}

static void put_nodes(struct attempt *attempt)
{
    struct tm_json *json = &attempt->json;
    const struct tm_tree *tree = &attempt->tree;

    tm_json_begin_array(json, "nodes");
    for (size_t i = 0; i < tree->count; i++) {
        tm_json_number(json, NULL, tree->nodes[i].depth);
        tm_json_number(json, NULL, index_of_frame(attempt, tree->nodes[i].frame));
        put_amount(attempt, &tree->nodes[i].amount);
    }
    tm_json_end_array(json);
    // The nodes below which something is left out: their index, how many tracebacks, and how much of them.
    tm_json_begin_array(json, "cuts");
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->nodes[i].cut_stacks == 0)
            continue;
        tm_json_number(json, NULL, i);
        tm_json_number(json, NULL, tree->nodes[i].cut_stacks);
        put_amount(attempt, &tree->nodes[i].cut);
    }
    tm_json_end_array(json);
    tm_json_number(json, "cut_tracebacks", tree->cut_stacks);
    put_amount_as(attempt, "cut", &tree->cut);
}

// ---------------------------------------------------------------------------------------------------------------
// Facts

// Lines, each as a string of the array.
static void put_lines(struct tm_json *json, const char *key, const char *lines)
{
    tm_json_begin_array(json, key);
    while (lines && *lines) {
        size_t length = strcspn(lines, "\n");
        tm_json_string(json, NULL, lines, length);
        lines += length + (lines[length] == '\n');
    }
    tm_json_end_array(json);
}

static void put_facts(struct attempt *attempt, const struct tm_html_facts *facts)
{
    struct tm_json *json = &attempt->json;

    tm_json_number(json, "version", 1);
    tm_json_word(json, "title", attempt->export->title);
    tm_json_word(json, "written", facts->written);
    tm_json_bool(json, "compared", attempt->export->compared);
    tm_json_bool(json, "cumulative", facts->cumulative);
    put_lines(json, "facts", facts->now);
    put_lines(json, "facts_old", facts->old);
    put_lines(json, "notes", facts->notes);
    put_amount_as(attempt, "total", &attempt->export->stacks->total);
    tm_json_number(json, "tracebacks", attempt->tree.stacks);
    tm_json_number(json, "whole_tracebacks", attempt->tree.whole_stacks);
}

// ---------------------------------------------------------------------------------------------------------------
// The page

static struct tm_error *put_data(struct attempt *attempt, const struct tm_html_facts *facts)
{
    tm_json_begin_object(&attempt->json, NULL);
    put_facts(attempt, facts);
    put_places(attempt);
    put_nodes(attempt);
    struct tm_error *error = put_names(attempt);
    if (!error)
        put_frames(attempt);
    if (!error)
        error = put_source(attempt);
    tm_json_end_object(&attempt->json);
    if (!error && attempt->buffer.failed)
        error = tm_error_no_memory();
    return error ? error : tm_text_check(attempt->text);
}

static void attempt_deinit(struct attempt *attempt)
{
    tm_tree_deinit(&attempt->tree);
    free(attempt->index_of);
    free(attempt->frames);
    tm_set_deinit(&attempt->names);
    tm_text_deinit(&attempt->buffer);
}

// The data with about `limit` nodes, and what is left out of it.
static struct tm_error *try(const struct tm_export *export, const struct tm_html_facts *facts, struct tm_spots *spots,
                            size_t limit, struct tm_text *text, struct tm_html_cut *cut)
{
    struct attempt attempt = {.export = export, .spots = spots, .text = text, .json = {text, false}};
    size_t frames = export->stacks->frames.count;

    tm_text_clear(text);
    attempt.index_of = calloc(frames + 1, sizeof(*attempt.index_of));
    attempt.frames = calloc(frames + 1, sizeof(*attempt.frames));
    struct tm_error *error = attempt.index_of && attempt.frames
                                 ? tm_tree_init(&attempt.tree, export->host, export->stacks, limit)
                                 : tm_error_no_memory();
    for (size_t i = 0; i < PLACE_KEYS; i++)
        tm_spots_choose(&spots[i], limit / PLACES_SHARE);
    if (!error)
        error = put_data(&attempt, facts);
    *cut = (struct tm_html_cut){.stacks = attempt.tree.stacks, .whole_stacks = attempt.tree.whole_stacks};
    cut->amount = attempt.tree.cut;
    for (size_t i = 0; i < attempt.tree.count; i++)
        tm_amount_add(&cut->amount, &attempt.tree.nodes[i].cut);
    attempt_deinit(&attempt);
    return error;
}

static size_t length_without_tags(const struct tm_text *data)
{
    size_t length = data->length;
    for (const char *tag = tm_text_string(data); (tag = strchr(tag, '<')); tag++)
        length += strlen("\\u003c") - 1;
    return length;
}

// As much data as there is room for.
static struct tm_error *fit(const struct tm_export *export, const struct tm_html_facts *facts, struct tm_spots *spots,
                            struct tm_text *data, struct tm_html_cut *cut)
{
    const size_t room = TM_HTML_LIMIT - tm_page_length;
    size_t limit = NODES;

    for (;;) {
        struct tm_error *error = try(export, facts, spots, limit, data, cut);
        size_t length = length_without_tags(data);
        if (error || length <= room || limit == 0)
            return error;
        // Smaller in proportion, and a little more, so that few tries are needed.
        double proportion = 0.95 * (double)room / (double)length;
        limit = (size_t)((double)limit * (proportion < 0.9 ? proportion : 0.9));
    }
}

// In a script a "<" may begin the end of the script. Within JSON it is in strings only.
static void put_without_tags(struct tm_sink *sink, const struct tm_text *data)
{
    const char *bytes = tm_text_string(data), *end = bytes + data->length;

    while (bytes < end && !tm_sink_pass(sink)) {
        const char *tag = memchr(bytes, '<', (size_t)(end - bytes));
        tm_text_bytes(&sink->text, bytes, (size_t)((tag ? tag : end) - bytes));
        if (tag)
            tm_text_add(&sink->text, "\\u003c");
        bytes = tag ? tag + 1 : end;
    }
}

struct tm_error *tm_export_html(const struct tm_export *export, const struct tm_html_facts *facts, struct tm_sink *sink,
                                struct tm_html_cut *cut)
{
    struct tm_spots spots[PLACE_KEYS] = {{0}};
    struct tm_text data = TM_TEXT_EMPTY;
    struct tm_error *error = NULL;

    for (size_t i = 0; i < PLACE_KEYS && !error; i++)
        error = tm_spots_init(&spots[i], export->host, export->stacks, place_keys[i]);
    if (!error)
        error = fit(export, facts, spots, &data, cut);
    if (!error) {
        tm_text_bytes(&sink->text, tm_page, tm_page_data);
        put_without_tags(sink, &data);
        tm_text_bytes(&sink->text, tm_page + tm_page_data, tm_page_length - tm_page_data);
    }
    for (size_t i = 0; i < PLACE_KEYS; i++)
        tm_spots_deinit(&spots[i]);
    tm_text_deinit(&data);
    return error;
}
