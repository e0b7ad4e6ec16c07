/* wgmma.mma_async under way: what one reads must lie there when it is begun, and stay until its wait. */
#include "runtime/emulate_block.h"
#include <string.h>

enum { CHUNK = 16, LINE = 128 };

const char *product_chunk(const struct product_operand *o, int64_t line, int64_t chunk) {
    if (o->pitch) return o->columns + chunk * o->pitch + CHUNK * line;
    return o->shared + swizzled(o->columns - o->shared + LINE * line + CHUNK * chunk);
}

/* FNV-1a of an operand's bytes by words. */
static uint64_t add_operand(uint64_t sum, const struct product_operand *o) {
    for (int64_t chunk = 0; chunk < o->chunks; chunk++)
        for (int64_t line = 0; line < o->lines; line++) {
            uint64_t words[2];
            memcpy(words, product_chunk(o, line, chunk), sizeof words);
            for (int i = 0; i < 2; i++) sum = (sum ^ words[i]) * UINT64_C(0x100000001b3);
        }
    return sum;
}
static uint64_t sum_of(const struct product *p) {
    return add_operand(add_operand(UINT64_C(0xcbf29ce484222325), &p->a), &p->b);
}

void product_check(const struct product_operand *o) {
    for (int64_t chunk = 0; chunk < o->chunks; chunk++)
        for (int64_t line = 0; line < o->lines; line++)
            memory_check(line, product_chunk(o, line, chunk), CHUNK, "multiplies");
}

void product_begin(struct coroutine *c, struct product_operand a, struct product_operand b) {
    struct product p = {a, b, 0, c->products_committed};
    product_check(&a);
    product_check(&b);
    p.sum = sum_of(&p);
    c->products = emulate_grow(c->products, c->products_count, &c->products_room, sizeof *c->products);
    c->products[c->products_count++] = p;
}

void products_forget(struct coroutine *c) { c->products_count = c->products_committed = 0; }

void mdl_emulate_wgmma_commit(struct mdl_warp *w) { ((struct coroutine *)w)->products_committed++; }

void mdl_emulate_wgmma_wait(struct mdl_warp *w, int32_t pending) {
    struct coroutine *c = (struct coroutine *)w;
    int64_t done = 0;
    while (done < c->products_count && c->products[done].group < c->products_committed - pending)
        if (sum_of(&c->products[done]) != c->products[done].sum)
            emulate_fail(c, "shared memory was changed that a product under way reads");
        else
            done++;
    c->products_count -= done;
    if (done) memmove(c->products, c->products + done, (size_t)c->products_count * sizeof *c->products);
}
