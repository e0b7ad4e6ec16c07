/* write_broken DIR: the broken weight files, as DIR/1.bin, DIR/2.bin, ...; tests/broken.sh feeds them to
 * mdlc. */
#include "tests/unit/weights_samples.h"
#include <stdio.h>

static int write_file(const char *path, const struct buffer *b) {
    FILE *out = fopen(path, "wb");
    if (!out) return 0;
    size_t written = fwrite(b->bytes, 1, b->size, out);
    return !fclose(out) && written == b->size;
}

int main(int argc, char **argv) {
    static struct buffer sample;
    char path[4096];
    if (argc != 2) return 2;
    for (size_t i = 0; broken_sample(i, &sample); i++) {
        int n = snprintf(path, sizeof path, "%s/%zu.bin", argv[1], i + 1);
        if (n < 0 || (size_t)n >= sizeof path || !write_file(path, &sample)) return 3;
    }
    return 0;
}
