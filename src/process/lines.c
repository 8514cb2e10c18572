// Reads and keeps source files. Their names come from the target, so only regular files of sensible size are read.

#define _GNU_SOURCE

#include "process/lines.h"

#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/grow.h"
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "engine/base/utf8.h"
#include "process/encoding.h"

#define LARGEST_SOURCE ((off_t)64 << 20) // bytes; a larger file is not Python source
#define MOST_REASONS 8

static const char changed[] = "it changed after tracing began or the core was made; lines of it may differ from those "
                              "that ran";

struct source {
    char *name;
    struct tm_found found;
    struct tm_text text;
    size_t *starts; // of each line in the text
    size_t count, capacity;
    bool noted;
};

// A reason, the first name to which it applies, and how many there are.
struct reason {
    const char *why;
    const char *name;
    size_t count;
};

struct tm_lines {
    const struct tm_files *files;
    void *sources; // by name, for tsearch()
    struct reason reasons[MOST_REASONS];
    size_t reason_count;
    struct tm_text line; // the last answer
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct source *)a)->name, ((const struct source *)b)->name);
}

struct tm_lines *tm_lines_create(const struct tm_files *files)
{
    struct tm_lines *lines = calloc(1, sizeof(*lines));
    if (lines)
        lines->files = files;
    return lines;
}

static void destroy_source(void *node)
{
    struct source *source = node;
    free(source->name);
    free(source->found.path);
    free(source->starts);
    tm_text_deinit(&source->text);
    free(source);
}

void tm_lines_destroy(struct tm_lines *lines)
{
    if (!lines)
        return;
    tdestroy(lines->sources, destroy_source);
    tm_text_deinit(&lines->line);
    free(lines);
}

static void note(struct tm_lines *lines, const char *why, const char *name)
{
    for (size_t i = 0; i < lines->reason_count; i++) {
        if (lines->reasons[i].why == why) {
            lines->reasons[i].count++;
            return;
        }
    }
    if (lines->reason_count < MOST_REASONS)
        lines->reasons[lines->reason_count++] = (struct reason){why, name, 1};
}

void tm_lines_notes(const struct tm_lines *lines, void (*say)(const char *note))
{
    for (size_t i = 0; i < lines->reason_count; i++) {
        const struct reason *reason = &lines->reasons[i];
        struct tm_text text = TM_TEXT_EMPTY;
        struct tm_json json = {&text, false};
        tm_text_add(&text, reason->why == changed ? "source file " : "no source lines of ");
        tm_json_word(&json, NULL, reason->name);
        if (reason->count > 1)
            tm_text_printf(&text, " and %zu more", reason->count - 1);
        tm_text_printf(&text, ": %s", reason->why);
        if (!text.failed)
            say(tm_text_string(&text));
        tm_text_deinit(&text);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Reading a file

// NULL: it is not there, or no source.
static unsigned char *read_file(const char *path, size_t *length)
{
    struct stat status;
    unsigned char *bytes = NULL;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return NULL;
    *length = 0;
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 && status.st_size <= LARGEST_SOURCE)
        bytes = malloc((size_t)status.st_size);
    for (ssize_t count = 1; bytes && count > 0 && *length < (size_t)status.st_size;) {
        count = read(file, bytes + *length, (size_t)status.st_size - *length);
        *length += count > 0 ? (size_t)count : 0;
    }
    close(file);
    return bytes;
}

static bool split_lines(struct source *source)
{
    struct tm_text *text = &source->text;
    if (text->length && text->bytes[text->length - 1] != '\n')
        tm_text_add(text, "\n");
    if (text->failed)
        return false;
    for (size_t at = 0; at < text->length;) {
        if (!TM_GROW(&source->starts, source->count + 1, &source->capacity))
            return false;
        source->starts[source->count++] = at;
        at += (size_t)((const char *)memchr(text->bytes + at, '\n', text->length - at) - (text->bytes + at)) + 1;
    }
    return true;
}

static void load(struct tm_lines *lines, struct source *source)
{
    size_t length;
    source->found = tm_files_find(lines->files, source->name);
    if (source->found.why)
        note(lines, source->found.why, source->name);
    unsigned char *bytes = source->found.path ? read_file(source->found.path, &length) : NULL;
    if (!bytes)
        return;
    const char *problem = tm_source_decode(bytes, length, &source->text);
    free(bytes);
    if (problem)
        note(lines, problem, source->name);
    if (problem || !split_lines(source))
        source->count = 0;
}

static struct source *source_of(struct tm_lines *lines, const char *name)
{
    const struct source wanted = {.name = (char *)name};
    struct source **known = tfind(&wanted, &lines->sources, by_name);
    if (known)
        return *known;
    struct source *source = calloc(1, sizeof(*source));
    if (source)
        source->name = strdup(name);
    if (!source || !source->name || !tsearch(source, &lines->sources, by_name)) {
        if (source)
            destroy_source(source);
        return NULL;
    }
    load(lines, source);
    return source;
}

// ---------------------------------------------------------------------------------------------------------------
// A line

// Whether the file is not surely the one that ran.
static bool is_changed(const struct tm_lines *lines, const struct source *source, uint64_t started)
{
    uint64_t latest = lines->files->latest;
    if (latest && (!started || latest < started))
        started = latest;
    return started && source->found.changed > started;
}

const char *tm_lines_get(struct tm_lines *lines, const char *file_name, uint32_t number, uint64_t started,
                         bool *may_differ)
{
    size_t length = strlen(file_name);
    *may_differ = false;
    if (length == 0 || (file_name[0] == '<' && file_name[length - 1] == '>'))
        return NULL;
    struct source *source = source_of(lines, file_name);
    if (!source || number == 0 || number > source->count)
        return NULL;

    const char *bytes = source->text.bytes + source->starts[number - 1], *stripped = bytes;
    size_t end = number < source->count ? source->starts[number] : source->text.length;
    size_t stripped_length = length = end - source->starts[number - 1];
    tm_utf8_strip(&stripped, &stripped_length);
    *may_differ = stripped_length && is_changed(lines, source, started);
    if (*may_differ && !source->noted)
        note(lines, changed, source->name);
    source->noted |= *may_differ;
    tm_text_clear(&lines->line);
    tm_text_bytes(&lines->line, bytes, length);
    return lines->line.failed ? NULL : tm_text_string(&lines->line);
}
