/**
 * The page of an HTML export, with its programs and their libraries, as `make` put it together from page/ beside this
 * file: make_page.py there writes the definitions. The data goes in at one place.
 */
#ifndef TRACEMORTEM_ENGINE_EXPORT_PAGE_H
#define TRACEMORTEM_ENGINE_EXPORT_PAGE_H

#include <stddef.h>

extern const char tm_page[];
extern const size_t tm_page_length; // 0: the libraries were missing when this was built
extern const size_t tm_page_data;   // where in the page the data goes in

#endif
