#!/usr/bin/env python3
"""Measure the peers on this machine, so that ours is compared with them in the same run.

    tests/bench/setup.sh PEERS                          once: a virtual environment with the peers (needs some minutes)
    PEERS/run tests/bench/peers.py WORK [options]       prints one JSON object a line: {"peer", "work", "value", "unit"}
    PEERS/run tests/bench/peers.py serve                measures what each line of its input names: {"work": WORK, option: value ...};
                                                        what it loaded stays loaded; after the objects of a line, {"done": true}

WORK
    llm     --gguf FILE [--pp 512] [--tg 128] [--depth 0]     llama.cpp: prefill and decode of a GGUF model, tokens/s
    llm_batch --gguf FILE [--batch 4] [--tg 128] [--depth 0]  llama.cpp: decode of several sequences at once, tokens/s of all
    minilm  --weights model.safetensors [--shape 8x128 ...]   PyTorch, ONNX Runtime, OpenVINO: an encoder, ms a call
    onnx    --model FILE.onnx --input NAME=1x3x320x320 ...    ONNX Runtime, OpenVINO: any ONNX model, ms a call
    gemm    [--shape 1024x1024x1024 ...]                      PyTorch (oneDNN, MKL), f32 and bf16, GFLOP/s
    train                                                     PyTorch: step of a 10.8 M parameter GPT, tokens/s
    requantize --gguf FILE --to q4_0|q8_0|bf16|f32 --out FILE  the same model in another storage type, by llama.cpp
    limits                                                    read bandwidth (one pass over 1 GiB) by NumPy, GB/s: a lower bound

Values are medians over --runs N; --threads N (2 by default); --peer NAME measures no other. Timings are noisy: run ours and theirs alternately.
"""
import argparse, functools, json, os, sys, tempfile, time

def emit(peer, work, value, unit, **more):
    print(json.dumps(dict(peer=peer, work=work, value=round(value, 3), unit=unit, **more)), flush=True)

def median_seconds(f, runs=15, warm=3):
    for _ in range(warm): f()
    times = []
    for _ in range(runs):
        start = time.perf_counter(); f(); times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]

def shape(text): return tuple(int(n) for n in text.split("x"))

@functools.cache
def llama(gguf, threads, tokens, sequences=1):
    """llama.cpp by its C API: a context for so many tokens, in one call or in several."""
    import ctypes, llama_cpp as lc
    llama.quiet = lc.llama_log_callback(lambda *_: None) # called for as long as the library is used
    lc.llama_log_set(llama.quiet, ctypes.c_void_p())
    lc.llama_backend_init()
    model = lc.llama_model_load_from_file(gguf.encode(), lc.llama_model_default_params())
    settings = lc.llama_context_default_params()
    settings.n_ctx = settings.n_batch = tokens
    settings.n_seq_max = sequences
    settings.n_threads = settings.n_threads_batch = threads
    return lc, lc.llama_init_from_model(model, settings)

def llm(o):
    """One call a step, logits for the last token only, as llama.cpp's own benchmark does."""
    lc, context = llama(o.gguf, o.threads, o.depth + o.pp + o.tg + 64)
    name = os.path.basename(o.gguf)

    def decode(count):
        ids = (lc.llama_token * count)(*[(i * 7919) % 40000 + 10 for i in range(count)])
        if lc.llama_decode(context, lc.llama_batch_get_one(ids, count)): sys.exit("llama_decode failed")
        lc.llama_synchronize(context)
    def clear(): lc.llama_memory_clear(lc.llama_get_memory(context), True)

    if o.pp:
        def prefill(): clear(); decode(o.pp)
        emit("llama.cpp", f"{name} pp{o.pp}", o.pp / median_seconds(prefill, o.runs or 5, 1), "tokens/s")
    if o.tg:
        rates = []
        for _ in range(o.runs or 3):
            clear(); decode(max(o.depth, 1))
            start = time.perf_counter()
            for _ in range(o.tg): decode(1)
            rates.append(o.tg / (time.perf_counter() - start))
        emit("llama.cpp", f"{name} tg{o.tg}@{o.depth}", sorted(rates)[len(rates) // 2], "tokens/s")

def llm_batch(o):
    """llama.cpp decoding several sequences, one token of each a call; sequence b begins after depth + 7b tokens, as bench-batch's."""
    longest = o.depth + 7 * o.batch + o.tg + 64
    lc, context = llama(o.gguf, o.threads, o.batch * longest, o.batch)
    batch = lc.llama_batch_init(longest, 0, 1)

    def decode(tokens):
        """tokens: (id, position, sequence, whether its logits are wanted)"""
        batch.n_tokens = len(tokens)
        for i, (token, position, sequence, wanted) in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, wanted
            batch.seq_id[i][0] = sequence
        if lc.llama_decode(context, batch): sys.exit("llama_decode failed")
        lc.llama_synchronize(context)

    depths = [max(o.depth + 7 * b, 1) for b in range(o.batch)]
    rates = []
    for _ in range(3):
        lc.llama_memory_clear(lc.llama_get_memory(context), True)
        for b, depth in enumerate(depths): decode([((i * 7919) % 40000 + 10, i, b, i == depth - 1) for i in range(depth)])
        start = time.perf_counter()
        for t in range(o.tg): decode([((b * 7919) % 40000 + 10, depth + t, b, 1) for b, depth in enumerate(depths)])
        rates.append(o.batch * o.tg / (time.perf_counter() - start))
    emit("llama.cpp", f"{os.path.basename(o.gguf)} b{o.batch} tg{o.tg}@{o.depth}", sorted(rates)[1], "tokens/s")

def minilm_module(path):
    import torch, torch.nn.functional as F
    from safetensors.torch import load_file
    w = {k.replace("bert.", ""): v.float() for k, v in load_file(path).items() if v.dtype.is_floating_point}
    class MiniLM(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for k, v in w.items(): self.register_buffer(k.replace(".", "_"), v)
        def get(self, k): return getattr(self, k.replace(".", "_"))
        def norm(self, x, p): return F.layer_norm(x, (384,), self.get(p + ".weight"), self.get(p + ".bias"), 1e-12)
        def lin(self, x, p): return F.linear(x, self.get(p + ".weight"), self.get(p + ".bias"))
        def forward(self, ids):
            b, t = ids.shape
            x = (self.get("embeddings.word_embeddings.weight")[ids] + self.get("embeddings.position_embeddings.weight")[:t]
                 + self.get("embeddings.token_type_embeddings.weight")[0])
            x = self.norm(x, "embeddings.LayerNorm")
            for i in range(6):
                p = f"encoder.layer.{i}."
                q, k, v = [self.lin(x, p + "attention.self." + n).view(b, t, 12, 32).transpose(1, 2) for n in ("query", "key", "value")]
                a = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, 384)
                x = self.norm(x + self.lin(a, p + "attention.output.dense"), p + "attention.output.LayerNorm")
                h = F.gelu(self.lin(x, p + "intermediate.dense"))
                x = self.norm(x + self.lin(h, p + "output.dense"), p + "output.LayerNorm")
            return F.normalize(x.mean(1), dim=1)
    return MiniLM().eval()

@functools.cache
def onnx_peer(peer, path, threads):
    """The model in ONNX Runtime or OpenVINO, as a function of its feed."""
    name, precision = peer.split()
    if name == "onnxruntime":
        import onnxruntime as ort
        options = ort.SessionOptions(); options.intra_op_num_threads = threads
        session = ort.InferenceSession(path, options)
        return lambda feed: session.run(None, feed)
    import openvino as ov
    core = ov.Core()
    return core.compile_model(core.read_model(path), "CPU", {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision})

def onnx_peers(o, path, feed, work, **more):
    for peer in ("onnxruntime f32", "openvino f32", "openvino bf16"):
        if o.peer in (None, peer):
            model = onnx_peer(peer, path, o.threads)
            emit(peer, work, 1e3 * median_seconds(lambda: model(feed), o.runs or 15), "ms", **more)

FOLDER = tempfile.TemporaryDirectory()

@functools.cache
def minilm_onnx(weights, s):
    """PyTorch's encoder, its ids, the same as an ONNX file and that file's name of the ids."""
    import torch, onnx
    net, path = minilm_module(weights), os.path.join(FOLDER.name, s + ".onnx")
    ids = torch.randint(0, 30000, shape(s))
    torch.onnx.export(net, (ids,), path, dynamo=True, verbose=False)
    return net, ids, path, onnx.load(path, load_external_data=False).graph.input[0].name

def minilm(o):
    import torch
    torch.set_num_threads(o.threads)
    for s in o.shape or ["1x128", "8x128", "1x512"]:
        b, t = shape(s)
        gflop = 1e-9 * (b * t * 6 * 2 * (4 * 384 * 384 + 2 * 384 * 1536) + b * 6 * 4 * t * t * 384)
        net, ids, path, name = minilm_onnx(o.weights, s)
        if o.peer in (None, "pytorch f32"):
            with torch.inference_mode():
                emit("pytorch f32", f"minilm {s}", 1e3 * median_seconds(lambda: net(ids), o.runs or 15), "ms", gflop=round(gflop, 3))
        onnx_peers(o, path, {name: ids.numpy()}, f"minilm {s}", gflop=round(gflop, 3))

def onnx(o):
    import numpy as np
    random = np.random.default_rng(0)
    feed = {}
    for item in o.input:
        name, s = item.split("=")
        s, _, kind = s.partition(":")
        feed[name] = random.random(shape(s), dtype=np.float32) if not kind else random.integers(0, 255, shape(s)).astype(kind)
    onnx_peers(o, o.model, feed, os.path.basename(o.model))

def gemm(o):
    import torch
    torch.set_num_threads(o.threads)
    for s in o.shape or ["128x384x384", "128x1536x384", "512x1536x576", "512x576x1536", "1024x1024x1024", "2048x2048x2048"]:
        m, n, k = shape(s)
        for kind in (torch.float32, torch.bfloat16):
            a, w = torch.randn(m, k).to(kind), torch.randn(n, k).to(kind)
            seconds = median_seconds(lambda: torch.nn.functional.linear(a, w), o.runs or 15)
            emit("pytorch", f"gemm {s} {str(kind)[6:]}", 2e-9 * m * n * k / seconds, "GFLOP/s")

def train(o):
    import torch, torch.nn as nn, torch.nn.functional as F
    torch.set_num_threads(o.threads)
    C, H, L, V, T, B = 384, 6, 6, 65, 256, 8
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.n1, self.n2 = nn.LayerNorm(C), nn.LayerNorm(C)
            self.qkv, self.proj, self.up, self.down = nn.Linear(C, 3 * C), nn.Linear(C, C), nn.Linear(C, 4 * C), nn.Linear(4 * C, C)
        def forward(self, x):
            q, k, v = [t.view(B, T, H, C // H).transpose(1, 2) for t in self.qkv(self.n1(x)).split(C, 2)]
            x = x + self.proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, C))
            return x + self.down(F.gelu(self.up(self.n2(x)), approximate="tanh"))
    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.wpe, self.blocks = nn.Embedding(V, C), nn.Embedding(T, C), nn.ModuleList(Block() for _ in range(L))
            self.norm, self.head = nn.LayerNorm(C), nn.Linear(C, V, bias=False)
        def forward(self, x, y):
            h = self.wte(x) + self.wpe.weight
            for b in self.blocks: h = b(h)
            return F.cross_entropy(self.head(self.norm(h)).view(-1, V), y.view(-1))
    net = GPT(); x, y = torch.randint(0, V, (B, T)), torch.randint(0, V, (B, T))
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-4, fused=True)
    for mode in ("eager", "compile"):
        f = torch.compile(net) if mode == "compile" else net
        for kind in ("f32", "bf16"):
            def step():
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind == "bf16"): loss = f(x, y)
                loss.backward(); optimiser.step(); optimiser.zero_grad(set_to_none=True)
            emit(f"pytorch {mode} {kind}", "train gpt 10.8M 8x256", B * T / median_seconds(step, 5, 2), "tokens/s")

def requantize(o):
    import llama_cpp as lc
    settings = lc.llama_model_quantize_default_params()
    settings.ftype = dict(q4_0=lc.LLAMA_FTYPE_MOSTLY_Q4_0, q8_0=lc.LLAMA_FTYPE_MOSTLY_Q8_0, bf16=lc.LLAMA_FTYPE_MOSTLY_BF16,
                          f32=lc.LLAMA_FTYPE_ALL_F32)[o.to]
    settings.allow_requantize = True
    settings.nthread = o.threads
    if lc.llama_model_quantize(o.gguf.encode(), o.out.encode(), settings): sys.exit("llama_model_quantize failed")

def limits(o):
    import numpy as np
    a = np.ones(1 << 28, np.float32)
    emit("numpy", "read 1 GiB, one thread", a.nbytes / median_seconds(lambda: a.max(), 5) / 1e9, "GB/s")

def serve(o):
    for line in sys.stdin:
        request = argparse.Namespace(**{**vars(o), **json.loads(line)})
        WORKS[request.work](request)
        print(json.dumps({"done": True}), flush=True)

WORKS = dict(llm=llm, llm_batch=llm_batch, minilm=minilm, onnx=onnx, gemm=gemm, train=train, requantize=requantize, limits=limits)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("work", choices=[*WORKS, "serve"])
    p.add_argument("--threads", type=int, default=2); p.add_argument("--runs", type=int); p.add_argument("--peer")
    p.add_argument("--gguf"); p.add_argument("--to", choices=["q4_0", "q8_0", "bf16", "f32"]); p.add_argument("--out"); p.add_argument("--weights"); p.add_argument("--model")
    p.add_argument("--pp", type=int, default=512); p.add_argument("--tg", type=int, default=128); p.add_argument("--depth", type=int, default=0)
    p.add_argument("--batch", type=int, default=4)
    p.add_argument("--shape", action="append"); p.add_argument("--input", action="append", default=[])
    o = p.parse_args()
    serve(o) if o.work == "serve" else WORKS[o.work](o)

if __name__ == "__main__":
    main()
