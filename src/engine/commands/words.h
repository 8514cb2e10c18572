/**
 * The words of a command line, split as a POSIX shell splits them, without expansions. Blanks separate words. '…' keeps
 * everything. "…" keeps everything but a backslash before " \ $ ` or a newline. Outside quotes a backslash keeps the
 * next character. Knows no option and no command.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_WORDS_H
#define TRACEMORTEM_ENGINE_COMMANDS_WORDS_H

#include "engine/base/text.h"

enum tm_word_end {
    TM_WORD_NONE = 0, // there are no more words
    TM_WORD_WHOLE,
    TM_WORD_OPEN, // the line ended inside quotes or after a backslash
};

/** The start of the next word. */
const char *tm_word_skip_blanks(const char *line);
/** Skips blanks, reads the next word into `word`, which is cleared first, and moves *line past the word. */
enum tm_word_end tm_word_next(const char **line, struct tm_text *word);

/** Parses a word that is a decimal number, or hexadecimal after 0x. False: not a number, or too large. */
bool tm_word_number(const char *word, uint64_t *result);

#endif
