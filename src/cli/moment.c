// Still moments. Whether a running process was still is asked of the engine itself: tm-info counts what was ever
// allocated and what is live, so if it gives the same answer before and after, nothing changed in between.

#include "cli/moment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "process/stop.h"

enum { TRIES = 5 };
// Between two tries: a program that answers requests is idle between them.
static const struct timespec between = {0, 20000000};

static bool is_live(const struct tm_cli_target *target)
{
    return target->process && target->process->live;
}

static struct tm_cli_target *next_live(const struct tm_moment *moment, size_t *index)
{
    while (*index < moment->target_count)
        if (is_live(moment->targets[(*index)++]))
            return moment->targets[*index - 1];
    return NULL;
}

// What may run while it is read: processes, and recorder's files of processes that live.
static struct tm_cli_target *next_running(const struct tm_moment *moment, size_t *index)
{
    while (*index < moment->target_count) {
        struct tm_cli_target *target = moment->targets[(*index)++];
        if (target->process && target->process->may_run)
            return target;
    }
    return NULL;
}

static void forget(const struct tm_moment *moment)
{
    size_t index = 0;
    for (struct tm_cli_target *target; (target = next_running(moment, &index));)
        tm_target_changed(target->target);
}

// Throws away what an earlier try answered.
static void restart(const struct tm_moment *moment)
{
    forget(moment);
    tm_text_clear(&moment->host->answer);
    for (size_t i = 0; i < moment->output_count; i++)
        tm_output_restart(&moment->outputs[i]);
}

static struct tm_error *run_once(const struct tm_moment *moment)
{
    restart(moment);
    return tm_request_run(moment->request, moment->current);
}

// ---------------------------------------------------------------------------------------------------------------
// Whether it is still

// What tm-info says of private memory changes all the time, and is not about the table.
static void cut_private(struct tm_text *text)
{
    char *begin = text->bytes ? strstr(text->bytes, "\"private\": {") : NULL;
    char *end = begin ? strchr(begin, '}') : NULL;
    if (!end)
        return;
    memmove(begin, end, (size_t)(text->bytes + text->length - end) + 1);
    text->length -= (size_t)(end - begin);
}

// Whether the answer is about the tracer's table even where CPython's own tracemalloc is on.
static bool wants_samples(const struct tm_command_line *line)
{
    bool wanted = strcmp(line->command, "tm-verify") == 0;
    for (size_t i = 0; i < line->count; i++)
        wanted = wanted || strcmp(line->words[i], "--samples") == 0;
    return wanted;
}

// Appends what the engine knows of this process now.
static struct tm_error *add_state(const struct tm_moment *moment, struct tm_cli_target *target, struct tm_text *state)
{
    struct tm_cli_host *host = moment->host;
    struct tm_request *request;
    struct tm_text answer = host->answer;

    host->answer = (struct tm_text)TM_TEXT_EMPTY;
    struct tm_error *error = tm_request_create(host->session, "tm-info",
                                               wants_samples(moment->line) ? "--json --samples" : "--json", &request);
    if (!error) {
        error = tm_request_run(request, target->target);
        tm_request_destroy(request);
    }
    cut_private(&host->answer);
    tm_text_bytes(state, tm_text_string(&host->answer), host->answer.length);
    tm_text_deinit(&host->answer);
    host->answer = answer;
    return error;
}

static struct tm_error *add_states(const struct tm_moment *moment, struct tm_text *state)
{
    struct tm_error *error = NULL;
    size_t index = 0;

    forget(moment);
    tm_text_clear(state);
    for (struct tm_cli_target *target; !error && (target = next_running(moment, &index));)
        error = add_state(moment, target, state);
    return error ? error : tm_text_check(state);
}

static bool is_same(const struct tm_text *one, const struct tm_text *other)
{
    return one->length == other->length && strcmp(tm_text_string(one), tm_text_string(other)) == 0;
}

static bool saves_core(const struct tm_command_line *line)
{
    bool found = false;
    for (size_t i = 0; i < line->count && strcmp(line->command, "tm-save") == 0; i++)
        found = found || strcmp(line->words[i], "--core") == 0;
    return found;
}

static bool has_stock_table(const struct tm_text *state)
{
    return strstr(tm_text_string(state), "\"source\": \"stock\"") != NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// While it runs

static struct tm_error *needs_stop(const struct tm_moment *moment, bool beside)
{
    return tm_error_create(
        TM_ERROR_UNSUPPORTED,
        "the process runs under CPython's own tracemalloc, whose tables can be read only while it is "
        "still\nAdd --stop: it is held for a moment, at most %" PRIu64 " ms (--max-stop)%s",
        moment->line->own.max_stop / 1000000,
        beside ? "\nOr add --samples: the tracer has samples of it, which can be read while it runs" : "");
}

// A check of the table, and a copy of it, are of no use if it changed meanwhile.
static bool needs_still_moment(const struct tm_command_line *line)
{
    return strcmp(line->command, "tm-verify") == 0 || saves_core(line);
}

static struct tm_error *never_still(const struct tm_command_line *line)
{
    return tm_error_create(TM_ERROR_UNSUPPORTED,
                           "the process changed its table during each of %d tries, so %s\n"
                           "Add --stop: it is held for a moment",
                           TRIES,
                           saves_core(line) ? "a copy would be of no one moment"
                                            : "nothing can be said of the table's consistency");
}

static void set_running(const struct tm_moment *moment, bool running)
{
    size_t index = 0;
    for (struct tm_cli_target *target; (target = next_running(moment, &index));)
        tm_target_set_running(target->target, running);
}

static void set_moving(const struct tm_moment *moment)
{
    size_t index = 0;
    for (struct tm_cli_target *target; (target = next_running(moment, &index));)
        tm_target_set_moving(target->target, true);
}

// Tries until the state before and after is the same. *still: it was, and the last answer or error holds.
static struct tm_error *try_still(const struct tm_moment *moment, struct tm_text *before, bool *still)
{
    struct tm_text after = TM_TEXT_EMPTY;
    struct tm_error *error = NULL;

    for (int i = 0; i < TRIES && !*still; i++) {
        if (i)
            nanosleep(&between, NULL);
        tm_error_destroy(error);
        error = run_once(moment);
        if (error && tm_error_code(error) == TM_ERROR_INTERRUPTED)
            break;
        struct tm_error *ended = add_states(moment, &after);
        // A copy was compared with the table itself.
        *still = !ended && (saves_core(moment->line) ? !error : is_same(before, &after));
        const struct tm_text last = *before;
        *before = after;
        after = last;
        if (ended) {
            tm_error_destroy(error);
            error = ended;
            break;
        }
    }
    tm_text_deinit(&after);
    return error;
}

// Memory can be looked at without a table. Whether it was still cannot be known then.
static bool needs_no_table(const struct tm_moment *moment, const struct tm_error *error)
{
    enum tm_error_code code = tm_error_code(error);
    return strcmp(moment->line->command, "tm-memory") == 0 && code != TM_ERROR_NO_MEMORY &&
           code != TM_ERROR_INTERRUPTED;
}

static struct tm_error *run_moving(const struct tm_moment *moment)
{
    struct tm_text before = TM_TEXT_EMPTY;
    bool still = false, no_table = false;

    set_running(moment, true);
    struct tm_error *error = add_states(moment, &before);
    if (!error && has_stock_table(&before)) {
        error = needs_stop(moment, strstr(tm_text_string(&before), "\"samples_beside\": true"));
    } else if (!error) {
        error = try_still(moment, &before, &still);
    } else {
        no_table = needs_no_table(moment, error);
        still = !no_table; // the error says why
    }
    tm_text_deinit(&before);
    if (still || (error && !no_table && tm_error_code(error) != TM_ERROR_CORRUPT))
        return error;
    tm_error_destroy(error);
    if (needs_still_moment(moment->line)) {
        restart(moment);
        return never_still(moment->line);
    }
    set_moving(moment);
    return run_once(moment);
}

// ---------------------------------------------------------------------------------------------------------------
// While it is still

static struct tm_error *is_late(const struct tm_moment *moment)
{
    return tm_error_create(TM_ERROR_UNSUPPORTED,
                           "the answer takes longer than %" PRIu64 " ms, so the process was let go without it\n"
                           "Give it more time: --max-stop 2s. Or read it while it runs, without --stop",
                           moment->line->own.max_stop / 1000000);
}

static void say_how_long(const struct tm_cli_target *target, uint64_t nanoseconds)
{
    struct tm_text text = TM_TEXT_EMPTY;
    tm_text_printf(&text, "the process %d was held still for %.1f ms", (int)target->pid, (double)nanoseconds / 1e6);
    tm_cli_say(tm_text_string(&text));
    tm_text_deinit(&text);
}

// The processes that are held.
struct holding {
    struct tm_stop *stops[TM_MOMENT_TARGETS];
    struct tm_cli_target *targets[TM_MOMENT_TARGETS];
    size_t count;
};

static struct tm_error *hold(const struct tm_moment *moment, struct holding *holding)
{
    struct tm_error *error = NULL;
    size_t index = 0;

    for (struct tm_cli_target *target; !error && (target = next_live(moment, &index));) {
        error = tm_stop_begin(target->process->live, moment->line->own.max_stop, tm_cli_interrupted,
                              &holding->stops[holding->count]);
        if (!error)
            holding->targets[holding->count++] = target;
    }
    return error;
}

static void let_go(struct holding *holding)
{
    uint64_t elapsed[TM_MOMENT_TARGETS];
    for (size_t i = 0; i < holding->count; i++)
        elapsed[i] = tm_stop_end(holding->stops[i]);
    for (size_t i = 0; i < holding->count; i++)
        say_how_long(holding->targets[i], elapsed[i]);
}

static void set_reading(const struct tm_moment *moment, enum tm_reading reading)
{
    size_t index = 0;
    for (struct tm_cli_target *target; (target = next_live(moment, &index));)
        target->process->reading = reading;
}

// Whether a copy of everything that the first answer needed can be made.
static bool reserve(const struct tm_moment *moment)
{
    size_t index = 0;
    for (struct tm_cli_target *target; (target = next_live(moment, &index));)
        if (!tm_copy_reserve(&target->process->copy))
            return false;
    return true;
}

static bool is_missed(const struct tm_moment *moment)
{
    size_t index = 0;
    for (struct tm_cli_target *target; (target = next_live(moment, &index));)
        if (target->process->copy.missed)
            return true;
    return false;
}

// Holds the processes while their memory is copied, and answers from the copy. *missed: the answer needs more than was
// copied, because the table changed since the first answer.
static struct tm_error *run_copied(const struct tm_moment *moment, bool *missed)
{
    struct holding holding = {.count = 0};
    struct tm_error *error = hold(moment, &holding);
    // The first process is held for the longest time.
    for (size_t i = 0; i < holding.count && !error; i++)
        if (!tm_process_copy(holding.targets[i]->process, holding.stops[0], moment->line->own.max_stop))
            error = is_late(moment);
    let_go(&holding);
    if (error)
        return error;
    set_reading(moment, TM_READING_THE_COPY);
    error = run_once(moment);
    set_reading(moment, TM_READING_DIRECTLY);
    *missed = is_missed(moment);
    return error;
}

// Holds the processes while they are asked.
static struct tm_error *run_held(const struct tm_moment *moment)
{
    struct holding holding = {.count = 0};
    uint64_t deadline = tm_cli_now() + moment->line->own.max_stop;
    struct tm_error *error = hold(moment, &holding);

    moment->host->deadline = deadline;
    if (!error)
        error = run_once(moment);
    moment->host->deadline = 0;
    let_go(&holding);
    if (!moment->host->is_late)
        return error;
    tm_error_destroy(error);
    return is_late(moment);
}

// A first answer, which is thrown away, finds the symbols, reads the source files, and says which memory is needed.
static struct tm_error *run_still(const struct tm_moment *moment)
{
    bool missed = false;

    set_reading(moment, TM_READING_AND_NOTING);
    struct tm_error *error = run_once(moment);
    set_reading(moment, TM_READING_DIRECTLY);
    if (error && tm_error_code(error) == TM_ERROR_INTERRUPTED)
        return error;
    tm_error_destroy(error);
    restart(moment);
    if (!reserve(moment))
        return run_held(moment);
    error = run_copied(moment, &missed);
    if (!missed)
        return error;
    tm_error_destroy(error);
    restart(moment);
    return run_held(moment);
}

// A process that ends while it is read looks damaged: that it has ended is the better message.
static struct tm_error *explain(const struct tm_moment *moment, struct tm_error *error)
{
    size_t index = 0;
    for (struct tm_cli_target *target; error && (target = next_live(moment, &index));) {
        struct tm_error *ended = tm_live_check(target->process->live);
        if (!ended)
            continue;
        tm_error_destroy(error);
        restart(moment);
        return ended;
    }
    return error;
}

// A file cannot be held still.
static struct tm_error *needs_process(const struct tm_moment *moment)
{
    size_t index = 0;
    for (struct tm_cli_target *target; (target = next_running(moment, &index));)
        if (!is_live(target))
            return tm_error_create(
                TM_ERROR_USAGE,
                "--stop: %s is the recorder's file of a process that runs, and a file cannot be held "
                "still\nGive the process id instead, or leave --stop out: no row is wrong without it",
                tm_printable(target->text).text);
    return NULL;
}

struct tm_error *tm_moment_run(const struct tm_moment *moment)
{
    size_t index = 0;
    if (!next_running(moment, &index))
        return run_once(moment);
    struct tm_error *error = moment->line->own.stop ? needs_process(moment) : NULL;
    if (error)
        return error;
    return explain(moment, moment->line->own.stop ? run_still(moment) : run_moving(moment));
}
