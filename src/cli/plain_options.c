// Parses options one by one. Knows no command.

#include "cli/plain_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FRAMES = 65535 };

const char *tm_option_value(const char *letter, const char *name, int count, char **words, int *index)
{
    const char *word = words[*index], *after = NULL;
    size_t length = strlen(name);

    if (strcmp(word, name) == 0 || (letter && strcmp(word, letter) == 0))
        after = *index + 1 < count ? words[++*index] : "";
    else if (strncmp(word, name, length) == 0 && word[length] == '=')
        after = word + length + 1;
    else if (letter && strncmp(word, letter, 2) == 0)
        after = word + 2;
    return after;
}

bool tm_is_frames(const char *text)
{
    size_t length = strlen(text);
    return length && length < 10 && strspn(text, "0123456789") == length && atoi(text) >= 1 &&
           atoi(text) <= MOST_FRAMES;
}

bool tm_is_detail(const char *text)
{
    return strcmp(text, "lean") == 0 || strcmp(text, "full") == 0 || strcmp(text, TM_SAMPLED) == 0;
}

const char *tm_frames_for(const char *detail)
{
    if (!detail || !*detail)
        detail = getenv("TRACEMORTEM_DETAIL");
    return detail && strcmp(detail, TM_SAMPLED) == 0 ? "25" : "1";
}

int tm_wrong_word(const char *command, const char *word, const char *what)
{
    struct tm_text text = TM_TEXT_EMPTY;
    tm_text_printf(&text, "%s: ", command);
    tm_text_escape(&text, word, strlen(word));
    tm_text_printf(&text, "%s\nType \"tracemortem %s --help\" for its options and examples.", what, command);
    fprintf(stderr, "tracemortem %s\n", tm_text_string(&text));
    tm_text_deinit(&text);
    return TM_STATUS_USAGE;
}

int tm_print_help(const char *help)
{
    return fputs(help, stdout) == EOF || fflush(stdout) != 0 ? TM_STATUS_BAD_NEWS : TM_STATUS_DONE;
}
