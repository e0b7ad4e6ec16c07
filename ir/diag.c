/* Messages with a place, their counting, and the compiler's own failures. */
#include "ir/diag.h"
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void diag_init(struct diag *d, struct arena *arena, FILE *out) {
    *d = (struct diag){.arena = arena, .out = out, .limit = 50};
}

const struct source *diag_source(struct diag *d, const char *path, const char *text, size_t length) {
    for (struct source *s = d->sources; s; s = s->next) {
        if (strcmp(s->path, path)) continue;
        if (text && !s->text) s->text = text, s->length = length;
        return s;
    }
    struct source *s = arena_new_object(d->arena, struct source);
    *s = (struct source){arena_strdup(d->arena, path), text, length, d->sources};
    return d->sources = s;
}

/* Prints the line that `loc` points into, and a caret below its column (tabs stay tabs, so that both line
 * up). */
static void print_line(FILE *out, struct loc loc) {
    const struct source *s = loc.source;
    if (!s || !s->text || loc.line < 1 || loc.column < 1) return;
    const char *p = s->text, *end = s->text + s->length;
    for (int line = 1; line < loc.line; line++) {
        p = memchr(p, '\n', (size_t)(end - p));
        if (!p) return;
        p++;
    }
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    int length = (int)((stop ? stop : end) - p);
    if (loc.column > length + 1 || length > 1000) return;
    fprintf(out, "    %.*s\n    ", length, p);
    for (int i = 0; i + 1 < loc.column; i++) fputc(p[i] == '\t' ? '\t' : ' ', out);
    fputs("^\n", out);
}

static void print_message(struct diag *d, struct loc loc, const char *kind, const char *format,
                          va_list args) {
    if (loc.source && loc.line > 0)
        fprintf(d->out, "%s:%d:%d: ", loc.source->path, loc.line, loc.column);
    else if (loc.source)
        fprintf(d->out, "%s: ", loc.source->path);
    fprintf(d->out, "%s: ", kind);
    vfprintf(d->out, format, args);
    fputc('\n', d->out);
    print_line(d->out, loc);
}

static bool past_limit(const struct diag *d) { return d->limit && d->errors > d->limit; }

void diag_error(struct diag *d, struct loc loc, const char *format, ...) {
    va_list args;
    d->errors++;
    if (past_limit(d)) return;
    va_start(args, format);
    print_message(d, loc, "error", format, args);
    va_end(args);
}

void diag_warning(struct diag *d, struct loc loc, const char *format, ...) {
    va_list args;
    d->warnings++;
    va_start(args, format);
    print_message(d, loc, "warning", format, args);
    va_end(args);
}

void diag_note(struct diag *d, struct loc loc, const char *format, ...) {
    va_list args;
    if (past_limit(d)) return;
    va_start(args, format);
    print_message(d, loc, "note", format, args);
    va_end(args);
}

enum { LONGEST_WORD = 64 };

/* Levenshtein distance with transpositions of neighbours counted as one (optimal string alignment). */
static int edit_distance(const char *a, const char *b) {
    for (; *a && *a == *b; b++) a++; /* what both begin and end with costs nothing, however long */
    int n = (int)strlen(a), m = (int)strlen(b);
    for (; n && m && a[n - 1] == b[m - 1]; m--) n--;
    if (n > LONGEST_WORD || m > LONGEST_WORD) return INT_MAX;
    int rows[3][LONGEST_WORD + 1];
    for (int j = 0; j <= m; j++) rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = rows[i % 3], *last = rows[(i + 2) % 3], *older = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && older[j - 2] + 1 < best) best = older[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[n % 3][m];
}

const char *diag_nearest(const char *word, const char *const *candidates, int count) {
    int allowed = (int)strlen(word) / 3;
    int best = (allowed < 1 ? 1 : allowed) + 1;
    const char *nearest = NULL;
    for (int i = 0; i < count; i++) {
        int distance = edit_distance(word, candidates[i]);
        if (distance < best) best = distance, nearest = candidates[i];
    }
    return nearest;
}

static struct {
    const char *doing;
    void (*report)(void *, FILE *);
    void *data;
} context;

void ice_context(const char *doing, void (*report)(void *, FILE *), void *data) {
    context.doing = doing;
    context.report = report;
    context.data = data;
}

enum { STATUS_OURS = 70 }; /* exit status: the compiler's own mistake */

/* Once only: a failure inside the report must not report again. */
static void report(void) {
    void (*own)(void *, FILE *) = context.report;
    context.report = NULL;
    if (own) own(context.data, stderr);
}

_Noreturn void ice(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("internal error", stderr);
    if (context.doing) fprintf(stderr, " in %s", context.doing);
    fputs(": ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    report();
    exit(STATUS_OURS);
}

static const struct {
    int number;
    const char *meaning;
} fatal[] = {{SIGSEGV, "invalid memory access"},
             {SIGBUS, "invalid memory access"},
             {SIGFPE, "invalid arithmetic"},
             {SIGILL, "invalid instruction"},
             {SIGABRT, "aborted"},
             {SIGALRM, NULL}};
enum { FATAL = sizeof fatal / sizeof *fatal, REPORT_SECONDS = 5 };

static void say(const char *text) {
    if (write(2, text, strlen(text)) < 0) _exit(STATUS_OURS);
}

/* A second signal, or a report that hangs because a lock was held when the first came. */
static void give_up(int number) {
    (void)number;
    _exit(STATUS_OURS);
}

static void on_signal(int number) {
    for (int i = 0; i < FATAL; i++) signal(fatal[i].number, give_up);
    say("internal error");
    if (context.doing) say(" in "), say(context.doing);
    for (int i = 0; i < FATAL; i++)
        if (fatal[i].number == number) say(": "), say(fatal[i].meaning);
    say("\n");
    alarm(REPORT_SECONDS);
    report();
    fflush(stderr);
    _exit(STATUS_OURS);
}

/* AddressSanitizer's own handler tells more. */
void ice_on_signals(void) {
#ifndef __SANITIZE_ADDRESS__
    static char stack[64 * 1024]; /* of the handler: the program's own may be what is exhausted */
    stack_t where = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaltstack(&where, NULL);
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < FATAL; i++)
        if (fatal[i].number != SIGALRM) sigaction(fatal[i].number, &action, NULL);
#else
    (void)on_signal;
#endif
}
