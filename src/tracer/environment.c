// Reads our variables, and removes those of the launcher `python3 -m tracemortem`. Knows nothing of Python.

#define _GNU_SOURCE
#include "environment.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sample.h"
#include "say.h"
#include "table.h"
#include "tracing.h"

// ---------------------------------------------------------------------------------------------------------------
// Numbers

struct variable {
    const char *name;
    uint64_t least, most, preset;
    const char *meaning, *note;
    bool is_cut; // a greater number is taken as `most`
};

static const struct variable frame_limit = {
    .name = "TRACEMORTEM", .most = FRAME_LIMIT_MAX, .meaning = "a number of frames", .note = " (0: off)"};
static const struct variable reuse = {.name = "TRACEMORTEM_REUSE",
                                      .least = REUSE_FORGET,
                                      .most = REUSE_EXACT_UNCHANGED,
                                      .preset = REUSE_EXACT,
                                      .meaning = "a number",
                                      .note = ""};
static const struct variable records = {.name = "TRACEMORTEM_RECORDS",
                                        .least = RECORDS_LEAST,
                                        .most = RECORDS_MOST,
                                        .preset = RECORDS_DEFAULT,
                                        .meaning = "a number of sites",
                                        .note = "",
                                        .is_cut = true};
static const struct variable sample = {.name = "TRACEMORTEM_SAMPLE",
                                       .least = 1,
                                       .most = SAMPLE_PERIOD_MOST,
                                       .preset = SAMPLE_PERIOD_DEFAULT,
                                       .meaning = "a number of bytes",
                                       .note = ""};
static const struct variable seed = {
    .name = "TRACEMORTEM_SEED", .most = UINT32_MAX, .meaning = "a number", .note = " (0: by chance)"};
// The launcher asks for tracing by a variable of its own. So TRACEMORTEM remains as it was.
static const struct variable launch = {
    .name = "TRACEMORTEM_LAUNCH", .least = 1, .most = FRAME_LIMIT_MAX, .meaning = "a number of frames", .note = ""};

/** Once a process. */
static void say_cut(const struct variable *variable)
{
    static bool said;
    if (!__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
        say("%s: the greatest number is %llu; continuing with that", variable->name,
            (unsigned long long)variable->most);
}

/** False: the variable is nonsense, and `value` its default. */
static bool read_number(const struct variable *variable, uint64_t *value)
{
    const char *text = getenv(variable->name);
    *value = variable->preset;
    if (text == NULL || *text == '\0')
        return true;
    uint64_t number = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return false;
        number = number * 10 + (uint64_t)(*at - '0');
        if (number > variable->most && !variable->is_cut)
            return false;
        if (number > variable->most)
            number = variable->most + 1; // more digits do not make it less
    }
    if (number < variable->least)
        return false;
    *value = number <= variable->most ? number : variable->most;
    if (number > variable->most)
        say_cut(variable);
    return true;
}

/** One line, whatever the value contains. Once a process. `wanted`: what would make sense, after "not". */
static void complain(const char *name, const char *wanted)
{
    static bool said;
    if (__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
        return;
    char shown[48];
    const char *text = getenv(name);
    snprintf(shown, sizeof shown, "%s", text == NULL ? "" : text);
    for (char *at = shown; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == '\x7f')
            *at = '?';
    say("%s=%s: not %s; continuing without tracing", name, shown, wanted);
}

static uint64_t number_of(const struct variable *variable)
{
    uint64_t value;
    read_number(variable, &value);
    return value;
}

static bool is_sound(const struct variable *variable)
{
    uint64_t value;
    char wanted[96];
    if (read_number(variable, &value))
        return true;
    snprintf(wanted, sizeof wanted, "%s from %llu to %llu%s", variable->meaning, (unsigned long long)variable->least,
             (unsigned long long)variable->most, variable->note);
    complain(variable->name, wanted);
    return false;
}

// ---------------------------------------------------------------------------------------------------------------
// The profile

static const char detail[] = "TRACEMORTEM_DETAIL";
static const char launch_detail[] = "TRACEMORTEM_LAUNCH_DETAIL"; // the launcher's own, as with the frame limit

/** The profile that a variable names; NULL: none. */
static profile_t profile_of(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? NULL : profile_called(text);
}

static bool detail_is_sound(void)
{
    const char *text = getenv(detail);
    if (text == NULL || *text == '\0' || profile_called(text) != NULL)
        return true;
    complain(detail, PROFILE_NAMES);
    return false;
}

profile_t environment_profile(profile_t preset)
{
    profile_t profile = profile_of(launch_detail);
    if (profile == NULL)
        profile = profile_of(detail);
    return profile == NULL ? preset : profile;
}

// ---------------------------------------------------------------------------------------------------------------
// The recorder's file

static const char file[] = "TRACEMORTEM_FILE";
static const char file_arguments[] = "TRACEMORTEM_FILE_ARGS";
static const char keep[] = "TRACEMORTEM_KEEP";
static const char launch_file[] = "TRACEMORTEM_LAUNCH_FILE"; // the launcher's own

/** A variable's text; "": it is absent. */
static const char *text_of(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? "" : text;
}

/** The name of the variable that says where the file is wanted. */
static const char *file_variable(void)
{
    return getenv(launch_file) == NULL ? file : launch_file;
}

/** A number, perhaps with one of K, M, G and T behind it, of 1024 each. The rest of the text; NULL: that is not what it begins with. */
static const char *read_size(const char *text, uint64_t *size, bool *has_unit)
{
    static const char units[] = "KMGT";
    const char *at = text;
    for (*size = 0; *at >= '0' && *at <= '9'; at++) {
        if (*size > UINT64_MAX / 10 - 1)
            return NULL;
        *size = *size * 10 + (uint64_t)(*at - '0');
    }
    const char *unit = *at == '\0' ? NULL : strchr(units, *at);
    unsigned shift = unit == NULL ? 0 : 10 * (unsigned)(unit - units + 1);
    *has_unit = unit != NULL;
    if (at == text || *size > UINT64_MAX >> shift)
        return NULL;
    *size <<= shift;
    return unit == NULL ? at : at + 1;
}

static bool next_word(const char **at, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*at, word, length) != 0)
        return false;
    *at += length;
    return true;
}

/** Words between commas: always, a number of files, a number of bytes with its unit. False: it is nonsense. */
static bool read_keep(const char *text, struct recorder_keep *keeping)
{
    enum { FILES = 16 };
    *keeping = (struct recorder_keep){.files = FILES, .bytes = UINT64_C(1) << 30};
    for (const char *at = text; *at != '\0';) {
        uint64_t size;
        bool has_unit;
        if (next_word(&at, "always"))
            keeping->always = true;
        else if ((at = read_size(at, &size, &has_unit)) == NULL)
            return false;
        else if (has_unit)
            keeping->bytes = size;
        else
            keeping->files = size < UINT32_MAX ? (unsigned)size : UINT32_MAX;
        if (*at != '\0' && (*at++ != ',' || *at == '\0'))
            return false;
    }
    return true;
}

static bool file_is_sound(void)
{
    struct recorder_keep keeping;
    const char *arguments = text_of(file_arguments);
    if (!recorder_pattern_is_sound(text_of(file_variable())))
        return complain(file_variable(), "a file's name in which each % is %p, %h, %t, %e or %%"), false;
    if (*arguments != '\0' && strcmp(arguments, "0") != 0 && strcmp(arguments, "1") != 0)
        return complain(file_arguments, "0 or 1"), false;
    if (!read_keep(text_of(keep), &keeping))
        return complain(keep, "always, a number of files, or a size such as 500M"), false;
    return true;
}

void environment_recorder(struct recorder_wish *wish)
{
    *wish = (struct recorder_wish){.arguments = strcmp(text_of(file_arguments), "1") == 0};
    read_keep(text_of(keep), &wish->keep);
    if (file_is_sound())
        strcpy(wish->pattern, text_of(file_variable()));
}

// ---------------------------------------------------------------------------------------------------------------
// The last moments

static const char moment[] = "TRACEMORTEM_AT";

/** A small number in decimal; -1: something else. */
static int small_number(const char *text)
{
    size_t length = strlen(text);
    return length >= 1 && length <= 2 && strspn(text, "0123456789") == length ? atoi(text) : -1;
}

/** A signal by its name, with or without SIG, or by its number. 0: something else. */
static int read_signal(const char *text)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ABRT", SIGABRT}, {"USR1", SIGUSR1},
                   {"USR2", SIGUSR2}, {"TERM", SIGTERM}, {"CONT", SIGCONT}, {"STOP", SIGSTOP}, {"KILL", SIGKILL}};
    next_word(&text, "SIG");
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (strcmp(text, signals[i].name) == 0)
            return signals[i].number;
    int number = small_number(text);
    if (strcmp(text, "RTMIN") == 0)
        number = SIGRTMIN;
    else if (next_word(&text, "RTMIN+") && small_number(text) >= 0)
        number = SIGRTMIN + small_number(text);
    else if (next_word(&text, "RTMAX-") && small_number(text) >= 0)
        number = SIGRTMAX - small_number(text);
    return number >= 1 && number <= SIGRTMAX ? number : 0;
}

static bool read_moment(const char *text, struct moment_wish *wish)
{
    *wish = (struct moment_wish){0};
    bool has_unit;
    uint64_t size;
    if (*text == '\0')
        return true;
    const char *at = read_size(text, &size, &has_unit);
    if (at == NULL || size == 0)
        return false;
    if (*at == '%') {
        if (has_unit || size > 100)
            return false;
        wish->percent = (unsigned)size;
        at++;
    } else {
        wish->bytes = size;
    }
    if (next_word(&at, ",signal="))
        return (wish->signal = read_signal(at)) != 0;
    return *at == '\0';
}

static bool moment_is_sound(void)
{
    struct moment_wish wish;
    if (read_moment(text_of(moment), &wish))
        return true;
    complain(moment, "a share such as 90% or a size such as 512M, perhaps with ,signal=USR1");
    return false;
}

void environment_moment(struct moment_wish *wish)
{
    if (!read_moment(text_of(moment), wish))
        *wish = (struct moment_wish){0};
}

// ---------------------------------------------------------------------------------------------------------------
// The switch

/** What follows the word "dormant" in TRACEMORTEM; NULL: that is not what it says. */
static const char *after_dormant(void)
{
    static const char word[] = "dormant";
    const char *text = getenv(frame_limit.name);
    if (text == NULL || getenv(launch.name) != NULL || strncmp(text, word, strlen(word)) != 0)
        return NULL;
    text += strlen(word);
    return *text == '\0' || *text == ':' ? text : NULL;
}

/** The number in "dormant:N". 0: it is nonsense. */
static unsigned dormant_frames(const char *after)
{
    unsigned number = 0;
    if (*after == '\0')
        return 1;
    for (const char *at = after + 1; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || number > FRAME_LIMIT_MAX)
            return 0;
        number = number * 10 + (unsigned)(*at - '0');
    }
    return number <= FRAME_LIMIT_MAX ? number : 0;
}

unsigned environment_dormant_frames(void)
{
    const char *after = after_dormant();
    unsigned frames = after == NULL ? 1 : dormant_frames(after);
    return frames == 0 ? 1 : frames;
}

static const char signal_variable[] = "TRACEMORTEM_SIGNAL";

int environment_signal(void)
{
    const char *text = getenv(signal_variable);
    if (text == NULL || *text == '\0')
        return 0;
    int number = read_signal(text);
    if (number != SIGUSR1 && number != SIGUSR2 && number < SIGRTMIN)
        number = 0; // it is not for users
    if (number == 0)
        complain(signal_variable, "a signal for users (RTMIN+N, RTMAX-N, USR1, USR2)");
    return number;
}

static bool signal_is_sound(void)
{
    const char *text = getenv(signal_variable);
    return text == NULL || *text == '\0' || environment_signal() != 0;
}

void environment_folder(char *folder, size_t capacity)
{
    snprintf(folder, capacity, "%s", text_of(file_variable()));
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        snprintf(folder, capacity, ".");
    else
        slash[slash == folder] = '\0';
}

// ---------------------------------------------------------------------------------------------------------------
// What is asked

bool environment_is_sound(void)
{
    return is_sound(&reuse) && is_sound(&records) && is_sound(&sample) && is_sound(&seed) && detail_is_sound() &&
           file_is_sound() && moment_is_sound() && signal_is_sound();
}

unsigned environment_frame_limit(void)
{
    const struct variable *asked = getenv(launch.name) == NULL ? &frame_limit : &launch;
    const char *dormant = after_dormant();
    if (dormant != NULL) {
        if (dormant_frames(dormant) == 0)
            complain(frame_limit.name, "dormant:N with a number of frames from 1 to 65535");
        return 0;
    }
    uint64_t limit = number_of(asked);
    if (!is_sound(asked) || limit == 0)
        return 0;
    return environment_is_sound() ? (unsigned)limit : 0;
}

enum environment_reuse environment_reuse(void)
{
    return (enum environment_reuse)number_of(&reuse);
}

uint64_t environment_records(void)
{
    return number_of(&records);
}

uint64_t environment_sample_period(void)
{
    return number_of(&sample);
}

uint64_t environment_seed(void)
{
    return number_of(&seed);
}

// ---------------------------------------------------------------------------------------------------------------
// The launcher's traces

// Where LD_PRELOAD would split the tracer's path, the launcher names it by a link in a folder that begins so.
#define LINK_FOLDER "/tracemortem-"

/** Remove the launcher's link and its folder; nothing if the path is another. */
static void remove_link(char *path)
{
    char target;
    char *name = strrchr(path, '/');
    if (name == NULL || readlink(path, &target, 1) < 0)
        return;
    *name = '\0';
    char *folder = strrchr(path, '/');
    bool ours = folder != NULL && strncmp(folder, LINK_FOLDER, strlen(LINK_FOLDER)) == 0;
    *name = '/';
    if (!ours)
        return;
    unlink(path);
    *name = '\0';
    rmdir(path);
}

static bool launched;

void environment_restore(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    if (getenv(launch.name) == NULL)
        return;
    launched = true;
    unsetenv(launch.name);
    unsetenv(launch_detail);
    unsetenv(launch_file);
    if (preloaded == NULL)
        return;
    // Our path is the first, and a colon divides it from what LD_PRELOAD was before.
    char *first = strdup(preloaded);
    if (first == NULL)
        return;
    char *rest = strchr(first, ':');
    if (rest == NULL) {
        unsetenv("LD_PRELOAD");
    } else {
        *rest = '\0';
        setenv("LD_PRELOAD", rest + 1, 1);
    }
    remove_link(first);
    free(first);
}

// ---------------------------------------------------------------------------------------------------------------
// The stock tracer's variable

#define STOCK "PYTHONTRACEMALLOC"

static char *stock;

void environment_hide_stock(void)
{
    const char *value = getenv(STOCK);
    // Another program may initialize the interpreter again, which then reads the variable again.
    if (value != NULL && launched)
        stock = strdup(value);
    unsetenv(STOCK);
}

void environment_show_stock(void)
{
    if (stock == NULL)
        return;
    setenv(STOCK, stock, 1);
    free(stock);
    stock = NULL;
}
