/**
 * Patterns: any pattern on any name, in bounded time, and the laws that relate patterns. Input: a pattern, a NUL, a name.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/base/match.h"
#include "fuzz.h"

static bool matches(const char *bytes, size_t bytes_length, const char *name, size_t length)
{
    struct tm_pattern *pattern = NULL;
    fuzz_require(tm_pattern_create(bytes, bytes_length, &pattern) == NULL);
    bool result = tm_pattern_matches(pattern, name, length);
    tm_pattern_destroy(pattern);
    return result;
}

// A pattern for exactly this name: each special character is in a set of its own.
static size_t quote(const char *name, size_t length, char *to)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        bool special = strchr("*?[", name[i]) && name[i];
        count += special ? (to[count] = '[', 1) : 0;
        to[count++] = name[i];
        count += special ? (to[count] = ']', 1) : 0;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *pattern = (const char *)data, *end = memchr(pattern, '\0', size);
    size_t pattern_length = end ? (size_t)(end - pattern) : size, used = end ? pattern_length + 1 : size;
    const char *name = pattern + used;
    size_t length = size - used;

    bool result = matches(pattern, pattern_length, name, length);
    char *longer = malloc(3 * length + pattern_length + 2);
    fuzz_require(longer);
    // A star at the end matches anything that follows; it can only make more names match.
    memcpy(longer, pattern, pattern_length);
    longer[pattern_length] = '*';
    bool unfinished_set = memchr(pattern, '[', pattern_length) != NULL;
    fuzz_require(!result || unfinished_set || matches(longer, pattern_length + 1, name, length));
    size_t quoted = quote(name, length, longer);
    fuzz_require(matches(longer, quoted, name, length));
    free(longer);
    return 0;
}
