/* Chat prompts in the ChatML form: <|im_start|>role, a newline, what is said, <|im_end|>, a newline. */
#ifndef EXAMPLES_CHATML_H
#define EXAMPLES_CHATML_H
#include "base.h"

/* Whether a chat template (Jinja, which is not interpreted here) writes ChatML. */
bool chatml_known(struct text jinja);

/* The system prompt that the template puts where none is given, or an empty text. */
struct text chatml_system(struct text jinja);

/* One turn's prompt, up to where the assistant speaks, as a zero-ended string for free(). An empty `system`
 * is left out; `later` first closes the turn that the assistant spoke before. */
char *chatml_prompt(bool later, struct text system, struct text user);
#endif
