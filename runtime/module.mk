# runtime: what a compiled model calls, linked into every one of them; and mdl-run.
EXTRA_DIST += runtime/mdlc.pc.in
