"""Models of ONNX for the fuzz targets, in the wire format of protobuf: damaged ones, and a right one for each kind of op."""
import struct

import numpy as np


def varint(value):
    value &= (1 << 64) - 1
    groups = [value >> shift & 127 for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes(group | 128 for group in groups[:-1]) + bytes(groups[-1:])


def field(number, value):
    """A field of a protobuf message: an integer, a text or the bytes of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def fields(number, values):
    return b"".join(field(number, value) for value in values)


def tensor(name, dims, data=b"", kind=1, rest=b""):
    return fields(1, dims) + field(2, kind) + field(8, name) + (field(9, data) if data else b"") + rest


def external(name, dims, **entries):
    return tensor(name, dims, rest=field(14, 1) + fields(13, [field(1, key) + field(2, value) for key, value in entries.items()]))


def node(op, inputs, outputs, attributes=()):
    return fields(1, inputs) + fields(2, outputs) + field(4, op) + fields(5, attributes)


def value(name, dims=("N", 2), kind=1):
    shape = fields(1, [field(1, dim) if isinstance(dim, int) else field(2, dim) for dim in dims])
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


def attribute(name, kind, value):
    return field(1, name) + field(20, kind) + value


def model(nodes, tensors=(), inputs=(value("x"),), outputs=(value("y"),), version=8, rest=b"", opset=13):
    graph = fields(1, nodes) + field(2, "net") + fields(5, tensors) + fields(11, inputs) + fields(12, outputs)
    return field(1, version) + field(7, graph) + field(8, field(1, "") + field(2, opset)) + rest


def damaged():
    two = np.arange(2, dtype=np.float32).tobytes()
    relu = node("Relu", ["x"], ["y"])
    add = lambda tensor, **more: model([node("Add", ["x", "w"], ["y"])], [tensor], **more)
    nested = field(1, "a")
    for _ in range(60):
        nested = attribute("g", 5, field(6, field(1, node("If", [], [], [nested]))))
    packed = lambda values: field(5, b"".join(map(varint, values)))
    return {
        "relu": model([relu]),
        "add": add(tensor("w", [2], two)),
        "attributes": model([node("Conv", ["x", "w", ""], ["h", ""], [
            attribute("group", 2, field(3, -1)), attribute("pads", 7, fields(8, [1, 2])), attribute("auto_pad", 3, field(4, "SAME_UPPER")),
            attribute("value", 4, field(5, tensor("", [], two[:4]))), attribute("alpha", 1, b"\x15" + two[4:])]),
            node("Relu", ["h"], ["y"])], [tensor("w", [2], two)], inputs=[value("x", ["N", 2, -1]), value("w", [2])]),
        "types": model([relu], [tensor(f"w{kind}", [1], bytes(size), kind) for kind, size in
                                     {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}.items()]),
        "fields": model([relu], [tensor("a", [2], rest=field(4, two)), tensor("b", [2], kind=3, rest=packed([1, -1])),
                                      tensor("c", [1], kind=10, rest=packed([0x3c00])), tensor("d", [1], kind=8, rest=field(6, "cat"))]),
        "external": add(external("w", [2], location="data", offset="4", length="8")),
        "external_outside": add(external("w", [2], location="../data")),
        "external_absolute": add(external("w", [2], location="/dev/zero")),
        "external_offset": add(external("w", [2], location="data", offset=str(2**64 - 1))),
        "negative_dim": add(tensor("w", [-2], two)),
        "huge_dims": add(tensor("w", [1 << 33, 1 << 33], two)),
        "huge_but_empty": add(tensor("w", [1 << 62, 0, 8])),
        "too_few_elements": add(tensor("w", [3], two)),
        "does_not_fit": add(tensor("w", [1], kind=3, rest=packed([300]))),
        "unknown_type": add(tensor("w", [2], two, kind=99)),
        "cycle": model([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])]),
        "unsorted": model([node("Relu", ["a"], ["y"]), node("Relu", ["x"], ["a"])]),
        "missing_value": model([node("Add", ["x", "v"], ["y"])]),
        "twice": model([relu, relu]),
        "subgraph": model([node("If", ["x"], ["y"], [attribute("then_branch", 5, field(6, field(2, "inner")))])]),
        "nested": model([node("If", ["x"], ["y"], [nested])]),
        "function": model([relu], rest=field(25, field(1, "Relu"))),
        "sequence": model([relu], outputs=[field(1, "y") + field(2, field(4, b""))]),
        "name_is_no_utf8": model([node(b"\xff", ["x"], ["y"])]),
        "no_nodes": model([]),
        "no_graph": field(1, 8),
        "empty": b"",
    }


# --- models that are right --------------------------------------------------

def numbers(name, dims, kind=1):
    """Small numbers, none 0."""
    data = np.arange(1, int(np.prod(dims)) + 1, dtype=np.float32) / 8
    return tensor(name, dims, data.tobytes(), kind)


def integers(name, values, dims=None):
    return tensor(name, [len(values)] if dims is None else dims, np.array(values, np.int64).tobytes(), 7)


def setting(name, given):
    if isinstance(given, bytes):
        return attribute(name, 4, field(5, given))
    if isinstance(given, str):
        return attribute(name, 3, field(4, given))
    if isinstance(given, int):
        return attribute(name, 2, field(3, given))
    if isinstance(given, float):
        return attribute(name, 1, b"\x15" + struct.pack("<f", given))
    if given and isinstance(given[0], float):
        return attribute(name, 6, b"".join(b"\x3d" + struct.pack("<f", number) for number in given))
    if given and isinstance(given[0], str):
        return attribute(name, 8, fields(9, given))
    return attribute(name, 7, fields(8, given))


def op(name, inputs="x", outputs="y", **settings):
    return node(name, inputs.split(" ") if inputs else [], outputs.split(" "), [setting(key, given) for key, given in settings.items()])


IMAGE, ROW = ("N", 4, 6, 6), ("N", 12)


def network(nodes, tensors=(), dims=IMAGE, opset=13, **more):
    return model(nodes, tensors, inputs=[value("x", dims)], outputs=[value("y", [])], opset=opset, **more)


def layers():
    norm = [numbers(name, [4]) for name in "gbmv"]
    return {
        "conv": network([op("Conv", "x w b", pads=[0, 1, 1, 0], strides=[2, 1], dilations=[1, 2], group=2)],
                        [numbers("w", [4, 2, 2, 2]), numbers("b", [4])]),
        "conv_same": network([op("Conv", "x w", "h", auto_pad="SAME_LOWER", strides=[2, 2]), op("Add", "h b")],
                             [numbers("w", [2, 4, 3, 3]), numbers("b", [2, 1, 1])]),
        "conv_line": network([op("Conv", "x w", "h"), op("ConvTranspose", "h v", output_padding=[1], strides=[2])],
                             [numbers("w", [2, 4, 3]), numbers("v", [2, 1, 2])], dims=("N", 4, 6)),
        "conv_transpose": network([op("ConvTranspose", "x w b", output_shape=[12, 13], strides=[2, 2])],
                                  [numbers("w", [4, 2, 3, 3]), numbers("b", [2])]),
        "gemm": network([op("MaxPool", "x", "h", kernel_shape=[2, 2], strides=[2, 2]), op("Flatten", "h", "f"),
                         op("Gemm", "f w b", alpha=0.5, transB=1), ], [numbers("w", [3, 36]), numbers("b", [3])]),
        "matmul": network([op("MatMul", "x w", "h"), op("Transpose", "x", "t", perm=[0, 1, 3, 2]), op("MatMul", "t h")],
                          [numbers("w", [6, 5])]),
        "batch_norm": network([op("BatchNormalization", "x g b m v", epsilon=0.001, momentum=0.99)], norm),
        "batch_norm_training": network([op("BatchNormalization", "x g b m v", "y n w", training_mode=1), op("Relu", "n", "z")],
                                        norm, opset=15),
        "norms": network([op("InstanceNormalization", "x g b", "i"), op("GroupNormalization", "i g b", "j", num_groups=2),
                          op("LayerNormalization", "j s", "k", axis=-1), op("LRN", "k", "l", size=3),
                          op("LpNormalization", "l", "n", axis=1, p=1), op("MeanVarianceNormalization", "n", "o"),
                          op("RMSNormalization", "o s")], norm[:2] + [numbers("s", [6])], opset=23),
        "pools": network([op("MaxPool", "x", "h", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], ceil_mode=1),
                          op("AveragePool", "h", "i", kernel_shape=[2, 2], auto_pad="SAME_UPPER", count_include_pad=1),
                          op("GlobalAveragePool", "i", "j"), op("GlobalMaxPool", "i", "k"), op("Add", "j k")]),
        "lstm": network([op("LSTM", "x w r b  i c p", "o h y", hidden_size=2, direction="reverse", activations=["Sigmoid", "Tanh",
                         "Relu"])],
                        [numbers("w", [1, 8, 3]), numbers("r", [1, 8, 2]), numbers("b", [1, 16]), numbers("i", [1, 1, 2]),
                         numbers("c", [1, 1, 2]), numbers("p", [1, 6])], dims=(2, 1, 3)),
        "gru": network([op("GRU", "x w r b", "y", hidden_size=2, direction="bidirectional", linear_before_reset=1, layout=1)],
                       [numbers("w", [2, 6, 3]), numbers("r", [2, 6, 2]), numbers("b", [2, 12])], dims=("N", 2, 3), opset=14),
        "rnn": network([op("RNN", "x w r", " y", hidden_size=2)], [numbers("w", [1, 2, 3]), numbers("r", [1, 2, 2])], dims=(3, "N", 3)),
    }


def chain(names, **more):
    """Ops of one operand behind one another."""
    values = ["x"] + [f"h{k}" for k in range(len(names) - 1)] + ["y"]
    return network([op(name, values[k], values[k + 1]) for k, name in enumerate(names)], **more)


def elements():
    return {
        "activations": chain(["Celu", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Relu", "Selu", "Sigmoid",
                              "Softplus", "Softsign", "Tanh", "Hardmax", "Softmax", "LogSoftmax", "Swish"], opset=24),
        "unary": chain(["Abs", "Exp", "Log", "Neg", "Reciprocal", "Sqrt", "Identity", "Dropout"]),
        "settings": network([op("Celu", "x", "a", alpha=2.0), op("Shrink", "a", "b", bias=0.5), op("PRelu", "b s", "c"),
                             op("Clip", "c l u", "d"), op("Softmax", "d", axis=1)],
                            [numbers("s", [4, 1, 1]), numbers("l", []), numbers("u", [1])]),
        "arithmetic": network([op("Sub", "x s", "a"), op("Div", "a t", "b"), op("Mul", "b x", "c"), op("Pow", "c e", "d"),
                               op("Max", "d t x", "f"), op("Min", "f s", "g"), op("Mean", "g x", "h"), op("Sum", "h x", "i"),
                               op("Trilu", "i k")],
                              [numbers("s", [4, 1, 1]), numbers("t", [6]), tensor("e", [], struct.pack("<f", 2)), integers("k", [1],
                              [])], opset=14),
        "opset_6": network([op("Add", "x w", "h", axis=1, broadcast=1), op("PRelu", "h s", "i"), op("Clip", "i", min=-1.0, max=2.0)],
                           [numbers("w", [4]), numbers("s", [4])], opset=6),
        "where": network([op("Where", "c x w")], [tensor("c", [6], bytes([1, 0] * 3), 9), numbers("w", [1])]),
        "comparisons": network([op("Greater", "x s", "a"), op("LessOrEqual", "x t", "b"), op("And", "a b", "c"), op("Not", "c", "d"),
                                op("Equal", "x s", "e"), op("Or", "d e", "f"), op("Where", "f x s", "g"), op("ThresholdedRelu", "g", "h"),
                                op("Sign", "h")], [numbers("s", [4, 1, 1]), numbers("t", [6])]),
        "missing_operands": network([op("Where", ""), op("PRelu", "x", "p"), op("Mean", "", "m"), op("Identity", "", "i"), op("Relu")]),
        "reductions": network([op("ReduceMean", "x", "a", axes=[2, 3]), op("ReduceMax", "x", "b", axes=[-1]),
                               op("ReduceMin", "b", "c", axes=[2]),
                               op("ReduceL1", "x", "d", axes=[1]), op("ReduceL2", "d", "e", axes=[2]),
                               op("ReduceLogSum", "e", "f", axes=[3]),
                               op("ReduceLogSumExp", "x", "g", axes=[1, 2, 3]), op("ReduceProd", "a", "h", axes=[1]),
                               op("ReduceSumSquare", "h", "i"), op("Sum", "a c f g i")]),
        "arg_max": network([op("ArgMax", axis=1, select_last_index=1, keepdims=0), op("ArgMin", "x", "z", axis=3)]),
    }


def shapes():
    return {
        "shape": network([op("Shape", "x", "s"), op("Gather", "s z", "n", axis=0), op("Unsqueeze", "n o", "m"),
                          op("Concat", "m r", "t", axis=0),
                          op("Reshape", "x t")], [integers("z", [0], []), integers("o", [0]), integers("r", [-1])]),
        "folds": network([op("ConstantOfShape", "s", "a", value=integers("", [3])), op("Expand", "a t", "b"),
                          op("Range", "from to by", "c"),
                          op("Tile", "c r", "d"), op("Slice", "d one end", "e"), op("Squeeze", "e", "f"), op("Where", "g f f", "i"),
                          op("Cast", "i", "j", to=1), op("ReduceSum", "j", "k"), op("Mul", "x k")],
                         [integers("s", [1]), integers("t", [2, 1]), integers("from", [0], []), integers("to", [6], []),
                         integers("by", [2], []),
                          integers("r", [2]), integers("one", [1]), integers("end", [1 << 62]), tensor("g", [1], b"\1", 9)]),
        "batch_computed": network([op("Shape", "x", "s"), op("Cast", "s", "f", to=1), op("Gather", "f z", "n"), op("Div", "x n")],
                                  [integers("z", [0], [])]),
        "constant": network([op("Constant", "", "c", value=numbers("", [6, 3])), op("Constant", "", "d", value_floats=[1.0, 2.0, 3.0]),
                             op("MatMul", "x c", "h"), op("Add", "h d")]),
        "reshapes": network([op("Squeeze", "x a", "b"), op("Unsqueeze", "b a", "c"), op("Flatten", "c", "d", axis=2), op("Reshape", "d s")],
                            [integers("a", [1]), integers("s", [0, 6, -1])], dims=("N", 1, 6, 6)),
        "pieces": network([op("Slice", "x b e a s", "c"), op("Split", "x p", "d f", axis=1), op("Concat", "c d f", "g", axis=1),
                           op("Gather", "g i", "h", axis=2), op("Tile", "h r", "j"), op("Pad", "j q v", "k"),
                           op("Pad", "k q", mode="reflect")],
                          [integers("b", [5, 0]), integers("e", [-9, 1 << 62]), integers("a", [3, 2]), integers("s", [-1, 1]),
                          integers("p", [1, 3]),
                           integers("i", [0, 2, -1]), integers("r", [1, 1, 2, 1]), integers("q", [0, 0, 1, 0, 0, 0, -1, 2]),
                           numbers("v", [])]),
        "gather_rows": network([op("Gather", "w x", "h"), op("ReduceMean", "h", axes=[1])], [numbers("w", [5, 3])], dims=("N", 4)),
        "blocks": network([op("DepthToSpace", "x", "h", blocksize=2, mode="CRD"), op("SpaceToDepth", "h", blocksize=3)]),
        "resize": network([op("Resize", "x  s", "h", mode="linear", coordinate_transformation_mode="align_corners"),
                           op("Resize", "h   t", mode="cubic")], [tensor("s", [4], np.array([1, 1, 1.5, 2], np.float32).tobytes()),
                                                                  integers("t", [1, 4, 5, 7])], dims=(1, 4, 6, 6)),
        "resize_nearest": network([op("Resize", "x  s", "h", nearest_mode="ceil"), op("Resize", "h   t", axes=[2, 3],
                                   keep_aspect_ratio_policy="not_larger")],
                                  [tensor("s", [4], np.array([1, 1, 2, 2], np.float32).tobytes()), integers("t", [7, 7])], opset=19),
        "upsample": network([op("Upsample", scales=[1.0, 1.0, 2.0, 3.0], mode="bilinear")], opset=7),
        "preprocessing": network([op("Sub", "x m", "h"), op("Div", "h d", "i"), op("Conv", "i w")],
                                 [numbers("m", [4, 1, 1]), numbers("d", [4, 1, 1]), numbers("w", [2, 4, 1, 1])]),
        "frozen_batch": network([op("Reshape", "x s", "h"), op("Relu", "h")], [integers("s", [5, 36])], dims=(5, 6, 6)),
    }


# Small files that ask for much.
def greedy():
    huge = 1 << 62
    constants = [op("ConstantOfShape", "s", f"c{k}") for k in range(40)]
    return {
        "many_constants": network(constants + [op("Sum", " ".join(["x"] + [f"c{k}" for k in range(40)]))], [integers("s", [1 << 20])],
        dims=("N", 1)),
        "joined_constants": network(constants[:1] + [op("Concat", " ".join(["c0"] * 200), "j", axis=0), op("Add", "x j")],
                                    [integers("s", [1 << 17])], dims=("N", 1)),
        "long_recurrence": network([op("RNN", "x w r")], [numbers("w", [1, 1, 1]), numbers("r", [1, 1, 1])], dims=(1024, "N", 1)),
        "large_triangle": network([op("Trilu")], dims=("N", 1 << 31, 1 << 31), opset=14),
        "large_blocks": network([op("DepthToSpace", blocksize=1 << 32)]),
        "large_pads": network([op("Pad", "x p")], [integers("p", [0, 0, -(1 << 63), 0, 0, 0, huge, 0])]),
        "large_strides": network([op("Conv", "x w", strides=[huge, 1], dilations=[huge, huge], pads=[huge] * 4, auto_pad="SAME_UPPER")],
                                 [numbers("w", [1, 4, 2, 2])]),
        "large_pool": network([op("MaxPool", kernel_shape=[huge, huge], strides=[0, 0], auto_pad="SAME_LOWER")]),
        "large_slice": network([op("Slice", "x b e a s")], [integers("b", [huge]), integers("e", [-(1 << 63)]), integers("a", [2]),
                                integers("s", [-(1 << 63)])]),
        "large_tile": network([op("Tile", "x r")], [integers("r", [huge] * 4)]),
        "large_split": network([op("Split", axis=1, num_outputs=(1 << 63) - 1)], opset=18),
        "large_resize": network([op("Resize", "x   s", mode="cubic")], [integers("s", [1, 4, 1 << 40, 1])], dims=(1, 4, 6, 6)),
        "empty_dimension": network([op("Reshape", "e s", "h"), op("Slice", "h b b", "i"), op("Concat", "i i", "j"), op("Add", "x j")],
                                   [tensor("e", [0, 1 << 40]), integers("s", [0, -1]), integers("b", [0])]),
        "not_a_number": network([op("Cast", "n", "i", to=7), op("Reshape", "x i")], [tensor("n", [2], np.array([np.nan, np.inf],
                                 np.float32).tobytes())]),
        "wrong_flattened": network([op("MaxPool", "x", "h", kernel_shape=[1, 1]), op("Flatten", "h", "f"), op("Gemm", "f w")],
                                    [numbers("w", [3, 2])]),
        "wide_bias": network([op("Gemm", "x w b")], [numbers("w", [12, 2]), numbers("b", [1, 1, 2])], dims=ROW),
        "no_result": network([op("Mean", "x x", ""), op("Relu")]),
    }


def models():
    return damaged() | layers() | elements() | shapes() | greedy()
