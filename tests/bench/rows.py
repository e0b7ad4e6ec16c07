"""What is measured, and what must be reached: the rows of the table, as data.

A row is (name, kind, its arguments, bound). `ratio` rows are measured beside a peer and must reach the bound; `most` rows are
figures of ours alone that must not pass it. Kinds are the methods of bench.py's class of that name."""
TEXT = 1000  # tokens that the divergences are means over


def llm(kind, precision, prefill=None, decode=None, at_depth=None):
    """A language model's rows: prefill of 512 tokens, decoding of 128 after nothing and after 1024."""
    rows = [(f"{kind}-prefill", (kind, precision, 512, 0, 0), prefill), (f"{kind}-decode", (kind, precision, 0, 128, 0), decode),
            (f"{kind}-depth", (kind, precision, 0, 128, 1024), at_depth)]
    return [(name, "llm", arguments, bound) for name, arguments, bound in rows if bound]


RATIOS = [
    *llm("q4_1", "int8", 8.0, 1.7),
    *llm("q4_0", "int8", 2.5, 1.6, 1.6),
    *llm("q8_0", "int8", 3.8, 1.4),
    *llm("bf16", "bf16", 1.6, 1.1),
    *llm("f32", "f32", 1.7),
    # batch, tokens, precision
    ("minilm-8x128-f32", "encoder", (8, 128, "f32"), 1.12),
    ("minilm-8x128-bf16", "encoder", (8, 128, "bf16"), 1.15),
    ("minilm-1x128-f32", "encoder", (1, 128, "f32"), 1.25),
    ("minilm-1x128-bf16", "encoder", (1, 128, "bf16"), 1.3),
    # rows, outputs, inputs, precision, what it is compared with
    ("gemm-1024-bf16", "gemm", (1024, 1024, 1024, "bf16", "oneDNN"), 1.0),
    ("gemm-512-bf16", "gemm", (512, 1536, 576, "bf16", "oneDNN"), 1.0),
    ("gemm-1024-f32", "gemm", (1024, 1024, 1024, "f32", "limit"), 0.9),
    ("gemm-512-f32", "gemm", (512, 1536, 576, "f32", "limit"), 0.9),
]

MOST = [
    ("compile-minilm", "compiling", ("minilm", "f32"), 0.5),
    ("compile-smollm2", "compiling", ("q4_1", "int8"), 1.5),
    ("compile-smollm2-f32", "compiling", ("q4_1", "f32"), 1.5),
    ("size-smollm2", "size", ("q4_1", "int8"), 300),
    ("first-token", "first", ("q4_1", "int8"), 30),
    ("kl-q4_1", "divergence", ("q4_1", "int8"), 0.003),
    ("kl-q8_0", "divergence", ("q8_0", "int8"), 0.0042),
    ("kl-bf16", "divergence", ("bf16", "bf16"), 0.0002),
]

# Rows of programs that print {"peer", "work", "value", "unit"} lines by themselves: name, program, source of the model in
# examples/, options, the line that is ours, the line it is compared with, bound or None. Left out where the program is not built.
PROGRAMS = [
    ("lookup-copying", "bench-generate", "smollm2/smollm2", ["--gguf={gguf}"], "copying tg128 lookup", "copying tg128", None),
    ("lookup-new-text", "bench-generate", "smollm2/smollm2", ["--gguf={gguf}"], "new text tg128 lookup", "new text tg128", None),
    ("prefix-restored", "bench-generate", "smollm2/smollm2", ["--gguf={gguf}"], "first token of pp512 restored", "first token of pp512 cold",
     None),
    ("batch-4", "bench-batch", "smollm2/batch", [], "b4 tg64@256", "b1 tg64@256", None),
    ("batch-8", "bench-batch", "smollm2/batch", [], "b8 tg64@256", "b1 tg64@256", None),
]

# The README's short form.
SHORT = ["q4_1-prefill", "q4_1-decode", "q4_0-depth", "bf16-decode", "minilm-8x128-f32", "minilm-8x128-bf16", "gemm-1024-bf16"]
