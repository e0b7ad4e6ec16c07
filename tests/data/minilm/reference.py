#!/usr/bin/env python3
"""MiniLM in float64 by numpy, sharing nothing with mdlc:  reference.py model.safetensors

Prints how far each row of embeddings.npy is from what the model gives for the ids in cases.json, and writes the
last text's own embedding to long.npy (README.md in tests/data says why)."""
import json
import math
import os
import struct
import sys

import numpy as np

LAYERS, HEADS, WIDTH = 6, 12, 32
HERE = os.path.dirname(os.path.abspath(__file__))
erf = np.vectorize(math.erf)


def load(path):
    """All f32 tensors of a safetensors file, as float64."""
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            values = np.frombuffer(data[8 + length + begin : 8 + length + end], "<f4")
            tensors[name] = values.reshape(entry["shape"]).astype(np.float64)
    return tensors


def linear(t, name, x):
    return x @ t[name + ".weight"].T + t[name + ".bias"]


def norm(t, name, x):
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return centred / deviation * t[name + ".weight"] + t[name + ".bias"]


def attention(t, layer, x):
    q, k, v = (
        linear(t, layer + "attention.self." + name, x).reshape(-1, HEADS, WIDTH).transpose(1, 0, 2)
        for name in ("query", "key", "value")
    )
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(WIDTH)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    mixed = (weights @ v).transpose(1, 0, 2).reshape(-1, HEADS * WIDTH)
    return linear(t, layer + "attention.output.dense", mixed)


def mlp(t, layer, x):
    hidden = linear(t, layer + "intermediate.dense", x)
    return linear(t, layer + "output.dense", hidden * 0.5 * (1 + erf(hidden / math.sqrt(2))))


def embed(t, ids):
    places = t["embeddings.position_embeddings.weight"][: len(ids)]
    x = t["embeddings.word_embeddings.weight"][ids] + places + t["embeddings.token_type_embeddings.weight"][0]
    x = norm(t, "embeddings.LayerNorm", x)
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}."
        x = norm(t, layer + "attention.output.LayerNorm", x + attention(t, layer, x))
        x = norm(t, layer + "output.LayerNorm", x + mlp(t, layer, x))
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def main():
    tensors = load(sys.argv[1])
    expected = np.load(os.path.join(HERE, "embeddings.npy"))
    cases = json.load(open(os.path.join(HERE, "cases.json")))["cases"]
    for case, row in zip(cases, expected):
        vector = embed(tensors, case["ids"])
        print(f"{abs(vector - row).max():.2g}  {case['text']}")
    np.save(os.path.join(HERE, "long.npy"), vector.astype("<f4"))


if __name__ == "__main__":
    main()
