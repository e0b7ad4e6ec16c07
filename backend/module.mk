# backend: kernels to machine code, tables, linking.
EXTRA_DIST += backend/README.md
noinst_LIBRARIES += backend/libbackend.a
backend_libbackend_a_CPPFLAGS = $(AM_CPPFLAGS) $(LLVM_CPPFLAGS)
backend_libbackend_a_SOURCES = \
	backend/amx.c backend/amx_f32.c backend/amx.h backend/amx_contract.c \
	backend/attention.h \
	backend/attention_operands.c \
	backend/attention_softmax.c \
	backend/attention_tile.c \
	backend/backend.c backend/backend.h \
	backend/barriers.c \
	backend/build_id.c \
	backend/checksum.c backend/checksum.h \
	backend/code.h \
	backend/contract.h backend/contraction.c backend/contraction.h \
	backend/dot.c backend/dot.h \
	backend/emit.c backend/emit.h \
	backend/emit_cast.c \
	backend/emit_columns.c \
	backend/emit_control.c \
	backend/emit_extent.c \
	backend/emit_family.h \
	backend/emit_fold.c backend/emit_fold.h \
	backend/emit_index.c \
	backend/emit_lookup.c \
	backend/emit_math.c backend/emit_math.h backend/emit_math_parts.h \
	backend/emit_math_angle.c \
	backend/emit_math_f64.c \
	backend/emit_math_pow.c \
	backend/emit_memo.c backend/emit_memo.h \
	backend/emit_memory.c \
	backend/emit_products.c \
	backend/emit_quantize.c \
	backend/emit_reduce.c \
	backend/emit_rope.c \
	backend/emit_scalar.c \
	backend/emit_value.c \
	backend/emit_view.c \
	backend/entry.c \
	backend/header.c \
	backend/homes.c \
	backend/kernel_key.c backend/kernel_key.h \
	backend/kernels.c \
	backend/mesh.c \
	backend/link.c \
	backend/lower_attention.c \
	backend/lower_contract.c \
	backend/lower_loops.c \
	backend/lower_ordered.c \
	backend/lower_rows.c \
	backend/micro.c backend/micro.h backend/micro_codes.c backend/micro_tile.c backend/micro_tile.h \
	backend/pack.c backend/pack.h \
	backend/packed.c \
	backend/panel.c backend/panel.h \
	backend/ready.c \
	backend/row.h \
	backend/row_emit.c \
	backend/row_plan.c \
	backend/device.c backend/device.h \
	backend/assemble.c backend/run_tool.c \
	backend/emulate.c backend/emulate.h \
	backend/simt.c backend/simt.h \
	backend/sdpa.c backend/sdpa.h \
	backend/simt_attention.c backend/simt_attention.h backend/simt_attention_fma.c backend/simt_attention_mma.c \
	backend/simt_attention_group.c backend/simt_attention_rows.c backend/simt_attention_rows.h backend/simt_attention_tile.c backend/simt_attention_tile.h \
	backend/simt_blocks.c backend/simt_blocks.h backend/simt_boxes.c backend/simt_bulk.c backend/simt_contract.c backend/simt_copy.c backend/simt_join.c backend/simt_join.h backend/simt_matrix.c backend/simt_mbarrier.c \
	backend/simt_mma.c backend/simt_mma.h backend/simt_operand.c backend/simt_operand.h backend/simt_pipeline.c backend/simt_sort.c backend/simt_split.c backend/simt_tcgen05.c backend/simt_tile.c backend/simt_tile.h backend/simt_wgmma.c \
	backend/row_stages.c \
	backend/steps.c backend/steps.h \
	backend/tables.c \
	backend/target.c \
	backend/tile.c backend/tile.h \
	backend/weights.c
