/**
 * HTML: one page that shows stacks as pictures and tables in any browser, without a network. Knows no command and no
 * target.
 */
#ifndef TRACEMORTEM_ENGINE_EXPORT_HTML_H
#define TRACEMORTEM_ENGINE_EXPORT_HTML_H

#include "engine/export/formats.h"

/** What the page says of the process: lines of "name: value", already escaped; NULL or empty: nothing. */
struct tm_html_facts {
    const char *now;     // what tm-info says
    const char *old;     // of the old side
    const char *notes;   // lines: filters, what is missing
    const char *written; // when the page was made: ISO, UTC
    bool cumulative;     // the table begins with what is below each place
};

/** How much of the stacks a page has room for. The rest is in its sums. */
struct tm_html_cut {
    uint64_t stacks, whole_stacks; // of which all frames are in the picture
    struct tm_amount amount;       // of the others, as far as they are cut
};

/** The most bytes that a page has. */
#define TM_HTML_LIMIT 1000000u

/** TM_ERROR_UNSUPPORTED if this build has no page; ask before the file is opened. */
struct tm_error *tm_export_html_require(void);
struct tm_error *tm_export_html(const struct tm_export *export, const struct tm_html_facts *facts, struct tm_sink *sink,
                                struct tm_html_cut *cut);

#endif
