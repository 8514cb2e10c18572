/**
 * Live processes: what is read of a child is what the child has, and a stopped one does not move. Strategy: a child with
 * threads that count without pause; while it is held, the counters do not change, and afterwards they do.
 */
#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process/stop.h"

enum { THREADS = 3 };
#define PATIENCE UINT64_C(60000000000)

// Shared with the child.
struct counters {
    volatile uint64_t counts[THREADS];
    volatile uint64_t signals;
};
static struct counters *counters;
static char private_text[] = "the parent's";

static void *count(void *context)
{
    for (;;)
        ++*(volatile uint64_t *)context;
    return NULL;
}

static void note_signal(int number)
{
    (void)number;
    counters->signals++;
}

static bool never(void)
{
    return false;
}

static pid_t start_child(bool counts)
{
    counters = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = fork();
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGUSR1, note_signal);
    memcpy(private_text, "the child's.", sizeof(private_text));
    for (size_t i = 0; i < THREADS && counts; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, count, (void *)(uintptr_t)&counters->counts[i]);
    }
    counters->signals = 1; // ready
    for (;;)
        pause();
}

static void await(volatile uint64_t *counter, uint64_t least)
{
    const struct timespec moment = {0, 1000000};
    while (*counter < least)
        nanosleep(&moment, NULL);
}

static void end_child(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    munmap(counters, sizeof(*counters));
}

static void test_memory_and_mappings_are_the_processs_own(void **state)
{
    char text[sizeof(private_text)];
    struct tm_live *live = NULL;
    uint32_t kind;
    (void)state;
    pid_t child = start_child(false);
    await(&counters->signals, 1);
    assert_null(tm_live_open(child, &live));
    assert_int_equal(tm_live_callbacks.read(live, (uintptr_t)private_text, text, sizeof(text)), 0);
    assert_string_equal(text, "the child's.");
    assert_int_not_equal(tm_live_callbacks.read(live, 16, text, 1), 0);
    assert_int_not_equal(tm_live_callbacks.read(live, UINT64_MAX - 1, text, 1), 0);
    assert_int_equal(tm_live_callbacks.process(live), child);
    assert_true(tm_live_callbacks.private_memory(live, &kind) > 0 && kind == TM_PRIVATE_RESIDENT);

    size_t count = tm_live_callbacks.regions(live, NULL, 0), found = 0;
    struct tm_region *regions = calloc(count, sizeof(*regions));
    assert_true(count > 3 && tm_live_callbacks.regions(live, regions, count) == count);
    for (size_t i = 0; i < count; i++) {
        assert_true(regions[i].start < regions[i].end && (i == 0 || regions[i - 1].end <= regions[i].start));
        if (strcmp(regions[i].name, "[stack]") == 0)
            found |= regions[i].flags == (TM_REGION_READABLE | TM_REGION_WRITABLE);
        if ((uintptr_t)private_text >= regions[i].start && (uintptr_t)private_text < regions[i].end)
            assert_true(regions[i].flags & TM_REGION_FILE && regions[i].name[0] == '/');
    }
    assert_true(found);
    free(regions);
    end_child(child);
    struct tm_error *error = tm_live_check(live);
    assert_non_null(strstr(tm_error_message(error), "has ended"));
    tm_error_destroy(error);
    assert_int_not_equal(tm_live_callbacks.read(live, (uintptr_t)private_text, text, sizeof(text)), 0);
    assert_int_equal(tm_live_callbacks.regions(live, NULL, 0), 0);
    tm_live_close(live);
}

// Of four pages of a fork: one that both have still, one that the child has written to, one that is a page of a file, and one
// that was never touched.
static void test_each_page_is_what_the_kernel_says(void **state)
{
    enum { PAGE = 4096 };
    struct tm_live *live = NULL;
    uint64_t entry;
    (void)state;
    if (sysconf(_SC_PAGESIZE) != PAGE)
        skip();
    unsigned char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pages[0] = pages[PAGE] = 1;
    pid_t child = start_child(false);
    await(&counters->signals, 1);
    assert_null(tm_live_open(child, &live));
    const struct {
        const void *address;
        uint64_t present, of_file, exclusive;
    } expected[] = {
        {pages, 1, 0, 0},
        {private_text, 1, 0, 1},
        {(const void *)(uintptr_t)note_signal, 1, 1, 0},
        {pages + 2 * PAGE, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(tm_live_callbacks.page_map(live, (uintptr_t)expected[i].address, &entry, 1), 0);
        assert_int_equal(entry >> 63, expected[i].present);
        assert_int_equal(entry >> 61 & 1, expected[i].of_file);
        assert_true(expected[i].of_file || (entry >> 56 & 1) == expected[i].exclusive);
    }
    assert_in_range(tm_live_callbacks.resident(live), 16 * PAGE, UINT64_C(1) << 40);
    end_child(child);
    assert_int_equal(tm_live_callbacks.resident(live), 0);
    munmap(pages, 3 * PAGE);
    tm_live_close(live);
}

static void test_a_process_that_is_not_there_is_said_to_be_missing(void **state)
{
    struct tm_live *live = NULL;
    (void)state;
    struct tm_error *error = tm_live_open(INT32_MAX, &live);
    assert_non_null(strstr(tm_error_message(error), "there is no process 2147483647"));
    tm_error_destroy(error);
}

static void test_threads_are_still_while_held_and_go_on_afterwards(void **state)
{
    struct tm_live *live = NULL;
    struct tm_stop *stop = NULL;
    uint64_t before[THREADS];
    (void)state;
    pid_t child = start_child(true);
    for (size_t i = 0; i < THREADS; i++)
        await(&counters->counts[i], 1);
    assert_null(tm_live_open(child, &live));
    for (unsigned round = 0; round < 20; round++) {
        assert_null(tm_stop_begin(live, PATIENCE, never, &stop));
        for (size_t i = 0; i < THREADS; i++)
            before[i] = counters->counts[i];
        for (unsigned look = 0; look < 20; look++) {
            sched_yield();
            for (size_t i = 0; i < THREADS; i++)
                assert_int_equal(counters->counts[i], before[i]);
        }
        assert_true(tm_stop_elapsed(stop) > 0 && tm_stop_end(stop) > 0);
        for (size_t i = 0; i < THREADS; i++)
            await(&counters->counts[i], before[i] + 1);
    }
    end_child(child);
    tm_live_close(live);
}

static void test_no_signal_is_lost_or_made_up(void **state)
{
    enum { SIGNALS = 200 };
    struct tm_live *live = NULL;
    struct tm_stop *stop = NULL;
    (void)state;
    pid_t child = start_child(false);
    await(&counters->signals, 1);
    assert_null(tm_live_open(child, &live));
    for (uint64_t i = 1; i <= SIGNALS; i++) {
        kill(child, SIGUSR1); // it is on its way when the process stops
        assert_null(tm_stop_begin(live, PATIENCE, never, &stop));
        tm_stop_end(stop);
        await(&counters->signals, i + 1);
        assert_int_equal(counters->signals, i + 1);
    }
    end_child(child);
    tm_live_close(live);
}

static bool is_stopped(pid_t child)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
}

static void test_a_process_that_a_signal_stopped_stays_stopped(void **state)
{
    struct tm_live *live = NULL;
    struct tm_stop *stop = NULL;
    const struct timespec moment = {0, 1000000};
    (void)state;
    pid_t child = start_child(true);
    await(&counters->counts[0], 1);
    kill(child, SIGSTOP);
    while (!is_stopped(child))
        nanosleep(&moment, NULL);
    assert_null(tm_live_open(child, &live));
    assert_null(tm_stop_begin(live, PATIENCE, never, &stop));
    tm_stop_end(stop);
    uint64_t before = counters->counts[0];
    for (unsigned i = 0; i < 20; i++) {
        nanosleep(&moment, NULL);
        assert_int_equal(counters->counts[0], before);
    }
    kill(child, SIGCONT);
    await(&counters->counts[0], before + 1);
    end_child(child);
    tm_live_close(live);
}

// qemu-user has no ptrace(), and its processes are not what /proc says.
static bool is_emulated(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 && errno == ENOSYS);
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

int main(void)
{
    if (is_emulated()) {
        puts("skipped: processes cannot be traced under emulation");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_and_mappings_are_the_processs_own),
        cmocka_unit_test(test_each_page_is_what_the_kernel_says),
        cmocka_unit_test(test_a_process_that_is_not_there_is_said_to_be_missing),
        cmocka_unit_test(test_threads_are_still_while_held_and_go_on_afterwards),
        cmocka_unit_test(test_no_signal_is_lost_or_made_up),
        cmocka_unit_test(test_a_process_that_a_signal_stopped_stays_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
