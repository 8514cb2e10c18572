/**
 * Options. A command lists its options once, in an X-macro: the parser's table, the list in its help and completion
 * are all made from it. Knows no command.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_OPTION_H
#define TRACEMORTEM_ENGINE_COMMANDS_OPTION_H

#include "engine/model/mine.h"
#include "engine/model/statistics.h"

enum tm_option_id {
    TM_OPTION_LIMIT,
    TM_OPTION_FRAMES,
    TM_OPTION_CUMULATIVE,
    TM_OPTION_INCLUDE,
    TM_OPTION_EXCLUDE,
    TM_OPTION_EXCLUSIVE,
    TM_OPTION_ALL_FRAMES,
    TM_OPTION_DOMAIN,
    TM_OPTION_TYPE,
    TM_OPTION_ATTRIBUTE,
    TM_OPTION_LOCALS,
    TM_OPTION_DIRECT,
    TM_OPTION_PATHS,
    TM_OPTION_DEPTH,
    TM_OPTION_RETAINED,
    TM_OPTION_KIND,
    TM_OPTION_FILTER_DOMAIN,
    TM_OPTION_MINE,
    TM_OPTION_JSON,
    TM_OPTION_OUTPUT,
    TM_OPTION_PLAIN,
    TM_OPTION_NO_PLAIN,
    TM_OPTION_HELP,
    TM_OPTION_SORT,
    TM_OPTION_ORDER,
    TM_OPTION_TRACEBACK,
    TM_OPTION_FORCE,
    TM_OPTION_CORE,
    TM_OPTION_FORM,
    TM_OPTION_STRICT,
    TM_OPTION_BASE,
    TM_OPTION_SAMPLES,
    TM_OPTION_MEMORY,
};

// X(id, letter or 0, "-n, " or blanks for the help, "--name", " VALUE" or "", "what the option does, for the help").

#define TM_OPTIONS_LIMIT(X) \
    X(TM_OPTION_LIMIT, 'n', "-n, ", "--limit", " N", "Show the first N rows (default 10; 0: only the totals).")
#define TM_OPTIONS_FRAMES(X)                          \
    X(TM_OPTION_FRAMES, 'n', "-n, ", "--limit", " N", \
      "Show the N most recent frames, as Traceback.format(limit=N) does.")
#define TM_OPTIONS_CUMULATIVE(X)                                               \
    X(TM_OPTION_CUMULATIVE, 'c', "-c, ", "--cumulative", "",                   \
      "Count a block for each frame of its traceback, not only for the most\n" \
      "        recent one (all keys but traceback).")
#define TM_OPTIONS_FILTERS(X)                                                           \
    X(TM_OPTION_INCLUDE, 0, "    ", "--include", " PATTERN[:LINENO]",                   \
      "Count only blocks allocated in a file that matches PATTERN (*, ?, [seq],\n"      \
      "        [!seq]), at LINENO if given. May be repeated: one match is enough.")     \
    X(TM_OPTION_EXCLUDE, 0, "    ", "--exclude", " PATTERN[:LINENO]",                   \
      "Leave out blocks allocated in a matching file. May be repeated.")                \
    X(TM_OPTION_ALL_FRAMES, 0, "    ", "--all-frames", "",                              \
      "Match --include and --exclude against all frames of a traceback, not\n"          \
      "        only the most recent one.")                                              \
    X(TM_OPTION_DOMAIN, 0, "    ", "--domain", " N",                                    \
      "Count only blocks of this domain (0: CPython's own). This is an\n"               \
      "        inclusive filter, as tracemalloc.DomainFilter: with --include, one\n"    \
      "        match is enough.")                                                       \
    X(TM_OPTION_TYPE, 0, "    ", "--type", " PATTERN",                                  \
      "Count only objects whose type's full name matches PATTERN (dict,\n"              \
      "        shop.Basket, 'shop.*'), with their parts. \"<block>\" matches what is\n" \
      "        no object.")
#define TM_OPTIONS_MINE(X)                                                           \
    X(TM_OPTION_MINE, 0, "    ", "--mine", " PATTERN[:LINENO]",                      \
      "Group by the most recent frame in a file that matches PATTERN, as if\n"       \
      "        that line had allocated what the libraries allocate that it calls.\n" \
      "        PATTERN may be a folder. May be repeated.")
// Of commands that read traces.
#define TM_OPTIONS_SAMPLES(X)                                                    \
    X(TM_OPTION_SAMPLES, 0, "    ", "--samples", "",                             \
      "Read the tracer's samples even if the program's own tracemalloc is on.\n" \
      "        Without this, its tables are read then.")
// Every command has these.
#define TM_OPTIONS_JSON(X)                                                            \
    X(TM_OPTION_JSON, 0, "    ", "--json", "", "Print one JSON object, on one line.") \
    X(TM_OPTION_OUTPUT, 0, "    ", "--output", " FILE",                               \
      "Write the answer to FILE instead. A file that exists is replaced, unless\n"    \
      "        it is a core, a program or a snapshot.")                               \
    X(TM_OPTION_HELP, 'h', "-h, ", "--help", "", "Show this help and do nothing else.")

#define TM_OPTIONS_PLAIN(X)                                                   \
    X(TM_OPTION_PLAIN, 0, "    ", "--plain", "",                              \
      "Show rows and frames exactly as tracemalloc does: without functions.") \
    X(TM_OPTION_NO_PLAIN, 0, "    ", "--no-plain", "", "The opposite, after \"tm-set plain on\".")

#define TM_OPTIONS_ORDER(X)                                                              \
    X(TM_OPTION_ORDER, 's', "-s, ", "--sort", " ORDER",                                  \
      "size: most live bytes first (the default); count: most live blocks;\n"            \
      "        allocated, freed: most bytes allocated or freed since tracing began or\n" \
      "        traces were cleared, with places that have no live block any more.\n"     \
      "        Only the full profile counts these two (--detail full).")
#define TM_OPTIONS_RETAINED(X)                                                    \
    X(TM_OPTION_RETAINED, 'r', "-r, ", "--retained", "",                          \
      "Show below each row what would be freed if all of its blocks went: they\n" \
      "        and what nothing else holds. Searches all memory for references.")
#define TM_OPTIONS_SORT(X)                                                       \
    X(TM_OPTION_SORT, 's', "-s, ", "--sort", " ORDER",                           \
      "size: largest first (the default); address: lowest first; site: blocks\n" \
      "        of one site together, the site with the most bytes first.")
#define TM_OPTIONS_TRACEBACK(X) \
    X(TM_OPTION_TRACEBACK, 't', "-t, ", "--traceback", "", "Show the lines of Traceback.format() below each row.")
#define TM_OPTIONS_FORCE(X) X(TM_OPTION_FORCE, 'f', "-f, ", "--force", "", "Replace FILE if it exists.")
#define TM_OPTIONS_SAVE(X)                                                              \
    TM_OPTIONS_FORCE(X)                                                                 \
    X(TM_OPTION_CORE, 0, "    ", "--core", "",                                          \
      "Save the trace table itself, as a small core that all commands and\n"            \
      "        debuggers open.")                                                        \
    X(TM_OPTION_FORM, 0, "    ", "--traces", " VERSION",                                \
      "3.8: write traces in the form of CPython 3.8, which later versions\n"            \
      "        cannot use. 3.9: write the form of all later versions. The default is\n" \
      "        the form of the target's version.")

#define TM_OPTIONS_STRICT(X)                                                      \
    X(TM_OPTION_STRICT, 0, "    ", "--strict", "",                                \
      "Report updates in flight as damage. Use this if the program is known to\n" \
      "        have been outside the tracer when it stopped.")

#define TM_OPTIONS_BASE(X)                                                         \
    X(TM_OPTION_BASE, 'b', "-b, ", "--base", " OLD",                               \
      "Export the difference to OLD: a core file, or a snapshot file of tm-save\n" \
      "        or of tracemalloc. FILE then shows what grew since.")

#define TM_OPTIONS_MEMORY(X)                                                     \
    X(TM_OPTION_MEMORY, 0, "    ", "--memory", "",                               \
      "Show too how the whole memory of the processes differs, in the rows of\n" \
      "        tm-memory: what grew beside Python's objects.")

struct tm_option {
    enum tm_option_id id;
    char letter;            // 0: none
    const char *name;       // "--limit"
    const char *value_name; // " N"; "" for one without a value
};

#define TM_OPTION_AS_ENTRY(id, letter, letter_text, name, value_name, help) {id, letter, name, value_name},
#define TM_OPTION_AS_HELP(id, letter, letter_text, name, value_name, help) \
    "  " letter_text name value_name "\n        " help "\n"

struct tm_option_table {
    const struct tm_option *items;
    size_t count;
};
#define TM_OPTION_TABLE(array)                    \
    {                                             \
        array, sizeof(array) / sizeof((array)[0]) \
    }

enum tm_sort {
    TM_SORT_SIZE,
    TM_SORT_ADDRESS,
    TM_SORT_SITE,
};
#define TM_SORTS 3
/** "size", "address", "site". */
const char *tm_sort_name(enum tm_sort sort);

/** Whose form of traces tm-save writes: the target's own version's, CPython 3.8's, or that of 3.9 and later. */
enum tm_form {
    TM_FORM_OF_TARGET,
    TM_FORM_3_8,
    TM_FORM_3_9,
};

/** Which kinds of leaks tm-leaks shows. */
enum tm_wanted_leaks {
    TM_WANTED_ALL,
    TM_WANTED_LOST,
    TM_WANTED_RAW,
    TM_WANTED_GARBAGE,
    TM_WANTED_EXTRA,
};
#define TM_WANTED_LEAKS 5
/** "all", "lost", "raw", "garbage", "extra". */
const char *tm_wanted_name(enum tm_wanted_leaks kind);

/** The options of one command line. All zero: none was given. */
struct tm_settings {
    bool has_limit;
    int64_t limit;
    bool cumulative;
    bool json;
    char *output; // NULL: the answer is shown to the user
    char *base;   // NULL: nothing to compare with
    bool plain;
    bool help;
    bool exclusive;
    bool all_frames;
    bool has_domain; // TM_OPTION_FILTER_DOMAIN
    uint32_t domain;
    enum tm_sort sort;   // TM_OPTION_SORT
    enum tm_order order; // TM_OPTION_ORDER
    bool traceback;
    bool force;
    bool core; // tm-save: the table as a core
    enum tm_form form;
    bool strict;
    bool samples;
    bool locals;
    bool direct;
    uint32_t paths; // 0: not given
    uint32_t depth; // 0: not given
    bool retained;
    bool memory;
    enum tm_wanted_leaks kind;
    char *attribute; // "NAME=VALUE" or "NAME"; NULL: none
    char *type;      // a pattern for names of types; NULL: none
    struct tm_filter_list filters;
    struct tm_mine mine;
};
void tm_settings_deinit(struct tm_settings *settings);

/** Whether a word can only be an option: a hyphen with something after it. */
bool tm_option_is(const char *word);
/** Whether the table has the option. */
bool tm_option_is_in(const struct tm_option_table *table, enum tm_option_id id);
/** Whether the option's value is a domain. */
bool tm_option_is_domain(const struct tm_option *option);
/** The option whose value is the word after this option's word, or NULL. */
const struct tm_option *tm_option_wanting_word(const struct tm_option_table *table, const char *word);
/** The option whose value is in this option's own word, "--name=VALUE", or NULL. */
const struct tm_option *tm_option_with_value(const struct tm_option_table *table, const char *word);
/** For completion: list the values that the option has, each after `before`, one a line. */
void tm_option_list_values(const struct tm_option *option, const char *before, struct tm_text *candidates);

/**
 * Parses an option's word into `settings`. If the option's value is not in the same word, the next word of the line is
 * the value, and *line moves past it.
 */
struct tm_error *tm_option_parse(const char *command, const struct tm_option_table *table, const char *word,
                                 const char **line, struct tm_settings *settings);
/** After the last option: apply what concerns all options, in whatever order they came. */
void tm_settings_finish(struct tm_settings *settings);

/** A filter from "PATTERN[:LINENO]". `what` names the option or action in an error. */
struct tm_error *tm_filter_parse(const char *command, const char *what, const char *text, bool inclusive,
                                 struct tm_filter *result);
/** TM_ERROR_USAGE, which ends with what to type next. `what` is the wrong word; it is escaped here. */
struct tm_error *tm_usage_error(const char *command, const char *before, const char *what, const char *after);
/** The candidate nearest to `word` by edits, or NULL if none is near; for "did you mean". */
const char *tm_nearest(const char *word, const char *const *candidates, size_t count);

#endif
