/* The pipeline's text form, the tables of rules, plug-ins that are none, ranges. */
#include "passes/passes.h"
#include "passes/rules.h"
#include <criterion/criterion.h>
#include <string.h>

static void refuse(const char *text, const char *part) {
    struct arena *a = arena_new();
    const char *error = NULL;
    cr_assert_not(pipeline_check(text, a, &error), "%s", text);
    cr_assert_not_null(strstr(error, part), "%s: %s", text, error);
    arena_release(a);
}

Test(passes, pipelines_that_are_right) {
    static const char *const texts[] = {
        "",       "fold",          "fold,dce", " fold , dce ", "fuse{max=8}", "fuse{max=8 recompute=1},dce",
        "fold{}", default_pipeline};
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *error = "";
        cr_assert(pipeline_check(texts[i], a, &error), "%s: %s", texts[i], error);
    }
    arena_release(a);
}

Test(passes, pipelines_that_are_wrong) {
    refuse("fold,,dce", "missing");
    refuse("fold,", "missing");
    refuse("simplfy", "did you mean 'simplify'");
    refuse("zzzzzzzz", "there is no pass 'zzzzzzzz'");
    refuse("fuse{max=8", "not closed");
    refuse("fuse{max=8}dce", "commas");
    refuse("fuse}", "commas");
    refuse("fuse{limit=8}", "no option 'limit");
    refuse("fuse{max}", "no option 'max");
    refuse("fuse{max=}", "no option 'max");
    refuse("dce{max=1}", "has no options");
    refuse("fuse{max=x}", "max=x: a whole number from 0 to 2147483647");
    refuse("fuse{max=-1}", "whole number");
    refuse("fuse{max=2147483648}", "whole number");
    refuse("fuse{max=99999999999999999999}", "max=99999999999999999999: a whole number");
    refuse("fold,fuse{recompute=1.5}", "whole number");
}

Test(passes, options_are_given_or_default) {
    struct arena *a = arena_new();
    struct step *steps;
    const char *error;
    size_t length;
    cr_assert_eq(pipeline_parse("fuse{max=8}", a, &steps, &error), 1);
    cr_assert_eq(strncmp(pass_option_find(steps->options, "max", &length), "8", 1), 0);
    cr_assert_eq(length, 1);
    cr_assert_null(pass_option_find(steps->options, "recompute", &length));
    cr_assert_eq(strncmp(pass_option_find(steps->pass->options, "recompute", &length), "2", 1), 0);
    arena_release(a);
}

Test(passes, every_row_of_the_default_pipeline) {
    struct arena *a = arena_new();
    struct step *steps;
    const char *error;
    int count = pipeline_parse(default_pipeline, a, &steps, &error);
    cr_assert_gt(count, 0);
    for (int i = 0; i < count; i++) cr_assert_not_null(pass_skipped(steps[i].pass));
    arena_release(a);
}

Test(passes, plugins_that_are_none) {
    struct arena *a = arena_new();
    const char *error = NULL;
    cr_assert_not(passes_load("/nonexistent/pass.so", a, &error));
    cr_assert_not_null(strstr(error, "/nonexistent/pass.so"));
    cr_assert_not(passes_load("libm.so.6", a, &error));
    cr_assert_not_null(strstr(error, MDL_PASS_PLUGIN_SYMBOL));
    arena_release(a);
}

Test(passes, rules_parse) {
    rules_check(simplify_rules, simplify_rules_count);
    rules_check(fastmath_rules, fastmath_rules_count);
    rules_check(decompose_rules, decompose_rules_count);
    for (int i = 0; i < simplify_rules_count; i++) cr_assert_neq(*simplify_rules[i].why, 0);
}
