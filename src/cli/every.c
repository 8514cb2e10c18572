// Takes snapshots in turn. Each is a file of its own with a file of facts beside it; the oldest are removed.

#define _GNU_SOURCE

#include "cli/every.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/host.h"
#include "cli/select.h"
#include "cli/targets.h"
#include "engine/base/json.h"
#include "process/proc.h"

#define SNAPSHOT ".snapshot"
#define FACTS ".json"
#define CGROUPS "/sys/fs/cgroup"

struct saver {
    const struct tm_command_line *line;
    const char *folder;
    uint64_t saved;
};

static struct tm_error *cannot_use(const char *folder, int number)
{
    return tm_error_create(TM_ERROR_OUTPUT, "cannot write to the folder %s: %s", tm_printable(folder).text,
                           strerror(number));
}

// ---------------------------------------------------------------------------------------------------------------
// What is known of a process beside its traces

static void add_size(struct tm_json *json, const char *key, int folder, const char *file, const char *name)
{
    size_t length;
    char *text = tm_proc_read(folder, file, &length);
    const char *names[] = {name, NULL};
    uint64_t size = 0;
    if (text && name ? tm_proc_sum_sizes(text, names, &size) : text && isdigit((unsigned char)text[0]))
        tm_json_number(json, key, name ? size : strtoull(text, NULL, 10));
    free(text);
}

static void add_cgroup(struct tm_json *json, int process)
{
    char path[PATH_MAX];
    size_t length;
    char *text = tm_proc_read(process, "cgroup", &length);
    const char *own = text ? strstr(text, "0::") : NULL;
    if (own) {
        int size = (int)strcspn(own + 3, "\n");
        snprintf(path, sizeof(path), "%.*s", size, own + 3);
        tm_json_word(json, "cgroup", path);
        snprintf(path, sizeof(path), CGROUPS "%.*s/memory.current", size, own + 3);
        add_size(json, "cgroup_memory", AT_FDCWD, path, NULL);
    }
    free(text);
}

static void add_facts(const struct saver *saver, pid_t pid, const char *when, struct tm_text *out)
{
    struct tm_json json = {out, false};
    struct tm_text title = TM_TEXT_EMPTY, info = TM_TEXT_EMPTY;
    static const char *const as_json[] = {"--json"};
    const struct tm_command_line ask = {
        .command = "tm-info", .own = saver->line->own, .words = (const char **)as_json, .count = 1};
    char path[32], target[16];

    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    snprintf(target, sizeof(target), "%d", (int)pid);
    int process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tm_process_title(pid, &title);
    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "time", when);
    tm_json_number(&json, "pid", (uint64_t)pid);
    tm_json_word(&json, "title", tm_text_string(&title));
    if (process >= 0) {
        add_size(&json, "resident", process, "status", "VmRSS");
        add_cgroup(&json, process);
        close(process);
    }
    tm_json_begin_object(&json, "notes");
    for (size_t i = 0; i < saver->line->own.note_count; i++) {
        const char *note = saver->line->own.notes[i], *equals = strchr(note, '=');
        tm_json_string(&json, NULL, note, (size_t)(equals - note));
        tm_text_add(out, ": ");
        json.comma = false;
        tm_json_word(&json, NULL, equals + 1);
    }
    tm_json_end_object(&json);
    tm_error_destroy(tm_ask_target(&ask, target, &info));
    if (info.length > 1)
        tm_text_printf(out, ", \"info\": %.*s", (int)(info.length - 1), info.bytes);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
    tm_text_deinit(&title);
    tm_text_deinit(&info);
}

// ---------------------------------------------------------------------------------------------------------------
// Files

// "20261130T170059.123Z"
static void tell_time(char *buffer, size_t capacity)
{
    struct timespec now;
    struct tm parts;
    char seconds[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(seconds, sizeof(seconds), "%Y%m%dT%H%M%S", &parts);
    snprintf(buffer, capacity, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
}

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), end_length = strlen(end);
    return length > end_length && strcmp(name + length - end_length, end) == 0;
}

static struct tm_error *write_facts(const struct saver *saver, const char *name, const struct tm_text *facts)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s" FACTS, saver->folder, name);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool is_written = file >= 0 && write(file, facts->bytes, facts->length) == (ssize_t)facts->length;
    int number = errno;
    if (file >= 0)
        close(file);
    return is_written ? NULL : cannot_use(saver->folder, number);
}

static int is_ours(const struct dirent *entry)
{
    return strncmp(entry->d_name, "tm-", 3) == 0 && ends_with(entry->d_name, SNAPSHOT);
}

// The names begin with the time: the first are the oldest.
static void remove_oldest(const struct saver *saver)
{
    struct dirent **names;
    int count = scandir(saver->folder, &names, is_ours, alphasort);
    for (int i = 0; i < count; i++) {
        if ((uint64_t)(count - i) > saver->line->own.keep) {
            char path[PATH_MAX];
            int length = (int)(strlen(names[i]->d_name) - strlen(SNAPSHOT));
            snprintf(path, sizeof(path), "%s/%s", saver->folder, names[i]->d_name);
            unlink(path);
            snprintf(path, sizeof(path), "%s/%.*s" FACTS, saver->folder, length, names[i]->d_name);
            unlink(path);
        }
        free(names[i]);
    }
    if (count >= 0)
        free(names);
}

// ---------------------------------------------------------------------------------------------------------------
// Saving

// The words for the engine, with the file's name in the place of the folder's.
static struct tm_error *save_as(const struct saver *saver, const char *target, const char *path, struct tm_text *answer)
{
    struct tm_command_line line = *saver->line;
    line.words = calloc(line.count + 1, sizeof(line.words[0]));
    if (!line.words)
        return tm_error_no_memory();
    memcpy(line.words, saver->line->words, line.count * sizeof(line.words[0]));
    for (size_t i = 0; i < line.count; i++)
        if (line.words[i] == saver->folder)
            line.words[i] = path;
    struct tm_error *error = tm_ask_target(&line, target, answer);
    free(line.words);
    return error;
}

static struct tm_error *save_one(struct saver *saver, pid_t pid)
{
    char when[48], name[96], path[PATH_MAX], target[16];
    struct tm_text answer = TM_TEXT_EMPTY, facts = TM_TEXT_EMPTY;

    tell_time(when, sizeof(when));
    snprintf(name, sizeof(name), "tm-%s-%d", when, (int)pid);
    snprintf(path, sizeof(path), "%s/%s" SNAPSHOT, saver->folder, name);
    snprintf(target, sizeof(target), "%d", (int)pid);
    struct tm_error *error = save_as(saver, target, path, &answer);
    if (!error) {
        add_facts(saver, pid, when, &facts);
        error = tm_text_check(&facts);
    }
    if (!error)
        error = write_facts(saver, name, &facts);
    if (!error) {
        saver->saved++;
        printf("%s\n", path);
        fflush(stdout);
        remove_oldest(saver);
    }
    tm_text_deinit(&answer);
    tm_text_deinit(&facts);
    return error;
}

// The processes of this round.
static struct tm_error *select_now(const struct saver *saver, struct tm_processes *processes, pid_t *one)
{
    if (tm_selects(&saver->line->own))
        return tm_select(&saver->line->own, processes);
    if (!saver->line->target || !tm_is_pid(saver->line->target, one))
        return tm_error_create(TM_ERROR_USAGE,
                               "%s: --every is for processes: give a process id, --children, --name or "
                               "--cgroup",
                               saver->line->command);
    return NULL;
}

// Whether the others go on if a process cannot be saved. False: the disk is the reason, or Ctrl-C, or a thread that can
// be let go only by ending this process.
static bool goes_on(struct tm_error *error)
{
    enum tm_error_code code = tm_error_code(error);
    return code != TM_ERROR_OUTPUT && code != TM_ERROR_USAGE && code != TM_ERROR_INTERRUPTED;
}

static struct tm_error *save_round(struct saver *saver, size_t *saved)
{
    struct tm_processes processes = {0};
    pid_t one = 0;
    struct tm_error *error = select_now(saver, &processes, &one);
    size_t count = processes.count ? processes.count : 1;

    *saved = 0;
    for (size_t i = 0; !error && i < count; i++) {
        error = save_one(saver, processes.count ? processes.ids[i] : one);
        *saved += !error;
        if (error && i + 1 < count && goes_on(error)) {
            tm_error_destroy(error);
            error = NULL;
        }
    }
    tm_processes_deinit(&processes);
    if (error && *saved && goes_on(error)) {
        tm_error_destroy(error);
        error = NULL;
    }
    return error;
}

// Sleeps until the next round. False: Ctrl-C.
static bool wait_until(uint64_t moment)
{
    while (!tm_cli_interrupted() && tm_cli_now() < moment) {
        uint64_t left = moment - tm_cli_now();
        const struct timespec pause = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
        nanosleep(&pause, NULL);
    }
    return !tm_cli_interrupted();
}

static const char *folder_of(const struct tm_command_line *line)
{
    const char *folder = NULL;
    for (size_t i = 0; i < line->count; i++)
        if (tm_command_word(line->command, line->words, i) == TM_WORD_OPERAND)
            folder = folder ? "" : line->words[i];
    return folder && folder[0] ? folder : NULL;
}

static struct tm_error *check(const struct saver *saver)
{
    struct stat status;
    if (strcmp(saver->line->command, "tm-save") != 0)
        return tm_error_create(TM_ERROR_USAGE, "%s: --every is for save", saver->line->command);
    if (!saver->folder)
        return tm_error_create(TM_ERROR_USAGE, "%s: --every needs one folder, in which to save", saver->line->command);
    if (stat(saver->folder, &status) != 0)
        return cannot_use(saver->folder, errno);
    return S_ISDIR(status.st_mode) ? NULL : cannot_use(saver->folder, ENOTDIR);
}

struct tm_error *tm_every_save(const struct tm_command_line *line)
{
    struct saver saver = {.line = line, .folder = folder_of(line)};
    struct tm_error *error = check(&saver);
    uint64_t next = tm_cli_now();
    size_t saved;

    while (!error) {
        error = save_round(&saver, &saved);
        next += line->own.every;
        if (!error && !wait_until(next))
            error = tm_error_create(TM_ERROR_INTERRUPTED, "interrupted");
    }
    // That the process ends is the usual end.
    if (saver.saved && tm_error_code(error) == TM_ERROR_NO_TARGET) {
        fprintf(stderr, "tracemortem: %s\n", tm_error_message(error));
        tm_error_destroy(error);
        error = NULL;
    }
    return error;
}
