/**
 * One request of HTTP, by libcurl, which is loaded when it is needed: most commands do without it. Knows nothing of what is
 * sent.
 */
#ifndef TRACEMORTEM_CLI_POST_H
#define TRACEMORTEM_CLI_POST_H

#include "engine/base/error.h"
#include "engine/base/text.h"

/** NULL, or why nothing can be sent: this build cannot, or there is no libcurl. */
struct tm_error *tm_post_require(void);
/** POST a JSON body. Anything but a status of 2xx is an error, with what the server answered. */
struct tm_error *tm_post_json(const char *url, const struct tm_text *body, const char *const *headers,
                              size_t header_count);

#endif
