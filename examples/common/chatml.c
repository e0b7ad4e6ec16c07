/* The ChatML form, found in a template and written for a turn. */
#include "chatml.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START "<|im_start|>"
#define END "<|im_end|>"

/* A template writes ChatML when it says both marks and begins a message by its role. */
bool chatml_known(struct text jinja) {
    return text_find(jinja, text_of(START "' + message['role']")) >= 0 && text_find(jinja, text_of(END)) >= 0;
}

struct text chatml_system(struct text jinja) {
    static const char *const openings[] = {START "system\n",
                                           START "system\\n"}; /* a newline, or Jinja's escape */
    for (size_t i = 0; i < 2; i++) {
        ptrdiff_t at = text_find(jinja, text_of(openings[i]));
        if (at < 0) continue;
        size_t from = (size_t)at + strlen(openings[i]);
        struct text rest = {jinja.bytes + from, jinja.length - from};
        ptrdiff_t length = text_find(rest, text_of(END));
        if (length >= 0) return (struct text){rest.bytes, (size_t)length};
    }
    return (struct text){"", 0};
}

char *chatml_prompt(bool later, struct text system, struct text user) {
    const char *closing = later ? END "\n" : "", *opening = system.length ? START "system\n" : "";
    const char *closed = system.length ? END "\n" : "";
    char *prompt;
    int length = asprintf(&prompt, "%s%s%.*s%s" START "user\n%.*s" END "\n" START "assistant\n", closing,
                          opening, (int)system.length, system.bytes, closed, (int)user.length, user.bytes);
    if (length >= 0) return prompt;
    fputs("out of memory\n", stderr);
    exit(3);
}
