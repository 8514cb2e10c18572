/**
 * JSON, written value by value: each is appended to a text, on one line, with the commas it needs. All of it is
 * ASCII, so that no terminal, locale or pager changes it. Knows nothing of what the values mean.
 *
 *     tm_json_begin_object(&json, NULL);
 *     tm_json_string(&json, "filename", bytes, length);
 *     tm_json_begin_array(&json, "traceback"); … tm_json_end_array(&json);
 *     tm_json_end_object(&json);
 *
 * `key` names a member of an object and is NULL for the elements of an array. Keys are the engine's own words.
 */
#ifndef TRACEMORTEM_ENGINE_BASE_JSON_H
#define TRACEMORTEM_ENGINE_BASE_JSON_H

#include "engine/base/text.h"

struct tm_json {
    struct tm_text *text; // borrowed
    bool comma;           // the next value needs a comma before it
};

void tm_json_begin_object(struct tm_json *json, const char *key);
void tm_json_end_object(struct tm_json *json);
void tm_json_begin_array(struct tm_json *json, const char *key);
void tm_json_end_array(struct tm_json *json);

/**
 * UTF-8 with lone surrogates as three bytes: Python's json.loads() gives the same str back. (Two surrogates in a row
 * which form a pair become one character there: JSON cannot express the difference.)
 */
void tm_json_string(struct tm_json *json, const char *key, const char *bytes, size_t length);
void tm_json_word(struct tm_json *json, const char *key, const char *word);
void tm_json_number(struct tm_json *json, const char *key, uint64_t value);
void tm_json_signed(struct tm_json *json, const char *key, bool negative, uint64_t magnitude);
void tm_json_bool(struct tm_json *json, const char *key, bool value);
void tm_json_null(struct tm_json *json, const char *key);

#endif
