/**
 * Command lines: completed, parsed, and run where no target is needed. Input: lines, each with a first byte that picks
 * the command. They share a session, so that the filters of one line apply to the next.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define LINES 8

static const char *pick_command(uint8_t choice)
{
    size_t count = 0;
    while (tm_command_name(count))
        count++;
    return tm_command_name(choice % count);
}

static void type(struct tm_session *session, const char *line)
{
    const char *command = pick_command((uint8_t)line[0]);
    line += line[0] != '\0';
    const char *candidates = tm_complete(session, command, line, NULL);
    fuzz_require(candidates && strlen(candidates) < 65536);
    fuzz_run(session, command, line, NULL, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tm_session *session = fuzz_session_create();
    char *text = calloc(size + 1, 1);
    fuzz_require(text);
    memcpy(text, data, size);
    char *line = text;
    for (unsigned i = 0; i < LINES && line < text + size; i++) {
        char *end = strchr(line, '\n');
        if (end)
            *end = '\0';
        type(session, line);
        line += strlen(line) + 1;
    }
    free(text);
    tm_session_destroy(session);
    return 0;
}
