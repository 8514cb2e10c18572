// The shared fixture: a call tree of four nodes, two sites, and a target of the image.

#include "support/table_fixture.h"

static int should_stop(void *context)
{
    struct fixture *f = context;
    f->asked++;
    return f->stop_after != 0 && f->asked >= f->stop_after;
}

static void progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    struct fixture *f = context;
    assert_non_null(what);
    assert_true(done <= total);
    f->progress++;
}

int table_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->image = image_create();
    image_table_create(&f->table, f->image, IMAGE_ROOT);
    f->root = f->table.root;
    f->main_node = image_frame(&f->table, 0, "main.py", 10);
    f->work_node = image_frame(&f->table, f->main_node, "work.py", 20);
    f->first_node = image_frame(&f->table, f->work_node, "work.py", 30);
    f->second_node = image_frame(&f->table, f->work_node, "work.py", 40);
    f->first_site = image_site(&f->table, f->first_node, 0, 0);
    f->second_site = image_site(&f->table, f->second_node, 0, 7);
    f->target = image_target(f->image);
    f->host = (struct tm_host){.callbacks = {.should_stop = should_stop, .progress = progress}, .context = f};
    *state = f;
    return tm_pool_create(&f->pool) != NULL;
}

int table_teardown(void **state)
{
    struct fixture *f = *state;
    tm_pool_destroy(f->pool);
    assert_true(image_longest_read(f->image) <= TM_READ_LIMIT);
    image_destroy(f->image);
    free(f);
    return 0;
}

struct tm_source *open_source(struct fixture *f)
{
    struct tm_source *source = NULL;
    struct tm_error *error = tm_source_open(f->target, &f->host, &source);
    if (error)
        fail_msg("open: %s", tm_error_message(error));
    return source;
}

struct tm_snapshot take_snapshot(struct fixture *f)
{
    struct tm_snapshot snapshot;
    tm_target_changed(f->target);
    struct tm_error *error = tm_source_snapshot(open_source(f), &f->host, f->pool, &snapshot);
    if (error)
        fail_msg("snapshot: %s", tm_error_message(error));
    return snapshot;
}

struct tm_info take_info(struct fixture *f)
{
    struct tm_info info;
    tm_target_changed(f->target);
    struct tm_error *error = tm_source_info(open_source(f), &f->host, &info);
    if (error)
        fail_msg("info: %s", tm_error_message(error));
    return info;
}

void assert_error(struct tm_error *error, enum tm_error_code code, const char *part)
{
    assert_non_null(error);
    if (tm_error_code(error) != code || !strstr(tm_error_message(error), part))
        fail_msg("expected error %d with \"%s\", got %d: %s", code, part, tm_error_code(error),
                 tm_error_message(error));
    tm_error_destroy(error);
}

void assert_open_fails(struct fixture *f, enum tm_error_code code, const char *part)
{
    struct tm_source *source = NULL;
    tm_target_changed(f->target);
    assert_error(tm_source_open(f->target, &f->host, &source), code, part);
    assert_null(source);
}

bool undamaged(const struct tm_damage *damage)
{
    return !damage->unreadable_records && !damage->unreadable_bytes && !damage->corrupt_records &&
           !damage->partial_tracebacks && !damage->first_address;
}

size_t find_blocks(struct fixture *f, uint64_t address, struct tm_block *blocks, size_t capacity,
                   struct tm_damage *damage)
{
    size_t count;
    struct tm_error *error =
        tm_source_find(open_source(f), &f->host, f->pool, address, blocks, capacity, &count, damage);
    if (error)
        fail_msg("find: %s", tm_error_message(error));
    assert_true(count <= capacity);
    return count;
}

void assert_found(struct fixture *f, uint64_t address, uint64_t start, uint64_t size)
{
    struct tm_block block;
    struct tm_damage damage;
    if (find_blocks(f, address, &block, 1, &damage) != 1)
        fail_msg("nothing found at %#llx", (unsigned long long)address);
    assert_int_equal(block.address, start);
    assert_int_equal(block.size, size);
    assert_true(undamaged(&damage));
}

void assert_not_found(struct fixture *f, uint64_t address)
{
    struct tm_block block;
    struct tm_damage damage;
    assert_int_equal(find_blocks(f, address, &block, 1, &damage), 0);
    assert_true(undamaged(&damage));
}

void assert_frame(const struct tm_traceback *traceback, uint32_t index, const char *file_name, uint32_t line)
{
    assert_true(index < traceback->count);
    const struct tm_frame *frame = tm_traceback_oldest(traceback, index + 1)->newest;
    assert_string_equal(frame->file_name->bytes, file_name);
    assert_int_equal(frame->line, line);
}

struct tm_site *site_record(struct fixture *f, uint32_t id)
{
    return image_record(&f->table, &f->root->sites, id);
}

struct tm_counters *counters_record(struct fixture *f, uint32_t id)
{
    return image_record(&f->table, &f->root->counters, id);
}

struct tm_node *node_record(struct fixture *f, uint32_t id)
{
    return image_record(&f->table, &f->root->nodes, id);
}

uint64_t root_variable(struct fixture *f, uint64_t value)
{
    uint64_t variable = image_map_anywhere(f->image, 8);
    *(uint64_t *)image_at(f->image, variable, 8) = value;
    image_set_symbol(f->image, TM_ROOT_SYMBOL, variable);
    return variable;
}
