/**
 * Object image: the memory of a made-up process with a trace table and a few Python objects: types, containers, instances, a
 * thread with two frames. For CPython 3.8, 3.11 and 3.13, by the engine's own facts about them.
 */
#ifndef TRACEMORTEM_TESTS_OBJECT_IMAGE_H
#define TRACEMORTEM_TESTS_OBJECT_IMAGE_H

#include "support/image.h"

#define OBJECT_IMAGE_DATA UINT64_C(0x555500000000) // of the module: static types and _PyRuntime
#define OBJECT_IMAGE_DATA_SIZE 0x10000u
#define OBJECT_IMAGE_HEAP UINT64_C(0x7e7800000000)
#define OBJECT_IMAGE_HEAP_SIZE 0x8000u

struct object_image {
    struct image *image;
    struct image_table table;
    const struct tm_cpython *cpython;
    uint64_t data_end, heap_end;
    uint64_t type, object, str, integer, list, tuple, dict, set, code; // static types
    uint64_t made;                                                     // a class
    uint64_t text, number, items, pair, mapping, members, instance;    // objects
    uint64_t lost, cycle; // a str that is counted once and that nothing holds; a list that has itself
    uint32_t site;
};

/** An empty image becomes one with objects; `version` is PY_VERSION_HEX. */
void object_image_create(struct object_image *objects, struct image *image, uint32_t version);

#endif
