/**
 * Bounds: how long the arrays of a trace table get for a root's record_limit, their placeholders included. The tracer
 * keeps to them, and a reader says how near they are. Of sites there are as many as record_limit says. The last quarter
 * of the sites and of the nodes is for tracebacks without callers. docs/layout.md has the same figures.
 */
#ifndef TRACEMORTEM_LAYOUT_BOUNDS_H
#define TRACEMORTEM_LAYOUT_BOUNDS_H

#define TM_STRINGS_LIMIT(record_limit) ((record_limit) / 4)
#define TM_CODES_LIMIT(record_limit) ((record_limit) / 4)
#define TM_NODES_LIMIT(record_limit) ((record_limit) / 2 * 4)
#define TM_BYTES_LIMIT(record_limit) ((record_limit)*32)

#endif
