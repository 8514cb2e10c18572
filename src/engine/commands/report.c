// The shared parts of answers. Nothing here reads the target.

#include "engine/commands/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

// ---------------------------------------------------------------------------------------------------------------
// Text

void tm_report_detail(struct tm_text *text, const struct tm_request *request, const struct tm_place *place, bool mixed)
{
    const struct tm_host *host = &request->session->host;
    bool functions = !request->settings.plain;

    if (request->key == TM_KEY_LINENO)
        tm_format_source_line(text, host, &place->frame, "    ");
    if (request->key != TM_KEY_TRACEBACK)
        return;
    tm_format_frames(text, host, place->traceback->frames, 0, place->traceback->count, functions);
    if (functions && mixed)
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

void tm_report_filters(struct tm_text *text, const struct tm_request *request)
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

void tm_report_count(struct tm_text *text, uint64_t count, const char *noun)
{
    tm_text_printf(text, "%" PRIu64 " %s%s", count, noun, count == 1 ? "" : "s");
}

static bool is_damaged(const struct tm_damage *damage)
{
    return damage->unreadable_records || damage->unreadable_bytes || damage->corrupt_records || damage->torn_records;
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
    if (!is_damaged(damage))
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

void tm_report_time(struct tm_text *text, uint64_t nanoseconds, bool local)
{
    time_t seconds = (time_t)(nanoseconds / 1000000000u);
    struct tm parts;
    char date[64], zone[16];

    if (local)
        tzset();
    if (!(local ? localtime_r(&seconds, &parts) : gmtime_r(&seconds, &parts)) ||
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts) == 0 ||
        strftime(zone, sizeof(zone), "%z", &parts) != 5) {
        tm_text_printf(text, "%" PRIu64 " ns after 1970", nanoseconds);
    } else if (local) {
        tm_text_printf(text, "%s%.3s:%s", date, zone, zone + 3);
    } else {
        tm_text_printf(text, "%sZ", date);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// JSON

static void write_function_json(struct tm_json *json, const struct tm_frame *frame)
{
    if (frame->function)
        tm_json_string(json, "name", frame->function->bytes, frame->function->length);
    if (frame->not_recorded)
        tm_json_bool(json, "not_recorded", true);
}

void tm_report_frames_json(struct tm_json *json, const struct tm_frame *frames, uint32_t first, uint32_t end)
{
    tm_json_begin_array(json, "traceback");
    for (uint32_t i = first; i < end; i++) {
        tm_json_begin_object(json, NULL);
        tm_json_string(json, "filename", frames[i].file_name->bytes, frames[i].file_name->length);
        tm_json_number(json, "lineno", frames[i].line);
        write_function_json(json, &frames[i]);
        tm_json_end_object(json);
    }
    tm_json_end_array(json);
}

void tm_report_place_json(struct tm_json *json, const struct tm_place *place, enum tm_key key, bool mixed)
{
    uint32_t count;
    const struct tm_frame *frames = tm_place_frames(place, &count);

    tm_report_frames_json(json, frames, 0, count);
    if (mixed)
        tm_json_bool(json, "names_differ", true);
    if (key == TM_KEY_TRACEBACK)
        return;
    tm_json_string(json, "filename", frames[0].file_name->bytes, frames[0].file_name->length);
    tm_json_number(json, "lineno", frames[0].line);
    write_function_json(json, &frames[0]);
}

static void write_lack_json(struct tm_json *json, const char *key, const struct tm_lack *lack)
{
    tm_json_begin_object(json, key);
    tm_json_number(json, "size", lack->size);
    tm_json_number(json, "count", lack->count);
    tm_json_end_object(json);
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

    tm_json_begin_array(json, "filters");
    for (size_t i = 0; i < session->count; i++)
        tm_filter_write_json(&session->items[i], json);
    for (size_t i = 0; i < own->count; i++)
        tm_filter_write_json(&own->items[i], json);
    tm_json_end_array(json);
}

void tm_report_damage_json(struct tm_json *json, const char *key, const struct tm_damage *damage)
{
    tm_json_begin_object(json, key);
    tm_json_number(json, "unreadable_records", damage->unreadable_records);
    tm_json_number(json, "unreadable_bytes", damage->unreadable_bytes);
    tm_json_number(json, "corrupt_records", damage->corrupt_records);
    tm_json_number(json, "torn_records", damage->torn_records);
    if (damage->first_address)
        tm_json_number(json, "first_address", damage->first_address);
    else
        tm_json_null(json, "first_address");
    if (damage->why)
        tm_json_word(json, "why", damage->why);
    tm_json_end_object(json);
}
