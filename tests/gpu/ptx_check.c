/* Kernels around a few lines of PTX, for the tests. */
#include "tests/gpu/ptx_check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char head[] = ".version 8.7\n.target %s\n.address_size 64\n%s\n%s%s\nret;\n}\n";
static const char begin[] =
    ".visible .entry k(.param .u64 k_in, .param .u64 k_out, .param .u32 k_n)\n"
    "{\n"
    ".reg .pred %p<16>;\n.reg .b16 %rs<32>;\n.reg .b32 %r<64>;\n.reg .b64 %rd<32>;\n"
    ".reg .b64 %in, %out;\n.reg .b32 %thread, %lane, %n;\n"
    "ld.param.u64 %in, [k_in];\nld.param.u64 %out, [k_out];\nld.param.u32 %n, [k_n];\n"
    "cvta.to.global.u64 %in, %in;\ncvta.to.global.u64 %out, %out;\n"
    "mov.u32 %thread, %tid.x;\nmov.u32 %lane, %laneid;\n";

void check_dump(const char *text) {
    static int number;
    const char *folder = getenv("MDL_PTX_DUMP");
    char path[512];
    if (!folder) return;
    snprintf(path, sizeof path, "%s/%d-%d.ptx", folder, (int)getpid(), number++);
    FILE *f = fopen(path, "w");
    if (!f) return;
    fputs(text, f);
    fclose(f);
}

static struct ptx_module *module_of(const char *before, const char *body, char *message) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    bool newer = strstr(body, "f32x2") || strstr(body, "f32.bf16 %d4, %a2") || strstr(body, "tcgen05");
    fprintf(f, head, newer ? "sm_100a" : "sm_90a", before ? before : "", begin, body);
    fclose(f);
    check_dump(text);
    struct ptx_module *m = ptx_module_new(text, message);
    free(text);
    return m;
}

struct ptx_module *check_module(const char *before, const char *body) {
    char message[PTX_MESSAGE];
    struct ptx_module *m = module_of(before, body, message);
    cr_assert(m, "%s", message);
    return m;
}

bool check_run(const struct check_run *run, struct ptx_stats *stats, char message[PTX_MESSAGE]) {
    struct ptx_module *m = check_module(run->before, run->body);
    struct {
        uint64_t in, out;
        uint32_t n;
    } params = {ptx_allocate(run->in_bytes ? run->in_bytes : 1),
                ptx_allocate(run->out_bytes ? run->out_bytes : 1), run->n};
    if (run->in_bytes) memcpy(ptx_memory(params.in, run->in_bytes), run->in, run->in_bytes);
    struct ptx_launch launch = {.grid = {run->blocks ? run->blocks : 1, 1, 1},
                                .block = {run->threads ? run->threads : 32, 1, 1},
                                .shared = run->shared,
                                .seed = run->seed,
                                .limit = run->limit};
    *message = 0;
    bool good = ptx_run(ptx_module_kernel(m, "k"), &launch, &params, stats, message);
    if (run->out_bytes) memcpy(run->out, ptx_memory(params.out, run->out_bytes), run->out_bytes);
    ptx_release(params.in);
    ptx_release(params.out);
    ptx_module_free(m);
    return good;
}

void check_good(const struct check_run *run, struct ptx_stats *stats) {
    char message[PTX_MESSAGE];
    cr_assert(check_run(run, stats, message), "%s\n%s", message, run->body);
}
void check_fails(const struct check_run *run, const char *words) {
    char message[PTX_MESSAGE];
    bool good = check_run(run, NULL, message);
    cr_assert(!good, "no error, but '%s' is due:\n%s", words, run->body);
    cr_assert(strstr(message, words), "'%s' is not in: %s", words, message);
    cr_assert(strstr(message, "kernel k, block (") && strstr(message, "  line "), "not located: %s", message);
}
void check_refused(const char *before, const char *body, const char *words) {
    char message[PTX_MESSAGE];
    struct ptx_module *m = module_of(before, body, message);
    cr_assert(!m, "no error, but '%s' is due:\n%s", words, body);
    cr_assert(strstr(message, words) && !strncmp(message, "line ", 5), "'%s' is not in: %s", words, message);
}

uint64_t check_random(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

uint16_t check_bfloat(int v) {
    float f = (float)v;
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return (uint16_t)(u >> 16);
}

unsigned check_place(unsigned swizzle, unsigned rows, unsigned row, unsigned piece) {
    unsigned width = 1u << swizzle;
    if (!swizzle) return (piece * (rows / 8) + row / 8) * 128 + row % 8 * 16;
    unsigned line = (row * width + piece) * 16 / 128;
    return row * width * 16 + ((piece ^ (line & (width - 1))) & (width - 1)) * 16;
}
