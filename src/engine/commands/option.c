// Parsing of options, and the errors for wrong words.

#include "engine/commands/option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/commands/words.h"

enum { LONGEST_COMPARED = 32, LARGEST_TABLE = 16 };

void tm_settings_deinit(struct tm_settings *settings)
{
    tm_filter_list_deinit(&settings->filters);
    tm_mine_deinit(&settings->mine);
    free(settings->output);
    free(settings->type);
    free(settings->attribute);
    free(settings->base);
}

// ---------------------------------------------------------------------------------------------------------------
// Errors

struct tm_error *tm_usage_error(const char *command, const char *before, const char *what, const char *after)
{
    struct tm_text text = TM_TEXT_EMPTY;
    tm_text_escape(&text, what, strlen(what));
    struct tm_error *error = tm_text_check(&text);
    if (!error)
        error = tm_error_create(TM_ERROR_USAGE, "%s: %s%s%s\nType \"help %s\" for its options and examples.", command,
                                before, tm_text_string(&text), after, command);
    tm_text_deinit(&text);
    return error;
}

// How many letters to insert, delete or replace to turn one word into the other.
static unsigned edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned row[LONGEST_COMPARED + 1];

    for (size_t j = 0; j <= b_length; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b_length];
}

const char *tm_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    unsigned least = 0;
    size_t length = strlen(word);

    if (length > LONGEST_COMPARED)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t candidate_length = strlen(candidates[i]);
        if (candidate_length > LONGEST_COMPARED)
            continue;
        // A word that was only begun is near, however much of it is missing.
        bool begun = length >= 3 && strncmp(word, candidates[i], length) == 0;
        unsigned distance = begun ? 1 : edit_distance(word, length, candidates[i], candidate_length);
        if (distance <= 1 + candidate_length / 4 && (!nearest || distance < least)) {
            nearest = candidates[i];
            least = distance;
        }
    }
    return nearest;
}

static const struct tm_option *find_letter(const struct tm_option_table *table, char letter)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->items[i].letter && table->items[i].letter == letter)
            return &table->items[i];
    return NULL;
}

static struct tm_error *unknown_option(const char *command, const struct tm_option_table *table, const char *word)
{
    const char *names[LARGEST_TABLE];
    char name[LONGEST_COMPARED + 1];
    char after[LONGEST_COMPARED + 32];
    size_t length = strcspn(word, "=");

    for (size_t i = 0; i < table->count && i < LARGEST_TABLE; i++)
        names[i] = table->items[i].name;
    snprintf(name, sizeof(name), "%.*s", (int)(length < LONGEST_COMPARED ? length : LONGEST_COMPARED), word);
    // As head and tail have it.
    if (find_letter(table, 'n') && word[1] && strspn(word + 1, "0123456789") == strlen(word + 1)) {
        snprintf(after, sizeof(after), "\"; did you mean -n %.20s?", word + 1);
        return tm_usage_error(command, "unknown option \"", word, after);
    }
    const char *nearest = tm_nearest(name, names, table->count < LARGEST_TABLE ? table->count : LARGEST_TABLE);
    snprintf(after, sizeof(after), nearest ? "\"; did you mean %s?" : "\"", nearest);
    return tm_usage_error(command, "unknown option \"", word, after);
}

// ---------------------------------------------------------------------------------------------------------------
// Finding

bool tm_option_is(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

bool tm_option_is_in(const struct tm_option_table *table, enum tm_option_id id)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->items[i].id == id)
            return true;
    return false;
}

bool tm_option_is_domain(const struct tm_option *option)
{
    return option->id == TM_OPTION_DOMAIN || option->id == TM_OPTION_FILTER_DOMAIN;
}

static bool takes_value(const struct tm_option *option)
{
    return option->value_name[0] != '\0';
}

// `value` is set to the text after "=", or NULL.
static const struct tm_option *find_name(const struct tm_option_table *table, const char *word, const char **value)
{
    size_t length = strcspn(word, "=");

    *value = word[length] == '=' ? word + length + 1 : NULL;
    for (size_t i = 0; i < table->count; i++)
        if (strlen(table->items[i].name) == length && strncmp(table->items[i].name, word, length) == 0)
            return &table->items[i];
    return NULL;
}

const struct tm_option *tm_option_wanting_word(const struct tm_option_table *table, const char *word)
{
    const struct tm_option *option;
    const char *value;

    if (word[0] == '-' && word[1] == '-') {
        option = find_name(table, word, &value);
        return option && takes_value(option) && !value ? option : NULL;
    }
    for (const char *letter = word + 1; *letter; letter++) {
        option = find_letter(table, *letter);
        if (!option || takes_value(option))
            return option && letter[1] == '\0' ? option : NULL;
    }
    return NULL;
}

const struct tm_option *tm_option_with_value(const struct tm_option_table *table, const char *word)
{
    const char *value;
    const struct tm_option *option = find_name(table, word, &value);
    return option && takes_value(option) && value ? option : NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Values

static struct tm_error *bad_value(const char *command, const struct tm_option *option, const char *value,
                                  const char *wanted)
{
    char before[64], after[128];

    snprintf(before, sizeof(before), "%s: \"", option->name);
    snprintf(after, sizeof(after), "\" is not %s", wanted);
    return tm_usage_error(command, before, value, after);
}

static struct tm_error *parse_limit(const char *command, const struct tm_option *option, const char *value,
                                    bool may_be_negative, struct tm_settings *settings)
{
    bool negative = may_be_negative && value[0] == '-';
    uint64_t magnitude;

    if (!tm_word_number(value + negative, &magnitude) || magnitude > INT64_MAX)
        return bad_value(command, option, value,
                         may_be_negative ? "a number of frames" : "a number from 0 to 9223372036854775807");
    settings->has_limit = true;
    settings->limit = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return NULL;
}

static struct tm_error *parse_positive(const char *command, const struct tm_option *option, const char *value,
                                       uint32_t *result)
{
    uint64_t number;

    if (!tm_word_number(value, &number) || number == 0 || number > UINT32_MAX)
        return bad_value(command, option, value, "a number from 1 to 4294967295");
    *result = (uint32_t)number;
    return NULL;
}

static struct tm_error *parse_domain(const char *command, const struct tm_option *option, const char *value,
                                     uint32_t *result)
{
    uint64_t number;

    if (!tm_word_number(value, &number) || number > UINT32_MAX)
        return bad_value(command, option, value, "a domain: a number from 0 to 4294967295");
    *result = (uint32_t)number;
    return NULL;
}

static const char *const sort_names[TM_SORTS] = {"size", "address", "site"};

const char *tm_sort_name(enum tm_sort sort)
{
    return sort_names[sort];
}

static struct tm_error *parse_sort(const char *command, const struct tm_option *option, const char *value,
                                   enum tm_sort *result)
{
    for (unsigned i = 0; i < TM_SORTS; i++) {
        if (strcmp(value, sort_names[i]) == 0) {
            *result = (enum tm_sort)i;
            return NULL;
        }
    }
    return bad_value(command, option, value, "a sort order: size, address or site");
}

static struct tm_error *parse_order(const char *command, const struct tm_option *option, const char *value,
                                    enum tm_order *result)
{
    for (unsigned i = 0; i < TM_ORDERS; i++) {
        if (strcmp(value, tm_order_name((enum tm_order)i)) == 0) {
            *result = (enum tm_order)i;
            return NULL;
        }
    }
    return bad_value(command, option, value, "a sort order: size, count, allocated or freed");
}

static const char *const kind_names[TM_WANTED_LEAKS] = {"all", "lost", "raw", "garbage", "extra"};

const char *tm_wanted_name(enum tm_wanted_leaks kind)
{
    return kind_names[kind];
}

static struct tm_error *parse_kind(const char *command, const struct tm_option *option, const char *value,
                                   enum tm_wanted_leaks *result)
{
    for (unsigned i = 0; i < TM_WANTED_LEAKS; i++) {
        if (strcmp(value, kind_names[i]) == 0) {
            *result = (enum tm_wanted_leaks)i;
            return NULL;
        }
    }
    return bad_value(command, option, value, "a kind: lost, raw, garbage, extra or all");
}

static struct tm_error *parse_form(const char *command, const struct tm_option *option, const char *value,
                                   enum tm_form *result)
{
    if (strcmp(value, "3.8") != 0 && strcmp(value, "3.9") != 0)
        return bad_value(command, option, value, "a form of traces: 3.8, or 3.9 for all later versions");
    *result = value[2] == '8' ? TM_FORM_3_8 : TM_FORM_3_9;
    return NULL;
}

// Those of CPython itself and of numpy, the only ones that are the same in every program.
static const char *const known_domains[] = {"0", "389047"};

static void list_value(const char *before, const char *value, struct tm_text *candidates)
{
    tm_text_printf(candidates, "%s%s\n", before, value);
}

void tm_option_list_values(const struct tm_option *option, const char *before, struct tm_text *candidates)
{
    switch (option->id) {
    case TM_OPTION_SORT:
        for (unsigned i = 0; i < TM_SORTS; i++)
            list_value(before, sort_names[i], candidates);
        break;
    case TM_OPTION_ORDER:
        for (unsigned i = 0; i < TM_ORDERS; i++)
            list_value(before, tm_order_name((enum tm_order)i), candidates);
        break;
    case TM_OPTION_KIND:
        for (unsigned i = 0; i < TM_WANTED_LEAKS; i++)
            list_value(before, kind_names[i], candidates);
        break;
    case TM_OPTION_FORM:
        list_value(before, "3.8", candidates);
        list_value(before, "3.9", candidates);
        break;
    case TM_OPTION_DOMAIN:
    case TM_OPTION_FILTER_DOMAIN:
        for (size_t i = 0; i < sizeof(known_domains) / sizeof(known_domains[0]); i++)
            list_value(before, known_domains[i], candidates);
        break;
    default: // a number, a pattern or a file
        break;
    }
}

// The digits of ":LINENO" at the end of a pattern, or NULL.
static const char *find_line(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return NULL;
    return colon + 1;
}

struct tm_error *tm_filter_parse(const char *command, const char *what, const char *text, bool inclusive,
                                 struct tm_filter *result)
{
    const char *line = find_line(text);
    size_t length = line ? (size_t)(line - 1 - text) : strlen(text);
    uint64_t number = 0;
    char before[64];

    snprintf(before, sizeof(before), "%s: \"", what);
    if (length == 0)
        return tm_usage_error(command, before, text, "\" has no file name pattern; \"*\" matches every file");
    if (line && (!tm_word_number(line, &number) || number > UINT32_MAX))
        return tm_usage_error(command, before, text, "\" has a line number above 4294967295");

    struct tm_error *error = tm_filter_init(result, inclusive, text, length);
    if (!error) {
        result->has_line = line;
        result->line = (uint32_t)number;
    }
    return error;
}

static struct tm_error *add_filter(struct tm_settings *settings, struct tm_error *error, struct tm_filter *filter)
{
    if (!error)
        error = tm_filter_list_add(&settings->filters, filter);
    if (error)
        tm_filter_deinit(filter);
    return error;
}

static struct tm_error *add_domain_filter(const char *command, const struct tm_option *option, const char *value,
                                          struct tm_settings *settings)
{
    struct tm_filter filter = {.inclusive = true, .has_domain = true};
    struct tm_error *error = parse_domain(command, option, value, &filter.domain);
    return add_filter(settings, error, &filter);
}

static struct tm_error *add_pattern_filter(const char *command, const struct tm_option *option, const char *value,
                                           struct tm_settings *settings)
{
    struct tm_filter filter = {0};
    struct tm_error *error = tm_filter_parse(command, option->name, value, option->id == TM_OPTION_INCLUDE, &filter);
    return add_filter(settings, error, &filter);
}

static struct tm_error *add_mine(const char *command, const struct tm_option *option, const char *value,
                                 struct tm_settings *settings)
{
    struct tm_filter filter = {0};
    struct tm_error *error = tm_filter_parse(command, option->name, value, true, &filter);
    if (!error)
        error = tm_mine_add(&settings->mine, &filter);
    tm_filter_deinit(&filter);
    return error;
}

// Puts a copy of a value that must not be empty into the place of an earlier one.
static struct tm_error *set_text(const char *command, const struct tm_option *option, const char *value,
                                 const char *wanted, char **result)
{
    if (value[0] == '\0')
        return bad_value(command, option, value, wanted);
    char *copy = strdup(value);
    if (!copy)
        return tm_error_no_memory();
    free(*result);
    *result = copy;
    return NULL;
}

static struct tm_error *set_attribute(const char *command, const struct tm_option *option, const char *value,
                                      struct tm_settings *settings)
{
    if (value[0] == '=')
        return bad_value(command, option, value, "an attribute: NAME, or NAME=VALUE");
    return set_text(command, option, value, "an attribute: NAME, or NAME=VALUE", &settings->attribute);
}

// `value` is NULL for an option without one.
static struct tm_error *apply(const char *command, const struct tm_option *option, const char *value,
                              struct tm_settings *settings)
{
    switch (option->id) {
    case TM_OPTION_LIMIT:
        return parse_limit(command, option, value, false, settings);
    case TM_OPTION_FRAMES:
        return parse_limit(command, option, value, true, settings);
    case TM_OPTION_INCLUDE:
    case TM_OPTION_EXCLUDE:
        return add_pattern_filter(command, option, value, settings);
    case TM_OPTION_DOMAIN:
        return add_domain_filter(command, option, value, settings);
    case TM_OPTION_TYPE:
        return set_text(command, option, value, "a pattern for names of types; \"*\" matches every type",
                        &settings->type);
    case TM_OPTION_ATTRIBUTE:
        return set_attribute(command, option, value, settings);
    case TM_OPTION_MINE:
        return add_mine(command, option, value, settings);
    case TM_OPTION_FILTER_DOMAIN:
        settings->has_domain = true;
        return parse_domain(command, option, value, &settings->domain);
    case TM_OPTION_CUMULATIVE:
        settings->cumulative = true;
        return NULL;
    case TM_OPTION_EXCLUSIVE:
        settings->exclusive = true;
        return NULL;
    case TM_OPTION_ALL_FRAMES:
        settings->all_frames = true;
        return NULL;
    case TM_OPTION_JSON:
        settings->json = true;
        return NULL;
    case TM_OPTION_OUTPUT:
        return set_text(command, option, value, "the name of a file", &settings->output);
    case TM_OPTION_BASE:
        return set_text(command, option, value, "the name of a file", &settings->base);
    case TM_OPTION_PLAIN:
    case TM_OPTION_NO_PLAIN:
        settings->plain = option->id == TM_OPTION_PLAIN;
        return NULL;
    case TM_OPTION_HELP:
        settings->help = true;
        return NULL;
    case TM_OPTION_SORT:
        return parse_sort(command, option, value, &settings->sort);
    case TM_OPTION_ORDER:
        return parse_order(command, option, value, &settings->order);
    case TM_OPTION_FORM:
        return parse_form(command, option, value, &settings->form);
    case TM_OPTION_TRACEBACK:
        settings->traceback = true;
        return NULL;
    case TM_OPTION_SAMPLES:
        settings->samples = true;
        return NULL;
    case TM_OPTION_STRICT:
        settings->strict = true;
        return NULL;
    case TM_OPTION_MEMORY:
        settings->memory = true;
        return NULL;
    case TM_OPTION_DIRECT:
        settings->direct = true;
        return NULL;
    case TM_OPTION_PATHS:
        return parse_positive(command, option, value, &settings->paths);
    case TM_OPTION_DEPTH:
        return parse_positive(command, option, value, &settings->depth);
    case TM_OPTION_RETAINED:
        settings->retained = true;
        return NULL;
    case TM_OPTION_KIND:
        return parse_kind(command, option, value, &settings->kind);
    case TM_OPTION_LOCALS:
        settings->locals = true;
        return NULL;
    case TM_OPTION_FORCE:
        settings->force = true;
        return NULL;
    case TM_OPTION_CORE:
        settings->core = true;
        return NULL;
    }
    return NULL;
}

// An option with a value, which is in the option's own word or is the next word.
static struct tm_error *parse_with_value(const char *command, const struct tm_option *option, const char *value,
                                         const char **line, struct tm_settings *settings)
{
    struct tm_text next = TM_TEXT_EMPTY;
    struct tm_error *error = NULL;

    if (!value) {
        enum tm_word_end end = tm_word_next(line, &next);
        error = tm_text_check(&next);
        if (!error && end == TM_WORD_NONE)
            error = tm_usage_error(command, "", option->name, " needs a value after it");
        else if (!error && end == TM_WORD_OPEN)
            error = tm_usage_error(command, "unclosed quote in: ", tm_text_string(&next), "");
        value = tm_text_string(&next);
    }
    if (!error)
        error = apply(command, option, value, settings);
    tm_text_deinit(&next);
    return error;
}

// Letters in one word, such as -cn5: any number without a value, then at most one with a value.
static struct tm_error *parse_letters(const char *command, const struct tm_option_table *table, const char *word,
                                      const char **line, struct tm_settings *settings)
{
    for (const char *letter = word + 1; *letter; letter++) {
        const struct tm_option *option = find_letter(table, *letter);
        if (!option)
            return unknown_option(command, table, word);
        if (takes_value(option))
            return parse_with_value(command, option, letter[1] ? letter + 1 : NULL, line, settings);
        struct tm_error *error = apply(command, option, NULL, settings);
        if (error)
            return error;
    }
    return NULL;
}

struct tm_error *tm_option_parse(const char *command, const struct tm_option_table *table, const char *word,
                                 const char **line, struct tm_settings *settings)
{
    const char *value;

    if (word[1] != '-')
        return parse_letters(command, table, word, line, settings);
    const struct tm_option *option = find_name(table, word, &value);
    if (!option)
        return unknown_option(command, table, word);
    if (takes_value(option))
        return parse_with_value(command, option, value, line, settings);
    if (value)
        return tm_usage_error(command, "", option->name, " takes no value");
    return apply(command, option, NULL, settings);
}

void tm_settings_finish(struct tm_settings *settings)
{
    for (size_t i = 0; i < settings->filters.count; i++)
        if (settings->filters.items[i].pattern)
            settings->filters.items[i].all_frames = settings->all_frames;
}
