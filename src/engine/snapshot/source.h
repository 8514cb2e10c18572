/**
 * The snapshot source: a file that Snapshot.dump() of tracemalloc, or tm-save, wrote.
 */
#ifndef TRACEMORTEM_ENGINE_SNAPSHOT_SOURCE_H
#define TRACEMORTEM_ENGINE_SNAPSHOT_SOURCE_H

#include "engine/model/source.h"

/** For a target that is a file. Reads nothing yet: the first question finds out what is wrong with the file. */
struct tm_error *tm_snapshot_file_open(struct tm_target *target, struct tm_source **result);

#endif
