// Looks through /proc. Processes come and go meanwhile: one that is gone is left out.

#define _GNU_SOURCE

#include "cli/select.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/targets.h"
#include "engine/base/grow.h"
#include "process/proc.h"

#define CGROUPS "/sys/fs/cgroup"
enum { MOST_PROCESSES = 65536, MOST_DEPTH = 32, LONGEST_TITLE = 120 };

bool tm_selects(const struct tm_own_options *own)
{
    return own->children || own->name || own->cgroup;
}

void tm_processes_deinit(struct tm_processes *processes)
{
    free(processes->ids);
}

static bool add(struct tm_processes *processes, pid_t id)
{
    if (processes->count >= MOST_PROCESSES || !TM_GROW(&processes->ids, processes->count + 1, &processes->capacity))
        return false;
    processes->ids[processes->count++] = id;
    return true;
}

static bool has(const struct tm_processes *processes, pid_t id)
{
    for (size_t i = 0; i < processes->count; i++)
        if (processes->ids[i] == id)
            return true;
    return false;
}

static char *read_of(pid_t pid, const char *name, size_t *length)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return tm_proc_read(AT_FDCWD, path, length);
}

static int by_id(const void *a, const void *b)
{
    return (*(const pid_t *)a > *(const pid_t *)b) - (*(const pid_t *)a < *(const pid_t *)b);
}

static void list_all(struct tm_processes *every)
{
    DIR *folder = opendir("/proc");
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (isdigit((unsigned char)entry->d_name[0]))
            add(every, (pid_t)strtol(entry->d_name, NULL, 10));
    if (folder)
        closedir(folder);
    if (every->count)
        qsort(every->ids, every->count, sizeof(every->ids[0]), by_id);
}

// ---------------------------------------------------------------------------------------------------------------
// Children

static pid_t parent_of(pid_t pid)
{
    size_t length;
    char *status = read_of(pid, "status", &length);
    const char *parent = status ? tm_proc_field(status, "PPid") : NULL;
    pid_t id = parent ? (pid_t)strtol(parent, NULL, 10) : 0;
    free(status);
    return id;
}

static struct tm_error *select_children(const char *word, const struct tm_processes *every, struct tm_processes *result)
{
    pid_t root;
    if (!tm_is_pid(word, &root))
        return tm_error_create(TM_ERROR_USAGE, "--children: \"%s\" is not a process id", tm_printable(word).text);
    if (!has(every, root))
        return tm_error_create(TM_ERROR_NO_TARGET,
                               "there is no process %d in this pid namespace\nLook for it: pgrep -a "
                               "python",
                               (int)root);
    pid_t *parents = calloc(every->count, sizeof(*parents));
    if (!parents)
        return tm_error_no_memory();
    for (size_t i = 0; i < every->count; i++)
        parents[i] = parent_of(every->ids[i]);
    add(result, root);
    // Each round adds the children of those that were found so far.
    for (size_t before = 0; before < result->count;) {
        size_t from = before;
        before = result->count;
        for (size_t i = 0; i < every->count; i++)
            for (size_t j = from; j < before; j++)
                if (parents[i] == result->ids[j] && !has(result, every->ids[i]))
                    add(result, every->ids[i]);
    }
    free(parents);
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Names

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Whether a process calls itself so: by its name, its program, the script that its interpreter runs, or a title as
// setproctitle makes it ("gunicorn: worker [shop]").
static bool is_called(pid_t pid, const char *name)
{
    size_t length, name_length = strlen(name);
    char *text = read_of(pid, "comm", &length);
    bool found = text && strncmp(text, name, name_length) == 0 && text[name_length] == '\n';
    free(text);
    if (found || !(text = read_of(pid, "cmdline", &length)))
        return found;
    const char *word = text;
    found = strcmp(last_part(word), name) == 0;
    if (strncmp(last_part(word), "python", strlen("python")) == 0) {
        do
            word += strlen(word) + 1;
        while (word < text + length && *word == '-');
        found |= word < text + length && strcmp(last_part(word), name) == 0;
    }
    found |= strncmp(text, name, name_length) == 0 && text[name_length] == ':';
    free(text);
    return found;
}

static struct tm_error *select_name(const char *name, const struct tm_processes *every, struct tm_processes *result)
{
    for (size_t i = 0; i < every->count; i++)
        if (every->ids[i] != getpid() && is_called(every->ids[i], name))
            add(result, every->ids[i]);
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Control groups

static void add_group(int folder, unsigned depth, struct tm_processes *result)
{
    size_t length;
    char *text = tm_proc_read(folder, "cgroup.procs", &length);
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        pid_t id = (pid_t)strtol(line, NULL, 10);
        if (id > 0 && !has(result, id))
            add(result, id);
    }
    free(text);
    int copy = depth < MOST_DEPTH ? openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        int below = entry->d_name[0] == '.' ? -1 : openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (below < 0)
            continue;
        add_group(below, depth + 1, result);
        close(below);
    }
    if (list)
        closedir(list);
}

static struct tm_error *select_cgroup(const char *path, struct tm_processes *result)
{
    char full[PATH_MAX];
    // A name as in /proc/PID/cgroup, or a folder of the control groups, wherever they are mounted.
    snprintf(full, sizeof(full), "%s/cgroup.procs", path);
    snprintf(full, sizeof(full), "%s/%s", access(full, F_OK) == 0 ? "." : CGROUPS, path);
    if (path[0] == '/' && full[0] == '.')
        snprintf(full, sizeof(full), "%s", path);
    int folder = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return tm_error_create(TM_ERROR_NO_TARGET,
                               "cannot open the control group %s: %s\nThose of a process: cat "
                               "/proc/PID/cgroup",
                               tm_printable(full).text, strerror(errno));
    add_group(folder, 0, result);
    close(folder);
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------

struct tm_error *tm_select(const struct tm_own_options *own, struct tm_processes *result)
{
    struct tm_processes every = {0};
    struct tm_error *error = NULL;

    list_all(&every);
    if (own->children)
        error = select_children(own->children, &every, result);
    if (!error && own->name)
        error = select_name(own->name, &every, result);
    if (!error && own->cgroup)
        error = select_cgroup(own->cgroup, result);
    tm_processes_deinit(&every);
    if (!error && result->count == 0)
        error = tm_error_create(TM_ERROR_NO_TARGET, "no process is selected by %s", own->name ? "--name" : "--cgroup");
    if (!error)
        qsort(result->ids, result->count, sizeof(result->ids[0]), by_id);
    return error;
}

void tm_process_title(pid_t pid, struct tm_text *title)
{
    size_t length = 0;
    char *text = read_of(pid, "cmdline", &length);
    while (text && length && text[length - 1] == '\0')
        length--;
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    if (length) {
        tm_text_escape(title, text, length < LONGEST_TITLE ? length : LONGEST_TITLE);
        tm_text_add(title, length > LONGEST_TITLE ? "..." : "");
        free(text);
        return;
    }
    free(text);
    text = read_of(pid, "comm", &length);
    tm_text_add(title, "[");
    if (text && length)
        tm_text_escape(title, text, length - 1);
    tm_text_add(title, "]");
    free(text);
}
