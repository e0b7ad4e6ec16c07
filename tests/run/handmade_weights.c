/* Writes the hand-made model's weights file, sound or damaged in one place. */
#include "runtime/crc32c.h"
#include "tests/run/handmade.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct file {
    struct mdl_weights_header header;
    struct mdl_weights_entry entries[2];
    _Alignas(MDL_ALIGN) char data[128];
    char names[16];
};

static void seal(struct file *f) {
    f->header.header_sum = 0;
    f->header.header_sum = crc32c(0, &f->header, sizeof f->header);
    f->header.header_sum = crc32c(f->header.header_sum, f->entries, sizeof f->entries);
}

static void fill(struct file *f) {
    const float table[] = {1, 10, 100, 1000};
    const int32_t count = 7;
    memset(f, 0, sizeof *f);
    memcpy(f->data, table, sizeof table);
    memcpy(f->data + 64, &count, sizeof count);
    memcpy(f->names, "table\0count", 12);
    f->entries[0] = (struct mdl_weights_entry){0, 16, 0, crc32c(0, f->data, 16)};
    f->entries[1] = (struct mdl_weights_entry){64, 4, 6, crc32c(0, f->data + 64, 4)};
    f->header = (struct mdl_weights_header){.file_bytes = sizeof *f,
                                            .data_offset = offsetof(struct file, data),
                                            .data_bytes = sizeof f->data,
                                            .tensors = 2,
                                            .names_offset = offsetof(struct file, names),
                                            .names_bytes = 12};
    memcpy(f->header.magic, "MDLWTS\0\1", 8);
    memcpy(f->header.build_id, mdl_descriptor.build_id, sizeof f->header.build_id);
}

/* Damage that a checksum must find comes after the seal; damage that it cannot find, before. */
static void spoil(struct file *f, enum handmade_damage damage) {
    if (damage == BAD_BUILD) f->header.build_id[31] ^= 1;
    if (damage == BAD_BOUNDS) f->header.data_bytes = UINT64_MAX - 64;
    if (damage == BAD_ENTRY) f->entries[1].offset = UINT64_MAX - 2;
    if (damage == BAD_NAMES) f->header.names_bytes = 5;
    seal(f);
    if (damage == BAD_MAGIC) f->header.magic[0] = 'X';
    if (damage == BAD_SUM) f->entries[0].bytes ^= 1;
    if (damage == BAD_SIZE) f->header.file_bytes++;
    if (damage == BAD_TENSOR) f->data[2] ^= 4;
}

bool handmade_write_weights(const char *path, enum handmade_damage damage) {
    struct file f;
    fill(&f);
    spoil(&f, damage);
    FILE *out = fopen(path, "wb");
    if (!out) return false;
    size_t bytes = damage == TRUNCATED ? sizeof f / 2 : sizeof f;
    bool written = fwrite(&f, 1, bytes, out) == bytes;
    return fclose(out) == 0 && written;
}
