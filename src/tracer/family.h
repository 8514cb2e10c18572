/**
 * Which family a CPython belongs to: a release (3.13) and a build (with its global lock, or free-threaded).
 */
#ifndef TRACEMORTEM_TRACER_FAMILY_H
#define TRACEMORTEM_TRACER_FAMILY_H

#include "facts.h"

/** The row in families.h of a version, (major << 8) | minor; FAMILY_UNKNOWN: there is none. */
int family_of(uint32_t version, bool free_threaded);
enum { FAMILY_UNKNOWN = -1 };

/** The facts of a row. */
const struct cpython_facts *family_facts(int family);

/** The versions of the first and the last row. */
uint32_t family_oldest_version(void);
uint32_t family_newest_version(void);

#endif
