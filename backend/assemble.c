/* PTX to a cubin, the machine code of one architecture, by NVIDIA's assembler: a library with it needs no
 * compiler in the driver. */
#include "backend/device.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool put_file(struct code *c, const char *path, const char *bytes, size_t size) {
    FILE *out = fopen(path, "wb");
    if (!out) return code_io_error(c, path);
    bool written = fwrite(bytes, 1, size, out) == size;
    return (fclose(out) == 0 && written) || code_io_error(c, path);
}

static bool get_file(struct code *c, const char *path, struct mdl_image *image) {
    FILE *in = fopen(path, "rb");
    long size = -1;
    if (in && !fseek(in, 0, SEEK_END)) size = ftell(in);
    char *bytes = size > 0 ? arena_alloc(c->arena, (size_t)size, 1) : NULL;
    bool good = bytes && !fseek(in, 0, SEEK_SET) && fread(bytes, 1, (size_t)size, in) == (size_t)size;
    if (in) fclose(in);
    image->code = bytes;
    image->bytes = size;
    return good || code_io_error(c, path);
}

bool assemble(struct code *c, const struct mdl_image *ptx, struct mdl_image *cubin) {
    const char *temporary = getenv("TMPDIR");
    char *folder = arena_printf(c->arena, "%s/mdlc-XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) return code_io_error(c, folder);
    char *from = arena_printf(c->arena, "%s/m.ptx", folder),
         *to = arena_printf(c->arena, "%s/m.cubin", folder);
    char *arguments[] = {arena_strdup(c->arena, c->options->assembler),
                         arena_printf(c->arena, "-arch=%s", ptx->arch),
                         arena_printf(c->arena, "--output-file=%s", to), from, NULL};
    bool good =
        put_file(c, from, ptx->code, (size_t)ptx->bytes - 1) && code_run(c, arguments, "assemble PTX");
    *cubin = (struct mdl_image){.arch = ptx->arch};
    good = good && get_file(c, to, cubin);
    unlink(from);
    unlink(to);
    rmdir(folder);
    return good;
}
