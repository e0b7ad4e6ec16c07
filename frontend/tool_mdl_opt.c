/* mdl-opt: runs passes over a graph and prints it. */
#include "config.h"
#include "frontend/tool.h"
#include "ir/print.h"
#include "ir/target.h"

static const struct option_spec options[] = {
    TOOL_PIPELINE_ROWS,
    TOOL_TARGET_ROW,
    {0, "mcpu", "CPU", "choose schedules for CPU",
     "A name that mdlc --list-cpus prints. Without it, passes that need one say so."},
    {'o', "output", "FILE", "print to FILE instead of standard output", NULL},
    TOOL_LANGUAGE_ROWS,
    TOOL_INPUT_ROWS,
    {0}};

static const struct option_section sections[] = {
    {"EXIT STATUS", "  0   done\n  1   the model has errors\n  2   the command line is wrong\n  3   a file "
                    "cannot be read or "
                    "written\n  70  a mistake of ours"},
    {"EXAMPLES", "  mdl-opt --passes='fold,fuse{max=8}' mlp.mdl\n"
                 "  mdlc --emit=graph mlp.mdl | mdl-opt --passes=simplify --print-ir-after-change -"},
    {0}};

static const struct option_program program = {
    .name = "mdl-opt",
    .version = PACKAGE_VERSION,
    .summary = "run passes over a model's graph",
    .usage = (const char *const[]){"[OPTION...] FILE", NULL},
    .description = "Parses FILE (`-`: standard input), runs the passes of --passes over its graph and prints "
                   "the graph that comes "
                   "out, as a program that parses again.",
    .options = options,
    .sections = sections,
};

/* --target alone means the plainest CPU of that kind. */
static int choose_target(struct tool *t) {
    struct tool_target given;
    if (!tool_targets(t, &given, 1)) return TOOL_USAGE;
    if (given.emulated)
        return options_error(&program, "--target=emulate:%s: only mdlc emulates; name the target itself",
                             given.emulated);
    if (!given.cpu && !given.triple) return TOOL_DONE;
    t->graph->target = target_find(given.triple, given.cpu ? given.cpu : "generic");
    return t->graph->target
               ? TOOL_DONE
               : options_error(&program, "--mcpu=%s: unknown CPU; mdlc --list-cpus lists them", given.cpu);
}

static int run(struct tool *t) {
    struct pipeline pipeline;
    int status = tool_pipeline(t, &pipeline);
    if (status) return status;
    if (options_given(t->list, "list-passes")) return tool_list_passes(t);
    if (!pipeline.passes) pipeline.passes = "";
    status = tool_operands(t, 1);
    if (!status) status = tool_parse(t, 0);
    if (!status) status = choose_target(t);
    if (!status) status = tool_run(t, &pipeline);
    return status ? status : tool_print(t, graph_print);
}

int main(int argc, char **argv) { return tool_main(&program, argc, argv, run); }
