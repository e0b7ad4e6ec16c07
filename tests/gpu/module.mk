# tests/gpu: what can be known of GPU code without a GPU.
GPU_TESTS = tests/gpu/ptxas.sh
dist_check_SCRIPTS += $(GPU_TESTS)
TESTS += $(GPU_TESTS)
EXTRA_DIST += tests/gpu/RESULTS.md tests/gpu/resnet.mdl \
	tests/gpu/scale.mdl tests/gpu/scale.out tests/gpu/no_libm.mdl tests/gpu/no_libm.err
ptxas-results: mdlc$(EXEEXT)
	srcdir=$(srcdir) sh $(srcdir)/tests/gpu/ptxas.sh --write
.PHONY: ptxas-results
