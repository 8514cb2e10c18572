/**
 * Inspecting: from an address to the object there, its block and its parts, for the commands that are about one object.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_INSPECT_H
#define TRACEMORTEM_ENGINE_COMMANDS_INSPECT_H

#include "engine/base/json.h"
#include "engine/commands/request.h"
#include "engine/objects/nodes.h"
#include "engine/objects/show.h"

struct tm_inspection {
    struct tm_pool *pool;
    struct tm_objects objects;
    uint64_t asked;  // the address
    bool has_object; // false: only the block is known
    bool dead;       // the block has a dead object
    struct tm_object object;
    bool has_block; // false: no traced block contains the object
    struct tm_block block;
    uint64_t parts_size;
};

/** Fails with TM_ERROR_NOT_FOUND if there is neither an object nor a traced block. Call _deinit() in any case. */
struct tm_error *tm_inspection_init(struct tm_inspection *inspection, const struct tm_request *request,
                                    struct tm_target *target);
void tm_inspection_deinit(struct tm_inspection *inspection);

/** Members "type" and "type_address". */
void tm_inspect_type_json(const struct tm_type *type, struct tm_json *json);

#endif
