/**
 * Dicts: their entries, in the order of insertion, whatever kind of keys they have; and the attributes of instances, which
 * are kept as a dict or as the values of shared keys. Knows no type by itself.
 */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_DICTS_H
#define TRACEMORTEM_ENGINE_OBJECTS_DICTS_H

#include "engine/objects/objects.h"

struct tm_dict {
    uint64_t keys;    // the address of the keys
    uint64_t values;  // the address of the first value, if values are apart; else 0
    uint64_t entries; // the address of the first entry
    uint64_t count;   // of entries, empty ones too
    uint64_t order; // where the numbers of the entries are in the order of insertion, a byte each; 0: they are in order
    uint64_t slots; // where there is such an order, how many entries the keys have
    uint8_t entry_size;
    uint8_t key; // where an entry has its key
};

/** The dict object at this address. False: it makes no sense. */
bool tm_dict_open(struct tm_objects *objects, uint64_t address, struct tm_dict *result);
/** The keys at this address, with the values from another one on; 0: values are in the entries. */
bool tm_dict_open_keys(struct tm_objects *objects, uint64_t keys, uint64_t values, struct tm_dict *result);
/** Entry `index`. False: it is empty, or cannot be read. */
bool tm_dict_entry(struct tm_objects *objects, const struct tm_dict *dict, uint64_t index, uint64_t *key,
                   uint64_t *value);
/** The value of a key that is a str; 0: there is none. Looks at no more than some thousand entries. */
uint64_t tm_dict_find(struct tm_objects *objects, const struct tm_dict *dict, const char *key);

struct tm_type;
/** The attributes of an instance of a type. False: it has none, or they cannot be read. */
bool tm_attributes_open(struct tm_objects *objects, uint64_t address, const struct tm_type *type,
                        struct tm_dict *result);
/** Where the values behind an object of 3.13 begin, if they are in use; else 0. */
uint64_t tm_inline_values(struct tm_objects *objects, uint64_t address, const struct tm_type *type);

#endif
