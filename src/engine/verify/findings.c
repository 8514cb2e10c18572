// Each finding is counted; its words are made only if the caller sees them.

#include "engine/verify/findings.h"

#include <stdarg.h>
#include <stdio.h>

#define LONGEST_WHY 256u

void tm_findings_add(struct tm_findings *findings, enum tm_finding_kind kind, const char *what, uint64_t id,
                     uint64_t address, uint64_t records, const char *why, ...)
{
    char words[LONGEST_WHY];
    findings->result->records[kind] += records;
    if (findings->visited[kind] >= findings->request->limit)
        return;
    findings->visited[kind]++;
    va_list arguments;
    va_start(arguments, why);
    vsnprintf(words, sizeof(words), why, arguments);
    va_end(arguments);
    const struct tm_finding finding = {kind, what, id, address, words};
    findings->request->visit(findings->request->context, &finding);
}

enum tm_finding_kind tm_findings_in_flight(const struct tm_findings *findings)
{
    return findings->request->strict ? TM_FINDING_DAMAGE : TM_FINDING_IN_FLIGHT;
}
