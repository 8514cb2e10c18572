// `tracemortem push`: a pprof profile to a server of profiles. Pyroscope and Parca both take JSON with labels and the profile
// in base64; what differs is the address, and where the labels are.

#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/fleet.h"
#include "cli/post.h"
#include "engine/base/json.h"
#include "process/core.h"

const char tm_push_help[] = "Send a heap profile to Pyroscope or Parca.\n"
                            "\n"
                            "Usage: tracemortem push URL TARGET... [OPTION]...\n"
                            "\n"
                            "URL is the server's address, such as http://localhost:4040. The profile is that\n"
                            "of \"tracemortem export TARGET pprof\". Its labels are service_name (the name of\n"
                            "the process), pid and host. A target is a process id, a core, a recorder's file\n"
                            "or a snapshot file.\n"
                            "\n"
                            "Options:\n"
                            "      --to pyroscope|parca\n"
                            "        Which server it is (default pyroscope).\n"
                            "      --label NAME=VALUE\n"
                            "        A label of the profile, service_name for example. May be repeated.\n"
                            "      --header 'NAME: VALUE'\n"
                            "        A header of the request, such as 'X-Scope-OrgID: shop'. May be repeated.\n"
                            "        Other users of this machine see it while this runs; passwords are taken\n"
                            "        from ~/.netrc.\n"
                            "      --children PID, --name NAME, --cgroup PATH\n"
                            "        The processes that \"tracemortem top\" takes with them.\n"
                            "Options of \"tracemortem export\" are taken, too, such as --stop and --mine.\n"
                            "\n"
                            "Examples:\n"
                            "  tracemortem push http://localhost:4040 4711 --label env=prod\n"
                            "  tracemortem push https://parca.example:7070 --to parca --name gunicorn\n";

struct push {
    const struct tm_fleet *fleet;
    char *url; // with the path of the server's interface
    bool is_parca;
};

// ---------------------------------------------------------------------------------------------------------------
// The body

// A profile of its own with nothing but the time: two profiles one after the other are one, and so are two files of gzip.
static struct tm_error *add_time(struct tm_text *profile, uint64_t time)
{
    enum { PROFILE_TIME_NANOS = 9, GZIP = 15 + 16 };
    unsigned char field[11] = {PROFILE_TIME_NANOS << 3}, packed[64];
    unsigned length = 1;
    z_stream stream = {.next_in = field, .next_out = packed, .avail_out = sizeof(packed)};

    for (; time >= 0x80; time >>= 7)
        field[length++] = (unsigned char)(time | 0x80);
    field[length++] = (unsigned char)time;
    stream.avail_in = length;
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return tm_error_no_memory();
    int status = deflate(&stream, Z_FINISH);
    tm_text_bytes(profile, (const char *)packed, stream.total_out);
    deflateEnd(&stream);
    return status == Z_STREAM_END ? tm_text_check(profile) : tm_error_no_memory();
}

static void add_base64(struct tm_text *text, const struct tm_text *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = (const unsigned char *)tm_text_string(bytes);

    for (size_t i = 0; i < bytes->length; i += 3) {
        size_t left = bytes->length - i;
        uint32_t group = (uint32_t)from[i] << 16;
        if (left > 1)
            group |= (uint32_t)from[i + 1] << 8;
        if (left > 2)
            group |= from[i + 2];
        char four[4] = {digits[group >> 18], digits[group >> 12 & 63], left > 1 ? digits[group >> 6 & 63] : '=',
                        left > 2 ? digits[group & 63] : '='};
        tm_text_bytes(text, four, 4);
    }
    text->failed = text->failed || bytes->failed;
}

static void add_label(struct tm_text *text, const char *name, size_t name_length, const char *value)
{
    struct tm_json json = {text, false};
    tm_text_add(text, text->bytes[text->length - 1] == '[' ? "" : ", ");
    tm_json_begin_object(&json, NULL);
    tm_json_string(&json, "name", name, name_length);
    tm_json_word(&json, "value", value);
    tm_json_end_object(&json);
}

static void add_labels(const struct push *push, const struct tm_fleet_target *target, struct tm_text *body)
{
    char host[256] = "", pid[16] = "";

    gethostname(host, sizeof(host) - 1);
    if (target->pid)
        snprintf(pid, sizeof(pid), "%d", (int)target->pid);
    const char *const ours[][2] = {
        {"__name__", "memory"}, {"service_name", target->name}, {"pid", pid}, {"host", host}};
    tm_text_add(body, "[");
    if (!body->failed)
        tm_fleet_add_labels(push->fleet, ours, 4, add_label, body);
    tm_text_add(body, "]");
}

// Pyroscope wants a number for each profile: a random UUID.
static void add_id(struct tm_text *body)
{
    unsigned char bytes[16] = {0};
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        memset(bytes, 0, sizeof(bytes));
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    tm_text_add(body, "\"ID\": \"");
    for (unsigned i = 0; i < sizeof(bytes); i++)
        tm_text_printf(body, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
    tm_text_add(body, "\", ");
}

static void add_body(const struct push *push, const struct tm_fleet_target *target, const struct tm_text *profile,
                     struct tm_text *body)
{
    tm_text_add(body, "{\"series\": [{\"labels\": ");
    tm_text_add(body, push->is_parca ? "{\"labels\": " : "");
    add_labels(push, target, body);
    tm_text_add(body, push->is_parca ? "}" : "");
    tm_text_add(body, ", \"samples\": [{");
    if (!push->is_parca)
        add_id(body);
    tm_text_add(body, "\"rawProfile\": \"");
    add_base64(body, profile);
    tm_text_add(body, push->is_parca ? "\"}]}], \"normalized\": true}" : "\"}]}]}");
}

// ---------------------------------------------------------------------------------------------------------------

static struct tm_error *send_profile(void *context, const struct tm_fleet_target *target,
                                     const struct tm_text *exported)
{
    const struct push *push = context;
    const struct tm_fleet_values *headers = &push->fleet->headers;
    struct tm_text profile = TM_TEXT_EMPTY, body = TM_TEXT_EMPTY;

    tm_text_bytes(&profile, tm_text_string(exported), exported->length);
    struct tm_error *error = add_time(&profile, target->time);
    if (!error) {
        add_body(push, target, &profile, &body);
        error = tm_text_check(&body);
    }
    if (!error)
        error = tm_post_json(push->url, &body, headers->items, headers->count);
    if (!error && (printf("%s: sent to %s (%zu bytes of pprof)\n", tm_printable(target->text).text,
                          tm_printable(push->url).text, profile.length) < 0 ||
                   fflush(stdout) != 0))
        error = tm_error_create(TM_ERROR_OUTPUT, "cannot write to standard output");
    tm_text_deinit(&profile);
    tm_text_deinit(&body);
    return error;
}

static struct tm_error *set_url(const struct tm_fleet *fleet, struct push *push)
{
    static const char pyroscope[] = "/push.v1.PusherService/Push", parca[] = "/api/profiles/writeraw";

    if (!fleet->url)
        return tm_error_create(TM_ERROR_USAGE, "push: missing URL, such as http://localhost:4040\n"
                                               "Type \"tracemortem push --help\" for its options and examples.");
    if (fleet->to && strcmp(fleet->to, "pyroscope") != 0 && strcmp(fleet->to, "parca") != 0)
        return tm_error_create(TM_ERROR_USAGE, "--to: \"%s\" is neither pyroscope nor parca",
                               tm_printable(fleet->to).text);
    if (strncmp(fleet->url, "http://", 7) != 0 && strncmp(fleet->url, "https://", 8) != 0)
        return tm_error_create(TM_ERROR_USAGE, "push: %s is not an address of http or https",
                               tm_printable(fleet->url).text);
    push->is_parca = fleet->to && strcmp(fleet->to, "parca") == 0;
    const char *path = push->is_parca ? parca : pyroscope;
    size_t length = strlen(fleet->url);
    while (length && fleet->url[length - 1] == '/')
        length--;
    bool is_whole = length >= strlen(path) && strncmp(fleet->url + length - strlen(path), path, strlen(path)) == 0;
    if (asprintf(&push->url, "%.*s%s", (int)length, fleet->url, is_whole ? "" : path) < 0) {
        push->url = NULL;
        return tm_error_no_memory();
    }
    return NULL;
}

int tm_cli_push(int count, char **words)
{
    struct tm_fleet fleet;
    struct push push = {.fleet = &fleet};

    struct tm_error *error = tm_fleet_parse(true, count, words, &fleet);
    bool help = !error && fleet.line.own.help;
    if (help && (fputs(tm_push_help, stdout) == EOF || fflush(stdout) != 0))
        error = tm_error_create(TM_ERROR_OUTPUT, "cannot write to standard output");
    if (!error && !help)
        error = set_url(&fleet, &push);
    if (!error && !help)
        error = tm_post_require();
    if (!error && !help)
        error = tm_fleet_each(&fleet, "pprof", send_profile, &push);
    free(push.url);
    tm_fleet_deinit(&fleet);
    return tm_cli_fail(error);
}
