/**
 * References: which words of a block are references that it owns. Types say it for the kinds of objects whose memory has
 * words that are not (lengths, hashes, weak references, what is stale); in all other blocks every aligned word may be one.
 * And the label of such a word: the attribute, key or index that a reader knows it by. Knows no graph.
 */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_REFERENCES_H
#define TRACEMORTEM_ENGINE_OBJECTS_REFERENCES_H

#include "engine/objects/nodes.h"

/** Called for each word that may be a reference, with where in the block it is. Words that are 0 are left out. */
typedef struct tm_error *(*tm_reference_visitor)(void *context, uint64_t offset, uint64_t word);
/** *unreadable is set if a part of the block cannot be read. */
struct tm_error *tm_references_visit(struct tm_objects *objects, const struct tm_nodes *nodes,
                                     const struct tm_heap_node *node, tm_reference_visitor visit, void *context,
                                     bool *unreadable);

/** The label of the word at `offset`: ".name", "['key']", "[3]", "+24". */
struct tm_error *tm_reference_label(struct tm_objects *objects, const struct tm_nodes *nodes,
                                    const struct tm_heap_node *node, uint64_t offset, struct tm_text *text);
/** Whether the word at `offset` is the key of an entry of a dict. */
bool tm_reference_is_key(struct tm_objects *objects, const struct tm_nodes *nodes, const struct tm_heap_node *node,
                         uint64_t offset);

#endif
