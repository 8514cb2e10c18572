// One address: nothing is listed, so the answer takes milliseconds.

#include "engine/commands/inspect.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/open.h"

enum { MOST_BLOCKS = 8, MOST_PARTS = 4096, HEAD = 64 };

// The block of Python's own domain that contains the address.
static struct tm_error *find_block(struct tm_inspection *inspection, uint64_t address, struct tm_block *block,
                                   bool *found)
{
    struct tm_objects *objects = &inspection->objects;
    struct tm_block blocks[MOST_BLOCKS];
    struct tm_damage damage;
    size_t count;
    *found = false;
    struct tm_error *error =
        tm_source_find(objects->source, objects->host, inspection->pool, address, blocks, MOST_BLOCKS, &count, &damage);
    if (error && tm_error_code(error) == TM_ERROR_NOT_FOUND) {
        tm_error_destroy(error);
        return NULL;
    }
    for (size_t i = 0; !error && i < count && i < MOST_BLOCKS && !*found; i++) {
        *block = blocks[i];
        *found = blocks[i].domain == 0;
    }
    return error;
}

static struct tm_error *find_in_block(struct tm_inspection *inspection)
{
    struct tm_objects *objects = &inspection->objects;
    unsigned char bytes[HEAD];
    struct tm_heap_node node = {.address = inspection->block.address, .size = inspection->block.size};
    size_t length = node.size < HEAD ? (size_t)node.size : HEAD;
    if (!tm_objects_read(objects, node.address, bytes, length))
        return tm_objects_check(objects);
    struct tm_error *error = tm_node_classify(objects, &node, bytes, length);
    inspection->dead = node.kind == TM_NODE_DEAD;
    if (error || node.kind != TM_NODE_OBJECT)
        return error;
    return tm_object_at(objects, tm_node_object(&node), &inspection->object, &inspection->has_object);
}

struct parts {
    struct tm_inspection *inspection;
    unsigned count;
};

static struct tm_error *add_part(void *context, uint64_t part, enum tm_part kind)
{
    struct parts *parts = context;
    struct tm_block block;
    bool found;
    (void)kind;
    if (parts->count++ >= MOST_PARTS)
        return NULL;
    struct tm_error *error = find_block(parts->inspection, part, &block, &found);
    if (!error && found && block.address != parts->inspection->block.address)
        parts->inspection->parts_size = tm_add_saturating(parts->inspection->parts_size, block.size);
    return error;
}

static struct tm_error *not_found(const struct tm_inspection *inspection)
{
    return tm_error_create(TM_ERROR_NOT_FOUND,
                           "no object is known at 0x%" PRIx64 ": nothing there makes sense as a Python object, and no "
                           "traced block contains it\nType \"tm-find --type 'PATTERN'\" for the addresses of objects",
                           inspection->asked);
}

static struct tm_error *look(struct tm_inspection *inspection)
{
    struct tm_error *error =
        tm_object_at(&inspection->objects, inspection->asked, &inspection->object, &inspection->has_object);
    if (!error)
        error = find_block(inspection, inspection->asked, &inspection->block, &inspection->has_block);
    if (!error && !inspection->has_object && inspection->has_block)
        error = find_in_block(inspection);
    if (error)
        return error;
    if (!inspection->has_object)
        return inspection->has_block ? NULL : not_found(inspection);
    struct parts parts = {inspection, 0};
    return tm_parts_visit(&inspection->objects, inspection->object.address, inspection->object.type, add_part, &parts);
}

struct tm_error *tm_inspection_init(struct tm_inspection *inspection, const struct tm_request *request,
                                    struct tm_target *target)
{
    const struct tm_host *host = &request->session->host;
    struct tm_source *source;
    memset(inspection, 0, sizeof(*inspection));
    inspection->asked = request->has_address ? request->address : request->unresolved[0].address;
    struct tm_error *error = tm_pool_create(&inspection->pool);
    if (!error)
        error = tm_source_open(target, host, &source);
    if (!error)
        error = tm_objects_init(&inspection->objects, target, source, host, inspection->pool);
    return error ? error : look(inspection);
}

void tm_inspection_deinit(struct tm_inspection *inspection)
{
    tm_objects_deinit(&inspection->objects);
    tm_pool_destroy(inspection->pool);
}

void tm_inspect_type_json(const struct tm_type *type, struct tm_json *json)
{
    if (type->name)
        tm_json_string(json, "type", type->name->bytes, type->name->length);
    else
        tm_json_null(json, "type");
    tm_json_number(json, "type_address", type->address);
}
