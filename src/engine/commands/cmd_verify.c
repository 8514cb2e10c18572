// tm-verify: whether the trace table is consistent, and how many blocks have no traceback where it is not.

#include <inttypes.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/report.h"
#include "engine/open.h"

#define VERIFY_OPTIONS(X) TM_OPTIONS_LIMIT(X) TM_OPTIONS_STRICT(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {VERIFY_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] =
    TM_HELP("Check the trace table for internal consistency.", "tm-verify [OPTION]...",
            "Other commands leave out damaged and missing records, and count them. This\n"
            "command lists them: each record that contradicts other records or cannot be\n"
            "read, its address, and what is wrong. It also shows how many blocks have no\n"
            "traceback because of that.\n"
            "\n"
            "A core taken in the middle of an update is not damaged. An \"update in flight\" is\n"
            "a block that is recorded but not yet counted, or counted but not yet recorded.\n"
            "A table that is \"full\" is consistent, but what is new to the program is recorded\n"
            "without its place; tm-info shows how full it is. The command fails if the table\n"
            "is damaged or incomplete.\n",
            VERIFY_OPTIONS,
            "Examples:\n"
            "  tm-verify\n"
            "  tm-verify -n 100\n"
            "  tm-verify --json\n"
            "\n"
            "The JSON object has:\n"
            "  command, limit, strict, table_address\n"
            "  verdict       \"healthy\", \"full\" (consistent, but without room), \"incomplete\"\n"
            "                (not all of it can be read), \"damaged\"\n"
            "  damaged, missing, in_flight\n"
            "                records of each kind\n"
            "  unreadable_bytes\n"
            "  full          what has no more room, as in tm-info\n"
            "  lost_blocks, lost_frames\n"
            "                not recorded\n"
            "  hidden_blocks, hidden_bytes\n"
            "                upper bounds of the live blocks and bytes without a usable\n"
            "                traceback\n"
            "  findings      the first of each kind: kind (\"damaged\", \"missing\",\n"
            "                \"in flight\"), what, id (or null), address (or null), why\n"
            "  checked       how many of each: strings, codes, nodes, sites, leaves, grids,\n"
            "                lists (chunks of them), tracked, watched (code objects in the\n"
            "                map), blocks, bytes\n");

static const char *const kind_names[TM_FINDING_KINDS] = {"damaged", "missing", "in flight"};

// The findings are written first, but shown below the verdict: they wait here.
struct answer {
    bool json;
    struct tm_text lines[TM_FINDING_KINDS];
    struct tm_json objects[TM_FINDING_KINDS];
    struct tm_verification verification;
};

static struct tm_error *prepare(struct tm_request *request)
{
    request->settings.samples = true; // only ours can be verified
    return tm_request_check_words(request, 0);
}

static void add_line(struct tm_text *text, const struct tm_finding *finding)
{
    tm_text_printf(text, "  %s", finding->what);
    if (finding->id)
        tm_text_printf(text, " %" PRIu64, finding->id);
    if (finding->address)
        tm_text_printf(text, " at 0x%" PRIx64, finding->address);
    tm_text_printf(text, ": %s\n", finding->why);
}

static void add_object(struct tm_json *json, const struct tm_finding *finding)
{
    tm_json_begin_object(json, NULL);
    tm_json_word(json, "kind", kind_names[finding->kind]);
    tm_json_word(json, "what", finding->what);
    if (finding->id)
        tm_json_number(json, "id", finding->id);
    else
        tm_json_null(json, "id");
    if (finding->address)
        tm_json_number(json, "address", finding->address);
    else
        tm_json_null(json, "address");
    tm_json_word(json, "why", finding->why);
    tm_json_end_object(json);
}

static void take_finding(void *context, const struct tm_finding *finding)
{
    struct answer *answer = context;
    if (answer->json)
        add_object(&answer->objects[finding->kind], finding);
    else
        add_line(&answer->lines[finding->kind], finding);
}

// ---------------------------------------------------------------------------------------------------------------
// The verdict

static const char *verdict_of(const struct tm_verification *verification)
{
    if (verification->records[TM_FINDING_DAMAGE])
        return "damaged";
    if (verification->records[TM_FINDING_MISSING])
        return "incomplete";
    return verification->full ? "full" : "healthy";
}

static struct tm_error *make_verdict(const struct tm_verification *verification)
{
    uint64_t address = verification->table_address;
    if (verification->records[TM_FINDING_DAMAGE])
        return tm_error_create(TM_ERROR_CORRUPT, "the trace table at 0x%" PRIx64 " is damaged", address);
    if (verification->records[TM_FINDING_MISSING])
        return tm_error_create(TM_ERROR_FAULT, "the trace table at 0x%" PRIx64 " is incomplete", address);
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Text

static void add_size(struct tm_text *out, uint64_t size)
{
    tm_format_size(out, false, size, false);
    tm_text_printf(out, " (%" PRIu64 ")", size);
}

static void write_verdict(const struct tm_verification *verification, struct tm_text *out)
{
    uint64_t in_flight = verification->records[TM_FINDING_IN_FLIGHT];
    tm_text_printf(out, "%s: the trace table at 0x%" PRIx64, verdict_of(verification), verification->table_address);
    if (verification->records[TM_FINDING_DAMAGE])
        tm_text_add(out, " is inconsistent");
    else if (verification->records[TM_FINDING_MISSING])
        tm_text_add(out, " is consistent as far as it can be read");
    else
        tm_text_add(out, " is consistent");
    if (in_flight)
        tm_text_add(out, ", apart from updates in flight");
    if (verification->full) {
        tm_text_add(out, ", but has no more room for: ");
        tm_report_full(out, verification->full);
    }
    tm_text_add(out, "\n");
    if (verification->lost_blocks || verification->lost_frames) {
        tm_text_add(out, "not recorded: ");
        tm_report_count(out, verification->lost_blocks, "block");
        tm_text_add(out, ", ");
        tm_report_count(out, verification->lost_frames, "frame");
        tm_text_add(out, "\n");
    }
}

static void write_findings(const struct answer *answer, enum tm_finding_kind kind, const char *of, struct tm_text *out)
{
    uint64_t records = answer->verification.records[kind];
    if (records == 0)
        return;
    tm_text_printf(out, "%s: ", kind_names[kind]);
    tm_report_count(out, records, "record");
    tm_text_printf(out, "%s\n", of);
    tm_text_add(out, tm_text_string(&answer->lines[kind]));
    out->failed = out->failed || answer->lines[kind].failed;
}

static void write_checked(const struct tm_verification *verification, struct tm_text *out)
{
    tm_text_printf(out, "checked: %" PRIu64 " live %s of ", verification->blocks,
                   verification->blocks == 1 ? "block" : "blocks");
    add_size(out, verification->bytes);
    tm_text_printf(out, ", %" PRIu64 " of them tracked;\n         ", verification->tracked);
    tm_report_count(out, verification->sites, "site");
    tm_text_add(out, ", ");
    tm_report_count(out, verification->nodes, "node");
    tm_text_add(out, ", ");
    tm_report_count(out, verification->codes, "code object");
    tm_text_add(out, ", ");
    tm_report_count(out, verification->strings, "string");
    tm_text_printf(out, ", %" PRIu64 " %s\n", verification->leaves, verification->leaves == 1 ? "leaf" : "leaves");
}

static void write_text(const struct answer *answer, struct tm_text *out)
{
    const struct tm_verification *verification = &answer->verification;
    write_verdict(verification, out);
    write_findings(answer, TM_FINDING_DAMAGE, "", out);
    write_findings(answer, TM_FINDING_MISSING, "", out);
    write_findings(answer, TM_FINDING_IN_FLIGHT,
                   ", as in a core taken in the middle of an update; damage can look the same", out);
    if (verification->hidden_blocks || verification->hidden_bytes) {
        tm_text_printf(out, "hidden: up to %" PRIu64 " %s of ", verification->hidden_blocks,
                       verification->hidden_blocks == 1 ? "block" : "blocks");
        add_size(out, verification->hidden_bytes);
        tm_text_add(out, " have no usable traceback\n");
    }
    write_checked(verification, out);
}

// ---------------------------------------------------------------------------------------------------------------
// JSON

static void write_findings_json(const struct answer *answer, struct tm_json *json)
{
    tm_json_begin_array(json, "findings");
    for (int kind = 0; kind < TM_FINDING_KINDS; kind++) {
        const struct tm_text *objects = &answer->lines[kind];
        if (objects->length && json->comma)
            tm_text_add(json->text, ", ");
        tm_text_add(json->text, tm_text_string(objects));
        json->text->failed = json->text->failed || objects->failed;
        json->comma = json->comma || objects->length;
    }
    tm_json_end_array(json);
}

static void write_checked_json(const struct tm_verification *verification, struct tm_json *json)
{
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"strings", verification->strings}, {"codes", verification->codes},     {"nodes", verification->nodes},
        {"sites", verification->sites},     {"leaves", verification->leaves},   {"grids", verification->grids},
        {"lists", verification->lists},     {"tracked", verification->tracked}, {"watched", verification->watched},
        {"blocks", verification->blocks},   {"bytes", verification->bytes},
    };
    tm_json_begin_object(json, "checked");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        tm_json_number(json, numbers[i].key, numbers[i].value);
    tm_json_end_object(json);
}

static void write_json(const struct tm_request *request, const struct answer *answer, struct tm_text *out)
{
    const struct tm_verification *verification = &answer->verification;
    struct tm_json json = {out, false};
    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_json_number(&json, "limit", tm_request_limit(request));
    tm_json_bool(&json, "strict", request->settings.strict);
    tm_json_number(&json, "table_address", verification->table_address);
    tm_json_word(&json, "verdict", verdict_of(verification));
    tm_json_number(&json, "damaged", verification->records[TM_FINDING_DAMAGE]);
    tm_json_number(&json, "missing", verification->records[TM_FINDING_MISSING]);
    tm_json_number(&json, "in_flight", verification->records[TM_FINDING_IN_FLIGHT]);
    tm_json_number(&json, "unreadable_bytes", verification->unreadable_bytes);
    tm_report_full_json(&json, verification->full);
    tm_json_number(&json, "lost_blocks", verification->lost_blocks);
    tm_json_number(&json, "lost_frames", verification->lost_frames);
    tm_json_number(&json, "hidden_blocks", verification->hidden_blocks);
    tm_json_number(&json, "hidden_bytes", verification->hidden_bytes);
    write_findings_json(answer, &json);
    write_checked_json(verification, &json);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

// ---------------------------------------------------------------------------------------------------------------

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    const struct tm_host *host = &request->session->host;
    struct answer answer = {.json = request->settings.json};
    const struct tm_verify_request wanted = {.visit = take_finding,
                                             .context = &answer,
                                             .limit = tm_request_limit(request),
                                             .strict = request->settings.strict};
    struct tm_source *source;

    for (int kind = 0; kind < TM_FINDING_KINDS; kind++)
        answer.objects[kind] = (struct tm_json){&answer.lines[kind], false};
    struct tm_error *error = tm_source_open(current, host, &source);
    if (!error)
        error = tm_source_verify(source, host, &wanted, &answer.verification);
    if (!error && request->settings.json)
        write_json(request, &answer, out);
    else if (!error)
        write_text(&answer, out);
    for (int kind = 0; kind < TM_FINDING_KINDS; kind++)
        tm_text_deinit(&answer.lines[kind]);
    if (!error)
        request->verdict = make_verdict(&answer.verification);
    return error;
}

const struct tm_command tm_command_verify = {
    .name = "tm-verify",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .needs_target = true,
    .prepare = prepare,
    .run = run,
};
