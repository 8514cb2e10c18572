// Reads the description at the beginning of _PyRuntime, which says where the rest is.

#define _GNU_SOURCE

#include "process/remote.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

// Offsets in the description, of 3.14 and of 3.15.
enum {
    VERSION = 8,
    INTERPRETERS_HEAD = 40,
    INTERPRETER_ID = 56,
    INTERPRETER_NEXT = 64,
    MAIN_THREAD = 80,
    SUPPORT_3_14 = 712,
    SUPPORT_3_15 = 840,
};
// The words there are six.
enum { EVAL_BREAKER, SUPPORT, ENABLED, PENDING_CALL, SCRIPT_PATH, SCRIPT_PATH_SIZE, SUPPORT_WORDS };

enum { PLEASE_STOP = 1 << 5, MOST_INTERPRETERS = 10000, MOST_OFFSET = 1 << 24, LEAST_PATH = 64, MOST_PATH = 4096 };

static bool read_bytes(const struct tm_live *live, uint64_t address, void *bytes, size_t length)
{
    return tm_live_callbacks.read((void *)live, address, bytes, length) == 0;
}

static bool read_word(const struct tm_live *live, uint64_t address, uint64_t *word)
{
    return read_bytes(live, address, word, sizeof(*word));
}

// An offset that the description has.
static bool read_offset(const struct tm_live *live, uint64_t runtime, uint64_t where, uint64_t *offset)
{
    return read_word(live, runtime + where, offset) && *offset < MOST_OFFSET;
}

// The main interpreter has the number 0. Newer ones are before it in the list.
static bool find_main(const struct tm_live *live, uint64_t runtime, uint64_t *interpreter)
{
    uint64_t head, id_at, next_at, id;
    if (!read_offset(live, runtime, INTERPRETERS_HEAD, &head) || !read_offset(live, runtime, INTERPRETER_ID, &id_at) ||
        !read_offset(live, runtime, INTERPRETER_NEXT, &next_at) || !read_word(live, runtime + head, interpreter))
        return false;
    for (unsigned i = 0; i < MOST_INTERPRETERS && *interpreter; i++) {
        if (!read_word(live, *interpreter + id_at, &id))
            return false;
        if (id == 0)
            return true;
        if (!read_word(live, *interpreter + next_at, interpreter))
            return false;
    }
    return false;
}

static bool read_support(const struct tm_live *live, uint64_t runtime, uint64_t words[SUPPORT_WORDS])
{
    char cookie[8];
    uint64_t version;
    if (!read_bytes(live, runtime, cookie, sizeof(cookie)) || memcmp(cookie, "xdebugpy", sizeof(cookie)) != 0 ||
        !read_word(live, runtime + VERSION, &version))
        return false;
    uint64_t at = version >> 16 == 0x030e ? SUPPORT_3_14 : version >> 16 == 0x030f ? SUPPORT_3_15 : 0;
    if (!at || !read_bytes(live, runtime + at, words, SUPPORT_WORDS * sizeof(words[0])))
        return false;
    for (unsigned i = 0; i < SUPPORT_WORDS; i++)
        if (words[i] >= MOST_OFFSET)
            return false;
    return words[SCRIPT_PATH_SIZE] >= LEAST_PATH && words[SCRIPT_PATH_SIZE] <= MOST_PATH;
}

enum tm_remote_offer tm_remote_find(const struct tm_live *live, uint64_t runtime, struct tm_remote *result)
{
    uint64_t words[SUPPORT_WORDS], interpreter, thread_at, thread;
    uint32_t enabled;
    if (!runtime || !read_support(live, runtime, words) || !find_main(live, runtime, &interpreter) ||
        !read_offset(live, runtime, MAIN_THREAD, &thread_at) || !read_word(live, interpreter + thread_at, &thread) ||
        !thread || !read_bytes(live, interpreter + words[ENABLED], &enabled, sizeof(enabled)))
        return TM_REMOTE_UNKNOWN;
    *result = (struct tm_remote){.breaker = thread + words[EVAL_BREAKER],
                                 .pending = thread + words[SUPPORT] + words[PENDING_CALL],
                                 .script = thread + words[SUPPORT] + words[SCRIPT_PATH],
                                 .capacity = words[SCRIPT_PATH_SIZE]};
    return enabled ? TM_REMOTE_READY : TM_REMOTE_OFF;
}

static bool write_bytes(const struct tm_live *live, uint64_t address, const void *bytes, size_t length)
{
    int memory = openat(live->folder, "mem", O_WRONLY | O_CLOEXEC);
    bool written = memory >= 0 && pwrite(memory, bytes, length, (off_t)address) == (ssize_t)length;
    if (memory >= 0)
        close(memory);
    return written;
}

bool tm_remote_ask(const struct tm_live *live, const struct tm_remote *remote, const char *script)
{
    const uint32_t yes = 1;
    uint32_t pending;
    uint64_t breaker;
    size_t length = strlen(script) + 1;
    if (length > remote->capacity || !read_bytes(live, remote->pending, &pending, sizeof(pending)) || pending != 0 ||
        !read_word(live, remote->breaker, &breaker))
        return false;
    breaker |= PLEASE_STOP;
    // What makes it a request is written last.
    return write_bytes(live, remote->script, script, length) &&
           write_bytes(live, remote->breaker, &breaker, sizeof(breaker)) &&
           write_bytes(live, remote->pending, &yes, sizeof(yes));
}

enum tm_remote_withdrawal tm_remote_withdraw(const struct tm_live *live, const struct tm_remote *remote)
{
    const uint32_t no = 0;
    uint32_t pending;
    if (!read_bytes(live, remote->pending, &pending, sizeof(pending)))
        return TM_REMOTE_UNCHANGED;
    if (pending != 1)
        return TM_REMOTE_BEGUN;
    return write_bytes(live, remote->pending, &no, sizeof(no)) ? TM_REMOTE_WITHDRAWN : TM_REMOTE_UNCHANGED;
}
