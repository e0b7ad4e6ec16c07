/* mdl-run --stats: what memory a session has, and what of the process's is in use. */
#include "runtime/library.h"
#include "runtime/library_ranks.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A line of /proc/self/status, in KiB; 0: it is not there. */
static long status_line(const char *name) {
    char line[200];
    long value = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
            value = strtol(line + strlen(name) + 1, NULL, 10);
    if (f) fclose(f);
    return value;
}

void library_stats(struct library *l) {
    static const char *const lines[][2] = {{"VmHWM", "resident at most"},
                                           {"VmRSS", "resident"},
                                           {"RssAnon", "resident, of the process alone"},
                                           {"RssFile", "resident, of files (weights, libraries)"}};
    struct mdl_memory m;
    l->descriptor->api->memory(l->session, &m);
    printf("session: arena %" PRId64 " bytes, scratch %" PRId64 " bytes", m.arena, m.scratch);
    if (m.threads) printf(" for each of %" PRId64 " threads", m.threads);
    printf(", states %" PRId64 " bytes\n", m.states);
    if (!m.threads)
        printf("of the device: weights %" PRId64 " bytes, inputs and results %" PRId64 " bytes\n", m.weights,
               m.buffers);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        printf("%s: %ld KiB\n", lines[i][1], status_line(lines[i][0]));
    if (l->ranks) ranks_stats(l);
}
