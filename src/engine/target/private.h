/**
 * Private memory: how much memory a process has that is no part of a file, of any allocator. Knows no table.
 */
#ifndef TRACEMORTEM_ENGINE_TARGET_PRIVATE_H
#define TRACEMORTEM_ENGINE_TARGET_PRIVATE_H

#include "engine/target/target.h"

struct tm_private {
    enum tm_private_kind kind; // TM_PRIVATE_UNKNOWN: then the size means nothing
    uint64_t size;             // bytes
};

/** As the front end says, or else the sum of the regions. Always unknown of a snapshot file. */
struct tm_error *tm_target_private(const struct tm_target *target, struct tm_private *result);

#endif
