// Completion of the last word of a command line, from the parser's own tables, and from the target's domains.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/words.h"
#include "engine/open.h"

// The words of a line up to the cursor: the operands before the last word, and what was typed of the last word.
struct cursor {
    struct tm_words operands;       // before the last word
    struct tm_text last;            // without its quotes
    const struct tm_option *option; // whose value is the last word, or NULL
    bool options_ended;
};

static void cursor_deinit(struct cursor *cursor)
{
    tm_words_deinit(&cursor->operands);
    tm_text_deinit(&cursor->last);
}

// Notes what a word before the last means for the words after it.
static struct tm_error *pass_word(struct cursor *cursor, const struct tm_command *command, const char *word)
{
    if (cursor->option) {
        cursor->option = NULL;
        return NULL;
    }
    if (!cursor->options_ended && strcmp(word, "--") == 0) {
        cursor->options_ended = true;
        return NULL;
    }
    if (!cursor->options_ended && tm_option_is(word)) {
        cursor->option = tm_option_wanting_word(&command->options, word);
        return NULL;
    }
    return tm_words_add(&cursor->operands, word);
}

enum tm_word_kind tm_command_word(const char *name, const char *const *words, size_t index)
{
    const struct tm_command *command = tm_command_find(name);
    enum tm_word_kind kind = TM_WORD_OPERAND;
    bool options_ended = false;

    for (size_t i = 0; command && i <= index; i++) {
        bool is_value = i > 0 && kind == TM_WORD_OPTION && tm_option_is(words[i - 1]) &&
                        strcmp(words[i - 1], "--") != 0 && tm_option_wanting_word(&command->options, words[i - 1]);
        if (is_value)
            kind = TM_WORD_VALUE;
        else if (!options_ended && tm_option_is(words[i]))
            kind = TM_WORD_OPTION;
        else
            kind = TM_WORD_OPERAND;
        options_ended |= kind == TM_WORD_OPTION && strcmp(words[i], "--") == 0;
    }
    return kind;
}

static struct tm_error *read_line(struct cursor *cursor, const struct tm_command *command, const char *line)
{
    for (;;) {
        struct tm_error *error = NULL;
        enum tm_word_end end = tm_word_next(&line, &cursor->last);
        // The last word ends at the end of the line. If the line ends in blanks, the last word is empty.
        if (end != TM_WORD_WHOLE || *line == '\0')
            return tm_text_check(&cursor->last);
        error = tm_text_check(&cursor->last);
        if (!error)
            error = pass_word(cursor, command, tm_text_string(&cursor->last));
        if (error)
            return error;
    }
}

void tm_complete_keys(struct tm_text *candidates)
{
    for (unsigned i = 0; i < TM_KEYS; i++)
        tm_text_printf(candidates, "%s\n", tm_key_name((enum tm_key)i));
}

void tm_complete_key_first(const struct tm_session *session, const struct tm_words *before, struct tm_text *candidates)
{
    (void)session;
    if (before->count == 0)
        tm_complete_keys(candidates);
}

// ---------------------------------------------------------------------------------------------------------------
// The target's domains

enum { MOST_DOMAINS = 64 };

// Adds a domain to a list in ascending order, in which each is once. Beyond the room the greatest are left out.
static void add_domain(uint32_t *domains, size_t *count, uint32_t domain)
{
    size_t at = *count;
    while (at > 0 && domains[at - 1] > domain)
        at--;
    if ((at > 0 && domains[at - 1] == domain) || at == MOST_DOMAINS)
        return;
    *count += *count < MOST_DOMAINS;
    memmove(domains + at + 1, domains + at, (*count - 1 - at) * sizeof(*domains));
    domains[at] = domain;
}

static struct tm_error *read_domains(const struct tm_host *host, struct tm_target *target, struct tm_pool *pool,
                                     uint32_t *domains, size_t *count)
{
    struct tm_source *source;
    struct tm_snapshot snapshot = {0};
    struct tm_error *error = tm_source_open(target, host, &source);
    if (!error)
        error = tm_source_require_tracing(source);
    if (!error)
        error = tm_source_snapshot(source, host, pool, &snapshot);
    if (error)
        return error;
    for (size_t i = 0; i < snapshot.count; i++)
        add_domain(domains, count, snapshot.groups[i].domain);
    tm_snapshot_deinit(&snapshot);
    return NULL;
}

// False: they are not known. The user sees nothing of the reading.
static bool list_domains(const struct tm_session *session, struct tm_target *target, const char *before,
                         struct tm_text *candidates)
{
    const struct tm_host quiet = {.callbacks = {.should_stop = session->host.callbacks.should_stop},
                                  .context = session->host.context};
    uint32_t domains[MOST_DOMAINS];
    size_t count = 0;
    struct tm_pool *pool;
    if (!target)
        return false;
    struct tm_error *error = tm_pool_create(&pool);
    if (!error) {
        error = read_domains(&quiet, target, pool, domains, &count);
        tm_pool_destroy(pool);
    }
    for (size_t i = 0; i < count && !error; i++)
        tm_text_printf(candidates, "%s%" PRIu32 "\n", before, domains[i]);
    bool known = !error && count > 0;
    tm_error_destroy(error);
    return known;
}

// ---------------------------------------------------------------------------------------------------------------
// Candidates

static void list_values(const struct tm_session *session, struct tm_target *target, const struct tm_option *option,
                        const char *before, struct tm_text *candidates)
{
    if (!tm_option_is_domain(option) || !list_domains(session, target, before, candidates))
        tm_option_list_values(option, before, candidates);
}

static void list_options(const struct tm_option_table *table, struct tm_text *candidates)
{
    for (size_t i = 0; i < table->count; i++)
        tm_text_printf(candidates, "%s\n", table->items[i].name);
    for (size_t i = 0; i < table->count; i++)
        if (table->items[i].letter)
            tm_text_printf(candidates, "-%c\n", table->items[i].letter);
}

// For "--name=VALUE".
static void list_values_in_word(const struct tm_session *session, struct tm_target *target,
                                const struct tm_command *command, const char *word, struct tm_text *candidates)
{
    char before[64];
    const struct tm_option *option = tm_option_with_value(&command->options, word);
    if (!option)
        return;
    snprintf(before, sizeof(before), "%s=", option->name);
    list_values(session, target, option, before, candidates);
}

static void list_candidates(const struct tm_session *session, struct tm_target *target,
                            const struct tm_command *command, const struct cursor *cursor, struct tm_text *candidates)
{
    const char *last = tm_text_string(&cursor->last);
    if (cursor->option) {
        list_values(session, target, cursor->option, "", candidates);
        return;
    }
    if (command->takes_expression && cursor->operands.count > 0)
        return;
    if (!cursor->options_ended && strchr(last, '='))
        list_values_in_word(session, target, command, last, candidates);
    else if (!cursor->options_ended && last[0] == '-')
        list_options(&command->options, candidates);
    else if (command->complete)
        command->complete(session, &cursor->operands, candidates);
}

// Copies the lines that begin with the prefix.
static void keep_matching(const struct tm_text *candidates, const struct tm_text *prefix, struct tm_text *result)
{
    const char *line = tm_text_string(candidates);
    while (*line) {
        size_t length = (size_t)(strchr(line, '\n') + 1 - line);
        if (prefix->length < length && memcmp(line, tm_text_string(prefix), prefix->length) == 0)
            tm_text_bytes(result, line, length);
        line += length;
    }
}

const char *tm_complete(struct tm_session *session, const char *name, const char *line, struct tm_target *current)
{
    const struct tm_command *command = tm_command_find(name);
    struct cursor cursor = {0};
    struct tm_text candidates = TM_TEXT_EMPTY;

    tm_text_clear(&session->completion);
    if (!command || !line)
        return "";
    struct tm_error *error = read_line(&cursor, command, line);
    if (!error) {
        list_candidates(session, current, command, &cursor, &candidates);
        if (!candidates.failed)
            keep_matching(&candidates, &cursor.last, &session->completion);
    }
    tm_error_destroy(error);
    cursor_deinit(&cursor);
    tm_text_deinit(&candidates);
    return session->completion.failed ? "" : tm_text_string(&session->completion);
}
