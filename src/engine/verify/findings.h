/**
 * Findings: counting what is wrong, and passing the first findings of each kind on to the caller. Knows nothing of how they
 * are found.
 */
#ifndef TRACEMORTEM_ENGINE_VERIFY_FINDINGS_H
#define TRACEMORTEM_ENGINE_VERIFY_FINDINGS_H

#include "engine/model/verification.h"

/** The request and the result must outlive it. */
struct tm_findings {
    const struct tm_verify_request *request;
    struct tm_verification *result;
    uint64_t visited[TM_FINDING_KINDS];
};

/** A finding about so many records; `why` as printf() takes it. The other parameters are those of struct tm_finding. */
void tm_findings_add(struct tm_findings *findings, enum tm_finding_kind kind, const char *what, uint64_t id,
                     uint64_t address, uint64_t records, const char *why, ...) __attribute__((format(printf, 7, 8)));
/** The kind of what looks like an update in flight: damage where the tracer is known to be at rest. */
enum tm_finding_kind tm_findings_in_flight(const struct tm_findings *findings);

#endif
