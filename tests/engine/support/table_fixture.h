/**
 * What tests of the table share: an image with a small valid table, the questions, and the checks of the answers.
 *
 * A test changes one thing of the table and looks at the answer.
 */
#ifndef TRACEMORTEM_TESTS_TABLE_FIXTURE_H
#define TRACEMORTEM_TESTS_TABLE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/host.h"
#include "engine/open.h"
#include "support/image.h"

#define HEAP UINT64_C(0x7f7000000000) // of the traced program; the image does not contain it, and nothing reads it
#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

struct fixture {
    struct image *image;
    struct image_table table;
    struct tm_root *root;
    struct tm_target *target;
    struct tm_pool *pool;
    struct tm_host host;
    uint64_t stop_after; // how often should_stop may be asked before it says yes; 0: never
    uint64_t asked;
    uint64_t progress;
    // A call tree: main.py:10 calls work.py:20, which allocates at work.py:30 and at work.py:40.
    uint32_t main_node, work_node, first_node, second_node;
    uint32_t first_site, second_site;
};

/** For cmocka: make a fixture, and destroy it. No read of the image may have been longer than TM_READ_LIMIT. */
int table_setup(void **state);
int table_teardown(void **state);
/** The source, of a table which must open. */
struct tm_source *open_source(struct fixture *f);
/** These read the target again. */
struct tm_snapshot take_snapshot(struct fixture *f);
struct tm_info take_info(struct fixture *f);
/** The error's code has to be this and its message has to contain `part`. Destroys it. */
void assert_error(struct tm_error *error, enum tm_error_code code, const char *part);
void assert_open_fails(struct fixture *f, enum tm_error_code code, const char *part);
bool undamaged(const struct tm_damage *damage);
/** How many blocks contain the address; the search must not fail. */
size_t find_blocks(struct fixture *f, uint64_t address, struct tm_block *blocks, size_t capacity,
                   struct tm_damage *damage);
/** Exactly one block contains the address, this one; or no block does. Nothing is damaged. */
void assert_found(struct fixture *f, uint64_t address, uint64_t start, uint64_t size);
void assert_not_found(struct fixture *f, uint64_t address);
void assert_frame(const struct tm_traceback *traceback, uint32_t index, const char *file_name, uint32_t line);
/** The bytes of a record in the image. */
struct tm_site *site_record(struct fixture *f, uint32_t id);
struct tm_counters *counters_record(struct fixture *f, uint32_t id);
struct tm_node *node_record(struct fixture *f, uint32_t id);
/** Have the tracer's symbol lead to a variable with this value; returns where the variable is. */
uint64_t root_variable(struct fixture *f, uint64_t value);

#define TEST(function) cmocka_unit_test_setup_teardown(function, table_setup, table_teardown)

#endif
