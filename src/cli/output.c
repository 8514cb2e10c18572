// Writes beside a file that exists, and renames at the end.

#define _GNU_SOURCE

#include "cli/output.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/targets.h"
#include "process/core.h"

static struct tm_error *cannot_write(const char *path, int number)
{
    return tm_error_create(TM_ERROR_OUTPUT, "cannot write %s: %s", tm_printable(path).text, strerror(number));
}

static bool is_elf(const char *path)
{
    char begin[SELFMAG];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool elf = file >= 0 && pread(file, begin, SELFMAG, 0) == SELFMAG && memcmp(begin, ELFMAG, SELFMAG) == 0;
    if (file >= 0)
        close(file);
    return elf;
}

// What must not be replaced.
static struct tm_error *check_existing(const char *path, enum tm_operand kind, const struct stat *status)
{
    const char *what = NULL;
    if (!S_ISREG(status->st_mode))
        what = "not a regular file";
    else if (is_elf(path))
        what = "a core or a program";
    else if (kind == TM_OPERAND_ANSWER && tm_is_snapshot(path))
        what = "a snapshot";
    if (!what)
        return NULL;
    return tm_error_create(TM_ERROR_OUTPUT, "%s is %s, so it is not replaced\nGive another name",
                           tm_printable(path).text, what);
}

static struct tm_error *open_beside(struct tm_output *output, const struct stat *status)
{
    if (asprintf(&output->writing, "%s.XXXXXX.part", output->path) < 0) {
        output->writing = NULL;
        return tm_error_no_memory();
    }
    output->file = mkostemps(output->writing, (int)strlen(".part"), O_CLOEXEC);
    if (output->file < 0) {
        int number = errno;
        free(output->writing);
        output->writing = NULL;
        return cannot_write(output->path, number);
    }
    return fchmod(output->file, status->st_mode & 07777) == 0 ? NULL : cannot_write(output->path, errno);
}

static struct tm_error *open_new(struct tm_output *output)
{
    output->file = open(output->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (output->file >= 0)
        return NULL;
    if (errno == EEXIST)
        return tm_error_create(TM_ERROR_OUTPUT, "%s exists already\nGive another name, or --force to replace it",
                               tm_printable(output->path).text);
    return cannot_write(output->path, errno);
}

struct tm_error *tm_output_open(const char *path, enum tm_operand kind, struct tm_output *result)
{
    struct stat status;
    char *real = realpath(path, NULL); // where a link leads; NULL: it does not exist

    *result = (struct tm_output){.path = real ? real : strdup(path), .file = -1};
    if (!result->path)
        return tm_error_no_memory();
    struct tm_error *error = NULL;
    if (kind == TM_OPERAND_OUTPUT || stat(result->path, &status) != 0) {
        error = open_new(result);
    } else {
        error = check_existing(result->path, kind, &status);
        if (!error)
            error = open_beside(result, &status);
    }
    if (error)
        tm_output_close(result);
    return error;
}

struct tm_error *tm_output_open_beside(const char *path, struct tm_output *result)
{
    struct stat status;
    char *real = realpath(path, NULL);
    mode_t mask = umask(0);

    umask(mask);
    *result = (struct tm_output){.path = real ? real : strdup(path), .file = -1};
    if (!result->path)
        return tm_error_no_memory();
    struct tm_error *error = NULL;
    if (real && stat(real, &status) == 0)
        error = check_existing(real, TM_OPERAND_ANSWER, &status);
    else
        status.st_mode = 0666 & ~mask;
    if (!error)
        error = open_beside(result, &status);
    if (error)
        tm_output_close(result);
    return error;
}

int tm_output_write(void *context, const void *bytes, size_t length)
{
    struct tm_output *output = context;
    const char *from = bytes;
    while (length) {
        ssize_t count = write(output->file, from, length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            output->error = errno;
            return -1;
        }
        output->written += (uint64_t)count;
        from += count;
        length -= (size_t)count;
    }
    return 0;
}

void tm_output_restart(struct tm_output *output)
{
    if (output->written && (ftruncate(output->file, 0) != 0 || lseek(output->file, 0, SEEK_SET) != 0))
        output->error = errno;
    output->written = 0;
}

struct tm_error *tm_output_check(const struct tm_output *output)
{
    return output->error ? cannot_write(output->path, output->error) : NULL;
}

struct tm_error *tm_output_commit(struct tm_output *output)
{
    int file = output->file;
    output->file = -1;
    if (close(file) != 0 || (output->writing && rename(output->writing, output->path) != 0))
        return cannot_write(output->path, errno);
    output->is_committed = true;
    return NULL;
}

void tm_output_close(struct tm_output *output)
{
    bool there = output->file >= 0;
    if (there)
        close(output->file);
    if (!output->is_committed && (there || output->writing))
        unlink(output->writing ? output->writing : output->path);
    free(output->path);
    free(output->writing);
    *output = (struct tm_output){.file = -1};
}
