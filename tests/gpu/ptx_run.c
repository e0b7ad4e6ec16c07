/* ptx_run FILE.ptx [--list]: says whether all of a PTX text is understood; lists its kernels. */
#include "tests/gpu/ptx.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    size_t used = 0, room = 1 << 16;
    char *text = malloc(room);
    for (size_t n; (n = fread(text + used, 1, room - used - 1, f)) > 0;)
        if ((used += n) + 1 == room) text = realloc(text, room *= 2);
    text[used] = 0;
    fclose(f);
    return text;
}

int main(int argc, char **argv) {
    bool list = argc == 3 && !strcmp(argv[2], "--list");
    char message[PTX_MESSAGE];
    if (argc != 2 && !list) return fprintf(stderr, "usage: %s FILE.ptx [--list]\n", argv[0]), 2;
    char *text = read_file(argv[1]);
    if (!text) return perror(argv[1]), 2;
    struct ptx_module *m = ptx_module_new(text, message);
    free(text);
    if (!m) return fprintf(stderr, "%s:\n%s", argv[1], message), 1;
    const struct ptx_kernel *k;
    for (size_t i = 0; list && (k = ptx_module_kernel_at(m, i)); i++)
        printf("%s: %zu instructions, %u parameters, %u bytes shared, %u bytes local, at most %u threads\n",
               ptx_kernel_name(k), ptx_kernel_instructions(k), ptx_kernel_params(k),
               ptx_kernel_shared_bytes(k), ptx_kernel_local_bytes(k), ptx_kernel_max_threads(k));
    ptx_module_free(m);
    return 0;
}
