// libcurl by dlopen(): it loads two dozen libraries, which a command that holds a process still must not wait for.

#include "cli/post.h"

#include <stdio.h>
#include <string.h>

#include "process/core.h"

#if !defined(TRACEMORTEM_STATIC) && __has_include(<curl/curl.h>)

#include <curl/curl.h>
#include <dlfcn.h>

enum { CONNECT_SECONDS = 10, SECONDS = 120, MOST_ANSWER = 300 };

static struct {
    void *library;
    __typeof__(curl_global_init) *global_init;
    CURL *(*easy_init)(void);
    __typeof__(curl_easy_perform) *perform;
    __typeof__(curl_easy_cleanup) *cleanup;
    __typeof__(curl_easy_strerror) *strerror;
    __typeof__(curl_slist_append) *append;
    __typeof__(curl_slist_free_all) *free_all;
    // The header's macros of the same names would check these calls; through a pointer nothing does.
    CURLcode (*setopt)(CURL *handle, CURLoption option, ...);
    CURLcode (*getinfo)(CURL *handle, CURLINFO info, ...);
} curl;

static bool find(const char *name, void *function)
{
    void *found = dlsym(curl.library, name);
    memcpy(function, &found, sizeof(found));
    return found;
}

struct tm_error *tm_post_require(void)
{
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
    if (curl.getinfo)
        return NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !curl.library; i++)
        curl.library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (curl.library && find("curl_global_init", &curl.global_init) && find("curl_easy_init", &curl.easy_init) &&
        find("curl_easy_perform", &curl.perform) && find("curl_easy_cleanup", &curl.cleanup) &&
        find("curl_easy_strerror", &curl.strerror) && find("curl_slist_append", &curl.append) &&
        find("curl_slist_free_all", &curl.free_all) && find("curl_easy_setopt", &curl.setopt) &&
        find("curl_easy_getinfo", &curl.getinfo) && curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        return NULL;
    curl.getinfo = NULL;
    return tm_error_create(TM_ERROR_UNSUPPORTED, "nothing can be sent: libcurl.so.4 is not installed here\n"
                                                 "Install it (Debian: libcurl4), or write a file: "
                                                 "tracemortem export TARGET pprof FILE");
}

// The beginning of the server's answer, which may say what it did not like.
static size_t keep(char *bytes, size_t size, size_t count, void *context)
{
    struct tm_text *answer = context;
    size_t length = size * count, room = answer->length < MOST_ANSWER ? MOST_ANSWER - answer->length : 0;
    tm_text_bytes(answer, bytes, length < room ? length : room);
    return length;
}

static struct tm_error *judge(const char *url, CURLcode code, long status, const char *why,
                              const struct tm_text *answer)
{
    struct tm_text said = TM_TEXT_EMPTY;
    struct tm_error *error;

    if (code == CURLE_OK && status >= 200 && status < 300)
        return NULL;
    tm_text_escape(&said, tm_text_string(answer), answer->length);
    if (code != CURLE_OK)
        error = tm_error_create(TM_ERROR_OUTPUT, "cannot send to %s: %s", tm_printable(url).text,
                                tm_printable(why[0] ? why : curl.strerror(code)).text);
    else
        error = tm_error_create(TM_ERROR_OUTPUT, "%s refused it with status %ld%s%s", tm_printable(url).text, status,
                                said.length ? ": " : "", tm_text_string(&said));
    tm_text_deinit(&said);
    return error;
}

static struct tm_error *perform(CURL *handle, const char *url, const struct tm_text *body, struct curl_slist *headers)
{
    char why[CURL_ERROR_SIZE] = "";
    struct tm_text answer = TM_TEXT_EMPTY;
    long status = 0;

    curl.setopt(handle, CURLOPT_URL, url);
    curl.setopt(handle, CURLOPT_POSTFIELDS, tm_text_string(body));
    curl.setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->length);
    curl.setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl.setopt(handle, CURLOPT_USERAGENT, "tracemortem/" TRACEMORTEM_VERSION);
    curl.setopt(handle, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
    curl.setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl.setopt(handle, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl.setopt(handle, CURLOPT_TIMEOUT, (long)SECONDS);
    curl.setopt(handle, CURLOPT_ERRORBUFFER, why);
    curl.setopt(handle, CURLOPT_WRITEFUNCTION, keep);
    curl.setopt(handle, CURLOPT_WRITEDATA, &answer);
    CURLcode code = curl.perform(handle);
    curl.getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    struct tm_error *error = judge(url, code, status, why, &answer);
    tm_text_deinit(&answer);
    return error;
}

// An empty "Expect" keeps libcurl from waiting for an answer before it sends a large body.
struct tm_error *tm_post_json(const char *url, const struct tm_text *body, const char *const *headers,
                              size_t header_count)
{
    static const char *const ours[] = {"Content-Type: application/json", "Expect:"};
    struct curl_slist *list = NULL;
    bool is_whole = true;

    struct tm_error *error = tm_post_require();
    if (error)
        return error;
    for (size_t i = 0; i < 2 + header_count && is_whole; i++) {
        struct curl_slist *longer = curl.append(list, i < 2 ? ours[i] : headers[i - 2]);
        is_whole = longer;
        list = longer ? longer : list;
    }
    CURL *handle = is_whole ? curl.easy_init() : NULL;
    error = handle ? perform(handle, url, body, list) : tm_error_no_memory();
    if (handle)
        curl.cleanup(handle);
    curl.free_all(list);
    return error;
}

#else

struct tm_error *tm_post_require(void)
{
    return tm_error_create(TM_ERROR_UNSUPPORTED,
#ifdef TRACEMORTEM_STATIC
                           "this is the static file, which cannot send: it has no libcurl\n"
#else
                           "this build cannot send: libcurl's header was missing when it was built\n"
#endif
                           "Write a file: tracemortem export TARGET pprof FILE, and send it with curl");
}

struct tm_error *tm_post_json(const char *url, const struct tm_text *body, const char *const *headers,
                              size_t header_count)
{
    (void)url;
    (void)body;
    (void)headers;
    (void)header_count;
    return tm_post_require();
}

#endif
