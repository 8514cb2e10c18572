// The text of OpenMetrics: families of samples, each with its type and its help, and an end. What reads only the older text
// of Prometheus, such as node_exporter's textfile collector, takes the rest for comments.

#include "engine/base/number.h"
#include "engine/export/formats.h"

static const char prefix[] = "tracemortem_";

static void add_family(struct tm_text *text, const char *name, const char *type, const char *unit, const char *help)
{
    tm_text_printf(text, "# TYPE %s%s %s\n", prefix, name, type);
    if (unit)
        tm_text_printf(text, "# UNIT %s%s %s\n", prefix, name, unit);
    tm_text_printf(text, "# HELP %s%s %s\n", prefix, name, help);
}

static void add_gauge(struct tm_text *text, const char *name, const char *unit, uint64_t value, const char *help)
{
    add_family(text, name, "gauge", unit, help);
    tm_text_printf(text, "%s%s ", prefix, name);
    tm_text_number(text, value);
    tm_text_add(text, "\n");
}

// A counter's sample has a suffix that its family has not.
static void add_counter(struct tm_text *text, const char *name, uint64_t value, const char *help)
{
    add_family(text, name, "counter", NULL, help);
    tm_text_printf(text, "%s%s_total ", prefix, name);
    tm_text_number(text, value);
    tm_text_add(text, "\n");
}

// ---------------------------------------------------------------------------------------------------------------
// Labels

// Names are escaped as in all answers, which leaves no newline; then by the rules of a label's value.
static void add_label(struct tm_text *text, struct tm_text *buffer, const char *key, const struct tm_name *name)
{
    tm_text_clear(buffer);
    tm_text_escape(buffer, name->bytes, name->length);
    tm_text_printf(text, "%s=\"", key);
    for (size_t i = 0; i < buffer->length; i++) {
        if (buffer->bytes[i] == '\\' || buffer->bytes[i] == '"')
            tm_text_add(text, "\\");
        tm_text_bytes(text, &buffer->bytes[i], 1);
    }
    tm_text_add(text, "\"");
    text->failed = text->failed || buffer->failed;
}

static void add_site(struct tm_text *text, struct tm_text *buffer, const char *name, const struct tm_place *place,
                     bool by_line, uint64_t value)
{
    tm_text_printf(text, "%s%s{", prefix, name);
    if (place->type)
        add_label(text, buffer, "type", place->type);
    if (!tm_place_is_type(place)) {
        const struct tm_frame *frame = tm_place_newest(place);
        tm_text_add(text, place->type ? "," : "");
        add_label(text, buffer, "filename", frame->file_name);
        if (by_line)
            tm_text_printf(text, ",lineno=\"%u\"", (unsigned)frame->line);
        tm_text_add(text, frame->function ? "," : "");
        if (frame->function)
            add_label(text, buffer, "function", frame->function);
    }
    tm_text_add(text, "} ");
    tm_text_number(text, value);
    tm_text_add(text, "\n");
}

static void add_sites(struct tm_text *text, const struct tm_metrics *metrics, const char *name, const char *unit,
                      const char *help)
{
    const struct tm_statistics *statistics = metrics->statistics;
    struct tm_text buffer = TM_TEXT_EMPTY;
    size_t count = metrics->limit < statistics->count ? metrics->limit : statistics->count;

    if (count > 0)
        add_family(text, name, "gauge", unit, help);
    for (size_t i = 0; i < count; i++) {
        const struct tm_statistic *statistic = statistics->items[i];
        add_site(text, &buffer, name, &statistic->place, metrics->by_line, unit ? statistic->size : statistic->count);
    }
    tm_text_deinit(&buffer);
}

// ---------------------------------------------------------------------------------------------------------------

void tm_export_openmetrics(const struct tm_metrics *metrics, struct tm_sink *sink)
{
    struct tm_text *text = &sink->text;
    const struct tm_info *info = metrics->info;

    add_gauge(text, "traced_bytes", "bytes", metrics->traced, "Bytes in live blocks.");
    if (info && info->has_peak)
        add_gauge(text, "traced_peak_bytes", "bytes", info->peak, "The most bytes that were in live blocks at a time.");
    add_gauge(text, "blocks", NULL, metrics->blocks, "Live blocks.");
    if (info && info->has_tracer)
        add_counter(text, "lost_blocks", info->tracer.lost_blocks, "Blocks that the trace table had no room for.");
    add_gauge(text, "in_flight_bytes", "bytes", metrics->in_flight,
              "Bytes of blocks that were being stored, freed or moved: the other numbers may be wrong by them.");
    add_gauge(text, "missing_records", NULL, metrics->missing,
              "Records that could not be read: the numbers of sites may be too small.");
    add_sites(text, metrics, "site_bytes", "bytes", "Bytes in live blocks of one of the largest places.");
    add_sites(text, metrics, "site_blocks", NULL, "Live blocks of one of the largest places.");
    tm_text_add(text, "# EOF\n");
}
