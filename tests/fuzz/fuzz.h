/**
 * What the fuzz targets share: a host that checks every byte the engine prints, and a way to run a command.
 *
 * A target is a file fuzz_NAME.c with LLVMFuzzerTestOneInput(); its corpus is corpus/NAME/. The process aborts on what must
 * never happen: a wrong access (the sanitizers), output that a terminal could act on, an answer that costs more than there
 * was to read (fuzz_require(), and libFuzzer's limits of memory and time).
 */
#ifndef TRACEMORTEM_TESTS_FUZZ_H
#define TRACEMORTEM_TESTS_FUZZ_H

#include "engine/tracemortem.h"

#define fuzz_require(condition)                                         \
    do {                                                                \
        if (!(condition))                                               \
            fuzz_fail(__FILE__ ":" FUZZ_TEXT(__LINE__) " " #condition); \
    } while (0)
#define FUZZ_TEXT(number) FUZZ_TEXT_(number)
#define FUZZ_TEXT_(number) #number
void fuzz_fail(const char *what) __attribute__((noreturn));

/** The input, consumed from its beginning; 0 after its end. */
struct fuzz_input {
    const uint8_t *bytes;
    size_t length;
};
uint8_t fuzz_byte(struct fuzz_input *input);
uint64_t fuzz_number(struct fuzz_input *input, size_t bytes);

/** A session that checks and counts its output. The engine asks for Ctrl-C; the answer is always no. */
struct tm_session *fuzz_session_create(void);
/** How often the engine asked for Ctrl-C since the session was created: a measure of the work. */
uint64_t fuzz_steps(void);

/**
 * Run a command line. Expressions have the value `address`, cores are `other`, files are written and thrown away. False:
 * it failed, with a message which was checked like output.
 */
bool fuzz_run(struct tm_session *session, const char *command, const char *line, struct tm_target *target,
              struct tm_target *other, uint64_t address);

#endif
