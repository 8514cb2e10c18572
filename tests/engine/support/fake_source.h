/**
 * A source that answers what a test set. It replaces everything below src/engine/open.h, so that the upper half of
 * the engine is tested without a table. A fake is also the `struct tm_target` that it is found in.
 *
 * Functions take plain numbers and strings, so that ctypes can call them too.
 */
#ifndef TRACEMORTEM_TESTS_FAKE_SOURCE_H
#define TRACEMORTEM_TESTS_FAKE_SOURCE_H

#include "engine/open.h"

struct fake;

struct fake *fake_create(void);
void fake_destroy(struct fake *fake);
struct tm_target *fake_target(struct fake *fake);

/** A group with `count` blocks; frames are oldest first. All is copied. */
void fake_add_group(struct fake *fake, uint32_t domain, uint64_t size, uint64_t count, uint32_t total_frames,
                    uint32_t frames, const char *const *names, const uint32_t *lengths, const uint32_t *lines);
/** A group of one or more blocks, allocated at one line of one file: what most tests need. */
void fake_add(struct fake *fake, const char *name, uint32_t line, uint64_t size, uint64_t count);
/** The functions of the frames of the group added last, oldest first; NULL: not known. */
void fake_set_functions(struct fake *fake, const char *const *functions);
/** The lines where these functions begin; 0: not known. */
void fake_set_first_lines(struct fake *fake, const uint32_t *lines);
/** What the group added last has allocated and freed ever. */
void fake_set_churn(struct fake *fake, uint64_t allocated, uint64_t allocations, uint64_t freed, uint64_t frees);
/** The group added last: the code object of its newest frame is not recorded, or its oldest frames are missing. */
void fake_set_lacks(struct fake *fake, bool not_recorded, bool shortened);
/** Its blocks are sampled: call this before any group is added, and give each group samples instead of sizes. */
void fake_set_sample_period(struct fake *fake, uint64_t period);
/** So many samples of this size, of the group added last. They are no blocks that are visited. */
void fake_add_samples(struct fake *fake, uint64_t size, uint64_t count);
/** A block with the traceback of the group added last. Any address inside it finds it, and it is visited. */
void fake_add_block(struct fake *fake, uint64_t address, uint64_t size, uint32_t domain, bool resizing);

void fake_set_damage(struct fake *fake, uint64_t unreadable_records, uint64_t unreadable_bytes,
                     uint64_t corrupt_records, uint64_t first_address);
/** tm_source_open() fails with it; 0: it does not. */
void fake_set_open_error(struct fake *fake, int code, const char *message);
void fake_set_tracing(struct fake *fake, bool tracing);
void fake_set_python_version(struct fake *fake, uint32_t version);
void fake_set_frame_limit(struct fake *fake, uint32_t frame_limit);
/** What the process is said to have; 0: unknown. */
/** Its process runs while it is read. */
void fake_set_moving(struct fake *fake, bool moving);
void fake_set_private(struct fake *fake, int kind, uint64_t size, uint64_t table_bytes);
void fake_set_started(struct fake *fake, uint64_t nanoseconds);
struct tm_info *fake_info(struct fake *fake);

#endif
