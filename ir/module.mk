# ir: the graph and what is true of it. A library without dependencies of ours.
EXTRA_DIST += ir/README.md
noinst_LIBRARIES += ir/libir.a
ir_libir_a_SOURCES = \
	ir/arena.c ir/arena.h \
	ir/atoms.def \
	ir/collective.c ir/collective.h \
	ir/contraction.c ir/contraction.h \
	ir/diag.c ir/diag.h \
	ir/einsum.c ir/einsum.h \
	ir/eval.c ir/eval.h \
	ir/eval_attention.c \
	ir/eval_contract.c \
	ir/eval_conv.c \
	ir/eval_index.c \
	ir/eval_make.c \
	ir/eval_pointwise.c \
	ir/eval_reduce.c \
	ir/eval_shape.c \
	ir/eval_structure.c \
	ir/exchange.c ir/exchange.h \
	ir/exchange_combine.c \
	ir/extent.c ir/extent.h \
	ir/extent_prove.c \
	ir/families.def \
	ir/format.c ir/format.h \
	ir/format_blocks.c ir/format_blocks.h \
	ir/formats.def \
	ir/graph.c ir/graph.h \
	ir/half.h \
	ir/imap.c ir/imap.h \
	ir/imap_build.h \
	ir/imap_collective.c \
	ir/imap_contract.c \
	ir/imap_cost.c \
	ir/imap_elements.c \
	ir/imap_index.c \
	ir/imap_shape.c \
	ir/imap_spatial.c \
	ir/infer.c ir/infer.h \
	ir/infer_attention.c \
	ir/infer_check.c \
	ir/infer_collective.c \
	ir/infer_contract.c \
	ir/infer_index.c \
	ir/infer_pointwise.c \
	ir/infer_reduce.c \
	ir/infer_shape.c \
	ir/infer_spatial.c \
	ir/infer_structure.c \
	ir/init.c ir/init.h \
	ir/interp.c ir/interp.h \
	ir/interp_globals.c \
	ir/interp_ranks.c \
	ir/layout.c ir/layout.h \
	ir/literal.c ir/literal.h \
	ir/names.c ir/names.h \
	ir/number.h \
	ir/op.c ir/op.h \
	ir/ops.def \
	ir/output.c ir/output.h \
	ir/piece.c ir/piece.h \
	ir/print.c ir/print.h \
	ir/ranks.c ir/ranks.h \
	ir/random.c ir/random.h \
	ir/scalar.c ir/scalar.h \
	ir/scalars.def \
	ir/schedule.c ir/schedule.h \
	ir/sharding.c ir/sharding.h \
	ir/sharding_check.c \
	ir/target.c ir/target.h \
	ir/targets.def \
	ir/tensor.c ir/tensor.h \
	ir/type.c ir/type.h \
	ir/verify.c ir/verify.h \
	ir/verify_globals.c \
	ir/verify_links.c \
	ir/verify_parts.h \
	ir/verify_sharding.c

# What passes outside of this tree are built against; half.h and the like stay ours.
irincludedir = $(includedir)/mdlc/ir
irinclude_HEADERS = \
	ir/arena.h ir/atoms.def ir/diag.h ir/extent.h ir/families.def ir/format.h ir/formats.def ir/graph.h ir/imap.h \
	ir/interp.h ir/layout.h ir/op.h ir/ops.def ir/print.h ir/scalar.h ir/scalars.def ir/schedule.h ir/sharding.h ir/target.h ir/type.h
