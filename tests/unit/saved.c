/* Sessions in files: what is restored, what is left alone, and every way in which a file can be wrong. */
#include "runtime/abi.h"
#include "runtime/crc32c.h"
#include "runtime/touched.h"
#include "tests/run/descriptor.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* model cells; state s : i64[CELLS], whose first is 5 at first; fn swap(at: i64, value: i64) -> i64: the
 * cell's old value; value < 0 leaves it. Its last page is not whole. */
enum { PAGES = 300, CELLS = (PAGES - 1) * SAVED_PAGE / 8 + 3, A_PAGE = SAVED_PAGE / 8 };

static int64_t *cells; /* where the kernel found the state */

static int32_t swap_cell(void *const *b, const int64_t *dims, char *scratch, int64_t thread,
                         int64_t threads) {
    (void)dims, (void)scratch, (void)threads;
    if (thread) return 0;
    int64_t *state = b[2], at = *(int64_t *)b[0], value = *(int64_t *)b[1];
    *(int64_t *)b[3] = state[at];
    if (value >= 0) state[at] = value;
    cells = state;
    return 0;
}

static mdl_kernel *const kernels[] = {swap_cell};
static const struct mdl_ref refs[] = {
    {.space = MDL_INPUT}, {.space = MDL_INPUT, .index = 1}, {.space = MDL_STATE}, {.space = MDL_RESULT}};
static const struct mdl_step steps[] = {{.kind = MDL_STEP_KERNEL, .refs = 4, .name = "k0.swap"}};
static const struct mdl_variant variants[] = {{.steps = steps, .steps_count = 1}};
static const struct mdl_tensor inputs[] = {{.name = "at", .dtype = MDL_I64},
                                           {.name = "value", .dtype = MDL_I64}};
static const struct mdl_tensor results[] = {{.name = "0", .dtype = MDL_I64}};
static const struct mdl_function functions[] = {{"swap", NULL, inputs, results, variants, 0, 2, 1, 1, 0, 0}};
static const struct mdl_state states[] = {{"s", 0, CELLS * 8, 0}};
static const int64_t first_cells[CELLS] = {5};
static int64_t extent(uint32_t index, const int64_t *dims) { return (void)index, (void)dims, 0; }

static const struct mdl_descriptor descriptor = {
    DESCRIPTOR("cells", "cells.mdl", "any"),
    .states_count = COUNT(states),
    .kernels_count = COUNT(kernels),
    .build_id = {0xce, 0x11},
    .states = states,
    .kernels = kernels,
    .state_bytes = CELLS * 8,
    .embedded_weights = first_cells,
    .weights_bytes = sizeof first_cells,
};

static char folder[64], path[128];
static struct mdl_model *model;
static struct mdl_session *session;

static void begin(void) {
    strcpy(folder, "/tmp/mdl-saved-XXXXXX");
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    struct mdl_options o = {.size = sizeof o, .threads = 1};
    cr_assert_eq(mdl_open(&descriptor, NULL, &o, &model), MDL_OK);
    cr_assert_eq(mdl_session_new(model, &session), MDL_OK);
}

static void end(void) {
    mdl_session_free(session);
    mdl_close(model);
    unlink(path);
    cr_expect_eq(rmdir(folder), 0, "files are left in %s", folder);
}

TestSuite(saved, .init = begin, .fini = end);

static int64_t swap(int64_t at, int64_t value) {
    int64_t old = -1;
    cr_assert_eq(mdl_call(session, 0, NULL, (const void *[]){&at, &value}, (void *[]){&old}), MDL_OK);
    return old;
}
static void set(int64_t at, int64_t value) { swap(at, value); }
static int64_t get(int64_t at) { return swap(at, -1); }

static void save(const char *note) {
    cr_assert_eq(mdl_session_save(session, path, note, strlen(note)), MDL_OK, "%s", mdl_error(session));
}
static void load(void) {
    cr_assert_eq(mdl_session_load(session, path, NULL, 0, NULL), MDL_OK, "%s", mdl_error(session));
}

static char *contents(size_t *size) {
    FILE *in = fopen(path, "rb");
    cr_assert(in);
    char *bytes = malloc(1 << 22);
    *size = fread(bytes, 1, 1 << 22, in);
    fclose(in);
    return bytes;
}

static void write_file(const void *bytes, size_t size) {
    FILE *out = fopen(path, "wb");
    cr_assert(out && fwrite(bytes, 1, size, out) == size && !fclose(out));
}

static void expect_refused(int status, const char *message) {
    char wanted[400];
    uint64_t note_bytes;
    char note[8];
    snprintf(wanted, sizeof wanted, "%s: %s", path, message);
    cr_expect_eq(mdl_session_load(session, path, note, sizeof note, &note_bytes), status, "%s",
                 mdl_error(session));
    cr_expect_str_eq(mdl_error(session), wanted);
}

Test(saved, states_come_back_and_pages_that_are_not_there_are_zeros) {
    set(3, 33), set(7 * A_PAGE, 7), set(200 * A_PAGE + 9, 8), set(CELLS - 1, 99);
    save("");
    set(0, 55), set(3, 34), set(8 * A_PAGE, 1), set(CELLS - 1, 1);
    load();
    cr_expect_eq(get(0), 5);
    cr_expect_eq(get(3), 33);
    cr_expect_eq(get(7 * A_PAGE), 7);
    cr_expect_eq(get(8 * A_PAGE), 0, "a page that the file does not hold");
    cr_expect_eq(get(200 * A_PAGE + 9), 8);
    cr_expect_eq(get(CELLS - 1), 99);
    cr_assert_eq(mdl_session_reset(session), MDL_OK);
    cr_expect(get(0) == 5 && get(3) == 0);
    set(0, 0); /* what was initialised may be zeros too */
    save("");
    cr_assert_eq(mdl_session_reset(session), MDL_OK);
    load();
    cr_expect_eq(get(0), 0);
}

Test(saved, another_session_of_the_build_takes_it) {
    struct mdl_session *first = session;
    set(1000, 44);
    save("");
    cr_assert_eq(mdl_session_new(model, &session), MDL_OK);
    set(1, 1);
    load();
    cr_expect(get(1000) == 44 && get(1) == 0);
    mdl_session_free(session);
    session = first;
}

Test(saved, all_pages_in_use) {
    for (int64_t i = 0; i < CELLS; i++) set(i, i * 3);
    save("all");
    cr_assert_eq(mdl_session_reset(session), MDL_OK);
    load();
    int64_t wrong = 0;
    for (int64_t i = 0; i < CELLS; i++) wrong += get(i) != i * 3;
    cr_expect_eq(wrong, 0);
}

Test(saved, the_note_comes_back) {
    char note[16] = "";
    uint64_t bytes = 0;
    save("ten tokens");
    cr_assert_eq(mdl_session_load(session, path, note, 10, &bytes), MDL_OK);
    cr_expect(bytes == 10 && !strcmp(note, "ten tokens"));
    set(1, 1);
    bytes = 0;
    cr_expect_eq(mdl_session_load(session, path, note, 9, &bytes), MDL_INVALID);
    cr_expect(bytes == 10 && get(1) == 1, "a note that does not fit: %d bytes", (int)bytes);
    expect_refused(MDL_INVALID, "its note has 10 bytes, there is room for 8");
    load();
    cr_expect_eq(get(1), 0);
    save("");
    cr_assert_eq(mdl_session_load(session, path, note, 9, &bytes), MDL_OK);
    cr_expect_eq(bytes, 0);
}

Test(saved, only_pages_that_are_not_zeros_are_written) {
    size_t head = sizeof(struct mdl_saved_header), page = sizeof(struct mdl_saved_run) + SAVED_PAGE, size;
    set(5 * A_PAGE, 1), set(100 * A_PAGE, 2), set(200 * A_PAGE, 0);
    save("12345");
    free(contents(&size));
    cr_expect_eq(size, head + 5 + 3 * page); /* the first page has an initial value */
    for (int64_t i = 1; i < 4; i++) set(i * A_PAGE, 1);
    save("");
    free(contents(&size));
    cr_expect_eq(size, head + 2 * page + sizeof(struct mdl_saved_run) + 4 * SAVED_PAGE);
}

static size_t pages_touched(void) {
    static bool touched[PAGES];
    size_t count = 0;
    touched_pages(PAGEMAP, cells, PAGES, touched);
    for (size_t i = 0; i < PAGES; i++) count += touched[i];
    return count;
}

Test(saved, saving_and_loading_touch_no_other_pages) {
    get(0);
    size_t before = pages_touched(); /* initial values are written whole */
    cr_assert(before == PAGES || access(PAGEMAP, R_OK) == 0);
    if (access(PAGEMAP, R_OK)) return;
    set(0, 0);
    save("");
    load(); /* nothing but zeros */
    cr_expect_eq(pages_touched(), 0);
    set(50 * A_PAGE, 1), set(60 * A_PAGE, 1);
    cr_expect_eq(pages_touched(), 2);
    save("");
    cr_expect_eq(pages_touched(), 2, "saving touched pages");
    load();
    cr_expect_eq(pages_touched(), 2, "loading touched pages");
}

Test(saved, without_a_page_map_all_pages_are_looked_at) {
    bool touched[20];
    char *memory = mmap(NULL, sizeof touched * SAVED_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const char *const names[] = {"/nonexistent", "/dev/null"}; /* none; one that ends too early */
    for (size_t n = 0; n < 2; n++) {
        memset(touched, 0, sizeof touched);
        touched_pages(names[n], memory, sizeof touched, touched);
        for (size_t i = 0; i < sizeof touched; i++) cr_expect(touched[i], "page %zu", i);
    }
    munmap(memory, sizeof touched * SAVED_PAGE);
}

/* ---- files that are wrong ---- */

static struct mdl_saved_run *run_of(struct mdl_saved_header *h, size_t number) {
    char *at = (char *)(h + 1) + h->note_bytes;
    for (; number; number--)
        at += sizeof(struct mdl_saved_run) + ((struct mdl_saved_run *)(void *)at)->pages * SAVED_PAGE;
    return (void *)at;
}

/* Sums that fit what was changed: for what no checksum finds. */
static void seal(struct mdl_saved_header *h) {
    h->header_sum = 0;
    h->header_sum = crc32c(0, h, sizeof *h);
}
static void seal_run(struct mdl_saved_run *r) {
    r->sum = crc32c(0, r, offsetof(struct mdl_saved_run, sum));
    r->sum = crc32c(r->sum, r + 1, SAVED_PAGE);
}

static void bad_magic(struct mdl_saved_header *h) { h->magic[7]++; }
static void bad_size(struct mdl_saved_header *h) { h->file_bytes++; }
static void bad_header(struct mdl_saved_header *h) { h->runs++; }
static void bad_build(struct mdl_saved_header *h) { h->build_id[31] ^= 1, seal(h); }
static void bad_state_bytes(struct mdl_saved_header *h) { h->state_bytes++, seal(h); }
static void bad_states(struct mdl_saved_header *h) { h->states_sum++, seal(h); }
static void long_note(struct mdl_saved_header *h) { h->note_bytes = UINT64_MAX - 8, seal(h); }
static void bad_note(struct mdl_saved_header *h) { ((char *)(h + 1))[3] ^= 1; }
static void more_runs(struct mdl_saved_header *h) { h->runs = UINT32_MAX, seal(h); }
static void fewer_runs(struct mdl_saved_header *h) { h->runs--, seal(h); }
static void empty_run(struct mdl_saved_header *h) { run_of(h, 1)->pages = 0; }
static void long_run(struct mdl_saved_header *h) { run_of(h, 1)->pages = UINT64_MAX / SAVED_PAGE + 2; }
static void run_past_file(struct mdl_saved_header *h) { run_of(h, 1)->pages = 3; }
static void run_outside(struct mdl_saved_header *h) { run_of(h, 1)->first = PAGES, seal_run(run_of(h, 1)); }
static void run_far_outside(struct mdl_saved_header *h) { run_of(h, 1)->first = UINT64_MAX - 1; }
static void run_backwards(struct mdl_saved_header *h) { run_of(h, 1)->first = 0, seal_run(run_of(h, 1)); }
static void run_elsewhere(struct mdl_saved_header *h) { run_of(h, 1)->first++; }
static void bad_page(struct mdl_saved_header *h) { ((char *)(run_of(h, 1) + 1))[SAVED_PAGE - 1] ^= 0x80; }

static const struct {
    void (*damage)(struct mdl_saved_header *h);
    int status;
    const char *message;
} damages[] = {
    {bad_magic, MDL_INVALID, "not a saved session of this version"},
    {bad_size, MDL_MISMATCH, "damaged: has 8328 bytes, but 8329 were written"},
    {bad_header, MDL_MISMATCH, "damaged: wrong checksum of the header"},
    {bad_build, MDL_MISMATCH, "belongs to another build of model cells"},
    {bad_state_bytes, MDL_MISMATCH, "belongs to another build of model cells"},
    {bad_states, MDL_MISMATCH, "belongs to another build of model cells"},
    {long_note, MDL_MISMATCH, "damaged: its note does not fit the file"},
    {bad_note, MDL_MISMATCH, "damaged: wrong checksum of the note"},
    {more_runs, MDL_MISMATCH, "damaged: its pages do not fit the states"},
    {fewer_runs, MDL_MISMATCH, "damaged: there is more in it than its header says"},
    {empty_run, MDL_MISMATCH, "damaged: its pages do not fit the states"},
    {long_run, MDL_MISMATCH, "damaged: its pages do not fit the states"},
    {run_past_file, MDL_MISMATCH, "damaged: its pages do not fit the states"},
    {run_outside, MDL_MISMATCH, "damaged: its pages do not fit the states"},
    {run_far_outside, MDL_MISMATCH, "damaged: its pages do not fit the states"},
    {run_backwards, MDL_MISMATCH, "damaged: its pages do not fit the states"},
    {run_elsewhere, MDL_MISMATCH, "damaged: wrong checksum of its pages"},
    {bad_page, MDL_MISMATCH, "damaged: wrong checksum of its pages"},
};

/* Two runs, pages 0 and 9, and a note of 8 bytes, as the file has them. */
static char *sound_file(size_t *size) {
    set(9 * A_PAGE, 9);
    save("8 bytes.");
    return contents(size);
}

Test(saved, damaged_files_are_refused_and_change_nothing) {
    size_t size;
    char *sound = sound_file(&size), *bytes = malloc(size);
    set(1, 17);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        memcpy(bytes, sound, size);
        damages[i].damage((void *)bytes);
        write_file(bytes, size);
        expect_refused(damages[i].status, damages[i].message);
        cr_expect(get(1) == 17 && get(0) == 5 && get(9 * A_PAGE) == 9, "damage %zu changed a state", i);
    }
    write_file(sound, size);
    load();
    cr_expect(get(1) == 0 && get(9 * A_PAGE) == 9);
    free(sound), free(bytes);
}

Test(saved, any_cut_and_any_changed_byte_is_found) {
    size_t size, head = sizeof(struct mdl_saved_header);
    char *bytes = sound_file(&size), note[8];
    uint64_t note_bytes;
    set(1, 17);
    for (size_t cut = 0; cut < size; cut += cut < head + 64 ? 1 : 97) {
        write_file(bytes, cut);
        int status = mdl_session_load(session, path, note, sizeof note, &note_bytes);
        cr_expect_eq(status, cut < head ? MDL_INVALID : MDL_MISMATCH, "%zu bytes: %s", cut,
                     mdl_error(session));
    }
    for (size_t at = 0; at < size; at += at < head + 64 ? 1 : 97) {
        bytes[at] ^= 4;
        write_file(bytes, size);
        cr_expect_neq(mdl_session_load(session, path, note, sizeof note, &note_bytes), MDL_OK, "byte %zu",
                      at);
        bytes[at] ^= 4;
    }
    cr_expect_eq(get(1), 17);
    free(bytes);
}

Test(saved, files_that_are_none) {
    static const char *const names[] = {"/nonexistent/file", "/tmp", "/dev/zero"};
    static const char *const why[] = {"No such file or directory", "not a file", "not a file"};
    char wanted[100];
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(mdl_session_load(session, names[i], NULL, 0, NULL), MDL_IO);
        snprintf(wanted, sizeof wanted, "%s: %s", names[i], why[i]);
        cr_expect_str_eq(mdl_error(session), wanted);
    }
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(mdl_session_load(session, path, NULL, 0, NULL), MDL_IO); /* and does not wait */
    cr_expect_eq(mdl_session_load(session, NULL, NULL, 0, NULL), MDL_INVALID);
    cr_expect_eq(mdl_session_save(session, NULL, NULL, 0), MDL_INVALID);
    cr_expect_eq(mdl_session_save(session, path, NULL, 1), MDL_INVALID);
    cr_expect_eq(get(0), 5);
}

Test(saved, what_cannot_be_written_leaves_what_was_there) {
    size_t size, after;
    free(sound_file(&size));
    cr_expect_eq(mdl_session_save(session, "/nonexistent/file", NULL, 0), MDL_IO);
    cr_expect_str_eq(mdl_error(session), "/nonexistent/file: No such file or directory");
    cr_expect_eq(mdl_session_save(session, folder, NULL, 0), MDL_IO);
    cr_expect_eq(mdl_session_save(session, "/dev/full", NULL, 0), MDL_IO);
    cr_expect_str_eq(mdl_error(session), "/dev/full: No space left on device");
    free(contents(&after));
    cr_expect_eq(size, after);
    load();
    cr_expect_str_eq(mdl_error(session), "");
}

static void *save_often(void *s) {
    for (int i = 0; i < 50; i++)
        if (mdl_session_save(s, path, "12345678", 8)) return s;
    return NULL;
}

Test(saved, two_threads_saving_at_one_place_leave_a_whole_file) {
    struct mdl_session *second;
    pthread_t thread;
    void *failed;
    for (int64_t i = 0; i < 100; i++) set(i * A_PAGE, i + 1);
    cr_assert_eq(mdl_session_new(model, &second), MDL_OK);
    cr_assert_eq(pthread_create(&thread, NULL, save_often, second), 0);
    cr_expect_null(save_often(session));
    pthread_join(thread, &failed);
    cr_expect_null(failed);
    mdl_session_free(second);
    load();
    cr_expect(get(0) == 5 || get(99 * A_PAGE) == 100);
}

Test(saved, a_model_without_states) {
    struct mdl_descriptor d = descriptor;
    struct mdl_model *bare;
    struct mdl_session *s;
    uint64_t bytes = 0;
    char note[2];
    d.states_count = 0;
    d.state_bytes = 0;
    cr_assert_eq(mdl_open(&d, NULL, NULL, &bare), MDL_OK);
    cr_assert_eq(mdl_session_new(bare, &s), MDL_OK);
    cr_expect_eq(mdl_session_save(s, path, "ok", 2), MDL_OK);
    cr_expect_eq(mdl_session_load(s, path, note, 2, &bytes), MDL_OK);
    cr_expect(bytes == 2 && !memcmp(note, "ok", 2));
    expect_refused(MDL_MISMATCH, "belongs to another build of model cells");
    mdl_session_free(s);
    mdl_close(bare);
}
