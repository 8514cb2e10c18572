// Splits a command line into words, and parses numbers.

#include "engine/commands/words.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

const char *tm_word_skip_blanks(const char *line)
{
    while (is_blank(*line))
        line++;
    return line;
}

// Takes the text up to the closing double quote. Returns whether there is one.
static bool take_double_quoted(const char **line, struct tm_text *word)
{
    while (**line && **line != '"') {
        if (**line == '\\' && (*line)[1] && strchr("\"\\$`\n", (*line)[1]))
            (*line)++;
        tm_text_bytes(word, (*line)++, 1);
    }
    if (!**line)
        return false;
    (*line)++;
    return true;
}

static bool take_single_quoted(const char **line, struct tm_text *word)
{
    const char *end = strchr(*line, '\'');
    size_t length = end ? (size_t)(end - *line) : strlen(*line);

    tm_text_bytes(word, *line, length);
    *line += length + (end ? 1 : 0);
    return end;
}

enum tm_word_end tm_word_next(const char **line, struct tm_text *word)
{
    bool closed = true;

    tm_text_clear(word);
    *line = tm_word_skip_blanks(*line);
    if (!**line)
        return TM_WORD_NONE;
    while (closed && **line && !is_blank(**line)) {
        char c = *(*line)++;
        if (c == '"') {
            closed = take_double_quoted(line, word);
        } else if (c == '\'') {
            closed = take_single_quoted(line, word);
        } else if (c != '\\') {
            tm_text_bytes(word, &c, 1);
        } else if (**line) {
            tm_text_bytes(word, (*line)++, 1);
        } else {
            closed = false;
        }
    }
    return closed ? TM_WORD_WHOLE : TM_WORD_OPEN;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

bool tm_word_number(const char *word, uint64_t *result)
{
    unsigned base = 10;
    uint64_t value = 0;

    if (word[0] == '0' && (word[1] == 'x' || word[1] == 'X')) {
        base = 16;
        word += 2;
    }
    if (!*word)
        return false;
    for (; *word; word++) {
        unsigned digit = (unsigned)digit_value(*word);
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *result = value;
    return true;
}
