/* Where a model's values live, as JSON for tools: --emit=sharding writes it, --sharding=FILE reads it.
 *
 *     {
 *       "meshes": {
 *         "m": {"axes": [["data", 2], ["tensor", 3]], "ranks": [0, 5], "device": "cpu"}
 *       },
 *       "globals": {
 *         "w": {"type": "f32[192, 576]", "mesh": "m", "dims": [["tensor"], []]}
 *       },
 *       "functions": {
 *         "forward": {
 *           "arguments": {
 *             "x": {"type": "f32[S, 576]", "mesh": "m", "dims": [["data", "?"], []], "priorities": [0, null]}
 *           },
 *           "results": [{"type": "f32[576]"}],
 *           "values": {
 *             "y": {"type": "f32[S, 576]", "mesh": "m", "dims": [[], []], "partial": ["data"]}
 *           }
 *         }
 *       }
 *     }
 *
 * "dims" has a list of axes a dimension, major first; "?" is last where the compiler may add some. An entry
 * without "mesh" says nothing. Values go by their names in the dump of the model as it was read
 * (--emit=graph). */
#ifndef FRONTEND_SHARDING_JSON_H
#define FRONTEND_SHARDING_JSON_H
#include "ir/graph.h"

/* Gives the named values of a graph the names that its dump has for them, so that passes do not change which
 * is which. Call before passes run. */
void sharding_json_names(struct graph *g);

/* Whether a plan speaks of the node's results: those that a dump has as statements; a kernel's inside is its
 * own. */
struct names;
bool sharding_json_has(const struct names *names, const struct node *n);

void sharding_json_write(const struct graph *g, FILE *out);

/* Annotates the graph by the text of a file; it replaces what the model says of a value. Reports what does
 * not fit, with the line, and returns false. `path`: for messages; `text` must outlive the arena. */
bool sharding_json_read(struct graph *g, const char *path, const char *text, size_t length);

#endif
