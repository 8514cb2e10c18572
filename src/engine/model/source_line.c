// Source lines, and whether they are those that ran.

#include "engine/model/source_line.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/utf8.h"

// ---------------------------------------------------------------------------------------------------------------
// Where a function begins

static bool is_word_byte(unsigned char byte)
{
    return byte == '_' || byte >= 0x80 || (byte >= '0' && byte <= '9') ||
           ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

static size_t skip_spaces(const char *line, size_t length, size_t at)
{
    while (at < length && (line[at] == ' ' || line[at] == '\t' || line[at] == '\f'))
        at++;
    return at;
}

// The first whole word `word` in the line from `at` on: where it ends, or 0.
static size_t find_word(const char *line, size_t length, size_t at, const char *word, size_t word_length)
{
    for (; word_length <= length && at <= length - word_length; at++) {
        size_t end = at + word_length;
        if (memcmp(line + at, word, word_length) == 0 && (at == 0 || !is_word_byte((unsigned char)line[at - 1])) &&
            (end == length || !is_word_byte((unsigned char)line[end])))
            return end;
    }
    return 0;
}

// "def NAME", "class NAME" or "type NAME". A name of other letters than ASCII's can be written in several ways.
static bool has_definition(const char *line, size_t length, const char *name, size_t name_length)
{
    static const char *const keywords[] = {"def", "class", "type"};
    bool is_ascii = true;
    for (size_t i = 0; i < name_length; i++)
        is_ascii = is_ascii && (unsigned char)name[i] < 0x80;

    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        size_t end = find_word(line, length, 0, keywords[i], strlen(keywords[i]));
        size_t start = end ? skip_spaces(line, length, end) : 0;
        if (end && (!is_ascii || find_word(line, length, start, name, name_length) == start + name_length))
            return true;
    }
    return false;
}

// "NAME: bound" or "NAME = default": from 3.12 on the code of a type parameter has the parameter's name.
static bool has_parameter(const char *line, size_t length, const char *name, size_t name_length)
{
    for (size_t end = 0; (end = find_word(line, length, end, name, name_length));) {
        size_t next = skip_spaces(line, length, end);
        if (next < length && (line[next] == ':' || line[next] == '='))
            return true;
    }
    return false;
}

bool tm_source_line_may_begin(const char *line, size_t length, const struct tm_name *function)
{
    static const char lambda[] = "<lambda>", annotations[] = "__annotate__";
    const char *name = function->bytes + function->length; // the part after the last dot
    while (name > function->bytes && name[-1] != '.')
        name--;
    size_t name_length = (size_t)(function->bytes + function->length - name);

    tm_utf8_strip(&line, &length);
    if (length && line[length - 1] == '\\') // the line goes on below
        return true;
    if (name_length == strlen(lambda) && memcmp(name, lambda, name_length) == 0)
        return find_word(line, length, 0, "lambda", strlen("lambda")) != 0;
    // Modules, comprehensions and what the compiler makes by itself begin anywhere.
    if (name_length == 0 || memchr(name, '<', name_length) || memchr(name, '>', name_length) ||
        (name_length == strlen(annotations) && memcmp(name, annotations, name_length) == 0))
        return true;
    // A decorator is where a decorated function begins.
    return (length && line[0] == '@') || has_definition(line, length, name, name_length) ||
           has_parameter(line, length, name, name_length);
}

// ---------------------------------------------------------------------------------------------------------------
// Lines

// The line of the file that the frame names, or NULL.
static const char *find_line(const struct tm_host *host, const struct tm_frame *frame, uint32_t line, bool *may_differ)
{
    const struct tm_name *name = frame->file_name;
    struct tm_text path = TM_TEXT_EMPTY;

    if (host && host->source_folder && name->length && name->bytes[0] != '/' && name->bytes[0] != '<')
        tm_text_printf(&path, "%s/", host->source_folder);
    tm_text_bytes(&path, name->bytes, name->length);
    *may_differ = false;
    const char *found = path.failed ? NULL : tm_host_source_line(host, tm_text_string(&path), line, may_differ);
    tm_text_deinit(&path);
    return found;
}

// Whether the function of the frame may begin where the table says, as far as that can be known.
static bool function_fits(const struct tm_host *host, const struct tm_frame *frame)
{
    bool may_differ;
    if (!frame->function || frame->first_line == 0)
        return true;
    const char *line = find_line(host, frame, frame->first_line, &may_differ);
    return line && tm_source_line_may_begin(line, strlen(line), frame->function);
}

static void add_mark(struct tm_text *mark, const struct tm_frame *frame, bool fits)
{
    tm_text_add(mark, "[may differ from the one that ran");
    if (!fits) {
        tm_text_printf(mark, ": line %" PRIu32 " is not the beginning of ", (uint32_t)frame->first_line);
        tm_text_escape(mark, frame->function->bytes, frame->function->length);
    }
    tm_text_add(mark, "]");
}

void tm_source_line_get(const struct tm_host *host, const struct tm_frame *frame, struct tm_text *result,
                        struct tm_text *mark)
{
    const struct tm_name *name = frame->file_name;
    bool may_differ;
    // Line 0 has no source. A name with a NUL inside would be read as the name of another file.
    if (frame->line == 0 || memchr(name->bytes, '\0', name->length))
        return;

    bool fits = function_fits(host, frame);
    const char *line = find_line(host, frame, frame->line, &may_differ);
    size_t length = line ? strlen(line) : 0;
    if (line)
        tm_utf8_strip(&line, &length);
    tm_text_escape_line(result, line, length);
    if (length && (may_differ || !fits))
        add_mark(mark, frame, fits);
}

void tm_source_line_add(struct tm_text *text, const struct tm_host *host, const struct tm_frame *frame, bool plain,
                        const char *indent)
{
    struct tm_text line = TM_TEXT_EMPTY, mark = TM_TEXT_EMPTY;

    tm_source_line_get(host, frame, &line, &mark);
    if (line.length && !(plain && mark.length))
        tm_text_printf(text, "%s%s%s%s\n", indent, tm_text_string(&line), mark.length ? "  " : "",
                       tm_text_string(&mark));
    text->failed = text->failed || line.failed || mark.failed;
    tm_text_deinit(&line);
    tm_text_deinit(&mark);
}
