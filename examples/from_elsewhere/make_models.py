#!/usr/bin/env python3
"""Writes four networks as ONNX files, as the exporters of PyTorch and TensorFlow write them, with random weights and statistics.

usage: make_models.py [-o DIR] [--check] [MODEL ...]
models: resnet mobilenet unet vision_transformer (default: all)
--check writes an .npz beside each, of random inputs and the outputs that ONNX Runtime computes of them, for `bnc import --check`.
The same arguments give the same files, whatever the machine. Only onnx and numpy are needed, and onnxruntime for --check.
"""
import argparse
import math
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class Writer:
    """A graph on its way into a file. A method adds a node and gives the name of its result."""

    def __init__(self, seed, producer, version):
        self.random = np.random.default_rng(seed)
        self.producer, self.version = producer, version
        self.nodes, self.initializers, self.count = [], [], 0

    def add(self, op, operands, name, outputs=None, **attributes):
        names = outputs or [self.result_of(name)]
        self.nodes.append(helper.make_node(op, operands, names, name=name, **attributes))
        return names if outputs else names[0]

    def initializer(self, name, array):
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def normal(self, name, shape, fan):
        """Weights that keep the size of what goes through them."""
        return self.initializer(name, (self.random.standard_normal(shape) * math.sqrt(2 / fan)).astype(np.float32))

    def around(self, name, shape, center, deviation):
        return self.initializer(name, (center + deviation * self.random.standard_normal(shape)).astype(np.float32))

    def statistics(self, names, channels):
        """Scale, shift, mean and variance of a batch norm, as after training."""
        scale, shift, mean, variance = names
        return [self.around(scale, channels, 1, 0.1), self.around(shift, channels, 0, 0.1), self.around(mean, channels, 0, 0.3),
                self.initializer(variance, self.random.uniform(0.5, 1.5, channels).astype(np.float32))]

    def model(self, graph, inputs, outputs):
        def declared(values):
            return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values]
        made = helper.make_model(
            helper.make_graph(self.nodes, graph, declared(inputs), declared(outputs), self.initializers),
            producer_name=self.producer, producer_version=self.version, opset_imports=[helper.make_opsetid("", OPSET)])
        made.ir_version = 8
        onnx.checker.check_model(made, full_check=True)
        return made


class Torch(Writer):
    """As `torch.onnx.export` writes: parameters by their names in the module, nodes by scopes, small constants as nodes."""

    def __init__(self, seed):
        super().__init__(seed, "pytorch", "2.1.0")

    def result_of(self, name):
        return f"{name}_output_0"

    def path(self, scope, op):
        """The name of a new node in a module such as `layer1.0.conv1`."""
        parts = [part for part in scope.split(".") if part]
        modules = [".".join(parts[max(0, k - 1):k + 1]) if part.isdigit() else part for k, part in enumerate(parts)]
        base = "/" + "/".join([*modules, op])
        taken = {node.name for node in self.nodes}
        name, k = base, 0
        while name in taken:
            k += 1
            name = f"{base}_{k}"
        return name

    def __call__(self, scope, op, *operands, **attributes):
        return self.add(op, list(operands), self.path(scope, op), **attributes)

    def constant(self, scope, value):
        array = np.asarray(value)
        return self(scope, "Constant", value=numpy_helper.from_array(array if array.dtype == np.float32 else array.astype(np.int64)))

    def number(self, scope, value):
        return self.constant(scope, np.float32(value))

    def conv(self, scope, x, cin, cout, kernel, stride=1, padding=0, bias=False):
        operands = [x, self.normal(f"{scope}.weight", (cout, cin, kernel, kernel), cin * kernel * kernel)]
        if bias:
            operands.append(self.around(f"{scope}.bias", cout, 0, 0.1))
        return self(scope, "Conv", *operands, dilations=[1, 1], group=1, kernel_shape=[kernel] * 2, pads=[padding] * 4,
                    strides=[stride] * 2)

    def batch_norm(self, scope, x, channels):
        names = [f"{scope}.{each}" for each in ("weight", "bias", "running_mean", "running_var")]
        return self(scope, "BatchNormalization", x, *self.statistics(names, channels), epsilon=1e-5, momentum=0.9, training_mode=0)

    def dimension(self, scope, x, axis):
        """x.shape[axis], as a tensor of one number."""
        size = self(scope, "Gather", self(scope, "Shape", x), self.constant(scope, axis), axis=0)
        return self(scope, "Unsqueeze", size, self.constant(scope, [0]))

    def reshape(self, scope, x, dimensions):
        """Dimensions are numbers, or results of `dimension`."""
        parts = [each if isinstance(each, str) else self.constant(scope, [each]) for each in dimensions]
        return self(scope, "Reshape", x, self(scope, "Concat", *parts, axis=0), allowzero=0)

    def max_pool(self, scope, x, kernel, stride, padding=0):
        return self(scope, "MaxPool", x, ceil_mode=0, dilations=[1, 1], kernel_shape=[kernel] * 2, pads=[padding] * 4, strides=[stride] * 2)

    def gemm(self, scope, x, cin, cout, name):
        operands = [x, self.normal(f"{scope}.weight", (cout, cin), cin), self.around(f"{scope}.bias", cout, 0, 0.1)]
        self.nodes.append(helper.make_node("Gemm", operands, [name], name=f"/{scope}/Gemm", alpha=1.0, beta=1.0, transB=1))
        return name

    def named(self, name):
        """The last node's result becomes an output of the network."""
        self.nodes[-1].output[0] = name
        return name


# --- a residual network, as torchvision's resnet18 ----------------------------------------------------

def resnet():
    torch = Torch(1)

    def block(scope, x, cin, cout, stride):
        h = torch.conv(f"{scope}.conv1", x, cin, cout, 3, stride, 1)
        h = torch(f"{scope}.relu", "Relu", torch.batch_norm(f"{scope}.bn1", h, cout))
        h = torch.batch_norm(f"{scope}.bn2", torch.conv(f"{scope}.conv2", h, cout, cout, 3, 1, 1), cout)
        if stride != 1 or cin != cout:
            shortcut = torch.conv(f"{scope}.downsample.0", x, cin, cout, 1, stride)
            x = torch.batch_norm(f"{scope}.downsample.1", shortcut, cout)
        return torch(f"{scope}.relu", "Relu", torch(scope, "Add", h, x))

    h = torch.batch_norm("bn1", torch.conv("conv1", "input", 3, 16, 7, 2, 3), 16)
    h = torch.max_pool("maxpool", torch("relu", "Relu", h), 3, 2, 1)
    channels = 16
    for stage, width in enumerate([16, 32, 64, 128], 1):
        for k in range(2):
            h = block(f"layer{stage}.{k}", h, channels, width, 2 if stage > 1 and k == 0 else 1)
            channels = width
    h = torch("", "Flatten", torch("avgpool", "GlobalAveragePool", h), axis=1)
    torch.gemm("fc", h, channels, 10, "output")
    return torch.model("main_graph", [("input", ["batch_size", 3, 64, 64])], [("output", ["batch_size", 10])])


# --- a MobileNet, as Keras builds it and tf2onnx writes it ---------------------------------------------

class Keras(Writer):
    """As tf2onnx writes: images channels last, with transpositions around each layer that ONNX has channels first for."""

    def __init__(self, seed, scope):
        super().__init__(seed, "tf2onnx", "1.15.1")
        self.scope = scope

    def result_of(self, name):
        return f"{name}:0"

    def __call__(self, layer, op, *operands, **attributes):
        return self.add(op, list(operands), f"{self.scope}/{layer}", **attributes)

    def turned(self, layer, x, permutation):
        self.count += 1
        return self(f"{layer}__{self.count}", "Transpose", x, perm=permutation)

    def channels_first(self, layer, op, x, *operands, **attributes):
        """An op on channels first, for images that are channels last."""
        result = self(layer, op, self.turned(layer, x, [0, 3, 1, 2]), *operands, **attributes)
        return self.turned(layer, result, [0, 2, 3, 1])

    def conv(self, layer, x, size, cin, cout, kernel, stride=1, depthwise=False, same=True):
        """`padding="same"` pads at the lower and right edge where the padding is odd."""
        total = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size) if same else 0
        pads = [total // 2] * 2 + [total - total // 2] * 2
        shape = (cin, 1, kernel, kernel) if depthwise else (cout, cin, kernel, kernel)
        kind = "depthwise" if depthwise else "Conv2D"
        weight = self.normal(f"{self.scope}/{layer}/{kind}/ReadVariableOp:0", shape, shape[1] * kernel * kernel)
        return self.channels_first(f"{layer}/{kind}", "Conv", x, weight, dilations=[1, 1], strides=[stride] * 2, kernel_shape=[kernel] * 2,
                                   group=cin if depthwise else 1, pads=pads)

    def batch_norm(self, layer, x, channels):
        base = f"{self.scope}/{layer}"
        names = [f"{base}/ReadVariableOp:0", f"{base}/ReadVariableOp_1:0", f"{base}/FusedBatchNormV3/ReadVariableOp:0",
                 f"{base}/FusedBatchNormV3/ReadVariableOp_1:0"]
        return self.channels_first(f"{layer}/FusedBatchNormV3", "BatchNormalization", x, *self.statistics(names, channels),
                                   epsilon=1e-3, momentum=0.99)

    def relu6(self, layer, x):
        return self(f"{layer}/Relu6", "Clip", x, "const_zero", "const_six")


def mobilenet():
    keras = Keras(2, "StatefulPartitionedCall/mobilenet")
    keras.initializer("const_zero", np.float32(0))
    keras.initializer("const_six", np.float32(6))

    def normalized(name, x, size, cin, cout, kernel, stride=1, relu=True, **options):
        h = keras.conv(name, x, size, cin, cout, kernel, stride, **options)
        h = keras.batch_norm(f"{name}_BN", h, cout)
        return keras.relu6(f"{name}_relu", h) if relu else h

    # layers.Rescaling(1/127.5, offset=-1)
    h = keras("rescaling/mul", "Mul", "input_1", keras.initializer("rescaling/Cast/x:0", np.float32(1 / 127.5)))
    h = keras("rescaling/add", "Add", h, keras.initializer("rescaling/Cast_1/x:0", np.float32(-1)))
    size, channels = 64, 8
    h = normalized("Conv1", h, size, 3, channels, 3, 2)
    size //= 2
    for k, (expansion, width, stride) in enumerate([(1, 8, 1), (6, 12, 2), (6, 12, 1), (6, 16, 2), (6, 16, 1), (6, 16, 1), (6, 24, 2)]):
        name, x, wide = f"block_{k}", h, channels * expansion
        if expansion != 1:
            h = normalized(f"{name}_expand", h, size, channels, wide, 1)
        if stride == 2:   # layers.ZeroPadding2D(((0, 1), (0, 1))), then a convolution without padding
            pads = keras.initializer(f"{name}_pad/pads", np.array([0, 0, 0, 0, 0, 1, 1, 0], np.int64))
            h = keras(f"{name}_pad/Pad", "Pad", h, pads, mode="constant")
        h = normalized(f"{name}_depthwise", h, size, wide, wide, 3, stride, depthwise=True, same=stride == 1)
        size //= stride
        h = normalized(f"{name}_project", h, size, wide, width, 1, relu=False)
        if stride == 1 and channels == width:
            h = keras(f"{name}_add/add", "Add", x, h)
        channels = width
    h = normalized("Conv_1", h, size, channels, 64, 1)
    h = keras("global_average_pooling2d/Mean", "ReduceMean", h, axes=[1, 2], keepdims=0)
    weight = keras.normal(f"{keras.scope}/predictions/MatMul/ReadVariableOp:0", (64, 10), 64)
    h = keras("predictions/MatMul", "MatMul", h, weight)
    h = keras("predictions/BiasAdd", "Add", h, keras.around(f"{keras.scope}/predictions/BiasAdd/ReadVariableOp:0", 10, 0, 0.1))
    keras.nodes.append(helper.make_node("Softmax", [h], ["predictions"], name=f"{keras.scope}/predictions/Softmax", axis=-1))
    return keras.model("tf2onnx", [("input_1", ["unk__618", 64, 64, 3])], [("predictions", ["unk__619", 10])])


# --- a U-Net, as PyTorch's users write it ---------------------------------------------------------------

def unet():
    torch = Torch(3)

    def double_conv(scope, x, cin, cout):
        for k in (0, 3):
            x = torch.conv(f"{scope}.{k}", x, cin if k == 0 else cout, cout, 3, 1, 1)
            x = torch(f"{scope}.{k + 2}", "Relu", torch.batch_norm(f"{scope}.{k + 1}", x, cout))
        return x

    def padded_like(scope, x, like):
        """F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2]), by which x becomes as large as the other."""
        halves = []
        for axis in (3, 2):
            sizes = [torch(scope, "Gather", torch(scope, "Shape", each), torch.constant(scope, axis), axis=0) for each in (like, x)]
            away = torch(scope, "Sub", *sizes)
            half = torch(scope, "Div", away, torch.constant(scope, 2))
            halves += [half, torch(scope, "Sub", away, half)]
        given = torch(scope, "Concat", *[torch(scope, "Unsqueeze", each, torch.constant(scope, [0])) for each in halves], axis=0)
        missing = torch(scope, "ConstantOfShape", torch.constant(scope, [4]), value=helper.make_tensor("zero", TensorProto.INT64, [1], [0]))
        pairs = torch(scope, "Reshape", torch(scope, "Concat", given, missing, axis=0), torch.constant(scope, [-1, 2]), allowzero=0)
        first, last, axis, step = (torch.constant(scope, [each]) for each in (-1, -9223372036854775807, 0, -1))
        back = torch(scope, "Transpose", torch(scope, "Slice", pairs, first, last, axis, step), perm=[1, 0])
        pads = torch(scope, "Cast", torch(scope, "Reshape", back, torch.constant(scope, [-1]), allowzero=0), to=TensorProto.INT64)
        return torch(scope, "Pad", x, pads, "", mode="constant")

    def up(scope, x, skip, cin, cout, learned):
        if learned:   # nn.ConvTranspose2d
            operands = [torch.normal(f"{scope}.up.weight", (cin, cin // 2, 2, 2), cin), torch.around(f"{scope}.up.bias", cin // 2, 0, 0.1)]
            x = torch(f"{scope}.up", "ConvTranspose", x, *operands, dilations=[1, 1], group=1, kernel_shape=[2, 2], pads=[0] * 4,
                      strides=[2, 2])
        else:         # nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), then a convolution of one pixel
            scales = torch.constant(f"{scope}.up", np.array([1, 1, 2, 2], np.float32))
            x = torch(f"{scope}.up", "Resize", x, "", scales, coordinate_transformation_mode="align_corners", cubic_coeff_a=-0.75,
                      mode="linear", nearest_mode="floor")
            x = torch.conv(f"{scope}.reduce", x, cin, cin // 2, 1, bias=True)
        joined = torch(scope, "Concat", skip, padded_like(scope, x, skip), axis=1)
        return double_conv(f"{scope}.conv.double_conv", joined, cin, cout)

    x1 = double_conv("inc.double_conv", "image", 3, 8)
    x2 = double_conv("down1.maxpool_conv.1.double_conv", torch.max_pool("down1.maxpool_conv.0", x1, 2, 2), 8, 16)
    x3 = double_conv("down2.maxpool_conv.1.double_conv", torch.max_pool("down2.maxpool_conv.0", x2, 2, 2), 16, 32)
    x4 = double_conv("down3.maxpool_conv.1.double_conv", torch.max_pool("down3.maxpool_conv.0", x3, 2, 2), 32, 64)
    h = up("up1", x4, x3, 64, 32, learned=True)
    h = up("up2", h, x2, 32, 16, learned=True)
    h = up("up3", h, x1, 16, 8, learned=False)
    torch.conv("outc.conv", h, 8, 4, 1, bias=True)
    torch.named("mask")
    height, width = 36, 44   # 9 x 11 pixels at the third level, which no doubling gives
    return torch.model("main_graph", [("image", ["N", 3, height, width])], [("mask", ["N", 4, height, width])])


# --- a vision transformer with a stem of convolutions and batch norms -----------------------------------

def vision_transformer(decomposed=True):
    """Layer norms as one op, or in parts, as before opset 17."""
    torch = Torch(4)
    dim, heads, depth, classes = 48, 4, 3, 10

    def linear(scope, x, cin, cout):
        torch.count += 1
        weight = torch.initializer(f"onnx::MatMul_{1000 + 7 * torch.count}",
                                   (torch.random.standard_normal((cin, cout)) / math.sqrt(cin)).astype(np.float32))
        return torch(scope, "Add", torch.around(f"{scope}.bias", cout, 0, 0.1), torch(scope, "MatMul", x, weight))

    def layer_norm(scope, x):
        gamma, beta = torch.around(f"{scope}.weight", dim, 1, 0.1), torch.around(f"{scope}.bias", dim, 0, 0.1)
        if not decomposed:
            return torch(scope, "LayerNormalization", x, gamma, beta, axis=-1, epsilon=1e-6)
        away = torch(scope, "Sub", x, torch(scope, "ReduceMean", x, axes=[-1], keepdims=1))
        square = torch(scope, "Pow", away, torch.number(scope, 2))
        variance = torch(scope, "Add", torch(scope, "ReduceMean", square, axes=[-1], keepdims=1), torch.number(scope, 1e-6))
        normalized = torch(scope, "Div", away, torch(scope, "Sqrt", variance))
        return torch(scope, "Add", torch(scope, "Mul", normalized, gamma), beta)

    def gelu(scope, x):
        e = torch(scope, "Erf", torch(scope, "Div", x, torch.number(scope, math.sqrt(2))))
        half = torch(scope, "Mul", x, torch(scope, "Add", e, torch.number(scope, 1)))
        return torch(scope, "Mul", half, torch.number(scope, 0.5))

    def attention(scope, x):
        """qkv(x).reshape(B, N, 3, heads, -1).permute(2, 0, 3, 1, 4), unbind, F.scaled_dot_product_attention."""
        batch, tokens, channels = (torch.dimension(scope, x, axis) for axis in range(3))
        qkv = torch.reshape(scope, linear(f"{scope}.qkv", x, dim, 3 * dim), [batch, tokens, 3, heads, dim // heads])
        qkv = torch(scope, "Transpose", qkv, perm=[2, 0, 3, 1, 4])
        q, k, v = (torch(scope, "Gather", qkv, torch.constant(scope, each), axis=0) for each in range(3))
        last = torch(scope, "Slice", torch(scope, "Shape", q), torch.constant(scope, [-1]), torch.constant(scope, [9223372036854775807]))
        root = torch(scope, "Sqrt", torch(scope, "Cast", last, to=TensorProto.FLOAT))
        scale = torch(scope, "Div", torch(scope, "Constant", value=numpy_helper.from_array(np.array([1], np.float32))), root)
        scale = torch(scope, "Sqrt", torch(scope, "Cast", scale, to=TensorProto.FLOAT))
        q = torch(scope, "Mul", q, scale)
        k = torch(scope, "Mul", torch(scope, "Transpose", k, perm=[0, 1, 3, 2]), scale)
        weights = torch(scope, "Softmax", torch(scope, "MatMul", q, k), axis=-1)
        mixed = torch(scope, "Transpose", torch(scope, "MatMul", weights, v), perm=[0, 2, 1, 3])
        return linear(f"{scope}.proj", torch.reshape(scope, mixed, [batch, tokens, channels]), dim, dim)

    h = "pixel_values"
    for k, (cin, cout) in enumerate([(3, 24), (24, dim)]):
        h = torch.conv(f"stem.{3 * k}", h, cin, cout, 3, 2, 1)
        h = torch(f"stem.{3 * k + 2}", "Relu", torch.batch_norm(f"stem.{3 * k + 1}", h, cout))
    h = torch.conv("patch_embed", h, dim, dim, 2, 2, bias=True)
    # flatten(2).transpose(1, 2)
    kept = torch("", "Slice", torch("", "Shape", h), torch.constant("", [0]), torch.constant("", [2]), torch.constant("", [0]))
    h = torch("", "Reshape", h, torch("", "Concat", kept, torch.constant("", [-1]), axis=0), allowzero=0)
    h = torch("", "Transpose", h, perm=[0, 2, 1])
    # cls_token.expand(B, -1, -1)
    token = torch.around("cls_token", (1, 1, dim), 0, 0.5)
    batch = torch.dimension("", h, 0)
    shape = torch("", "Concat", batch, torch.constant("", [-1]), torch.constant("", [-1]), axis=0)
    ones = torch("", "ConstantOfShape", torch.constant("", [3]), value=helper.make_tensor("one", TensorProto.INT64, [1], [1]))
    is_kept = torch("", "Equal", shape, torch("", "Mul", ones, torch.constant("", -1)))
    expanded = torch("", "Expand", token, torch("", "Where", is_kept, ones, shape))
    h = torch("", "Concat", expanded, h, axis=1)
    h = torch("", "Add", h, torch.around("pos_embed", (1, 17, dim), 0, 0.2))
    for k in range(depth):
        scope = f"blocks.{k}"
        h = torch(scope, "Add", h, attention(f"{scope}.attn", layer_norm(f"{scope}.norm1", h)))
        m = gelu(f"{scope}.mlp.act", linear(f"{scope}.mlp.fc1", layer_norm(f"{scope}.norm2", h), dim, 2 * dim))
        h = torch(scope, "Add", h, linear(f"{scope}.mlp.fc2", m, 2 * dim, dim))
    h = torch("", "Gather", layer_norm("norm", h), torch.constant("", 0), axis=1)   # x[:, 0]
    torch.gemm("head", h, dim, classes, "logits")
    return torch.model("main_graph", [("pixel_values", ["batch", 3, 32, 32])], [("logits", ["batch", classes])])


MODELS = {"resnet": resnet, "mobilenet": mobilenet, "unet": unet, "vision_transformer": vision_transformer}


def inputs_of(model, batch=3, seed=0):
    """Random images for a model: in [0, 255] where it divides them itself."""
    random, arrays = np.random.default_rng(seed), {}
    rescales = any("rescaling" in node.name for node in model.graph.node)
    for value in model.graph.input:
        dims = [dim.dim_value or batch for dim in value.type.tensor_type.shape.dim]
        arrays[value.name] = (random.uniform(0, 255, dims) if rescales else random.standard_normal(dims)).astype(np.float32)
    return arrays


def outputs_of(path, inputs):
    """What ONNX Runtime computes, by name."""
    import onnxruntime
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=" ".join(MODELS))
    parser.add_argument("-o", "--output", metavar="DIR", type=pathlib.Path, default=pathlib.Path("."))
    parser.add_argument("--check", action="store_true", help="inputs and outputs beside each, by ONNX Runtime")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.models if name not in MODELS]
    if unknown:
        parser.error(f"there is no model {unknown[0]}: {' '.join(MODELS)}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.models or MODELS:
        model, path = MODELS[name](), arguments.output / f"{name}.onnx"
        onnx.save(model, str(path))
        print(f"{path}: {len(model.graph.node)} nodes, {path.stat().st_size / 1e6:.1f} MB")
        if arguments.check:
            inputs = inputs_of(model)
            np.savez(path.with_suffix(".npz"), **inputs, **outputs_of(path, inputs))


if __name__ == "__main__":
    main()
