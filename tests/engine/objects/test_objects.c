/**
 * Objects: every command about them on the memory of a made-up process, for a CPython of each layout; then with lengths that
 * lie and memory that is missing.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/text.h"
#include "engine/objects/cpython.h"
#include "support/object_image.h"

static const uint32_t versions[] = {0x030812f0, 0x030b07f0, 0x030d00f0, 0x030e02f0, 0x030f02f0};
enum { VERSIONS = sizeof(versions) / sizeof(versions[0]) };

struct state {
    struct image *image;
    struct object_image objects;
    struct tm_session *session;
    struct tm_target *target;
    struct tm_text output;
    struct tm_text file;
};

static void keep(void *context, const char *text, size_t length)
{
    tm_text_bytes(&((struct state *)context)->output, text, length);
}

static int keep_bytes(void *context, const void *bytes, size_t length)
{
    tm_text_bytes(&((struct state *)context)->file, bytes, length);
    return 0;
}

static void state_init(struct state *state, uint32_t version)
{
    static const struct tm_host_callbacks host = {.write = keep};
    memset(state, 0, sizeof(*state));
    state->image = image_create();
    object_image_create(&state->objects, state->image, version);
    assert_null(tm_session_create(&host, state, &state->session));
    state->target = image_new_target(state->image);
}

static void state_deinit(struct state *state)
{
    tm_target_destroy(state->target);
    tm_session_destroy(state->session);
    image_destroy(state->image);
    tm_text_deinit(&state->output);
    tm_text_deinit(&state->file);
}

// The answer, or the error's message.
static const char *ask(struct state *state, const char *command, const char *line)
{
    struct tm_request *request;
    tm_text_clear(&state->output);
    tm_text_clear(&state->file);
    struct tm_error *error = tm_request_create(state->session, command, line, &request);
    if (!error) {
        if (strcmp(command, "tm-export") == 0)
            tm_request_set_output(request, 0, keep_bytes, state);
        error = tm_request_run(request, state->target);
        tm_request_destroy(request);
    }
    if (error)
        tm_text_add(&state->output, tm_error_message(error));
    tm_error_destroy(error);
    return tm_text_string(&state->output);
}

static const char *ask_about(struct state *state, const char *command, uint64_t address)
{
    char line[32];
    snprintf(line, sizeof(line), "0x%llx", (unsigned long long)address);
    return ask(state, command, line);
}

#define assert_has(text, part)                                  \
    do {                                                        \
        const char *whole = (text);                             \
        if (!strstr(whole, (part)))                             \
            fail_msg("\"%s\" is not in \"%s\"", (part), whole); \
    } while (0)

static void test_types(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < VERSIONS; i++) {
        struct state state;
        state_init(&state, versions[i]);
        const char *top = ask(&state, "tm-top", "type -n 100");
        assert_has(top, "shop.Basket: size=");
        assert_has(top, "\nlist: size=");
        assert_has(top, "tuple: size=");
        assert_has(ask(&state, "tm-find", "--type list"), "2 objects");
        assert_has(ask(&state, "tm-find", "--type shop.* --attr owner=mary"), "1 object,");
        assert_has(ask(&state, "tm-find", "--type shop.* --attr owner=john"), "0 objects");
        assert_has(ask(&state, "tm-top", "type,lineno --type *.Basket"), "shop.Basket at shop.py:3: size=");
        state_deinit(&state);
    }
}

static void test_objects(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < VERSIONS; i++) {
        struct state state;
        state_init(&state, versions[i]);
        assert_has(ask_about(&state, "tm-object", state.objects.items), "['a text', 4711]");
        assert_has(ask_about(&state, "tm-object", state.objects.instance), "  owner  'mary'\n");
        assert_has(ask_about(&state, "tm-object", state.objects.mapping), "{'pair': (...)}");
        assert_has(ask_about(&state, "tm-object", state.objects.members), "{'a text'}");
        assert_has(ask_about(&state, "tm-object", state.objects.made), "class shop.Basket");
        assert_has(ask_about(&state, "tm-object", state.objects.list), "class list");
        assert_has(ask_about(&state, "tm-object", state.objects.items + 3), "3 bytes into it");
        state_deinit(&state);
    }
}

static void test_holders_and_leaks(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < VERSIONS; i++) {
        struct state state;
        state_init(&state, versions[i]);
        const char *holders = ask_about(&state, "tm-holders", state.objects.text);
        assert_has(holders, "2 references counted, 2 found");
        assert_has(ask_about(&state, "tm-holders", state.objects.number), "['pair']");
        const char *leaks = ask(&state, "tm-leaks", "");
        assert_has(leaks, "counted 1 time too often: 'lost'");
        assert_has(ask_about(&state, "tm-holders", state.objects.cycle), "nothing holds it");
        assert_has(ask(&state, "tm-leaks", "--kind garbage"), "list at shop.py:3");
        assert_has(ask_about(&state, "tm-holders", 16), "no live block contains");
        state_deinit(&state);
    }
}

static void test_holders_of_many(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < VERSIONS; i++) {
        struct state state;
        state_init(&state, versions[i]);
        assert_has(ask(&state, "tm-holders", "--type int"), "1 object, ");
        assert_has(ask(&state, "tm-holders", "--type int"), "[*][*]: size=");
        assert_has(ask(&state, "tm-holders", "--type int --depth 1"), "[*]…: size=");
        assert_has(ask(&state, "tm-holders", "--type list"), "nothing holds 1 object");
        assert_has(ask(&state, "tm-holders", "--include nothing.py"),
                   "0 objects, 0 B with their parts; without them 0 B");
        assert_has(ask(&state, "tm-top", "type --retained --type dict"), "    without them ");
        state_deinit(&state);
    }
}

static void test_paths_lead_through_all_that_refers(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < VERSIONS; i++) {
        char line[64];
        struct state state;
        state_init(&state, versions[i]);
        assert_has(ask_about(&state, "tm-holders", state.objects.text), "1 more path through other things");
        snprintf(line, sizeof(line), "--paths 9 --json 0x%" PRIx64, state.objects.text);
        const char *answer = ask(&state, "tm-holders", line);
        assert_has(answer, "\"other_paths\": [{");
        assert_has(answer, "\"paths_total\": 2");
        snprintf(line, sizeof(line), "--depth 1 0x%" PRIx64, state.objects.number);
        assert_has(ask(&state, "tm-holders", line), "more step");
        state_deinit(&state);
    }
}

static void test_heap_snapshots_have_all_objects(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < VERSIONS; i++) {
        struct state state;
        state_init(&state, versions[i]);
        assert_has(ask(&state, "tm-export", "heapsnapshot f --json"), "\"format\": \"heapsnapshot\"");
        const char *file = tm_text_string(&state.file);
        assert_has(file, "{\"snapshot\":{\"meta\":{\"node_fields\":");
        assert_has(file, "\"trace_tree\":[1,0,0,0,[");
        assert_has(file, "\"'a text'\"");
        assert_has(file, "\"shop.Basket\"");
        assert_has(file, "\"['pair']\"");
        assert_has(file, "\"shop.py:3\"");
        assert_string_equal(file + strlen(file) - 3, "]}\n");
        assert_has(ask(&state, "tm-export", "heapsnapshot f --type x"), "a filter does not go with it");
        assert_has(ask(&state, "tm-export", "heapsnapshot f --cumulative"), "--cumulative does not go with it");
        assert_has(ask(&state, "tm-export", "heapsnapshot f lineno"), "unexpected operand");
        state_deinit(&state);
    }
}

static void test_what_makes_no_sense_together_is_refused(void **unused)
{
    struct state state;
    (void)unused;
    state_init(&state, versions[0]);
    assert_has(ask(&state, "tm-holders", "--type int 0x10"), "filters and an address");
    assert_has(ask(&state, "tm-holders", "--type int --paths 2"), "--paths is for one address");
    assert_has(ask(&state, "tm-holders", ""), "missing address");
    assert_has(ask(&state, "tm-holders", "--paths 0 0x10"), "is not a number from 1");
    assert_has(ask(&state, "tm-top", "--retained --cumulative"), "--retained does not go with --cumulative");
    state_deinit(&state);
}

static void test_threads(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < VERSIONS; i++) {
        struct state state;
        state_init(&state, versions[i]);
        const char *threads = ask(&state, "tm-threads", "--locals");
        assert_has(threads, "Thread 0x0000000000007f12 (");
        assert_has(threads, "  File \"shop.py\", line ");
        assert_has(threads, versions[i] >= 0x030b0000 ? " in Basket.buy\n" : " in buy\n");
        assert_has(threads, "    basket = shop.Basket object at 0x");
        state_deinit(&state);
    }
}

static void test_other_releases_are_refused_by_name(void **unused)
{
    struct state state;
    (void)unused;
    state_init(&state, versions[2]);
    state.objects.table.root->python_version = 0x031000f0;
    assert_has(ask(&state, "tm-top", "type"),
               "the target runs CPython 3.16, and they are known for CPython 3.8 to 3.15");
    state.objects.table.root->python_version = versions[2];
    state.objects.table.root->flags |= TM_ROOT_FREE_THREADED;
    tm_target_changed(state.target);
    assert_has(ask(&state, "tm-leaks", ""), "CPython 3.13 without a global lock");
    state_deinit(&state);
}

// Lengths that are not true neither crash nor cost much.
static void test_lies_are_doubted(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < VERSIONS; i++) {
        struct state state;
        state_init(&state, versions[i]);
        const struct object_image *objects = &state.objects;
        const uint64_t places[] = {objects->items + TM_VAR_SIZE,   objects->text + TM_STR_LENGTH,
                                   objects->members + TM_SET_MASK, objects->pair + TM_VAR_SIZE,
                                   objects->number + TM_VAR_SIZE,  objects->mapping + TM_DICT_KEYS};
        for (unsigned j = 0; j < sizeof(places) / sizeof(places[0]); j++) {
            static const uint64_t lies[] = {0, 1, UINT64_C(1) << 20, UINT64_C(1) << 40, UINT64_MAX / 8, UINT64_MAX};
            uint64_t old;
            memcpy(&old, image_at(state.image, places[j], 8), 8);
            for (unsigned k = 0; k < sizeof(lies) / sizeof(lies[0]); k++) {
                uint64_t before = image_bytes_read(state.image);
                memcpy(image_at(state.image, places[j], 8), &lies[k], 8);
                ask(&state, "tm-top", "type");
                ask(&state, "tm-leaks", "--json");
                ask_about(&state, "tm-object", objects->mapping);
                ask_about(&state, "tm-object", places[j] & ~UINT64_C(15));
                assert_true(image_bytes_read(state.image) - before < UINT64_C(1) << 28);
            }
            memcpy(image_at(state.image, places[j], 8), &old, 8);
        }
        state_deinit(&state);
    }
}

// How much memory that may have roots could not be searched.
static unsigned long long unreadable(struct state *state)
{
    const char *found = strstr(ask(state, "tm-leaks", "--json"), "\"unreadable_roots\": ");
    assert_non_null(found);
    return strtoull(strchr(found, ':') + 1, NULL, 10);
}

static void test_missing_memory_makes_findings_suspect(void **unused)
{
    struct state state;
    (void)unused;
    state_init(&state, versions[2]);
    unsigned long long before = unreadable(&state); // parts of pages: the mappings of an image end anywhere
    image_hide(state.image, OBJECT_IMAGE_DATA + 0x8000, 4096);
    tm_target_changed(state.target);
    assert_int_equal(unreadable(&state), before + 4096);
    assert_has(ask(&state, "tm-leaks", ""), "lost (suspect): ");
    state_deinit(&state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_holders_and_leaks),
        cmocka_unit_test(test_holders_of_many),
        cmocka_unit_test(test_paths_lead_through_all_that_refers),
        cmocka_unit_test(test_heap_snapshots_have_all_objects),
        cmocka_unit_test(test_what_makes_no_sense_together_is_refused),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_other_releases_are_refused_by_name),
        cmocka_unit_test(test_lies_are_doubted),
        cmocka_unit_test(test_missing_memory_makes_findings_suspect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
