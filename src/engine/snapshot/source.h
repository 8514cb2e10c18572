/**
 * The snapshot file as a source: what Snapshot.dump() of tracemalloc, or tm-save, wrote.
 */
#ifndef TRACEMORTEM_ENGINE_SNAPSHOT_SOURCE_H
#define TRACEMORTEM_ENGINE_SNAPSHOT_SOURCE_H

#include "engine/model/source.h"

/** For a target which is a file. Reads nothing yet: what is wrong with the file is told when it is asked something. */
struct tm_error *tm_snapshot_file_open(struct tm_target *target, struct tm_source **result);

#endif
