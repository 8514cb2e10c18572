/**
 * Words of a command line, split as a POSIX shell does without expansions: blanks separate, '…' keeps all, "…" all
 * but a backslash before one of " \ $ ` and a newline, and outside of quotes a backslash keeps the next character.
 * Knows no option and no command.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_WORDS_H
#define TRACEMORTEM_ENGINE_COMMANDS_WORDS_H

#include "engine/base/text.h"

enum tm_word_end {
    TM_WORD_NONE = 0, // there is no word any more
    TM_WORD_WHOLE,
    TM_WORD_OPEN, // the line ended inside quotes or after a backslash
};

/** Where the next word starts. */
const char *tm_word_skip_blanks(const char *line);
/** Reads the word which starts at *line, after any blanks, into `word` (cleared first) and moves *line behind it. */
enum tm_word_end tm_word_next(const char **line, struct tm_text *word);

/** All that can be a decimal number or one with 0x in front, and nothing else. False: no number, or too large. */
bool tm_word_number(const char *word, uint64_t *result);

#endif
