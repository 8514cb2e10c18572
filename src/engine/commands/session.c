// Creates and destroys sessions. Knows no command.

#include "engine/commands/session.h"

#include <stdlib.h>

struct tm_error *tm_session_create(const struct tm_host_callbacks *host, void *context, struct tm_session **result)
{
    struct tm_session *session = calloc(1, sizeof(*session));
    if (!session)
        return tm_error_no_memory();
    if (host)
        session->host.callbacks = *host;
    session->host.context = context;
    session->defaults = (struct tm_defaults){.limit = TM_DEFAULT_LIMIT, .source = true};
    *result = session;
    return NULL;
}

void tm_session_destroy(struct tm_session *session)
{
    if (!session)
        return;
    tm_filter_list_deinit(&session->filters);
    tm_text_deinit(&session->completion);
    free(session->defaults.folder);
    free(session);
}
