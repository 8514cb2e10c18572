// The shared parts of answers. Nothing here reads the target.

#include "engine/commands/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/commands/estimates.h"
#include "engine/model/source_line.h"

// ---------------------------------------------------------------------------------------------------------------
// Text

void tm_report_detail(struct tm_text *text, const struct tm_request *request, const struct tm_place *place, bool mixed)
{
    const struct tm_host *host = &request->session->host;
    bool plain = request->settings.plain;

    enum tm_key key = tm_key_place(request->key);

    if (key == TM_KEY_LINENO)
        tm_source_line_add(text, host, &place->frame, plain, "    ");
    if (key != TM_KEY_TRACEBACK)
        return;
    if (place->traceback->older_missing)
        tm_text_add(text, TM_OLDER_MISSING);
    tm_format_frames(text, host, place->traceback, 0, place->traceback->count, plain);
    if (!plain && mixed)
        tm_text_add(text, "  (other functions have blocks at these lines too: see tm-top function)\n");
}

static void add_filters(struct tm_text *text, const struct tm_filter_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            tm_text_add(text, ", ");
        if (list->items[i].number)
            tm_text_printf(text, "%" PRIu32 " ", list->items[i].number);
        tm_filter_describe(&list->items[i], text);
    }
}

static void report_mine(struct tm_text *text, const struct tm_mine *mine)
{
    for (size_t i = 0; i < tm_mine_count(mine); i++) {
        const struct tm_filter *pattern = tm_mine_get(mine, i);
        tm_text_add(text, i > 0 ? ", " : "mine: ");
        tm_text_escape(text, pattern->pattern_text, pattern->pattern_length);
        if (pattern->has_line)
            tm_text_printf(text, ":%" PRIu32, pattern->line);
    }
    if (tm_mine_count(mine) > 0)
        tm_text_add(text, "\n");
}

static void report_filters(struct tm_text *text, const struct tm_request *request)
{
    const struct tm_filter_list *session = &request->session->filters;
    const struct tm_filter_list *own = &request->settings.filters;

    if (session->count == 0 && own->count == 0)
        return;
    tm_text_add(text, "filters: ");
    add_filters(text, session);
    if (session->count > 0 && own->count > 0)
        tm_text_add(text, "; of this command: ");
    add_filters(text, own);
    tm_text_add(text, "\n");
}

void tm_report_filters(struct tm_text *text, const struct tm_request *request)
{
    report_filters(text, request);
    report_mine(text, &request->settings.mine);
}

void tm_report_count(struct tm_text *text, uint64_t count, const char *noun)
{
    tm_text_printf(text, "%" PRIu64 " %s%s", count, noun, count == 1 ? "" : "s");
}

// Begins a kind of damage, with a comma before each but the first.
static void begin_kind(struct tm_text *text, bool *first, uint64_t records)
{
    if (!*first)
        tm_text_add(text, ", ");
    *first = false;
    tm_report_count(text, records, "record");
}

void tm_report_damage_facts(struct tm_text *text, const struct tm_damage *damage)
{
    bool first = true;
    if (damage->unreadable_records || damage->unreadable_bytes) {
        begin_kind(text, &first, damage->unreadable_records);
        tm_text_add(text, " unreadable (");
        tm_report_count(text, damage->unreadable_bytes, "byte");
        tm_text_add(text, damage->why ? " of memory missing: " : " of memory missing");
        tm_text_add(text, damage->why ? damage->why : "");
        tm_text_add(text, ")");
    }
    if (damage->corrupt_records) {
        begin_kind(text, &first, damage->corrupt_records);
        tm_text_add(text, " corrupt");
    }
    if (damage->torn_records) {
        begin_kind(text, &first, damage->torn_records);
        tm_text_add(text, " lost (the table was being changed)");
    }
    if (damage->partial_tracebacks) {
        tm_text_add(text, first ? "" : ", ");
        tm_report_count(text, damage->partial_tracebacks, "traceback");
        tm_text_add(text, " without older frames");
    }
    if (damage->first_address)
        tm_text_printf(text, ", the first at 0x%" PRIx64, damage->first_address);
}

void tm_report_damage(struct tm_text *text, const struct tm_damage *damage)
{
    tm_report_damage_of_side(text, "", damage, "what is shown is a subset");
}

void tm_report_damage_of_side(struct tm_text *text, const char *who, const struct tm_damage *damage,
                              const char *meaning)
{
    if (!tm_damage_any(damage))
        return;
    tm_text_add(text, who);
    tm_report_damage_facts(text, damage);
    tm_text_printf(text, ": %s\n", meaning);
}

void tm_report_overlap(struct tm_text *text, const struct tm_request *request)
{
    if (request->settings.cumulative && !request->settings.plain)
        tm_text_add(text, " (the rows overlap: a block is in the row of each of its frames, and once in this total)");
}

static void add_lack(struct tm_text *text, const char *what, const struct tm_lack *lack)
{
    tm_text_add(text, what);
    tm_report_count(text, lack->count, "block");
    tm_text_add(text, " of ");
    tm_format_size(text, false, lack->size, false);
}

static void add_shortened(struct tm_text *text, const struct tm_lack *lack)
{
    add_lack(text, "shortened: ", lack);
    tm_text_add(text, ": the table had no room for the oldest frames of the tracebacks\n");
}

void tm_report_row_lacks(struct tm_text *text, const struct tm_lack *not_recorded, const struct tm_lack *shortened)
{
    if (not_recorded->count) {
        add_lack(text, "    place not known: ", not_recorded);
        tm_text_add(text, ": their code objects are not recorded\n");
    }
    if (shortened->count) {
        tm_text_add(text, "    ");
        add_shortened(text, shortened);
    }
}

void tm_report_lacks(struct tm_text *text, const char *who, const struct tm_statistics *statistics, bool codes_full)
{
    if (statistics->not_recorded.count) {
        tm_text_add(text, who);
        add_lack(text, "shown as <unknown>:0: ", &statistics->not_recorded);
        tm_text_add(text, codes_full ? ": the table had no room for their code objects; tm-info shows how full it is\n"
                                     : ": their code objects could not be recorded\n");
    }
    if (statistics->shortened.count) {
        tm_text_add(text, who);
        add_shortened(text, &statistics->shortened);
    }
}

static const struct {
    uint32_t bit;
    const char *name;
} full_names[] = {{TM_FULL_CODES, "code objects"},
                  {TM_FULL_STRINGS, "strings"},
                  {TM_FULL_BYTES, "bytes"},
                  {TM_FULL_NODES, "nodes"},
                  {TM_FULL_SITES, "sites"}};
enum { FULL_NAMES = sizeof(full_names) / sizeof(full_names[0]) };

void tm_report_full(struct tm_text *text, uint32_t full)
{
    const char *comma = "";
    for (size_t i = 0; i < FULL_NAMES; i++) {
        if (!(full & full_names[i].bit))
            continue;
        tm_text_printf(text, "%s%s", comma, full_names[i].name);
        comma = ", ";
    }
}

void tm_report_in_flight(struct tm_text *text, const char *who, uint64_t bytes)
{
    if (!bytes)
        return;
    tm_text_add(text, who);
    tm_report_count(text, bytes, "byte");
    tm_text_add(text, " in flight, in blocks being recorded or freed: sizes may be off by this much; tm-verify "
                      "shows whether it is damage\n");
}

// ---------------------------------------------------------------------------------------------------------------
// Private memory

// A tenth of it, and not little.
#define NOTABLE_PART 10
#define NOTABLE (UINT64_C(8) << 20)

static const char *private_kind(enum tm_private_kind kind)
{
    switch (kind) {
    case TM_PRIVATE_RESIDENT:
        return "resident";
    case TM_PRIVATE_IN_CORE:
        return "in the core";
    case TM_PRIVATE_MAPPED:
        return "mapped";
    case TM_PRIVATE_UNKNOWN:
        break;
    }
    return "unknown";
}

// "143 MiB (+5 MiB) traced"; `old` is NULL where there is nothing to compare with.
static void add_part(struct tm_text *text, bool estimated, uint64_t size, const uint64_t *old, const char *what)
{
    tm_text_add(text, estimated ? TM_ABOUT : "");
    tm_format_size(text, false, size, false);
    if (old) {
        tm_text_add(text, " (");
        tm_format_size(text, size < *old, tm_distance(*old, size), true);
        tm_text_add(text, ")");
    }
    tm_text_add(text, what);
}

// Names the command that shows what the rest is, where that is much.
static void add_way_on(struct tm_text *text, const struct tm_footprint *footprint, const char *command)
{
    if (footprint->has_other && footprint->other >= NOTABLE && footprint->other >= footprint->size / NOTABLE_PART)
        tm_text_printf(text, " (%s shows what)", command);
}

static void add_parts(struct tm_text *text, const struct tm_footprint *old, const struct tm_footprint *now)
{
    add_part(text, false, now->size, old ? &old->size : NULL, " ");
    tm_text_add(text, private_kind(now->kind));
    tm_text_add(text, ": ");
    add_part(text, now->estimated, now->traced, old ? &old->traced : NULL, " traced, ");
    if (now->tracer || (old && old->tracer))
        add_part(text, false, now->tracer, old ? &old->tracer : NULL, " the tracer's, ");
    if (now->has_other)
        add_part(text, now->estimated, now->other, old && old->has_other ? &old->other : NULL, " other");
    else if (now->estimated)
        tm_text_add(text, "other not known (parts of these are not in memory, or the estimate is too high)");
    else
        tm_text_printf(text, "other not known (parts of these are not %s)", private_kind(now->kind));
}

void tm_report_footprint_facts(struct tm_text *text, const struct tm_footprint *footprint)
{
    add_parts(text, NULL, footprint);
    add_way_on(text, footprint, "tm-memory");
}

void tm_report_footprint(struct tm_text *text, const struct tm_footprint *footprint)
{
    if (footprint->kind == TM_PRIVATE_UNKNOWN)
        return;
    tm_text_add(text, "Private memory: ");
    add_parts(text, NULL, footprint);
    add_way_on(text, footprint, "tm-memory");
    tm_text_add(text, "\n");
}

void tm_report_footprints(struct tm_text *text, const struct tm_footprint *old, const struct tm_footprint *footprint,
                          bool has_account)
{
    if (footprint->kind == TM_PRIVATE_UNKNOWN)
        return;
    tm_text_add(text, "Private memory: ");
    add_parts(text, old->kind == TM_PRIVATE_UNKNOWN ? NULL : old, footprint);
    if (!has_account)
        add_way_on(text, footprint, old->kind == TM_PRIVATE_UNKNOWN ? "tm-memory" : "tm-diff --memory");
    if (old->kind == TM_PRIVATE_UNKNOWN)
        tm_text_add(text, "; unknown of OLD");
    else if (old->kind != footprint->kind)
        tm_text_add(text, "; OLD is what its core holds, which may include unused pages");
    tm_text_add(text, "\n");
}

void tm_report_footprint_json(struct tm_json *json, const char *key, const struct tm_footprint *footprint)
{
    if (footprint->kind == TM_PRIVATE_UNKNOWN)
        return;
    tm_json_begin_object(json, key);
    tm_json_word(json, "kind", private_kind(footprint->kind));
    tm_json_number(json, "size", footprint->size);
    tm_json_number(json, "traced", footprint->traced);
    if (footprint->estimated)
        tm_json_bool(json, "estimated", true);
    tm_json_number(json, "tracer", footprint->tracer);
    if (footprint->has_other)
        tm_json_number(json, "other", footprint->other);
    else
        tm_json_null(json, "other");
    tm_json_end_object(json);
}

void tm_report_time(struct tm_text *text, uint64_t nanoseconds)
{
    time_t seconds = (time_t)(nanoseconds / 1000000000u);
    struct tm parts;
    char date[64];

    if (!gmtime_r(&seconds, &parts) || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        tm_text_printf(text, "%" PRIu64 " ns after 1970", nanoseconds);
    else
        tm_text_add(text, date);
}

// ---------------------------------------------------------------------------------------------------------------
// JSON

void tm_report_frame_json(struct tm_json *json, const struct tm_frame *frame)
{
    tm_json_string(json, "filename", frame->file_name->bytes, frame->file_name->length);
    tm_json_number(json, "lineno", frame->line);
    if (frame->function)
        tm_json_string(json, "name", frame->function->bytes, frame->function->length);
    if (frame->not_recorded)
        tm_json_bool(json, "not_recorded", true);
}

static void add_frame_json(struct tm_json *json, const struct tm_frame *frame)
{
    tm_json_begin_object(json, NULL);
    tm_report_frame_json(json, frame);
    tm_json_end_object(json);
}

void tm_report_frames_json(struct tm_json *json, const struct tm_traceback *traceback, uint32_t first, uint32_t end)
{
    const struct tm_frame **frames = tm_traceback_frames(traceback);
    json->text->failed = json->text->failed || !frames;
    tm_json_begin_array(json, "traceback");
    for (uint32_t i = first; i < end && frames; i++)
        add_frame_json(json, frames[i]);
    tm_json_end_array(json);
    free(frames);
}

void tm_report_total_json(struct tm_json *json, const struct tm_traceback *traceback)
{
    if (traceback->total_frames == TM_TOTAL_UNKNOWN)
        tm_json_null(json, "total_nframe");
    else
        tm_json_number(json, "total_nframe", traceback->total_frames);
    if (traceback->older_missing)
        tm_json_bool(json, "older_frames_missing", true);
}

void tm_report_place_json(struct tm_json *json, const struct tm_place *place, enum tm_key key, bool mixed)
{
    if (place->type)
        tm_json_string(json, "type", place->type->bytes, place->type->length);
    if (tm_place_is_type(place))
        return;
    if (place->traceback) {
        tm_report_frames_json(json, place->traceback, 0, place->traceback->count);
    } else {
        tm_json_begin_array(json, "traceback");
        add_frame_json(json, &place->frame);
        tm_json_end_array(json);
    }
    if (place->traceback && place->traceback->older_missing)
        tm_json_bool(json, "older_frames_missing", true);
    if (mixed)
        tm_json_bool(json, "names_differ", true);
    if (tm_key_place(key) == TM_KEY_TRACEBACK)
        return;
    tm_report_frame_json(json, &place->frame);
}

static void report_unknown(struct tm_text *text, const struct tm_census *census)
{
    if (census->unnamed > 0) {
        tm_report_count(text, census->unnamed, "type");
        tm_text_add(text, " without a name: it is in a file that the core leaves out and that is not here\n");
    }
    if (census->unreadable > 0) {
        tm_report_count(text, census->unreadable, "block");
        tm_text_add(text, " could not be read: what they are is not known\n");
    }
}

void tm_report_census(struct tm_text *text, const struct tm_census *census)
{
    if (census->sampled) {
        tm_text_add(text, "Each row counts the objects' own blocks: what belongs to them (items, keys, buffers) is in "
                          "" TM_NO_OBJECT "\n");
        report_unknown(text, census);
        return;
    }
    tm_text_add(text, "no objects: ");
    tm_format_kib(text, false, census->not_objects.size, false);
    tm_text_printf(text, " in %" PRIu64 " blocks; free lists of CPython: ", census->not_objects.count);
    tm_format_kib(text, false, census->free_lists.size, false);
    tm_text_printf(text, " in %" PRIu64 "\n", census->free_lists.count);
    report_unknown(text, census);
}

static void write_lack_json(struct tm_json *json, const char *key, const struct tm_lack *lack)
{
    tm_json_begin_object(json, key);
    tm_json_number(json, "size", lack->size);
    tm_json_number(json, "count", lack->count);
    tm_json_end_object(json);
}

void tm_report_census_json(struct tm_json *json, const struct tm_census *census)
{
    if (!census->sampled) {
        write_lack_json(json, "not_objects", &census->not_objects);
        write_lack_json(json, "free_lists", &census->free_lists);
    }
    tm_json_number(json, "types_unnamed", census->unnamed);
    tm_json_number(json, "blocks_unreadable", census->unreadable);
}

void tm_report_row_lacks_json(struct tm_json *json, const struct tm_lack *not_recorded, const struct tm_lack *shortened)
{
    if (not_recorded->count)
        write_lack_json(json, "not_recorded", not_recorded);
    if (shortened->count)
        write_lack_json(json, "shortened", shortened);
}

void tm_report_lacks_json(struct tm_json *json, const struct tm_statistics *statistics)
{
    write_lack_json(json, "not_recorded", &statistics->not_recorded);
    write_lack_json(json, "shortened", &statistics->shortened);
}

void tm_report_churn_json(struct tm_json *json, const char *prefix, const struct tm_churn *churn)
{
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"allocated", churn->allocated},
                   {"allocations", churn->allocations},
                   {"freed", churn->freed},
                   {"frees", churn->frees}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char key[32];
        snprintf(key, sizeof(key), "%s%s", prefix, numbers[i].key);
        tm_json_number(json, key, numbers[i].value);
    }
}

void tm_report_full_json(struct tm_json *json, uint32_t full)
{
    tm_json_begin_array(json, "full");
    for (size_t i = 0; i < FULL_NAMES; i++)
        if (full & full_names[i].bit)
            tm_json_word(json, NULL, full_names[i].name);
    tm_json_end_array(json);
}

void tm_report_filters_json(struct tm_json *json, const struct tm_request *request)
{
    const struct tm_filter_list *session = &request->session->filters;
    const struct tm_filter_list *own = &request->settings.filters;
    const struct tm_mine *mine = &request->settings.mine;

    tm_json_begin_array(json, "filters");
    for (size_t i = 0; i < session->count; i++)
        tm_filter_write_json(&session->items[i], json);
    for (size_t i = 0; i < own->count; i++)
        tm_filter_write_json(&own->items[i], json);
    tm_json_end_array(json);
    if (tm_mine_count(mine) == 0)
        return;
    tm_json_begin_array(json, "mine");
    for (size_t i = 0; i < tm_mine_count(mine); i++)
        tm_filter_write_json(tm_mine_get(mine, i), json);
    tm_json_end_array(json);
}

void tm_report_damage_json(struct tm_json *json, const char *key, const struct tm_damage *damage)
{
    tm_json_begin_object(json, key);
    tm_json_number(json, "unreadable_records", damage->unreadable_records);
    tm_json_number(json, "unreadable_bytes", damage->unreadable_bytes);
    tm_json_number(json, "corrupt_records", damage->corrupt_records);
    tm_json_number(json, "torn_records", damage->torn_records);
    if (damage->partial_tracebacks)
        tm_json_number(json, "partial_tracebacks", damage->partial_tracebacks);
    if (damage->first_address)
        tm_json_number(json, "first_address", damage->first_address);
    else
        tm_json_null(json, "first_address");
    if (damage->why)
        tm_json_word(json, "why", damage->why);
    tm_json_end_object(json);
}

void tm_report_unmatched_json(struct tm_json *json, const char *key, const struct tm_unmatched *unmatched)
{
    tm_json_begin_object(json, key);
    tm_json_number(json, "size", unmatched->size);
    tm_json_number(json, "count", unmatched->count);
    tm_json_number(json, "cut_size", unmatched->cut_size);
    tm_json_number(json, "cut_count", unmatched->cut_count);
    if (unmatched->estimate.samples)
        tm_estimate_write_json(json, "", &unmatched->estimate);
    tm_json_end_object(json);
}
