/**
 * The commands: names, help, options and completion all come from one table. Each command has its own file, cmd_*.c.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_COMMAND_H
#define TRACEMORTEM_ENGINE_COMMANDS_COMMAND_H

#include "engine/commands/request.h"

struct tm_command {
    const char *name;
    const char *help; // as tm_command_help() returns it
    struct tm_option_table options;
    bool takes_expression; // the rest of the line after the options is its one operand
    bool needs_target;
    /** Check the operands and store their values in the request. May change needs_target. */
    struct tm_error *(*prepare)(struct tm_request *request);
    /** Append the answer to `out`, which is written only on success. */
    struct tm_error *(*run)(struct tm_request *request, struct tm_target *current, struct tm_text *out);
    /** List what can follow these operands, one word a line. NULL: nothing is known. */
    void (*complete)(const struct tm_session *session, const struct tm_words *before, struct tm_text *candidates);
};

extern const struct tm_command tm_command_info;
extern const struct tm_command tm_command_top;
extern const struct tm_command tm_command_traceback;
extern const struct tm_command tm_command_traces;
extern const struct tm_command tm_command_find_objects;
extern const struct tm_command tm_command_object;
extern const struct tm_command tm_command_threads;
extern const struct tm_command tm_command_holders;
extern const struct tm_command tm_command_leaks;
extern const struct tm_command tm_command_memory;
extern const struct tm_command tm_command_diff;
extern const struct tm_command tm_command_save;
extern const struct tm_command tm_command_export;
extern const struct tm_command tm_command_filter;
extern const struct tm_command tm_command_set;
extern const struct tm_command tm_command_verify;

/** The help for the topic "tracemortem": the commands by task, and the words that answers use. */
extern const char tm_help_topic[];

/** NULL if there is no such command. */
const struct tm_command *tm_command_find(const char *name);
/** For complete(): list the keys. */
void tm_complete_keys(struct tm_text *candidates);
/** As complete(), of a command whose first word is a key. */
void tm_complete_key_first(const struct tm_session *session, const struct tm_words *before, struct tm_text *candidates);

// The parts of a help text. Lines have at most 80 columns.
#define TM_HELP(summary, usage, body, options, after) \
    summary "\n\nUsage: " usage "\n\n" body "\nOptions:\n" options(TM_OPTION_AS_HELP) "\n" after

/** `otherwise` is what it is without KEY. */
#define TM_HELP_KEYS(otherwise)                                                           \
    "KEY is what the blocks are grouped by (default " otherwise "):\n"                    \
    "  lineno     file name and line number of the allocation\n"                          \
    "  filename   file name\n"                                                            \
    "  traceback  the whole traceback\n"                                                  \
    "  function   file name and function: the qualified name, up to CPython 3.10\n"       \
    "             the plain name. tracemalloc's own tables have no functions.\n"          \
    "  type       the type of the object in a block, as type,lineno and\n"                \
    "             type,traceback beside the place. Here rows count objects, and what\n"   \
    "             belongs to one (items, keys, buffers) counts with it. \"<block>\" is\n" \
    "             no object, \"<free list>\" is what CPython keeps for reuse.\n"
#define TM_HELP_MINE                                                                \
    "With --mine, blocks without a frame that matches are one row at the end. It\n" \
    "needs tracebacks that reach to your files: 10 frames or more.\n"
#define TM_HELP_FILTERS                                                                 \
    "Filters work as in tracemalloc's Snapshot.filter_traces(). If there are\n"         \
    "inclusive filters, a block must match at least one of them. It must match no\n"    \
    "exclusive filter. The session's filters (tm-filter) are applied first, then the\n" \
    "command's filters to the rest. In PATTERN, \".pyc\" means \".py\".\n"
#define TM_HELP_JSON_FRAMES                                  \
    "traceback (frames, oldest first, each with filename,\n" \
    "                lineno and, where known, name: the function's qualified name)"
#define TM_HELP_JSON_TOTAL                                                        \
    "total_nframe (frames of the whole stack; null: more than\n"                  \
    "                are kept, and not counted: see detail in tm-info --json),\n" \
    "                older_frames_missing (if they cannot be read),\n"            \
    "                "
#define TM_HELP_JSON_PLACES                                                            \
    TM_HELP_JSON_FRAMES                                                                \
    ";\n"                                                                              \
    "                type, with a key of types;\n"                                     \
    "                filename, lineno and name (keys lineno, and filename and\n"       \
    "                function with lineno 0); names_differ, if other functions have\n" \
    "                blocks at the same lines: the name is that of most bytes;\n"
#define TM_HELP_COLUMNS                                                                \
    "On a terminal the rows are aligned columns, cut to its width, and \"%\" is the\n" \
    "share of the total. Elsewhere, and with --plain, they have tracemalloc's form.\n" \
    "The lines below the rows are the same everywhere.\n"
#define TM_HELP_ESTIMATES                                                                \
    "Of a program in the sampled profile the numbers are estimates: \"≈\" is before\n" \
    "them and one standard error after \"±\". samples=N says how many samples a row\n"  \
    "rests on. If these are fewer than 10, it may be off by more.\n"
#define TM_HELP_JSON_ESTIMATES                                                         \
    "  estimated, sample_period\n"                                                     \
    "                only where blocks are sampled: true, and the mean distance of\n"  \
    "                picked bytes. Then rows, sums and totals (total_...) also have\n" \
    "                standard_error (size, count) and samples\n"
#define TM_HELP_JSON_CHURN                                                          \
    "                with --sort allocated or freed also allocated, allocations,\n" \
    "                freed, frees (bytes and blocks, ever)"
#define TM_HELP_JSON_LACKS                                                              \
    "  not_recorded, shortened\n"                                                       \
    "                size and count of the blocks whose code object or oldest frames\n" \
    "                the table had no room for; in a row too, unless 0\n"
#define TM_HELP_JSON_TYPES                                                               \
    "  not_objects, free_lists, types_unnamed, blocks_unreadable\n"                      \
    "                with a key of types or with --type: size and count of the live\n"   \
    "                blocks that are neither objects nor parts of one, and of those\n"   \
    "                that CPython keeps for reuse; how many types have a name that is\n" \
    "                in a missing file; how many blocks could not be looked at\n"
#define TM_HELP_JSON_FILTERS                                                            \
    "  filters       the filters applied: number (of tm-filter, or null), inclusive,\n" \
    "                filename_pattern, lineno, all_frames, domain\n"
#define TM_HELP_JSON_MINE                                                           \
    "  mine          with --mine: its patterns, as in filters\n"                    \
    "  unmatched     with --mine: size and count of the blocks of which no frame\n" \
    "                matches; cut_size, cut_count: those whose traceback was cut\n"
#define TM_HELP_JSON_HINTS "  hints         if there are any: why a pattern or --mine finds less than it may\n"
#define TM_HELP_PRIVATE                                                                  \
    "\"Private memory\" is about the whole process, whatever the filters are:\n"         \
    "what is no part of a file, and whether it is traced. \"Other\" is memory that no\n" \
    "Python allocator returned: C libraries', mmap's, stacks, and free memory that\n"    \
    "allocators keep. If it grows and traced memory does not, the leak is not in\n"      \
    "Python objects. A process says what is resident or swapped out. A core says\n"      \
    "what is in it, with pages that were never used. A snapshot does not know it.\n"
#define TM_HELP_JSON_PRIVATE                                                                 \
    "  private       where known: kind (\"resident\", \"in the core\", \"mapped\"), size,\n" \
    "                and its parts traced, tracer (at most), other (null: not known)\n"
#define TM_HELP_JSON_MISSING                                                         \
    "unreadable_records, unreadable_bytes, corrupt_records,\n"                       \
    "                torn_records (lost because the table was being changed),\n"     \
    "                first_address (null: nothing is missing), why (where known);\n" \
    "                if there are any, partial_tracebacks (without older frames)\n"

#endif
