// Reads and parses files of /proc.

#define _GNU_SOURCE

#include "process/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"

// The kernel makes these texts; the longest has a line for each of at most some million mappings.
#define MOST_TEXT (UINT64_C(1) << 30)
#define PIECE 65536u

char *tm_proc_read(int folder, const char *name, size_t *length)
{
    char *text = NULL;
    size_t capacity = 0;
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return NULL;
    *length = 0;
    ssize_t count = 1;
    while (count > 0 && *length < MOST_TEXT) {
        if (!TM_GROW(&text, *length + PIECE + 1, &capacity)) {
            errno = ENOMEM;
            count = -1;
            break;
        }
        count = read(file, text + *length, PIECE);
        if (count > 0)
            *length += (size_t)count;
        else if (count < 0 && errno == EINTR)
            count = 1;
    }
    int number = errno;
    close(file);
    if (count < 0) {
        free(text);
        errno = number;
        return NULL;
    }
    text[*length] = '\0';
    return text;
}

char *tm_proc_link(int folder, const char *name)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(folder, name, target, sizeof(target) - 1);
    if (length < 0)
        return NULL;
    target[length] = '\0';
    return strdup(target);
}

const char *tm_proc_field(const char *text, const char *name)
{
    size_t length = strlen(name);
    while (text) {
        if (strncmp(text, name, length) == 0 && text[length] == ':')
            return text + length + 1 + strspn(text + length + 1, " \t");
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    return NULL;
}

bool tm_proc_sum_sizes(const char *text, const char *const *names, uint64_t *result)
{
    bool found = false;
    *result = 0;
    for (; *names; names++) {
        const char *value = tm_proc_field(text, *names);
        if (value && *value >= '0' && *value <= '9') {
            *result = tm_add_saturating(*result, strtoull(value, NULL, 10) << 10);
            found = true;
        }
    }
    return found;
}

// "start-end rwxp offset device inode    name"
static bool parse_region(const char *line, size_t length, struct tm_region *region)
{
    unsigned long long start, end, inode;
    char begin[256], permissions[5];
    int name = 0;

    // sscanf() looks for the end of its whole string each time.
    snprintf(begin, sizeof(begin), "%.*s", (int)(length < sizeof(begin) ? length : sizeof(begin) - 1), line);
    *region = (struct tm_region){0};
    if (sscanf(begin, "%llx-%llx %4s %*x %*s %llu %n", &start, &end, permissions, &inode, &name) != 4 || name <= 0 ||
        start >= end)
        return false;
    region->start = start;
    region->end = end;
    region->flags = (permissions[0] == 'r' ? TM_REGION_READABLE : 0) |
                    (permissions[1] == 'w' ? TM_REGION_WRITABLE : 0) | (inode ? TM_REGION_FILE : 0);
    size_t name_length = (size_t)name < length ? length - (size_t)name : 0;
    if (name_length >= sizeof(region->name))
        name_length = sizeof(region->name) - 1;
    memcpy(region->name, line + name, name_length);
    return true;
}

bool tm_proc_next_region(const char **line, struct tm_region *region)
{
    while (**line) {
        const char *this = *line;
        size_t length = strcspn(this, "\n");
        *line = this + length + (this[length] == '\n');
        if (parse_region(this, length, region))
            return true;
    }
    return false;
}

static bool parse_module(const char *line, size_t length, struct tm_module *module)
{
    unsigned long long start, end, offset, inode;
    char begin[256];
    int name = 0;

    snprintf(begin, sizeof(begin), "%.*s", (int)(length < sizeof(begin) ? length : sizeof(begin) - 1), line);
    *module = (struct tm_module){0};
    if (sscanf(begin, "%llx-%llx %*s %llx %*s %llu %n", &start, &end, &offset, &inode, &name) != 4 || name <= 0 ||
        start >= end || inode == 0)
        return false;
    module->start = start;
    module->end = end;
    module->offset = offset;
    size_t name_length = (size_t)name < length ? length - (size_t)name : 0, kept = sizeof(module->path) - 1;
    kept = name_length < kept ? name_length : kept;
    memcpy(module->path, line + name + name_length - kept, kept);
    return true;
}

bool tm_proc_next_module(const char **line, struct tm_module *module)
{
    while (**line) {
        const char *this = *line;
        size_t length = strcspn(this, "\n");
        *line = this + length + (this[length] == '\n');
        if (parse_module(this, length, module))
            return true;
    }
    return false;
}
