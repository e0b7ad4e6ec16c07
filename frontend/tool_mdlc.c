/* mdlc: compiles a model. */
#include "backend/backend.h"
#include "config.h"
#include "frontend/sharding_json.h"
#include "frontend/tool.h"
#include "frontend/weights.h"
#include "ir/print.h"
#include "runtime/run.h"
#include <string.h>

static const struct option_spec options[] = {
    {'o', "output", "FILE", "write to FILE [libNAME.so for a model NAME]",
     "With --emit=so, NAME.h and NAME.weights go into the same folder. Text goes to standard output unless "
     "this says where. `interpret` writes its results to this folder, as FILE/0.npy, FILE/1.npy, ...; "
     "`tune` adds its schedules to this file [NAME.schedules]."},
    {0, "emit", "graph|sharding|kernels|llvm|asm|ptx|obj|so|header", "what to write [so]",
     "graph: the model as parsed, or after the passes of --passes. sharding: where values live, as JSON. "
     "kernels: after all passes. llvm, asm, "
     "obj: the machine's code. ptx: that of a GPU's kernels, for each architecture under a line with its name. "
     "header: what a C or C++ program includes."},
    TOOL_TARGET_ROW,
    {0, "mcpu", "CPU", "the CPU to compile for [native; generic of another kind of machine]",
     "--list-cpus lists them."},
    TOOL_LANGUAGE_ROWS,
    TOOL_INPUT_ROWS,
    {'O', "optimize", "0|1|2|3", "level of code generation [2]", NULL},
    {0, "schedules", "FILE", "carry kernels out as `tune` has found best",
     "Lines of FILE for other CPUs, compilers and kernels change nothing. `tune` compares schedules that differ from the "
     "derived ones in one thing, each kernel in its place in whole calls, and keeps what is 3 % faster: results may "
     "change in their last bits where sums change their order."},
    TOOL_PIPELINE_ROWS,
    RUN_EXPECT_ROWS,
    {0, "list-ops", NULL, "list the operations of the language", NULL},
    {0, "list-cpus", NULL, "list the CPUs that code can be made for, of --target if it is given", NULL},
    {0}};

static const struct option_command commands[] = {
    {"weights", "FILE", "list the tensors of a weight file"},
    {"interpret", "MODEL [FUNCTION] [NAME=VALUE...]",
     "run a model without compiling it, in float64; takes mdl-run's arguments"},
    {"tune", "MODEL [FUNCTION] [NAME=VALUE...]",
     "measure what else may carry kernels out, in calls by mdl-run's arguments; writes NAME.schedules"},
    {0}};

static const struct option_section sections[] = {
    {"INPUTS OF INTERPRET AND TUNE", RUN_VALUES_TEXT},
    {"FILES",
     "The runtime that every library contains is found beside this program, or where $MDL_RUNTIME says. That "
     "for another kind of machine is there if a cross compiler was found when this program was built "
     "(configure --with-aarch64-cc); --emit=asm, obj, llvm and header need neither. For GPUs, NVIDIA's ptxas "
     "puts machine code beside the PTX: the one that configure found, or $MDL_PTXAS; without one a library "
     "has PTX alone."},
    {"EXIT STATUS", "  0   done\n  1   the model has errors\n  2   the command line is wrong\n  3   a file "
                    "cannot be read or "
                    "written\n  70  a mistake of ours"},
    {"EXAMPLES", "  mdlc mlp.mdl -o libmlp.so\n"
                 "  mdlc --precision=int8 smollm2.mdl\n"
                 "  mdlc --target=aarch64-linux-gnu --mcpu=neoverse-n1 mlp.mdl\n"
                 "  mdlc --target=cuda:sm_80,sm_90a mlp.mdl\n"
                 "  mdlc --emit=graph mlp.mdl | mdl-opt --passes=fold -\n"
                 "  mdlc interpret mlp.mdl x=random S=4\n"
                 "  mdlc tune mlp.mdl x=random N=512 && mdlc --schedules=mlp.schedules mlp.mdl"},
    {0}};

static const struct option_program program = {
    .name = "mdlc",
    .version = PACKAGE_VERSION,
    .summary = "compile a model to a shared library",
    .usage = (const char *const[]){"[OPTION...] FILE", "weights FILE",
                                   "interpret [OPTION...] FILE [FUNCTION] [NAME=VALUE...]",
                                   "tune [OPTION...] FILE [FUNCTION] [NAME=VALUE...]", NULL},
    .description = "Compiles FILE (`-`: standard input), a model in the .mdl language, to a shared library, "
                   "a C header and a "
                   "weights file.",
    .options = options,
    .commands = commands,
    .sections = sections,
};

static int list_ops(struct tool *t) {
    for (int i = 0; i < OP_COUNT; i++) {
        const struct op_info *op = op_info((enum op)i);
        if (op->level == LEVEL_STRUCTURE || op->level == LEVEL_INTERNAL) continue;
        const char *text =
            op->infix ? op->signature : arena_printf(t->arena, "%s(%s)", op->name, op->signature);
        printf("%-72s %s\n", text, op->meaning);
    }
    return tool_printed(t);
}

/* Names, and of which kind of machine each is. */
static int list_cpus(struct tool *t) {
    struct tool_target given;
    const struct target *target;
    if (!tool_targets(t, &given, 1)) return TOOL_USAGE;
    for (int i = 0; (target = target_number(i)); i++)
        if (!given.triple || !strcmp(given.triple, target->triple))
            printf("%-16s %s\n", target->cpu, target->triple);
    return tool_printed(t);
}

static int list_weights(struct tool *t) {
    const char *path = options_operand(t->list, 1);
    if (!path) return options_error(&program, "weights: no file was given");
    if (tool_operands(t, 2)) return TOOL_USAGE;
    int status = weights_list(path, stdout);
    int closed = tool_printed(t);
    return status ? status : closed;
}

struct emit_kind {
    const char *name;
    bool graph, kernels; /* text of the graph: as parsed, after all passes */
    bool sharding;       /* as JSON, after the pass of this name */
    enum artifact artifact;
};
static const struct emit_kind kinds[] = {{"graph", true, false, false, 0},
                                         {"sharding", true, false, true, 0},
                                         {"kernels", true, true, false, 0},
                                         {"llvm", false, true, false, ARTIFACT_LLVM},
                                         {"asm", false, true, false, ARTIFACT_ASM},
                                         {"ptx", false, true, false, ARTIFACT_ASM},
                                         {"obj", false, true, false, ARTIFACT_OBJ},
                                         {"so", false, true, false, ARTIFACT_SO},
                                         {"header", false, true, false, ARTIFACT_HEADER}};

static int compile(struct tool *t) {
    struct pipeline pipeline = {.passes = NULL};
    const char *wanted = options_value(t->list, "emit");
    size_t kind = 0, count = sizeof kinds / sizeof *kinds;
    while (kind < count && strcmp(kinds[kind].name, wanted ? wanted : "so")) kind++;
    if (kind == count)
        return options_error(
            &program, "--emit=%s: graph, sharding, kernels, llvm, asm, ptx, obj, so or header was expected",
            wanted);
    int status = tool_operands(t, 1);
    if (!status) status = tool_pipeline(t, &pipeline);
    if (!kinds[kind].kernels && !pipeline.passes)
        pipeline.passes = kinds[kind].sharding ? pipeline_until(t->arena, "shard") : "";
    struct tool_target targets[MAX_PROGRAMS];
    struct graph *programs[MAX_PROGRAMS];
    bool ptx = wanted && !strcmp(wanted, "ptx");
    int several = ptx || (kinds[kind].artifact == ARTIFACT_SO && !kinds[kind].graph) ? MAX_PROGRAMS : 1;
    int programs_count = status ? 0 : tool_targets(t, targets, several);
    if (!status && !programs_count) return TOOL_USAGE;
    for (int i = 0; i < programs_count && ptx && !status; i++)
        if (!targets[i].triple || strcmp(targets[i].triple, CUDA_TRIPLE))
            return options_error(&program, "--emit=ptx: only GPUs have it: --target=cuda:sm_90a");
    for (int i = 0; i < programs_count && !status; i++) {
        status = tool_program(t, 0, &pipeline, &targets[i], kinds[kind].kernels, kinds[kind].sharding, NULL);
        programs[i] = t->graph;
    }
    if (status) return status;
    if (kinds[kind].graph) return tool_print(t, kinds[kind].sharding ? sharding_json_write : graph_print);
    return tool_emit(t, programs, programs_count, kinds[kind].artifact, options_value(t->list, "output"));
}

static int run(struct tool *t) {
    const char *first = options_operand(t->list, 0);
    if (options_given(t->list, "list-ops")) return list_ops(t);
    if (options_given(t->list, "list-cpus")) return list_cpus(t);
    if (options_given(t->list, "list-passes")) return tool_list_passes(t);
    if (first && !strcmp(first, "weights")) return list_weights(t);
    if (first && !strcmp(first, "interpret")) return tool_interpret(t);
    if (first && !strcmp(first, "tune")) return tool_tune(t);
    return compile(t);
}

int main(int argc, char **argv) { return tool_main(&program, argc, argv, run); }
