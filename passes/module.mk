# passes: graph to graph, one file a pass; the pipeline.
EXTRA_DIST += passes/README.md
noinst_LIBRARIES += passes/libpasses.a
passes_libpasses_a_SOURCES = \
	passes/alternatives.c \
	passes/bubble.c \
	passes/build.c passes/build.h \
	passes/caches.c passes/caches.h \
	passes/clone.c \
	passes/cse.c \
	passes/dce.c \
	passes/decompose.c passes/decompose.def passes/decompose_f64.c passes/decompose_f64.h \
	passes/factors.c passes/factors.h \
	passes/fastmath.def \
	passes/fold.c \
	passes/fuse.c passes/fuse.h \
	passes/fuse_build.c \
	passes/fuse_domain.c \
	passes/fuse_facts.c \
	passes/guards.c passes/guards.h \
	passes/guards_delay.c \
	passes/layout.c \
	passes/measured.c passes/measured.h \
	passes/memory.c passes/memory.h \
	passes/memory_offsets.c \
	passes/memory_scan.c \
	passes/memory_share.c \
	passes/narrow.c \
	passes/overlap.c \
	passes/partition.c passes/partition.h \
	passes/partition_dims.c \
	passes/partition_gather.c \
	passes/partition_reshard.c \
	passes/partition_stages.c \
	passes/pass.h \
	passes/passes.def passes/passes.h \
	passes/pipeline.c \
	passes/precision.c \
	passes/range.c passes/range.h \
	passes/registry.c \
	passes/reshard_moves.c passes/reshard_moves.h \
	passes/reshard_path.c passes/reshard_path.h \
	passes/reshard_permute.c \
	passes/rules.c passes/rules.h \
	passes/rules_helpers.c \
	passes/rules_parse.c \
	passes/schedule.c \
	passes/sequence.c passes/sequence.h \
	passes/shard.c passes/shard.h \
	passes/shard_cost.c \
	passes/shard_cut.c \
	passes/shard_execute.c \
	passes/shard_meshes.c \
	passes/shard_propagate.c \
	passes/shard_sums.c \
	passes/simplify.c passes/simplify.def \
	passes/specialise.c

# What a researcher's pass is built against: pkg-config --cflags mdlc.
passesincludedir = $(includedir)/mdlc/passes
passesinclude_HEADERS = passes/build.h passes/pass.h
