// Opens targets.

#include "cli/targets.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/host.h"

// Every pickle from protocol 2 on begins with the opcode PROTO, and no ELF file does.
#define PROTO 0x80

bool tm_is_pid(const char *text, pid_t *pid)
{
    if (!text[0] || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    unsigned long number = strtoul(text, NULL, 10);
    *pid = errno == 0 && number <= INT_MAX ? (pid_t)number : INT_MAX;
    return true;
}

bool tm_is_snapshot(const char *path)
{
    struct stat status;
    unsigned char first = 0;

    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) // opening a pipe would wait
        return false;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is_there = file >= 0 && pread(file, &first, 1, 0) == 1;
    if (file >= 0)
        close(file);
    return is_there && first == PROTO;
}

enum tm_target_kind tm_target_kind(const char *text)
{
    pid_t pid;
    if (tm_is_pid(text, &pid))
        return TM_TARGET_PROCESS;
    return tm_is_snapshot(text) ? TM_TARGET_SNAPSHOT : TM_TARGET_CORE;
}

// ---------------------------------------------------------------------------------------------------------------
// Snapshots

static int read_file(void *context, uint64_t offset, void *buffer, uint64_t length)
{
    const struct tm_cli_target *target = context;
    for (uint64_t done = 0; done < length;) {
        ssize_t count = pread(target->file, (char *)buffer + done, length - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return -1;
        done += (uint64_t)count;
    }
    return 0;
}

static struct tm_error *open_snapshot(struct tm_cli_target *target)
{
    static const struct tm_target_callbacks callbacks = {.read = read_file};
    struct stat status;

    target->file = open(target->text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (target->file < 0 || fstat(target->file, &status) != 0)
        return tm_error_create(TM_ERROR_NO_TARGET, "cannot open the snapshot %s: %s", tm_printable(target->text).text,
                               strerror(errno));
    target->files.latest = (uint64_t)status.st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)status.st_mtim.tv_nsec;
    return tm_target_create_file(&callbacks, target, (uint64_t)status.st_size, &target->target);
}

// ---------------------------------------------------------------------------------------------------------------
// Cores and processes

static void warn_if_cut(const struct tm_core *core)
{
    struct tm_text text = TM_TEXT_EMPTY;
    if (!core->missing)
        return;
    struct tm_recorder_note note;
    tm_text_printf(&text, "the %s %s is truncated: %" PRIu64 " bytes of memory are missing from its end",
                   tm_core_is_recorder(core, &note) ? "recorder's file" : "core file", tm_printable(core->path).text,
                   core->missing);
    tm_cli_warn(tm_text_string(&text));
    tm_text_deinit(&text);
}

static struct tm_error *open_core(struct tm_cli_target *target)
{
    struct stat status;
    if (stat(target->text, &status) != 0)
        return tm_error_create(TM_ERROR_NO_TARGET,
                               "cannot open %s: %s\nGive a process id, a core, or a snapshot file of tm-save or of "
                               "tracemalloc",
                               tm_printable(target->text).text, strerror(errno));
    struct tm_error *error = tm_process_open_core(target->text, &target->process);
    if (!error)
        warn_if_cut(target->process->core);
    return error;
}

struct tm_error *tm_cli_target_open(const char *text, struct tm_cli_target *result)
{
    struct tm_error *error = NULL;

    *result = (struct tm_cli_target){.kind = tm_target_kind(text), .text = text, .file = -1};
    switch (result->kind) {
    case TM_TARGET_PROCESS:
        tm_is_pid(text, &result->pid);
        error = tm_process_open_live(result->pid, &result->process);
        break;
    case TM_TARGET_CORE:
        error = open_core(result);
        break;
    case TM_TARGET_SNAPSHOT:
        error = open_snapshot(result);
        break;
    }
    if (!error && result->process)
        error = tm_target_create(&tm_process_callbacks, result->process, &result->target);
    if (error)
        tm_cli_target_close(result);
    return error;
}

void tm_cli_target_close(struct tm_cli_target *target)
{
    if (target->target)
        tm_target_destroy(target->target);
    tm_process_close(target->process);
    if (target->kind == TM_TARGET_SNAPSHOT && target->file >= 0)
        close(target->file);
    *target = (struct tm_cli_target){.file = -1};
}

const struct tm_files *tm_cli_target_files(const struct tm_cli_target *target)
{
    return target->process ? &target->process->files : &target->files;
}
