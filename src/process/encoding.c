// Finds out a source file's encoding as PEP 263 has it, and decodes the five encodings that such files have.

#include "process/encoding.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/utf8.h"

enum encoding {
    ENCODING_UTF_8,
    ENCODING_ASCII,
    ENCODING_LATIN_1,
    ENCODING_LATIN_9,
    ENCODING_WINDOWS,
    ENCODING_UNKNOWN,
};

static const char not_valid[] = "it is not valid in its encoding";
static const char not_known[] = "its encoding is not one that is known here";

// ---------------------------------------------------------------------------------------------------------------
// Names

// Python's own names of each encoding, as encodings.normalize_encoding() and lower() make them.
static const struct {
    const char *name;
    enum encoding encoding;
} names[] = {
    {"utf_8", ENCODING_UTF_8},
    {"utf8", ENCODING_UTF_8},
    {"u8", ENCODING_UTF_8},
    {"utf", ENCODING_UTF_8},
    {"cp65001", ENCODING_UTF_8},
    {"utf8_ucs2", ENCODING_UTF_8},
    {"utf8_ucs4", ENCODING_UTF_8},
    {"ascii", ENCODING_ASCII},
    {"us_ascii", ENCODING_ASCII},
    {"646", ENCODING_ASCII},
    {"us", ENCODING_ASCII},
    {"ansi_x3.4_1968", ENCODING_ASCII},
    {"latin_1", ENCODING_LATIN_1},
    {"latin1", ENCODING_LATIN_1},
    {"latin", ENCODING_LATIN_1},
    {"l1", ENCODING_LATIN_1},
    {"8859", ENCODING_LATIN_1},
    {"cp819", ENCODING_LATIN_1},
    {"iso8859", ENCODING_LATIN_1},
    {"iso8859_1", ENCODING_LATIN_1},
    {"iso_8859_1", ENCODING_LATIN_1},
    {"iso8859_15", ENCODING_LATIN_9},
    {"iso_8859_15", ENCODING_LATIN_9},
    {"latin9", ENCODING_LATIN_9},
    {"l9", ENCODING_LATIN_9},
    {"cp1252", ENCODING_WINDOWS},
    {"1252", ENCODING_WINDOWS},
    {"windows_1252", ENCODING_WINDOWS},
};

// "ISO-8859.1" -> "iso_8859.1": runs of what is no letter, digit or dot become one "_".
static void normalize(const char *name, size_t length, char *result, size_t capacity)
{
    size_t used = 0;
    bool gap = false;
    for (size_t i = 0; i < length && used + 2 < capacity; i++) {
        unsigned char byte = (unsigned char)name[i];
        if (!isalnum(byte) && byte != '.') {
            gap = used > 0;
            continue;
        }
        if (gap)
            result[used++] = '_';
        gap = false;
        result[used++] = (char)tolower(byte);
    }
    result[used] = '\0';
}

static bool begins(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

// tokenize's short cuts for the two usual encodings; `*is_utf_8` says whether it would call it "utf-8".
static enum encoding encoding_named(const char *name, size_t length, bool *is_utf_8)
{
    char begin[13], normal[64];
    size_t i;
    for (i = 0; i < length && i + 1 < sizeof(begin); i++)
        begin[i] = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
    begin[i] = '\0';

    *is_utf_8 = strcmp(begin, "utf-8") == 0 || begins(begin, "utf-8-");
    if (*is_utf_8)
        return ENCODING_UTF_8;
    static const char *const latin[] = {"latin-1", "iso-8859-1", "iso-latin-1"};
    for (i = 0; i < sizeof(latin) / sizeof(latin[0]); i++) {
        size_t all = strlen(latin[i]);
        if (begins(begin, latin[i]) && (begin[all] == '\0' || begin[all] == '-'))
            return ENCODING_LATIN_1;
    }
    normalize(name, length, normal, sizeof(normal));
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(normal, names[i].name) == 0)
            return names[i].encoding;
    return ENCODING_UNKNOWN;
}

// ---------------------------------------------------------------------------------------------------------------
// The coding line

static bool is_valid_utf_8(const unsigned char *bytes, size_t length)
{
    while (length) {
        uint32_t code_point;
        size_t step = tm_utf8_decode((const char *)bytes, length, &code_point);
        if (code_point >= 0xd800 && code_point < 0xe000)
            return false; // a lone surrogate, or a byte that is part of nothing
        bytes += step;
        length -= step;
    }
    return true;
}

static size_t line_length(const unsigned char *bytes, size_t length)
{
    const unsigned char *end = memchr(bytes, '\n', length);
    return end ? (size_t)(end - bytes) + 1 : length;
}

static size_t skip_blanks(const unsigned char *line, size_t length)
{
    size_t at = 0;
    while (at < length && (line[at] == ' ' || line[at] == '\t' || line[at] == '\f'))
        at++;
    return at;
}

// As the expression  ^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)  finds it: the name in the line, or NULL.
static const char *find_cookie(const unsigned char *line, size_t length, size_t *name_length)
{
    static const char word[] = "coding";
    size_t at = skip_blanks(line, length);
    if (at == length || line[at] != '#')
        return NULL;
    for (at++; at + sizeof(word) - 1 < length && line[at] != '\n'; at++) {
        if (memcmp(line + at, word, sizeof(word) - 1) != 0)
            continue;
        size_t name = at + sizeof(word) - 1;
        if (line[name] != ':' && line[name] != '=')
            continue;
        for (name++; name < length && (line[name] == ' ' || line[name] == '\t');)
            name++;
        size_t end = name;
        while (end < length && (isalnum(line[end]) || line[end] == '_' || line[end] == '-' || line[end] == '.'))
            end++;
        if (end > name) {
            *name_length = end - name;
            return (const char *)line + name;
        }
    }
    return NULL;
}

// Whether a coding line may still follow this line: it is blank or a comment.
static bool is_blank(const unsigned char *line, size_t length)
{
    size_t at = skip_blanks(line, length);
    return at == length || line[at] == '#' || line[at] == '\r' || line[at] == '\n';
}

// NULL: *encoding is set.
static const char *detect(const unsigned char *bytes, size_t length, bool marked, enum encoding *encoding)
{
    *encoding = ENCODING_UTF_8;
    for (unsigned line = 0; line < 2 && length; line++) {
        size_t size = line_length(bytes, length), name_length = 0;
        bool is_utf_8;
        if (!is_valid_utf_8(bytes, size))
            return not_valid;
        const char *name = find_cookie(bytes, size, &name_length);
        if (name) {
            *encoding = encoding_named(name, name_length, &is_utf_8);
            if (marked && !is_utf_8)
                return not_valid;
            return *encoding == ENCODING_UNKNOWN ? not_known : NULL;
        }
        if (!is_blank(bytes, size))
            return NULL;
        bytes += size;
        length -= size;
    }
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Decoding

// Of Windows-1252 from 0x80 on; 0: no character.
static const uint16_t windows[32] = {0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                     0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017d, 0,
                                     0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                     0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

static uint32_t latin_9(unsigned char byte)
{
    switch (byte) {
    case 0xa4:
        return 0x20ac;
    case 0xa6:
        return 0x160;
    case 0xa8:
        return 0x161;
    case 0xb4:
        return 0x17d;
    case 0xb8:
        return 0x17e;
    case 0xbc:
        return 0x152;
    case 0xbd:
        return 0x153;
    case 0xbe:
        return 0x178;
    default:
        return byte;
    }
}

// The character of a byte from 0x80 on; 0: none.
static uint32_t character(enum encoding encoding, unsigned char byte)
{
    switch (encoding) {
    case ENCODING_LATIN_1:
        return byte;
    case ENCODING_LATIN_9:
        return latin_9(byte);
    case ENCODING_WINDOWS:
        return byte < 0xa0 ? windows[byte - 0x80] : byte;
    default:
        return 0;
    }
}

static void add_character(struct tm_text *text, uint32_t code_point)
{
    char bytes[3] = {(char)(0xe0 | code_point >> 12), (char)(0x80 | (code_point >> 6 & 0x3f)),
                     (char)(0x80 | (code_point & 0x3f))};
    if (code_point >= 0x800) {
        tm_text_bytes(text, bytes, 3);
    } else {
        bytes[1] = (char)(0xc0 | code_point >> 6);
        tm_text_bytes(text, bytes + 1, 2);
    }
}

// Copies the bytes up to the next one that needs a look; returns how many there were.
static size_t copy_plain(const unsigned char *bytes, size_t length, bool wide_is_plain, struct tm_text *text)
{
    size_t count = 0;
    while (count < length && bytes[count] != '\r' && (wide_is_plain || bytes[count] < 0x80))
        count++;
    tm_text_bytes(text, (const char *)bytes, count);
    return count;
}

const char *tm_source_decode(const unsigned char *bytes, size_t length, struct tm_text *text)
{
    bool marked = length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0;
    enum encoding encoding;

    if (marked) {
        bytes += 3;
        length -= 3;
    }
    const char *problem = detect(bytes, length, marked, &encoding);
    if (problem)
        return problem;
    if (encoding == ENCODING_UTF_8 && !is_valid_utf_8(bytes, length))
        return not_valid;
    while (length) {
        size_t step = copy_plain(bytes, length, encoding == ENCODING_UTF_8, text);
        bytes += step;
        length -= step;
        if (!length)
            break;
        if (*bytes == '\r') {
            tm_text_bytes(text, "\n", 1);
            step = length > 1 && bytes[1] == '\n' ? 2 : 1;
        } else {
            uint32_t code_point = character(encoding, *bytes);
            if (!code_point)
                return not_valid;
            add_character(text, code_point);
            step = 1;
        }
        bytes += step;
        length -= step;
    }
    return NULL;
}
