"""A GGUF file of three weights of random blocks, named as their formats: q6_k, q4_k [256, 256], q5_k [96, 256]. To standard output.

Blocks are those of ggml-common.h (block_q6_K ...): sizes of the parts are listed here, their scales kept small."""
import random
import struct
import sys

random.seed(1)


def halves(count, largest):
    return struct.pack(f"<{count}e", *(random.uniform(largest / 2, largest) for _ in range(count)))


def q6_k():  # codes' low and high bits, 16 scales, d
    return random.randbytes(192) + bytes(random.randrange(1, 30) for _ in range(16)) + halves(1, 2e-4)


def q4_k():  # d and dmin, 8 scales and minima of 6 bits, codes
    return halves(2, 4e-4) + random.randbytes(12 + 128)


def q5_k():  # the same, with codes' high bits
    return halves(2, 2e-4) + random.randbytes(12 + 32 + 128)


WEIGHTS = [("q6_k", 256, 14, q6_k), ("q4_k", 256, 12, q4_k), ("q5_k", 96, 13, q5_k)]  # name, outputs, GGUF's type, a block
header, data = b"GGUF" + struct.pack("<IQQ", 3, len(WEIGHTS), 0), b""
for name, outputs, kind, block in WEIGHTS:
    header += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<IQQIQ", 2, 256, outputs, kind, len(data))
    data += b"".join(block() for _ in range(outputs))
    data += bytes(-len(data) % 32)
sys.stdout.buffer.write(header + bytes(-len(header) % 32) + data)
