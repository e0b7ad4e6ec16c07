/* The examples' other parts of talking: choosing tokens, streaming text, chat prompts, lists of ids. */
#include "examples/common/chatml.h"
#include "examples/common/sampler.h"
#include "examples/common/stream.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How often each of five tokens is drawn in 20,000. */
static void draw(struct sampling how, const float *logits, int32_t *counts /* [5] */) {
    struct sampler *s = sampler_new(&how, 5);
    memset(counts, 0, 5 * sizeof *counts);
    for (int i = 0; i < 20000; i++) counts[sampler_next(s, logits)]++;
    sampler_free(s);
}

static const float five[] = {0.0f, 2.0f, 1.0f, 2.0f, -3.0f};

Test(sampler, greedy_takes_the_first_of_equals) {
    int32_t counts[5];
    draw((struct sampling){.greedy = true, .temperature = 1, .top_p = 1}, five, counts);
    cr_expect_eq(counts[1], 20000);
    draw((struct sampling){.temperature = 0, .top_p = 1}, five, counts);
    cr_expect_eq(counts[1], 20000);
}

Test(sampler, frequencies_are_the_softmax) {
    int32_t counts[5];
    double total = 0;
    const double temperature = 1.5;
    draw((struct sampling){.temperature = temperature, .top_p = 1, .seed = 3}, five, counts);
    for (int i = 0; i < 5; i++) total += exp(five[i] / temperature);
    for (int i = 0; i < 5; i++) {
        double p = exp(five[i] / temperature) / total, deviation = sqrt(20000 * p * (1 - p));
        cr_expect(fabs(counts[i] - 20000 * p) < 5 * deviation, "token %d: %d of %.0f", i, counts[i],
                  20000 * p);
    }
}

Test(sampler, top_p_keeps_the_fewest_that_reach_it) {
    int32_t counts[5]; /* the probabilities are 0.054 0.398 0.147 0.398 0.003 */
    draw((struct sampling){.temperature = 1, .top_p = 0.7, .seed = 4}, five, counts);
    cr_expect(counts[0] == 0 && counts[2] == 0 && counts[4] == 0 && counts[1] > 9000 && counts[3] > 9000);
    draw((struct sampling){.temperature = 1, .top_p = 1e-6, .seed = 4}, five, counts);
    cr_expect_eq(counts[1], 20000);
    draw((struct sampling){.temperature = 1, .top_p = 0.8, .seed = 4}, five, counts);
    cr_expect(counts[0] == 0 && counts[2] > 2000 && counts[4] == 0);
}

Test(sampler, a_seed_repeats) {
    struct sampler *a = sampler_new(&(struct sampling){.temperature = 1, .top_p = 1, .seed = 9}, 5);
    struct sampler *b = sampler_new(&(struct sampling){.temperature = 1, .top_p = 1, .seed = 9}, 5);
    for (int i = 0; i < 100; i++) cr_assert_eq(sampler_next(a, five), sampler_next(b, five));
    sampler_free(a);
    sampler_free(b);
}

Test(sampler, numbers_that_are_none_still_give_a_token) {
    const float bad[] = {NAN, NAN, NAN, NAN, NAN};
    int32_t counts[5];
    draw((struct sampling){.temperature = 1, .top_p = 0.9}, bad, counts);
    cr_expect_eq(counts[0], 20000);
}

/* Streams the parts, which are split at "/", and compares what has been written after each. */
static void expect_stream(const char *const *parts, const char *const *written, size_t count) {
    char *memory = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&memory, &size);
    struct stream s = {0};
    for (size_t i = 0; i < count; i++) {
        stream_write(&s, text_of(parts[i]), file);
        cr_expect_str_eq(memory, written[i]);
    }
    stream_end(&s, file);
    cr_expect_str_eq(memory, written[count]);
    fclose(file);
    free(memory);
}

Test(stream, holds_incomplete_characters) {
    expect_stream((const char *[]){"a\xC3", "\xA9", "\xF0\x9F", "\x8E", "\x89!"},
                  (const char *[]){"a", "a\xC3\xA9", "a\xC3\xA9", "a\xC3\xA9", "a\xC3\xA9\xF0\x9F\x8E\x89!",
                                   "a\xC3\xA9\xF0\x9F\x8E\x89!"},
                  5);
}

Test(stream, replaces_what_is_no_utf8) {
    expect_stream(
        (const char *[]){"\xFFx",
                         "\xE4\xB8"
                         "y",
                         "\xC0\x80", "\xED\xA0\x80", "\xE4"},
        (const char *[]){
            "\xEF\xBF\xBDx", "\xEF\xBF\xBDx\xEF\xBF\xBDy",
            "\xEF\xBF\xBDx\xEF\xBF\xBDy\xEF\xBF\xBD\xEF\xBF\xBD",
            "\xEF\xBF\xBDx\xEF\xBF\xBDy\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
            "\xEF\xBF\xBDx\xEF\xBF\xBDy\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
            "\xEF\xBF\xBDx\xEF\xBF\xBDy\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF"
            "\xBD"},
        5);
}

static const char jinja[] =
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}";

Test(chatml, template_and_prompts) {
    cr_expect(chatml_known(text_of(jinja)));
    cr_expect_not(chatml_known(text_of("[INST] {{ message['content'] }} [/INST]")));
    cr_expect(text_equal(chatml_system(text_of(jinja)), text_of("Be kind")));
    cr_expect(
        text_equal(chatml_system(text_of("'<|im_start|>system\\nBe brief<|im_end|>'")), text_of("Be brief")));
    cr_expect_eq(chatml_system(text_of("none")).length, 0);
    char *first = chatml_prompt(false, text_of("Be kind"), text_of("Hi"));
    char *later = chatml_prompt(true, text_of(""), text_of("And?"));
    cr_expect_str_eq(
        first,
        "<|im_start|>system\nBe kind<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    cr_expect_str_eq(later, "<|im_end|>\n<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\n");
    free(first);
    free(later);
}

Test(memory, that_cannot_be_had_ends_the_program, .exit_code = 70) {
    size_t room = 0;
    grow(NULL, &room, SIZE_MAX / 2, 4);
}

Test(ids, lists) {
    struct error e = {""};
    struct ids ids = {0};
    cr_expect(ids_parse(&ids, "1,22,333", &e) && ids.count == 3 && ids.data[2] == 333);
    static const char *const bad[] = {"", ",", "1,", "1 2", "-1", "2147483648", "99999999999999999999", "x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(ids_parse(&ids, bad[i], &e), "'%s' was accepted", bad[i]);
    ids_free(&ids);
}
