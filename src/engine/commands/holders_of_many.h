/**
 * What holds many objects: the paths of tm-holders where filters select what is asked about.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_HOLDERS_OF_MANY_H
#define TRACEMORTEM_ENGINE_COMMANDS_HOLDERS_OF_MANY_H

#include "engine/commands/look.h"

/** The look has its graph. */
struct tm_error *tm_holders_of_many(const struct tm_request *request, struct tm_look *look, struct tm_pool *pool,
                                    struct tm_text *out);

#endif
