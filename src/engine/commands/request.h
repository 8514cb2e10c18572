/**
 * A request: one command line while it is parsed and run. request.c parses what all commands share and keeps the
 * result here. The command's own file (cmd_*.c) interprets the operands and answers.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_REQUEST_H
#define TRACEMORTEM_ENGINE_COMMANDS_REQUEST_H

#include "engine/commands/option.h"
#include "engine/commands/session.h"
#include "engine/model/statistics.h"

struct tm_command;

/** The operands as words without their quotes. An expression is one word. */
struct tm_words {
    char **items;
    size_t count;
    size_t capacity;
};
struct tm_error *tm_words_add(struct tm_words *words, const char *word);
void tm_words_deinit(struct tm_words *words);

/** An operand that only the front end can resolve. */
struct tm_unresolved {
    enum tm_operand kind;
    const char *text; // one of the words
    bool resolved;
    uint64_t address;
    struct tm_target *target;
    tm_output_callback output;
    void *output_context;
};
#define TM_UNRESOLVED_LIMIT 3 // two of a command, and the file of --output

struct tm_request {
    struct tm_session *session; // outlives the request
    const struct tm_command *command;
    struct tm_settings settings;
    struct tm_words words;
    bool needs_target;
    struct tm_unresolved unresolved[TM_UNRESOLVED_LIMIT];
    size_t unresolved_count;

    // Set by the command's prepare() from the words. Each command uses those that it needs.
    enum tm_key key;
    bool has_address;
    uint64_t address;
    unsigned action;
    uint64_t number;

    /** Set by run() if the answer is bad news: the answer is written, then the request fails with this error. */
    struct tm_error *verdict;
};

/** For prepare(): have the front end resolve this word. */
void tm_request_add_unresolved(struct tm_request *request, enum tm_operand kind, const char *text);
/** For prepare(): take the first word as the address if it is a number, and have the front end evaluate anything else.
 * TM_ERROR_USAGE if there is no word. */
struct tm_error *tm_request_take_address(struct tm_request *request);
/** For prepare(): set the key that this word names. TM_ERROR_USAGE if it names no key. */
struct tm_error *tm_request_set_key(struct tm_request *request, const char *word);
/** For prepare(): TM_ERROR_USAGE if --cumulative cannot be used with the key or with --mine. */
struct tm_error *tm_request_check_cumulative(const struct tm_request *request);
/** For prepare(): TM_ERROR_USAGE if there are more words than `most`. */
struct tm_error *tm_request_check_words(const struct tm_request *request, size_t most);
/** Whether what was ever allocated and freed is asked for. */
bool tm_request_wants_history(const struct tm_request *request);
/** How many rows to show. */
size_t tm_request_limit(const struct tm_request *request);

#endif
