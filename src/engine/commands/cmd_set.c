// tm-set: defaults of options, for the whole session.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/report.h"
#include "engine/commands/words.h"

#define SET_OPTIONS(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {SET_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] = TM_HELP("Show or set what commands do if no option says otherwise.", "tm-set [NAME [VALUE]]",
                                   "NAME is one of:\n"
                                   "  limit   how many rows to show: a number (10)\n"
                                   "  frames  how many frames tm-traceback shows: a number, or all (all)\n"
                                   "  plain   on: rows and frames as --plain shows them (off). --no-plain undoes it\n"
                                   "          for one command.\n"
                                   "  source  off: no source lines (on)\n"
                                   "  folder  where relative names of source files begin (a process's own working\n"
                                   "          directory; of a core it is not known)\n"
                                   "\n"
                                   "VALUE may be default: the one in parentheses. Without VALUE the command shows\n"
                                   "the setting, and without NAME all of them. In gdb, \"set tm NAME VALUE\" and\n"
                                   "\"show tm NAME\" do the same. In ~/.gdbinit or ~/.lldbinit, write tm-set below\n"
                                   "the line that loads the commands.\n",
                                   SET_OPTIONS,
                                   "Examples:\n"
                                   "  tm-set limit 25\n"
                                   "  tm-set frames all\n"
                                   "  tm-set source off\n"
                                   "  tm-set folder /srv/app\n"
                                   "\n"
                                   "The JSON object has, after the change:\n"
                                   "  command, limit, frames (null: all), plain, source,\n"
                                   "  folder (null: default)\n");

enum setting {
    SETTING_LIMIT,
    SETTING_FRAMES,
    SETTING_PLAIN,
    SETTING_SOURCE,
    SETTING_FOLDER,
};
enum { SETTINGS = SETTING_FOLDER + 1, LARGEST = 1000000000 };

static const char *const names[SETTINGS] = {"limit", "frames", "plain", "source", "folder"};
static const char *const wanted[SETTINGS] = {
    "\" is not a number of rows up to 1000000000",
    "\" is not a number of frames up to 1000000000, nor all",
    "\" is not on or off",
    "\" is not on or off",
    "\" is not an absolute path, such as /srv/app",
};

// ---------------------------------------------------------------------------------------------------------------
// Parsing

static struct tm_error *parse_name(struct tm_request *request)
{
    const char *word = request->words.items[0];
    char after[112];

    for (unsigned i = 0; i < SETTINGS; i++) {
        if (strcmp(word, names[i]) == 0) {
            request->action = i;
            return NULL;
        }
    }
    const char *nearest = tm_nearest(word, names, SETTINGS);
    snprintf(after, sizeof(after),
             nearest ? "\": the settings are limit, frames, plain, source, folder; did you mean %s?"
                     : "\": the settings are limit, frames, plain, source, folder",
             nearest);
    return tm_usage_error(request->command->name, "unknown setting \"", word, after);
}

// Reads the value into `defaults`, which is not yet the session's. False: it is not a value of this setting.
static bool parse_value(struct tm_defaults *defaults, enum setting setting, const char *word)
{
    uint64_t number = 0;
    bool is_default = strcmp(word, "default") == 0, on = strcmp(word, "on") == 0;
    bool is_switch = is_default || on || strcmp(word, "off") == 0;
    bool is_number = tm_word_number(word, &number) && number <= LARGEST;

    switch (setting) {
    case SETTING_LIMIT:
        defaults->limit = is_default ? TM_DEFAULT_LIMIT : (uint32_t)number;
        return is_default || is_number;
    case SETTING_FRAMES:
        defaults->has_frames = is_number;
        defaults->frames = (uint32_t)number;
        return is_default || is_number || strcmp(word, "all") == 0;
    case SETTING_PLAIN:
        defaults->plain = on;
        return is_switch;
    case SETTING_SOURCE:
        defaults->source = on || is_default;
        return is_switch;
    case SETTING_FOLDER:
        return is_default || word[0] == '/';
    }
    return false;
}

static struct tm_error *prepare(struct tm_request *request)
{
    struct tm_defaults tried = request->session->defaults;

    struct tm_error *error = tm_request_check_words(request, 2);
    if (error || request->words.count == 0)
        return error;
    error = parse_name(request);
    if (error || request->words.count == 1)
        return error;
    const char *value = request->words.items[1];
    if (parse_value(&tried, (enum setting)request->action, value))
        return NULL;
    char before[32];
    snprintf(before, sizeof(before), "%s: \"", names[request->action]);
    return tm_usage_error(request->command->name, before, value, wanted[request->action]);
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

static void write_setting(const struct tm_defaults *defaults, enum setting setting, struct tm_text *out)
{
    switch (setting) {
    case SETTING_LIMIT:
        tm_text_printf(out, "limit:   %" PRIu32 "\n", defaults->limit);
        break;
    case SETTING_FRAMES:
        if (defaults->has_frames)
            tm_text_printf(out, "frames:  %" PRIu32 "\n", defaults->frames);
        else
            tm_text_add(out, "frames:  all\n");
        break;
    case SETTING_PLAIN:
        tm_text_printf(out, "plain:   %s\n", defaults->plain ? "on" : "off");
        break;
    case SETTING_SOURCE:
        tm_text_printf(out, "source:  %s\n", defaults->source ? "on" : "off");
        break;
    case SETTING_FOLDER:
        tm_text_add(out, "folder:  ");
        if (defaults->folder)
            tm_text_escape(out, defaults->folder, strlen(defaults->folder));
        else
            tm_text_add(out, "default");
        tm_text_add(out, "\n");
        break;
    }
}

static void write_json(const struct tm_request *request, const struct tm_defaults *defaults, struct tm_text *out)
{
    struct tm_json json = {out, false};

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_json_number(&json, "limit", defaults->limit);
    if (defaults->has_frames)
        tm_json_number(&json, "frames", defaults->frames);
    else
        tm_json_null(&json, "frames");
    tm_json_bool(&json, "plain", defaults->plain);
    tm_json_bool(&json, "source", defaults->source);
    if (defaults->folder)
        tm_json_string(&json, "folder", defaults->folder, strlen(defaults->folder));
    else
        tm_json_null(&json, "folder");
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

// NULL, or there is no memory.
static struct tm_error *set_folder(struct tm_session *session, const char *word)
{
    char *folder = strcmp(word, "default") == 0 ? NULL : strdup(word);
    if (!folder && word[0] == '/')
        return tm_error_no_memory();
    free(session->defaults.folder);
    session->host.source_folder = session->defaults.folder = folder;
    return NULL;
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct tm_session *session = request->session;
    (void)current;

    if (request->words.count == 2) {
        parse_value(&session->defaults, (enum setting)request->action, request->words.items[1]);
        if (request->action == SETTING_FOLDER) {
            struct tm_error *error = set_folder(session, request->words.items[1]);
            if (error)
                return error;
        }
    }
    session->host.hides_source = !session->defaults.source;
    if (request->settings.json)
        write_json(request, &session->defaults, out);
    for (unsigned i = 0; i < SETTINGS && !request->settings.json; i++)
        if (request->words.count == 0 || i == request->action)
            write_setting(&session->defaults, (enum setting)i, out);
    return NULL;
}

static void complete(const struct tm_session *session, const struct tm_words *before, struct tm_text *candidates)
{
    (void)session;
    if (before->count == 0)
        for (unsigned i = 0; i < SETTINGS; i++)
            tm_text_printf(candidates, "%s\n", names[i]);
    if (before->count != 1)
        return;
    if (strcmp(before->items[0], names[SETTING_FRAMES]) == 0)
        tm_text_add(candidates, "all\n");
    else if (strcmp(before->items[0], names[SETTING_PLAIN]) == 0 ||
             strcmp(before->items[0], names[SETTING_SOURCE]) == 0)
        tm_text_add(candidates, "on\noff\n");
    tm_text_add(candidates, "default\n");
}

const struct tm_command tm_command_set = {
    .name = "tm-set",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .prepare = prepare,
    .run = run,
    .complete = complete,
};
