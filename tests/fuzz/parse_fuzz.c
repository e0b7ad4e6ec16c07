/* Any bytes as a model: the frontend answers with messages or with a valid graph, whose dump parses to the
 * same dump. libFuzzer calls it (make fuzz); it looks for crashes, undefined behaviour, hangs and calls of
 * ice().
 */
#include "frontend/frontend.h"
#include "ir/print.h"
#include "ir/verify.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct dump {
    char *text;
    size_t length;
};

/* The dump of the graph that `text` makes; text NULL if it has errors. */
static struct dump parse(struct arena *a, const char *text, size_t length) {
    struct dump d = {0};
    struct diag diag;
    char *messages;
    size_t messages_length;
    FILE *out = open_memstream(&messages, &messages_length);
    diag_init(&diag, a, out);
    const struct frontend_options options = {.unbound = true};
    struct graph *g = frontend_parse(a, &diag, "fuzz.mdl", text, length, &options);
    if (!diag.errors && !graph_verify(g)) ice("the frontend made a graph that is not valid");
    if (!diag.errors) {
        FILE *f = open_memstream(&d.text, &d.length);
        graph_print(g, f);
        fclose(f);
    } else if (!ftell(out)) {
        ice("errors were counted but none was printed");
    }
    fclose(out);
    free(messages);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *a = arena_new();
    char *text = arena_strndup(a, (const char *)data, size);
    struct dump first = parse(a, text, size);
    if (first.text) {
        struct dump second = parse(a, first.text, first.length);
        if (!second.text || strcmp(first.text, second.text)) ice("a dump does not parse to the same dump");
        free(second.text);
    }
    free(first.text);
    arena_release(a);
    return 0;
}
