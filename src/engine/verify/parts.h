/**
 * The parts of verifying, each with a file of its own, in the order in which verify.c runs them.
 *
 * All add findings to the verifier. They fail only if interrupted or if there is no memory.
 */
#ifndef TRACEMORTEM_ENGINE_VERIFY_PARTS_H
#define TRACEMORTEM_ENGINE_VERIFY_PARTS_H

#include "engine/verify/verifier.h"

/** The root, and where its arrays' chunks are. */
void tm_verify_root(struct tm_verifier *verifier);
/** Strings, code objects, nodes and sites: marks those which are good, and makes the sites' tallies. */
struct tm_error *tm_verify_records(struct tm_verifier *verifier);
/** Whether the copies of chunks are the same as the chunks. */
struct tm_error *tm_verify_copies(struct tm_verifier *verifier);
/** The records of leaves, of arenas and of the tracer's mappings. */
struct tm_error *tm_verify_places(struct tm_verifier *verifier);
/** Tracked blocks and their index; counts the blocks. */
struct tm_error *tm_verify_tracked(struct tm_verifier *verifier);
/** The map's blocks and those inside realloc(); then all that counts blocks is compared with what was found. */
struct tm_error *tm_verify_blocks(struct tm_verifier *verifier);
/** After all else: whether any two things take the same memory, how much it is, and whether the tracer mapped it. */
void tm_verify_memory(struct tm_verifier *verifier);

#endif
