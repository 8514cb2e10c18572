/**
 * Show: an object as one line of text, as far as that is safe. Only exact built-in types have a value here; nothing of the
 * program runs, so nothing of a class's own __repr__ is known. Every length is doubted, and there is a budget of
 * characters, items and levels. Knows no command.
 */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_SHOW_H
#define TRACEMORTEM_ENGINE_OBJECTS_SHOW_H

#include "engine/objects/types.h"

/** An object that was found at an address. */
struct tm_object {
    uint64_t address;
    const struct tm_type *type;
    uint64_t references; // its reference count, as far as that means something
    bool immortal;
    bool tracked; // by the collector
    bool is_gc;   // the collector could track it
    bool has_length;
    uint64_t length; // len(), for the built-in containers and strings
};

/** The object that begins at exactly this address. False in *found: nothing there makes sense as an object. */
struct tm_error *tm_object_at(struct tm_objects *objects, uint64_t address, struct tm_object *object, bool *found);

/**
 * A value as repr() would show it, or "shop.Basket object at 0x7f…". *truncated is set if something was left out. Fails
 * only without memory or if interrupted.
 */
struct tm_error *tm_show_value(struct tm_objects *objects, uint64_t address, struct tm_text *text, bool *truncated);
/** "shop.Basket object at 0x7f…", or what else tells such objects apart: the name of a function, a class, a module. */
struct tm_error *tm_show_name(struct tm_objects *objects, const struct tm_object *object, struct tm_text *text);
/** The same in a few words: of a container only how many items it has. */
struct tm_error *tm_show_short(struct tm_objects *objects, uint64_t address, struct tm_text *text);
/** A key as in a subscript: 'name', 3. */
struct tm_error *tm_show_key(struct tm_objects *objects, uint64_t address, struct tm_text *text);

/** Called for each reference that an object shows: an item, a key's value, an attribute. Return false to stop. */
struct tm_member {
    const char *attribute; // its name, or NULL
    uint64_t key;          // the address of the key of an item, or 0
    bool has_index;
    uint64_t index;
    uint64_t value; // address
};
typedef struct tm_error *(*tm_member_visitor)(void *context, const struct tm_member *member);
/** At most `most` members; *total is how many there are, as far as the object says. */
struct tm_error *tm_members_visit(struct tm_objects *objects, const struct tm_object *object, uint64_t most,
                                  tm_member_visitor visit, void *context, uint64_t *total);

#endif
