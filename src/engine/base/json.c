// The JSON writer. It nests nothing itself: the caller closes what it opens.

#include "engine/base/json.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/utf8.h"

static void begin_value(struct tm_json *json, const char *key)
{
    if (json->comma)
        tm_text_add(json->text, ", ");
    if (key)
        tm_text_printf(json->text, "\"%s\": ", key);
    json->comma = true;
}

static void begin_container(struct tm_json *json, const char *key, const char *bracket)
{
    begin_value(json, key);
    tm_text_add(json->text, bracket);
    json->comma = false;
}

static void end_container(struct tm_json *json, const char *bracket)
{
    tm_text_add(json->text, bracket);
    json->comma = true;
}

void tm_json_begin_object(struct tm_json *json, const char *key)
{
    begin_container(json, key, "{");
}

void tm_json_end_object(struct tm_json *json)
{
    end_container(json, "}");
}

void tm_json_begin_array(struct tm_json *json, const char *key)
{
    begin_container(json, key, "[");
}

void tm_json_end_array(struct tm_json *json)
{
    end_container(json, "]");
}

static bool stands_for_itself(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static void append_escape(struct tm_text *text, uint32_t code_point)
{
    if (code_point == '"')
        tm_text_add(text, "\\\"");
    else if (code_point == '\\')
        tm_text_add(text, "\\\\");
    else if (code_point == '\n')
        tm_text_add(text, "\\n");
    else if (code_point == '\t')
        tm_text_add(text, "\\t");
    else if (code_point < 0x10000)
        tm_text_printf(text, "\\u%04" PRIx32, code_point);
    else
        tm_text_printf(text, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + ((code_point - 0x10000) >> 10),
                       0xdc00 + ((code_point - 0x10000) & 0x3ff));
}

void tm_json_string(struct tm_json *json, const char *key, const char *bytes, size_t length)
{
    begin_value(json, key);
    tm_text_add(json->text, "\"");
    while (length > 0) {
        size_t size = 0;
        while (size < length && stands_for_itself((unsigned char)bytes[size]))
            size++;
        if (size > 0) {
            tm_text_bytes(json->text, bytes, size);
        } else {
            uint32_t code_point;
            size = tm_utf8_decode(bytes, length, &code_point);
            append_escape(json->text, code_point);
        }
        bytes += size;
        length -= size;
    }
    tm_text_add(json->text, "\"");
}

void tm_json_word(struct tm_json *json, const char *key, const char *word)
{
    tm_json_string(json, key, word, strlen(word));
}

void tm_json_number(struct tm_json *json, const char *key, uint64_t value)
{
    begin_value(json, key);
    tm_text_number(json->text, value);
}

void tm_json_signed(struct tm_json *json, const char *key, bool negative, uint64_t magnitude)
{
    begin_value(json, key);
    tm_text_add(json->text, negative && magnitude ? "-" : "");
    tm_text_number(json->text, magnitude);
}

void tm_json_bool(struct tm_json *json, const char *key, bool value)
{
    begin_value(json, key);
    tm_text_add(json->text, value ? "true" : "false");
}

void tm_json_null(struct tm_json *json, const char *key)
{
    begin_value(json, key);
    tm_text_add(json->text, "null");
}
