// tm-traceback: the block that contains an address, and the traceback of its allocation.

#include <inttypes.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/report.h"
#include "engine/commands/words.h"
#include "engine/open.h"

enum { MOST_BLOCKS = 64 };

#define TRACEBACK_OPTIONS(X) TM_OPTIONS_FRAMES(X) TM_OPTIONS_PLAIN(X) TM_OPTIONS_SAMPLES(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {TRACEBACK_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] = TM_HELP("Show which block contains an address, and the traceback of its allocation.",
                                   "tm-traceback [OPTION]... ADDRESS|EXPRESSION",
                                   "The address may be anywhere inside a block; an object's block often starts\n"
                                   "before the object. A plain number is used as it is. Anything else is an\n"
                                   "expression in the debugger's language. Options come before it, and \"--\" ends\n"
                                   "the options. Filters do not apply.\n"
                                   "\n"
                                   "Below the block are the lines of Traceback.format(), most recent call last, each\n"
                                   "with the function where it is known. (CPython up to 3.10 has plain names only,\n"
                                   "and its own tracemalloc none.)\n",
                                   TRACEBACK_OPTIONS,
                                   "Examples:\n"
                                   "  tm-traceback 0x7f3a5c0e4d30\n"
                                   "  tm-traceback -n 5 object\n"
                                   "  tm-traceback --json -- frame->f_locals\n"
                                   "\n"
                                   "The JSON object has:\n"
                                   "  command, address, limit (null: all frames)\n"
                                   "  blocks        each with address, size, offset (of the address in the block),\n"
                                   "                domain, resizing,\n"
                                   "                " TM_HELP_JSON_TOTAL TM_HELP_JSON_FRAMES "\n"
                                   "  missing       " TM_HELP_JSON_MISSING);

static struct tm_error *prepare(struct tm_request *request)
{
    const struct tm_defaults *defaults = &request->session->defaults;
    if (!request->settings.has_limit && defaults->has_frames) {
        request->settings.has_limit = true;
        request->settings.limit = defaults->frames;
    }
    return tm_request_take_address(request);
}

struct answer {
    uint64_t address;
    struct tm_block blocks[MOST_BLOCKS];
    size_t count;
    struct tm_damage damage;
};

static void shown_frames(const struct tm_request *request, const struct tm_traceback *traceback, uint32_t *first,
                         uint32_t *end)
{
    *first = 0;
    *end = traceback->count;
    if (request->settings.has_limit)
        tm_format_limit(traceback->count, request->settings.limit, first, end);
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

static void write_block(const struct tm_request *request, const struct answer *answer, const struct tm_block *block,
                        struct tm_text *out)
{
    const struct tm_traceback *traceback = block->traceback;
    uint32_t first, end;

    tm_text_printf(out, "block at 0x%" PRIx64 " of ", block->address);
    tm_report_count(out, block->size, "byte");
    tm_text_printf(out, ", domain %" PRIu32, block->domain);
    if (answer->address != block->address) {
        tm_text_printf(out, "; 0x%" PRIx64 " is ", answer->address);
        tm_report_count(out, answer->address - block->address, "byte");
        tm_text_add(out, " into it");
    }
    tm_text_add(out, block->resizing ? "; being resized: this is its state before that\n" : "\n");

    shown_frames(request, traceback, &first, &end);
    tm_text_add(out, "Traceback (most recent call last");
    if (traceback->total_frames == TM_TOTAL_UNKNOWN)
        tm_text_printf(out, "; showing %" PRIu32 " of more than %" PRIu32 " frames", end - first, traceback->count);
    else if (end - first < traceback->total_frames)
        tm_text_printf(out, "; showing %" PRIu32 " of %" PRIu32 " frames", end - first, traceback->total_frames);
    tm_text_add(out, "):\n");
    if (traceback->older_missing)
        tm_text_add(out, TM_OLDER_MISSING);
    tm_format_frames(out, &request->session->host, traceback, first, end, request->settings.plain);
}

static void write_text(const struct tm_request *request, const struct answer *answer, struct tm_text *out)
{
    for (size_t i = 0; i < answer->count; i++)
        write_block(request, answer, &answer->blocks[i], out);
    tm_report_damage(out, &answer->damage);
}

static void write_block_json(const struct tm_request *request, const struct answer *answer,
                             const struct tm_block *block, struct tm_json *json)
{
    uint32_t first, end;

    shown_frames(request, block->traceback, &first, &end);
    tm_json_begin_object(json, NULL);
    tm_json_number(json, "address", block->address);
    tm_json_number(json, "size", block->size);
    tm_json_number(json, "offset", answer->address - block->address);
    tm_json_number(json, "domain", block->domain);
    tm_json_bool(json, "resizing", block->resizing);
    tm_report_total_json(json, block->traceback);
    tm_report_frames_json(json, block->traceback, first, end);
    tm_json_end_object(json);
}

static void write_json(const struct tm_request *request, const struct answer *answer, struct tm_text *out)
{
    const struct tm_settings *settings = &request->settings;
    struct tm_json json = {out, false};

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_json_number(&json, "address", answer->address);
    if (settings->has_limit)
        tm_json_signed(&json, "limit", settings->limit < 0,
                       settings->limit < 0 ? (uint64_t)-settings->limit : (uint64_t)settings->limit);
    else
        tm_json_null(&json, "limit");
    tm_json_begin_array(&json, "blocks");
    for (size_t i = 0; i < answer->count; i++)
        write_block_json(request, answer, &answer->blocks[i], &json);
    tm_json_end_array(&json);
    tm_report_damage_json(&json, "missing", &answer->damage);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

// ---------------------------------------------------------------------------------------------------------------
// Running

// No system gives memory to a program there.
enum { FIRST_PAGE = 4096 };

static struct tm_error *null_pointer(uint64_t address)
{
    if (address == 0)
        return tm_error_create(TM_ERROR_NOT_FOUND, "the address is 0: this is NULL, a pointer to no object\n"
                                                   "Ask for the pointer itself where it is stored: &VARIABLE.");
    return tm_error_create(TM_ERROR_NOT_FOUND,
                           "0x%" PRIx64 " is %" PRIu64 " bytes past NULL: a member of an object that is NULL, or no "
                           "pointer at all\nAsk for an address of memory, such as 0x7f0123456780.",
                           address, address);
}

static void add_unreadable(struct tm_text *text, const struct answer *answer)
{
    const struct tm_damage *damage = &answer->damage;
    if (!damage->unreadable_records && !damage->corrupt_records && !damage->torn_records)
        return;
    tm_text_add(text, ", or its record cannot be read: ");
    tm_report_damage_facts(text, damage);
}

static void not_traced(struct tm_text *text, uint64_t started, const struct answer *answer)
{
    tm_text_printf(text, "no traced block contains 0x%" PRIx64 "; ", answer->address);
    tm_text_add(text, started ? "tracing began at " : "when tracing began is unknown");
    if (started)
        tm_report_time(text, started);
    tm_text_add(text,
                ".\nThe memory was allocated before tracing began, or not by Python's allocators, or has been freed");
    add_unreadable(text, answer);
    tm_text_add(text, ".\nType \"tm-info\" for what is traced, or try the address of another part of the object.");
}

// In the sampled profile the usual case.
static void not_sampled(struct tm_text *text, const struct tm_source *source, const struct answer *answer)
{
    tm_text_printf(text,
                   "no sample contains 0x%" PRIx64 ": this program runs in the sampled profile, which records a "
                   "block for every ",
                   answer->address);
    tm_format_size(text, false, tm_source_sample_period(source), false);
    tm_text_add(text, "\nof allocated memory. Most blocks are not recorded; or this one has been freed, is not from "
                      "Python's\nallocators, or begins far before this address");
    add_unreadable(text, answer);
    tm_text_printf(
        text,
        ".\nTo record every block, run the program with TRACEMORTEM_DETAIL=lean. Here \"tm-traces\" lists the "
        "samples,\nand \"tm-object 0x%" PRIx64 "\" says what is at this address.",
        answer->address);
}

static struct tm_error *not_found(const struct tm_source *source, const struct answer *answer)
{
    struct tm_text text = TM_TEXT_EMPTY;
    uint64_t started = tm_source_started(source);

    if (answer->address < FIRST_PAGE)
        return null_pointer(answer->address);
    if (tm_source_sample_period(source)) {
        not_sampled(&text, source, answer);
    } else {
        not_traced(&text, started, answer);
    }
    struct tm_error *error = tm_text_check(&text);
    if (!error)
        error = tm_error_create(TM_ERROR_NOT_FOUND, "%s", tm_text_string(&text));
    tm_text_deinit(&text);
    return error;
}

static struct tm_error *find(const struct tm_request *request, struct tm_target *current, struct tm_pool *pool,
                             struct answer *answer)
{
    const struct tm_host *host = &request->session->host;
    struct tm_source *source;

    struct tm_error *error = tm_source_open(current, host, &source);
    if (!error)
        error = tm_source_require_tracing(source);
    if (!error)
        error = tm_source_find(source, host, pool, answer->address, answer->blocks, MOST_BLOCKS, &answer->count,
                               &answer->damage);
    if (error)
        return error;
    if (answer->count > MOST_BLOCKS)
        answer->count = MOST_BLOCKS;
    return answer->count == 0 ? not_found(source, answer) : NULL;
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct answer answer = {.address = request->has_address ? request->address : request->unresolved[0].address};
    struct tm_pool *pool;

    struct tm_error *error = tm_pool_create(&pool);
    if (error)
        return error;
    error = find(request, current, pool, &answer);
    if (!error && request->settings.json)
        write_json(request, &answer, out);
    else if (!error)
        write_text(request, &answer, out);
    tm_pool_destroy(pool);
    return error;
}

const struct tm_command tm_command_traceback = {
    .name = "tm-traceback",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .takes_expression = true,
    .needs_target = true,
    .prepare = prepare,
    .run = run,
};
