// Sifting traces. The session's filters apply first, then the command's.

#include "engine/commands/sift.h"

#include <string.h>

enum { VERDICT_UNKNOWN, VERDICT_KEEP, VERDICT_DROP };

struct tm_error *tm_sifter_init(struct tm_sifter *sifter, const struct tm_request *request, struct tm_pool *pool,
                                tm_trace_visitor visit, void *context)
{
    memset(sifter, 0, sizeof(*sifter));
    sifter->visit = visit;
    sifter->context = context;
    struct tm_error *error = tm_sieve_init(&sifter->session, &request->session->filters);
    if (!error)
        error = tm_sieve_init(&sifter->own, &request->settings.filters);
    if (!error)
        error = tm_cutter_init(&sifter->cutter, &request->settings.mine, pool);
    return error;
}

void tm_sifter_deinit(struct tm_sifter *sifter)
{
    tm_sieve_deinit(&sifter->session);
    tm_sieve_deinit(&sifter->own);
    tm_cutter_deinit(&sifter->cutter);
}

static struct tm_error *judge(struct tm_sifter *sifter, struct tm_origin *origin)
{
    bool keep;
    struct tm_error *error = tm_sieve_keeps(&sifter->session, origin->domain, origin->traceback, &keep);
    if (!error && keep)
        error = tm_sieve_keeps(&sifter->own, origin->domain, origin->traceback, &keep);
    if (!error && keep)
        error = tm_cutter_cut(&sifter->cutter, origin->traceback, &origin->mine);
    if (!error)
        origin->verdict = keep ? VERDICT_KEEP : VERDICT_DROP;
    return error;
}

struct tm_error *tm_sift(void *context, const struct tm_trace *trace)
{
    struct tm_sifter *sifter = context;
    if (trace->origin->verdict == VERDICT_UNKNOWN) {
        struct tm_error *error = judge(sifter, trace->origin);
        if (error)
            return error;
    }
    return trace->origin->verdict == VERDICT_KEEP ? sifter->visit(sifter->context, trace) : NULL;
}
