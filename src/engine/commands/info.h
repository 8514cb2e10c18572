/**
 * The answer of tm-info, for other commands that show it too.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_INFO_H
#define TRACEMORTEM_ENGINE_COMMANDS_INFO_H

#include "engine/base/text.h"
#include "engine/model/footprint.h"
#include "engine/model/source.h"

/** The lines "name: value" of tm-info. */
void tm_info_write_text(const struct tm_info *info, const struct tm_footprint *footprint, struct tm_text *out);

#endif
