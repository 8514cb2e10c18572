// Debug builds: tm-verify on our own process. The engine sees it through callbacks, like any other process. The only
// difference is that other threads may be writing meanwhile.

#define _GNU_SOURCE
#include "selfcheck.h"

#ifdef TRACEMORTEM_SELFCHECK

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/tracemortem.h"
#include "table.h"

// An update of another thread may look like damage. But it does not look the same for so long.
enum { TRIES = 6, MICROSECONDS_BETWEEN = 20000, ANSWER_BYTES = 8192 };

// Updates of other threads that were in flight when the process forked stay half done in the child.
static bool forked_in_flight;
static bool forking_in_flight;
static __thread bool checking;

// A wild address must be an error, not a crash.
static int read_own(void *context, uint64_t address, void *buffer, uint64_t length)
{
    (void)context;
    struct iovec to = {buffer, length}, from = {(void *)(uintptr_t)address, length};
    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)length ? 0 : -1;
}

static uint64_t find_own(void *context, const char *name)
{
    (void)context;
    return strcmp(name, TM_ROOT_SYMBOL) == 0 ? (uint64_t)(uintptr_t)&tracemortem_root : 0;
}

struct answer {
    char text[ANSWER_BYTES];
    size_t length;
};

static void keep(void *context, const char *text, size_t length)
{
    struct answer *answer = context;
    size_t room = sizeof answer->text - 1 - answer->length;
    length = length < room ? length : room;
    memcpy(answer->text + answer->length, text, length);
    answer->text[answer->length += length] = '\0';
}

/** tm-verify's answer. Returns whether it found the table consistent. */
static bool ask(struct answer *answer)
{
    const struct tm_host_callbacks host = {.write = keep};
    const struct tm_target_callbacks own = {.read = read_own, .symbol = find_own};
    struct tm_session *session = NULL;
    struct tm_target *target = NULL;
    struct tm_request *request = NULL;
    *answer = (struct answer){.length = 0};
    struct tm_error *error = tm_session_create(&host, answer, &session);
    if (error == NULL)
        error = tm_target_create(&own, NULL, &target);
    if (error == NULL)
        error = tm_request_create(session, "tm-verify", forked_in_flight ? "" : "--strict", &request);
    if (error == NULL)
        error = tm_request_run(request, target);
    bool good = error == NULL;
    if (!good)
        keep(answer, tm_error_message(error), strlen(tm_error_message(error)));
    tm_error_destroy(error);
    tm_request_destroy(request);
    tm_target_destroy(target);
    tm_session_destroy(session);
    return good;
}

/** Whether the table is inconsistent, and tm-verify's answer stays the same to the last figure. */
static bool is_damaged(struct answer answers[2])
{
    if (ask(&answers[0]))
        return false;
    for (int i = 1; i < TRIES; i++) {
        usleep(MICROSECONDS_BETWEEN);
        if (ask(&answers[1]) || strcmp(answers[0].text, answers[1].text) != 0)
            return false;
    }
    return true;
}

void selfcheck(const char *when)
{
    int saved = errno;
    struct answer *answers = checking || table == NULL ? NULL : calloc(2, sizeof *answers);
    if (answers == NULL)
        return;
    checking = true;
    if (is_damaged(answers)) {
        fprintf(stderr, "tracemortem: self-check %s, process %d:\n%s\n", when, (int)getpid(), answers[0].text);
        abort();
    }
    checking = false;
    free(answers);
    errno = saved;
}

void selfcheck_now_and_then(void)
{
    static long every = -1, count;
    if (every < 0) {
        const char *text = getenv("TRACEMORTEM_SELFCHECK");
        every = text == NULL ? 50000 : atol(text);
    }
    if (every > 0 && __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) % every == 0)
        selfcheck("between allocations");
}

// ---------------------------------------------------------------------------------------------------------------

static void before_fork(void)
{
    unsigned threads = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; tasks != NULL && (entry = readdir(tasks)) != NULL;)
        threads += entry->d_name[0] != '.';
    if (tasks != NULL)
        closedir(tasks);
    forking_in_flight = threads != 1;
}

static void after_fork_in_child(void)
{
    forked_in_flight |= forking_in_flight;
}

static void at_exit(void)
{
    selfcheck("at exit");
}

void selfcheck_install(void)
{
    pthread_atfork(before_fork, NULL, after_fork_in_child);
    atexit(at_exit);
}

#endif
