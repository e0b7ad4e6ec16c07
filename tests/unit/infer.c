/* Inference: the result of each family's good cases, and the words about its bad ones. A row a case. */
#include "cases.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

struct row {
    const char *op, *operands, *attrs, *expected; /* types of the results, or text of the error */
};

static const struct row good[] = {
    {"exp", "f32[S, 4]", "", "f32[S, 4]"},
    {"abs", "i32[3]", "", "i32[3]"},
    {"sign", "bf16[3]", "", "bf16[3]"},
    {"isnan", "f16[S]", "", "bool[S]"},
    {"add", "f32[S, 4]; f32[4]", "", "f32[S, 4]"},
    {"add", "f32[S, 1]; f32[1, T]", "", "f32[S, T]"},
    {"add", "f32; f32[2]", "", "f32[2]"},
    {"mul", "i64[2, 3]; i64", "", "i64[2, 3]"},
    {"div", "f64[2]; f64[2]", "", "f64[2]"},
    {"rem", "i32[2]; i32", "", "i32[2]"},
    {"lt", "i32[S]; i32", "", "bool[S]"},
    {"eq", "bool[S]; bool[S]", "", "bool[S]"},
    {"and", "bool[S]; bool", "", "bool[S]"},
    {"not", "bool[S]", "", "bool[S]"},
    {"where", "bool[S, 1]; f32; f32[4]", "", "f32[S, 4]"},
    {"where", "bool; bool[2]; bool[2]", "", "bool[2]"},
    {"clip", "i32[4]; i32; i32", "", "i32[4]"},
    {"gelu_tanh", "f32[4]", "", "f32[4]"},
    {"cast", "f32[S]", "to=bf16", "bf16[S]"},
    {"sum", "f32[S, 4]", "", "f32[S]"},
    {"sum", "i32[S, 4]", "axis=0 keep", "i32[1, 4]"},
    {"mean", "f32[S, 4, 5]", "axis=[2, 0]", "f32[4]"},
    {"max", "f32[S, 4]", "axis=all", "f32"},
    {"max", "f32[2, 4]", "axis=all keep", "f32[1, 1]"},
    {"any", "bool[S, 4]", "", "bool[S]"},
    {"sum", "f32[E]", "", "f32"},
    {"argmax", "f32[S, 4]", "axis=-2", "i32[4]"},
    {"cumsum", "i32[S, 4]", "", "i32[S, 4]"},
    {"linear", "f32[S, 576]; f32[192, 576]", "", "f32[S, 192]"},
    {"linear", "f32[576]; f32[192, 576]; f32[192]", "", "f32[192]"},
    {"linear", "bf16[S, 6]; bf16[2, 6]", "", "bf16[S, 2]"},
    {"linear", "f32[S, 6]; bf16[2, 6]", "compute=bf16", "f32[S, 2]"},
    {"linear", "bf16[S, 6]; bf16[2, 6]", "compute=f32", "f32[S, 2]"},
    {"matmul", "f32[S, 4]; f32[4, T]", "", "f32[S, T]"},
    {"matmul", "f32[4]; f32[4]", "", "f32"},
    {"matmul", "f32[4]; f32[2, 4, 5]", "", "f32[2, 5]"},
    {"matmul", "f32[7, 1, 3, 4]; f32[2, 4, 5]", "", "f32[7, 2, 3, 5]"},
    {"matmul", "i32[S, 4]; i32[4]", "", "i32[S]"},
    {"einsum", "f32[2, S, 4]; f32[2, T, 4]", "spec=\"bqd,bkd->bqk\"", "f32[2, S, T]"},
    {"einsum", "f32[4, 4]", "spec=\"ii->i\"", "f32[4]"},
    {"einsum", "f32[4, S]; f32[S]; f32", "spec=\"ij,j,->\"", "f32"},
    {"quantize", "f32[S, 64]", "", "i8[S, 64]; f32[S, 2]; i32[S, 2]"},
    {"qlinear", "i8[S, 64]; f32[S, 2]; i32[S, 2]; f32[5, 64]", "", "f32[S, 5]"},
    {"reshape", "f32[S, 576]", "shape=[S, 9, 64]", "f32[S, 9, 64]"},
    {"reshape", "f32[S, 4, T]", "shape=[-1, 2*T]", "f32[2*S, 2*T]"},
    {"reshape", "f32[1]", "shape=[]", "f32"},
    {"transpose", "f32[S, 4, T]", "perm=[2, 0, -2]", "f32[T, S, 4]"},
    {"broadcast", "f32[4, 1]", "shape=[S, 4, T]", "f32[S, 4, T]"},
    {"slice", "f32[S, 4]", "start=[S - 1, 0] extent=[1, 2] step=[1, 2]", "f32[1, 2]"},
    {"slice", "f32[S]", "start=[0] extent=[(S + 1) // 2] step=[2]", "f32[(S + 1) // 2]"},
    {"slice", "f32[S]", "start=[S - 1] extent=[S] step=[-1]", "f32[S]"},
    {"slice", "f32[T]", "start=[T - 2] extent=[2] step=[1]", "f32[2]"},
    {"slice", "f32[S*T]", "start=[S] extent=[S*T - S] step=[1]", "f32[S*T - S]"},
    {"concat", "f32[S, 4]; f32[S, T]; f32[S, 2]", "axis=-1", "f32[S, T + 6]"},
    {"pad", "f32[S, 4]", "pads=[[0, 0], [1, 2]]", "f32[S, 7]"},
    {"pad", "u8[S, 4]", "pads=1 value=255", "u8[S + 2, 6]"},
    {"flip", "f32[S, 4]", "axis=[-1, 0]", "f32[S, 4]"},
    {"reshard", "bf16[S, 4]", "", "bf16[S, 4]"},
    {"gather", "f32[100, 6]; i32[S]", "", "f32[S, 6]"},
    {"gather", "f32[5, 100, 6]; i64[S, 2]", "axis=1", "f32[5, S, 2, 6]"},
    {"gather", "f32[5, 6]; i32", "", "f32[6]"},
    {"take_along", "f32[S, 6]; i32[S, 2]", "", "f32[S, 2]"},
    {"scatter", "f32[9, 6]; i32[S]; f32[S, 6]", "reduce=add", "f32[9, 6]"},
    {"one_hot", "i32[S]", "n=10", "f32[S, 10]"},
    {"iota", "", "n=S - 1", "i32[S - 1]"},
    {"topk", "f32[S, 6]", "k=2", "f32[S, 2]; i32[S, 2]"},
    {"sort", "i32[S, 6]", "axis=0", "i32[S, 6]"},
    {"argsort", "f32[S, 6]", "", "i32[S, 6]"},
    {"write", "f32[8192, 3]; bf16[S, 3]; i32", "", "f32[8192, 3]"},
    {"write", "f32[50, 3]; f32[S, 3]; i32", "", "f32[50, 3]"},
    {"write", "f32[S, 50, 3]; f32[S, T, 3]; i64[S]", "axis=1", "f32[S, 50, 3]"},
    {"write", "f32[8, 50, 3]; f32[S, T, 3]; i32[S]; i32[S]", "axis=1", "f32[8, 50, 3]"},
    {"write", "f32[8, 3]; f32[1, 1]; i32; i64[1]", "axis=-1", "f32[8, 3]"},
    {"softmax", "f32[S, 4]", "axis=0", "f32[S, 4]"},
    {"layer_norm", "f32[S, 4]", "", "f32[S, 4]"},
    {"rms_norm", "bf16[4]", "eps=1e-6", "bf16[4]"},
    {"cross_entropy", "f32[S, 9]; i32[S]", "", "f32"},
    {"rope", "f32[S, 9, 64]; i32", "", "f32[S, 9, 64]"},
    {"rope", "f32[2, S, 9, 64]; i32[2]", "style=interleaved", "f32[2, S, 9, 64]"},
    {"sdpa", "f32[S, 9, 64]; bf16[T, 3, 64]; f16[T, 3, 32]", "", "f32[S, 9, 32]"},
    {"sdpa", "f32[2, S, 4, 8]; f32[2, T, 4, 8]; f32[2, T, 4, 8]; i32[2]; bool[T]", "causal",
     "f32[2, S, 4, 8]"},
    {"sdpa", "f32[S, 4, 8]; f32[T, 4, 8]; f32[T, 4, 8]; -; f32[4, 1, T]", "", "f32[S, 4, 8]"},
    {"conv", "f32[2, 4, S, 9]; f32[6, 2, 1, 3]", "groups=2 stride=[1, 2] pad=[[0, 0], [1, 0]]",
     "f32[2, 6, S, 4]"},
    {"conv", "f32[2, 4, S]; f32[6, 4, 1]", "stride=2", "f32[2, 6, (S + 1) // 2]"},
    {"conv", "f32[1, 1, 9]; f32[1, 1, 3]", "dilation=4", "f32[1, 1, 1]"},
    {"conv_transpose", "f32[2, 4, S]; f32[4, 3, 3]", "groups=2 stride=2 pad=1 output_pad=1",
     "f32[2, 6, 2*S]"},
    {"max_pool", "f32[1, 2, 8, 9]", "size=2", "f32[1, 2, 4, 4]"},
    {"avg_pool", "f32[1, 2, S]", "size=3 stride=1 pad=1", "f32[1, 2, S]"},
    {"normal", "", "shape=[S, 3] std=0.02", "f32[S, 3]"},
    {"uniform", "", "shape=[]", "f32"},
    {"guard", "i32[S]", "lo=0 hi=S what=\"id\"", ""},
    {"all_reduce", "f32[S, 4]; f32[7]", "over=\"m.tensor\"", "f32[S, 4]; f32[7]"},
    {"all_gather", "f32[S, 4]", "over=\"m.data,m.tensor\"", "f32[6, S, 4]"},
    {"reduce_scatter", "f32[3, S]", "over=\"m.tensor\"", "f32[S]"},
    {"all_to_all", "i32[2, S]", "over=\"m.data\"", "i32[2, S]"},
    {"permute", "f32[S]", "over=\"m.tensor\" to=[1, 2, 0]", "f32[S]"},
    {"send", "f32[S]", "over=\"m.data\" to=1", ""},
    {"receive", "", "over=\"m.data\" from=0 shape=[S, 4] dtype=bf16", "bf16[S, 4]"},
    {"extent", "", "n=2*S", "i32"},
};

static const struct row bad[] = {
    {"exp", "i32[4]", "", "exp: x must be of a float type, is i32"},
    {"sigmoid", "bool[4]", "", "sigmoid: x must be of a float type, is bool"},
    {"sign", "bool[4]", "", "sign: x must be a number, is bool"},
    {"div", "i32[4]; i32", "", "operator /: a must be of a float type, is i32"},
    {"add", "bool; bool", "", "operator +: a must be a number, is bool"},
    {"add", "f32[4]; bf16[4]", "", "operator +: element types differ: a is f32, b is bf16; write a cast"},
    {"add", "f32[S, 4]; f32[3]", "", "operator +: shapes do not broadcast: [S, 4] against [3]"},
    {"add", "f32[S]; f32[T]", "", "shapes do not broadcast: [S] against [T]"},
    {"and", "f32; f32", "", "operator and: a must be bool, is f32"},
    {"not", "i32[2]", "", "operator not: a must be bool, is i32"},
    {"where", "f32; f32; f32", "", "where: c must be bool, is f32"},
    {"where", "bool; f32; i32", "", "where: element types differ: a is f32, b is i32"},
    {"exp", "", "", "exp: x is missing"},
    {"exp", "f32; f32", "", "exp: takes 1 operand, given 2"},
    {"cast", "f32", "", "cast: to is missing"},
    {"sum", "f32[4]", "axis=1", "sum: axis=1 is outside -1..0"},
    {"sum", "f32", "", "sum: axis=-1: a scalar has no axes"},
    {"sum", "f32[2, 3]", "axis=[0, -2]", "sum: axis names axis 0 twice"},
    {"sum", "bool[2]", "", "sum: x must be a number, is bool"},
    {"mean", "i32[2]", "", "mean: x must be of a float type, is i32"},
    {"any", "f32[2]", "", "any: x must be bool, is f32"},
    {"max", "f32[2, 0]", "", "max: axis 1 of x is empty"},
    {"argmax", "f32[0]", "", "argmax: axis 0 of x is empty"},
    {"argmin", "bool[2]", "", "argmin: x must be a number, is bool"},
    {"cumsum", "f32[2]", "axis=-2", "cumsum: axis=-2 is outside -1..0"},
    {"linear", "f32[S, 576]; f32[192, 1536]", "", "linear: inner extents differ: x has 576, w has 1536"},
    {"linear", "f32[S, 576]; f32[576]", "", "linear: w must have 2 axes, is f32[576]"},
    {"linear", "f32; f32[5, 576]", "", "linear: x must have at least 1 axis, is f32"},
    {"linear", "f32[S, 6]; f32[2, 6]; f32[3]", "", "linear: outputs differ: w has 2, b has 3"},
    {"linear", "f32[S, 6]; bf16[2, 6]", "", "linear: element types differ: x is f32, w is bf16"},
    {"linear", "f64[S, 6]; f64[2, 6]", "compute=bf16",
     "linear: with compute=bf16, x must be f32 or bf16, is f64"},
    {"linear", "f32[S, 6]; f32[2, 6]", "compute=i8", "linear: compute must be f32 or bf16, is i8"},
    {"matmul", "f32[S, 4]; f32[T, 4]", "", "matmul: inner extents differ: a has 4, b has T"},
    {"matmul", "f32[2, 3, 4]; f32[5, 4, 3]", "", "matmul: shapes do not broadcast: [2] against [5]"},
    {"matmul", "bool[4]; bool[4]", "", "matmul: a must be a number, is bool"},
    {"einsum", "f32[4]", "spec=\"i\"", "einsum: \"i\": its result is not written"},
    {"einsum", "f32[4]", "spec=\"i,j->ij\"", "names 2 operands, given 1"},
    {"einsum", "f32[4]", "spec=\"i->ii\"", "its result has 'i' twice"},
    {"einsum", "f32[4]", "spec=\"i->j\"", "'j' of its result is in no operand"},
    {"einsum", "f32[4]", "spec=\"i.->i\"", "'.' is not a letter"},
    {"einsum", "f32[4]", "spec=\"i-j->i\"", "'-' is not a letter"},
    {"einsum", "f32[4]; f32[5]", "spec=\"i,i->i\"", "einsum: extents of 'i' differ: x[0] has 4, x[1] has 5"},
    {"einsum", "f32[4, 4]", "spec=\"i->i\"", "gives x[0] 1 axis, it is f32[4, 4]"},
    {"einsum", "", "spec=\"->\"", "einsum: x is missing"},
    {"quantize", "f32[S, 33]", "", "quantize: the last extent of x, 33, is not a multiple of 32"},
    {"quantize", "bf16[S, 32]", "", "quantize: x must be f32, is bf16"},
    {"qlinear", "i8[S, 64]; f32[S, 1]; i32[S, 2]; f32[5, 64]", "",
     "qlinear: scales must be f32[S, 2], is f32[S, 1]"},
    {"qlinear", "i8[S, 64]; f32[S, 2]; i32[S, 2]; f32[5, 32]", "",
     "inner extents differ: codes has 64, w has 32"},
    {"reshape", "f32[S, 6]", "shape=[S, 7]", "reshape: x [S, 6] has 6*S elements, [S, 7] has 7*S"},
    {"reshape", "f32[S, 6]", "shape=[-1, -1]", "reshape: shape has more than one -1"},
    {"reshape", "f32[S, 6]", "shape=[4, -1]", "reshape: -1 has no solution: 6*S elements of x by 4"},
    {"reshape", "f32[0, 6]", "shape=[0, -1]", "-1 has no solution"},
    {"reshape", "f32[1]", "shape=[1, 1, 1, 1, 1, 1, 1, 1, 1]", "reshape: shape has 9 axes; at most 8"},
    {"transpose", "f32[S, 6]", "perm=[0]", "transpose: perm has 1 entries, x has 2 axes"},
    {"transpose", "f32[S, 6]", "perm=[0, 2]", "transpose: perm: axis 2 is outside -2..1"},
    {"transpose", "f32[S, 6]", "perm=[0, -2]", "transpose: perm names axis 0 twice"},
    {"broadcast", "f32[S]", "shape=[T]", "broadcast: x [S] does not broadcast to [T]"},
    {"broadcast", "f32[S]", "shape=[-1]", "broadcast: -1 has no meaning in its shape"},
    {"slice", "f32[S]", "start=[0] extent=[2] step=[1]", "slice: axis 0: end 2 may lie beyond the extent S"},
    {"slice", "f32[S]", "start=[S - 2] extent=[1] step=[1]", "slice: axis 0: index S - 2 may be negative"},
    {"slice", "f32[S]", "start=[0] extent=[T - S] step=[1]",
     "slice: axis 0: -S + T elements may be negative"},
    {"slice", "f32[4]", "start=[0] extent=[4] step=[0]", "slice: axis 0: step must not be 0"},
    {"slice", "f32[4]", "start=[0] extent=[3] step=[2]", "end 5 may lie beyond the extent 4"},
    {"slice", "f32[4]", "start=[0] extent=[2] step=[-1]", "index -1 may be negative"},
    {"slice", "f32[4]", "start=[0] extent=[2] step=[1, 1]",
     "slice: start, extent and step need 1 entry each"},
    {"concat", "f32[S, 4]; f32[T, 4]", "axis=1", "concat: extents of axis 0 differ: x[0] has S, x[1] has T"},
    {"concat", "f32[S]; i32[S]", "axis=0", "concat: element types differ: x[0] is f32, x[1] is i32"},
    {"concat", "f32[S]; f32[S, 1]", "axis=0", "concat: x[1] must have 1 axis, is f32[S, 1]"},
    {"concat", "", "axis=0", "concat: x is missing"},
    {"concat", "f32[S]", "", "concat: axis is missing"},
    {"pad", "f32[S, 4]", "pads=[[0, 0], [1, -2]]", "pad: pads=-2 is outside 0.."},
    {"pad", "f32[S, 4]", "pads=[[0, 0], [1, 2], [0, 0]]", "pad: pads has 3 entries for 2 axes"},
    {"pad", "u8[S, 4]", "pads=1 value=256", "pad: value=256 is not a number that u8 has"},
    {"flip", "f32[S]", "axis=1", "flip: axis=1 is outside -1..0"},
    {"reshard", "f32[S]; f32[S]", "", "reshard: takes 1 operand, given 2"},
    {"gather", "f32[9]; f32[S]", "", "gather: ids must be i32 or i64, is f32"},
    {"gather", "f32; i32[S]", "", "gather: axis=0: a scalar has no axes"},
    {"gather", "f32[1, 1, 1, 1]; i32[1, 1, 1, 1, 1, 1]", "", "gather: the result would have 9 axes"},
    {"take_along", "f32[S, 6]; i32[T, 2]", "", "take_along: extents of axis 0 differ: x has S, ids has T"},
    {"take_along", "f32[S, 6]; i32[2]", "", "take_along: ids must have 2 axes, is i32[2]"},
    {"scatter", "f32[9, 6]; i32[S]; f32[T, 6]", "", "scatter: updates must be f32[S, 6], is f32[T, 6]"},
    {"scatter", "bool[9]; i32[S]; bool[S]", "reduce=add", "scatter: x must be a number, is bool"},
    {"scatter", "f32[9]; i32[S]; f32[S]", "reduce=max", "scatter: reduce must be set or add"},
    {"one_hot", "i8[S]", "n=10", "one_hot: ids must be i32 or i64, is i8"},
    {"one_hot", "i32[S]", "n=S - 2", "one_hot: extent 1 of the result may be negative: S - 2"},
    {"iota", "", "n=3000000000", "iota: 3000000000 may not fit an i32"},
    {"topk", "f32[S]", "k=2", "topk: k=2 may exceed axis 0 of x, which has S"},
    {"sort", "bool[S]", "", "sort: x must be a number, is bool"},
    {"write", "f32[50, 3]; f32[S, 4]; i32", "", "write: extents of axis 1 differ: buffer has 3, x has 4"},
    {"write", "f32[1, 3]; f32[T, 3]; i32", "", "write: x never fits: axis 0 has T, buffer has 1"},
    {"write", "f32[9, 3]; f32[3]; i32", "", "write: x must have as many axes as buffer, 2, is f32[3]"},
    {"write", "f32[9]; f32[1]; i32[1]", "", "write: at must be a scalar, is i32[1]"},
    {"write", "f32[9]; f32[1]; f32", "", "write: at must be i32 or i64, is f32"},
    {"write", "f32[9, 3]; f32[S, 3]; i32[S]", "", "write: at must be a scalar, is i32[S]"},
    {"write", "f32[S, 3]; f32[S, 3]; i32[T]", "axis=1", "write: batches differ: x has S, at has T"},
    {"write", "f32[9, 3]; f32[S, 3]; i32", "axis=1",
     "write: extents of axis 0 differ: buffer has 9, x has S"},
    {"write", "f32[9, 3]; f32[S, 3]; i32; i32[S]", "", "write: rows need an axis behind the batch's, not 0"},
    {"write", "f32[9, 3]; f32[S, 3]; i32; i32[T]", "axis=1", "write: batches differ: x has S, rows has T"},
    {"write", "f32[9, 3]; f32[S, 3]; i32; i32", "axis=1", "write: rows must have 1 axis, is i32"},
    {"write", "f32[9, 3]; f32[S, 3]; i32; f32[S]", "axis=1", "write: rows must be i32 or i64, is f32"},
    {"write", "f32[1, 3]; f32[T, 3]; i32; i32[T]", "axis=1",
     "write: x never fits: axis 0 has T, buffer has 1"},
    {"softmax", "i32[9]", "", "softmax: x must be of a float type, is i32"},
    {"rms_norm", "f32", "", "rms_norm: x must have at least 1 axis, is f32"},
    {"layer_norm", "f32[4]", "eps=-1", "layer_norm: eps is negative"},
    {"cross_entropy", "f32[S, 9]; i32[T]", "", "cross_entropy: rows differ: logits has S, targets has T"},
    {"rope", "f32[S, 9, 5]", "", "rope: the last extent must be even, is 5"},
    {"rope", "f32[S, 64]", "", "rope: x must have 3 to 4 axes, is f32[S, 64]"},
    {"rope", "f32[S, 9, 4]; i32[1]", "", "rope: at must be a scalar, is i32[1]"},
    {"rope", "f32[2, S, 9, 4]; i32[3]", "", "rope: batches differ: x has 2, at has 3"},
    {"rope", "f32[S, 9, 4]", "style=spiral", "rope: style must be halves or interleaved"},
    {"rope", "f32[S, 9, 4]", "base=0", "rope: base must be positive and finite"},
    {"sdpa", "f32[S, 9, 64]; f32[T, 2, 64]; f32[T, 2, 64]", "",
     "sdpa: 9 query heads are not a multiple of 2 key heads"},
    {"sdpa", "f32[S, 4, 64]; f32[T, 4, 32]; f32[T, 4, 64]", "",
     "sdpa: head dimensions differ: q has 64, k has 32"},
    {"sdpa", "f32[S, 4, 8]; f32[T, 4, 8]; f32[S, 4, 8]", "",
     "sdpa: numbers of keys differ: k has T, v has S"},
    {"sdpa", "f32[S, 4, 8]; f32[T, 4, 8]; f32[T, 4, 8]; i32", "", "sdpa: at without causal"},
    {"sdpa", "f32[S, 4, 8]; f32[T, 4, 8]; f32[T, 4, 8]; -; f32[S]", "",
     "sdpa: mask [S] does not broadcast to [heads, queries, keys] = [4, S, T]"},
    {"sdpa", "f32[S, 4, 8]; f32[T, 4, 8]; f32[T, 4, 8]; -; i32[T]", "",
     "mask must be bool or of a float type"},
    {"sdpa", "f32[S, 4, T]; f32[S, 4, T]; f32[S, 4, T]", "",
     "scale must be written where the head dimension is T"},
    {"conv", "f32[2, 4, 9]; f32[6, 4, 3]", "groups=3", "conv: 4 channels cannot be divided into 3 groups"},
    {"conv", "f32[2, 4, 9]; f32[5, 2, 3]", "groups=2", "conv: 5 outputs cannot be divided into 2 groups"},
    {"conv", "f32[2, 4, 9]; f32[6, 3, 3]", "", "conv: channels of a group differ: x has 4, w has 3"},
    {"conv", "f32[2, 4, S]; f32[6, 4, 3]", "", "conv: axis 2: a window of 3 may not fit into S"},
    {"conv", "f32[2, 4, 9]; f32[6, 4, 3]", "stride=0", "conv: stride=0 is outside 1.."},
    {"conv", "f32[2, 4, 9]; f32[6, 4, 3]", "stride=[1, 1]", "conv: stride has 2 entries for 1 axis"},
    {"conv", "f32[4, 9]; f32[6, 4]", "", "conv: x must have 3 to 4 axes"},
    {"conv_transpose", "f32[2, 4, 9]; f32[5, 3, 3]", "", "conv_transpose: channels differ: x has 4, w has 5"},
    {"conv_transpose", "f32[2, 4, 9]; f32[4, 3, 3]", "output_pad=1",
     "output_pad=1 must be less than stride=1"},
    {"conv_transpose", "f32[2, 4, 1]; f32[4, 3, 1]", "pad=1", "extent 2 of the result may be negative: -1"},
    {"max_pool", "f32[1, 2, 8]", "size=2 pad=2", "max_pool: pad=[2, 2] must be less than size=2"},
    {"max_pool", "f32[1, 2, 8]", "", "max_pool: size is missing"},
    {"avg_pool", "i32[1, 2, 8]", "size=2", "avg_pool: x must be of a float type, is i32"},
    {"normal", "", "shape=[2] std=-1", "normal: std is negative"},
    {"uniform", "", "shape=[2] lo=1 hi=0", "uniform: lo is greater than hi"},
    {"normal", "", "shape=[4611686018427387904, 2]", "normal: the result may be too large"},
    {"normal", "", "shape=[4611686018427387904]", "normal: the result may be too large"},
    {"guard", "f32[S]", "lo=0 hi=S what=\"id\"", "guard: x must be i32 or i64, is f32"},
    {"all_reduce", "f32[S]", "over=\"tensor\"", "there is no mesh axis 'tensor'; write mesh.axis"},
    {"all_gather", "f32[S]", "over=\"m.data,m.data\"", "m.data is there twice"},
    {"all_reduce", "f32[S]; i32[S]", "over=\"m.data\"", "element types differ"},
    {"reduce_scatter", "f32[2, S]", "over=\"m.tensor\"", "its first extent must be 3, one for each member"},
    {"permute", "f32[S]", "over=\"m.tensor\" to=[1, 1, 0]", "member 1 receives twice"},
    {"permute", "f32[S]", "over=\"m.tensor\" to=[1, 0]", "to has 2 members, the group 3"},
    {"send", "f32[S]", "over=\"m.data\" to=2", "to: member 2 is not in 0..2"},
    {"receive", "", "over=\"m.data\" from=-1 shape=[4] dtype=f32", "from: member -1 is not in 0..2"},
    {"extent", "", "n=3000000000*S", "extent: 3000000000*S may not fit an i32"},
};

Test(infer, results_of_good_cases) {
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct row *r = &good[i];
        struct test *t = test_new();
        struct node *n = test_node(t, r->op, r->operands, r->attrs);
        cr_expect(node_infer(t->g, n), "%s(%s) %s: %s", r->op, r->operands, r->attrs, test_messages(t));
        cr_expect_str_eq(test_results(t, n), r->expected, "%s(%s) %s gives %s", r->op, r->operands, r->attrs,
                         test_results(t, n));
        const struct value *before = n->results_count ? n->results[0] : NULL;
        cr_expect(node_infer(t->g, n), "%s(%s) again: %s", r->op, r->operands, test_messages(t));
        cr_expect(!before || n->results[0] == before);
        cr_expect_str_eq(test_results(t, n), r->expected);
    }
}

Test(infer, words_about_bad_cases) {
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct row *r = &bad[i];
        struct test *t = test_new();
        struct node *n = test_node(t, r->op, r->operands, r->attrs);
        cr_expect(!node_infer(t->g, n), "%s(%s) %s passes", r->op, r->operands, r->attrs);
        cr_expect_eq(t->diag.errors, 1);
        cr_expect(strstr(test_messages(t), r->expected), "%s(%s) %s says: %s", r->op, r->operands, r->attrs,
                  test_messages(t));
        cr_expect(!strncmp(test_messages(t), "t.mdl:7:5: error: ", 18));
    }
}

/* Every family that a table can reach has both kinds of cases. */
Test(infer, each_family_is_tested) {
    bool fine[FAMILY_COUNT] = {false}, wrong[FAMILY_COUNT] = {false};
    test_new();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) fine[op_info(op_find(good[i].op))->family] = true;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) wrong[op_info(op_find(bad[i].op))->family] = true;
    for (int op = 0; op < OP_COUNT; op++) {
        const struct op_info *info = op_info((enum op)op);
        if (info->level == LEVEL_STRUCTURE || info->level == LEVEL_SUGAR) continue;
        cr_expect(fine[info->family] && wrong[info->family], "%s", info->name);
    }
}

Test(infer, every_pointwise_op_of_floats_or_bools_has_a_type) {
    for (int op = 0; op < OP_COUNT; op++) {
        const struct op_info *info = op_info((enum op)op);
        if (info->family != FAMILY_pointwise) continue;
        bool logical = op == OP_and || op == OP_or || op == OP_not;
        struct test *t = test_new();
        struct value *x = test_argument(t, logical ? "bool[3]" : "f32[3]");
        struct value *operands[] = {op == OP_where ? test_argument(t, "bool") : x, x, x};
        struct node *n = node_new(t->g, (enum op)op, info->operands_count, operands, t->loc);
        cr_expect(node_infer(t->g, n), "%s: %s", info->name, test_messages(t));
    }
}

Test(infer, notes_say_where_operands_were_declared) {
    struct test *t = test_new();
    struct node *n = test_node(t, "linear", "f32[S, 576]; f32[192, 1536]", "");
    node_infer(t->g, n);
    cr_assert_str_eq(test_messages(t),
                     "t.mdl:7:5: error: linear: inner extents differ: x has 576, w has 1536\n"
                     "t.mdl:4:10: note: x is x0 : f32[S, 576], declared here\n"
                     "t.mdl:4:11: note: w is x1 : f32[192, 1536], declared here\n");
}

Test(infer, attributes_become_canonical) {
    struct test *t = test_new();
    struct node *n = test_node(t, "sum", "f32[2, 3, 4]", "axis=[-1, 0]");
    node_infer(t->g, n);
    const struct attr *a = node_attr(n, "axis");
    cr_assert(a->count == 2 && a->ints[0] == 0 && a->ints[1] == 2);
    n = test_node(t, "max", "f32[2, 3]", "axis=all");
    node_infer(t->g, n);
    a = node_attr(n, "axis");
    cr_assert(a->count == 2 && a->ints[0] == 0 && a->ints[1] == 1);
    n = test_node(t, "max_pool", "f32[1, 1, 8, 9]", "size=[2, 3] pad=1");
    node_infer(t->g, n);
    a = node_attr(n, "stride");
    cr_assert(a->set && a->count == 2 && a->ints[0] == 2 && a->ints[1] == 3);
    a = node_attr(n, "pad");
    cr_assert(a->count == 2 && a->ints[0] == 1 && a->ints[3] == 1);
    n = test_node(t, "reshape", "f32[S, 6]", "shape=[2, -1]");
    node_infer(t->g, n);
    cr_assert_eq(node_attr(n, "shape")->extents[1], test_extent(t, "3*S"));
    n = test_node(t, "sdpa", "f32[S, 4, 64]; f32[T, 4, 64]; f32[T, 4, 64]", "");
    node_infer(t->g, n);
    cr_assert_eq(node_attr(n, "scale")->f, 0.125);
    cr_assert_eq(n->operands_count, 5);
    n = test_node(t, "linear", "f32[S, 4]; f32[2, 4]", "");
    node_infer(t->g, n);
    cr_assert(!node_attr(n, "compute")->set);
    n = test_node(t, "rms_norm", "f32[S, 4]", "");
    node_infer(t->g, n);
    cr_assert_eq(node_attr(n, "eps")->f, 1e-5);
}

Test(infer, more_operands_than_notes) {
    struct test *t = test_new();
    struct value *operands[40];
    for (int i = 0; i < 40; i++) operands[i] = test_argument(t, i == 39 ? "f32[3]" : "i32[3]");
    struct node *n = node_new(t->g, OP_concat, 40, operands, t->loc);
    node_attr(n, "axis")->set = true;
    cr_assert(!node_infer(t->g, n));
    cr_assert(strstr(test_messages(t), "x[0] is i32, x[39] is f32"));
}

static struct node *structure(struct test *t, enum op op, int count, struct value *const *operands) {
    struct node *n = node_new(t->g, op, count, operands, t->loc);
    block_append(t->body, n);
    return n;
}

Test(infer, globals_and_constants) {
    struct test *t = test_new();
    struct global *w = graph_global(t->g, GLOBAL_PARAM, "w", (struct loc){t->loc.source, 2, 7});
    w->type = test_type(t, "f32[3, 4]");
    w->counts_rank = 1;
    w->counts[0] = 5;
    struct node *n = structure(t, OP_param, 0, NULL);
    n->global = w;
    n->element = 4;
    cr_assert(node_infer(t->g, n), "%s", test_messages(t));
    cr_assert_str_eq(test_results(t, n), "f32[3, 4]");
    n->element = 5;
    cr_assert(!node_infer(t->g, n));
    cr_assert(strstr(test_messages(t), "w has 5 tensors, not a tensor 5"));
    struct value *x = test_argument(t, "f32[4]");
    n = structure(t, OP_assign, 1, &x);
    n->global = w;
    cr_assert(!node_infer(t->g, n));
    cr_assert(strstr(test_messages(t), "assign: w is f32[3, 4], the value is f32[4]"));
    cr_assert(strstr(test_messages(t), "t.mdl:2:7: note: w declared here"));
    const struct tensor c = {DTYPE_I32, 2, {2, 0}, NULL};
    n = structure(t, OP_constant, 0, NULL);
    n->constant = &c;
    cr_assert(node_infer(t->g, n));
    cr_assert_str_eq(test_results(t, n), "i32[2, 0]");
}

Test(infer, loops_carry_one_type) {
    struct test *t = test_new();
    struct value *h = test_argument(t, "f32[4]"), *wide = test_argument(t, "f32[5]");
    struct node *n = structure(t, OP_scan, 1, &h);
    n->count = test_extent(t, "S");
    n->body = block_new(t->g, n);
    const struct type index = test_type(t, "i32");
    block_argument(t->g, n->body, &index, "i", t->loc);
    struct value *inner = block_argument(t->g, n->body, &h->type, "h", t->loc);
    n->body->results = &inner;
    n->body->results_count = 1;
    cr_assert(node_infer(t->g, n), "%s", test_messages(t));
    cr_assert_str_eq(test_results(t, n), "f32[4]");
    n->body->results = &wide;
    cr_assert(!node_infer(t->g, n));
    cr_assert(strstr(test_messages(t), "h changes its type in the loop: f32[4] before, f32[5] after a step"));
    n->count = test_extent(t, "S - 2");
    cr_assert(!node_infer(t->g, n));
    cr_assert(strstr(test_messages(t), "the number of steps may be negative: S - 2"));
}

Test(infer, kernels_take_what_their_arguments_are) {
    struct test *t = test_new();
    struct value *h = test_argument(t, "f32[4]"), *wide = test_argument(t, "f32[5]");
    struct node *n = structure(t, OP_kernel, 1, &h);
    n->body = block_new(t->g, n);
    struct value *inner = block_argument(t->g, n->body, &h->type, "a", t->loc);
    n->body->results = &inner;
    n->body->results_count = 1;
    cr_assert(node_infer(t->g, n), "%s", test_messages(t));
    cr_assert_str_eq(test_results(t, n), "f32[4]");
    n->operands[0] = wide;
    cr_assert(!node_infer(t->g, n));
    cr_assert(strstr(test_messages(t), "kernel: a is f32[4] inside, f32[5] outside"));
}

/* What is proved holds for all values of the dims; what fails for some is not proved. */
Test(prove, against_all_values) {
    static const char *const texts[] = {"S - 1",
                                        "S - 2",
                                        "S*T - S",
                                        "S*T - 2*S",
                                        "S*T - 3*S",
                                        "S - S // 2",
                                        "S - 2*(S // 2)",
                                        "(S + 1) // 2 - S // 2",
                                        "2*((S + 1) // 2) - S",
                                        "S - 1 - 2*((S - 1) // 2)",
                                        "E",
                                        "E - 1",
                                        "E*S",
                                        "9 - E",
                                        "8 - E",
                                        "S*E - E",
                                        "S // 3 + S // 4 - S // 2",
                                        "S - S // 3 - S // 3 - S // 3",
                                        "T*T - 2*T",
                                        "100*T - S*T",
                                        "99*T - S*T"};
    struct test *t = test_new();
    int proved = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct extent *e = test_extent(t, texts[i]);
        bool always = true;
        for (int64_t s = 1; s <= 100; s++)
            for (int64_t u = 2; u <= 50; u++)
                for (int64_t v = 0; v <= 9; v++) always &= extent_eval(e, (int64_t[]){s, u, v}) >= 0;
        bool found = extent_nonnegative(t->g->extents, e);
        cr_expect(always || !found, "%s", texts[i]);
        const char *const beyond = "(S + 1) // 2 - S // 2; 100*T - S*T"; /* true, and not found */
        cr_expect(found || !always || strstr(beyond, texts[i]), "%s is not found", texts[i]);
        proved += found;
    }
    cr_expect_geq(proved, 10);
}
