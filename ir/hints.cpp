#include "ir/hints.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "ir/op.h"

namespace bnc {

namespace {

using Place = Hint::Place;

const char* const scores = "the network returns scores, without softmax";
const char* const known_size = "leave it out: a layer knows the size of what it is given";
const char* const in_file = "the optimizer stands in the train section of the file";

}  // namespace

const std::vector<Hint>& all_hints() {
  static const std::vector<Hint> hints = {
      // Layers and functions of tensors.
      {Place::layer, {"nn.Linear", "Dense"}, "dense(x, 100)", "the tensor is the first argument, and the size of the input is known"},
      {Place::layer, {"nn.Conv2d", "Conv2D"}, "conv2d(x, 32, kernel=3)", "images are channels last, and `padding=same` is the default"},
      {Place::layer, {"nn.Conv1d", "Conv1D"}, "conv1d(x, 32, kernel=3)", "lines are channels last, and `padding=same` is the default"},
      {Place::layer, {"nn.Conv3d", "Conv3D"}, "", "there are convolutions over one and over two axes: `conv1d` and `conv2d`"},
      {Place::layer, {"nn.ConvTranspose2d", "Conv2DTranspose"}, "conv2d_transpose(x, 32, kernel=2, stride=2)"},
      {Place::layer, {"DepthwiseConv2D"}, "conv2d(x, x.shape[-1], groups=x.shape[-1])", "as many groups as channels make it depthwise"},
      {Place::layer, {"SeparableConv2D"}, "conv2d(conv2d(x, x.shape[-1], groups=x.shape[-1]), 64, kernel=1)",
       "a depthwise convolution, then one of single pixels"},
      {Place::layer, {"nn.BatchNorm1d", "nn.BatchNorm2d", "BatchNormalization", "BatchNorm"}, "batch_norm(x)",
       "the number of channels is known"},
      {Place::layer, {"LayerNormalization"}, "layer_norm(x)"},
      {Place::layer, {"GroupNormalization"}, "group_norm(x, 8)", "the number of channels is known"},
      {Place::layer, {"nn.InstanceNorm2d"}, "instance_norm(x)", "gamma and beta are there unless `gamma=false, beta=false`"},
      {Place::layer, {"nn.MaxPool2d", "F.max_pool2d", "MaxPooling2D"}, "max_pool(x, 2)"},
      {Place::layer, {"nn.AvgPool2d", "F.avg_pool2d", "AveragePooling2D"}, "average_pool(x, 2)"},
      {Place::layer, {"nn.AdaptiveAvgPool2d", "F.adaptive_avg_pool2d", "GlobalAveragePooling2D", "GlobalAvgPool2D"},
       "global_average_pool(x)", "it gives [N, channels], ready for `dense`"},
      {Place::layer, {"nn.AdaptiveMaxPool2d", "GlobalMaxPooling2D", "GlobalMaxPool2D"}, "global_max_pool(x)",
       "it gives [N, channels], ready for `dense`"},
      {Place::layer, {"x.view", "x.reshape", "np.reshape"}, "reshape(x, [x.shape[0], 784])",
       "or `flatten(x)`; every dimension is written, none is -1"},
      {Place::layer, {"x.permute", "x.swapaxes"}, "transpose(x, [0, 2, 1])", "images need none of it: they are channels last"},
      {Place::layer, {"x.squeeze", "x.unsqueeze", "tf.expand_dims"}, "reshape(x, [x.shape[0], 784, 1])"},
      {Place::layer, {"x.size"}, "x.shape[0]"},
      {Place::layer, {"torch.cat", "Concatenate", "torch.hstack"}, "concat([x, y], axis=-1)", "channels are the last axis"},
      {Place::layer, {"torch.split", "torch.chunk"}, "slice(x, axis=1, begin=0, end=392)", "one `slice` a part"},
      {Place::layer, {"SiLU", "swish"}, "x * sigmoid(x)", "`hard_swish` is the cheaper one of MobileNetV3"},
      {Place::layer, {"ReLU6"}, "clip(x, 0, 6)"},
      {Place::layer, {"Mish"}, "x * tanh(softplus(x))"},
      {Place::layer, {"SELU"}, "1.0507 * elu(x, alpha=1.6733)"},
      {Place::layer, {"F.logsigmoid"}, "-softplus(-x)"},
      {Place::layer, {"nn.Dropout2d", "SpatialDropout2D"}, "dropout(x, rate=0.5)", "it drops single elements, not whole channels"},
      {Place::layer, {"nn.Upsample", "UpSampling2D", "F.interpolate"}, "resize(x, scale=2)"},
      {Place::layer, {"F.normalize"}, "x / sqrt(reduce_sum(x * x, axes=[1], keep_dims=true))", "over axis 1"},
      {Place::layer, {"tf.constant", "torch.tensor"}, "constant(0.5)", "a number beside a tensor needs none of it"},
      {Place::layer, {"nn.Parameter", "tf.Variable"}, "", "a parameter is declared: `parameter w: f32[784, 10] = he`"},
      {Place::layer, {"ZeroPadding2D", "nn.ZeroPad2d"}, "pad(x, low=[0, 1, 1, 0], high=[0, 1, 1, 0])"},
      {Place::layer, {"nn.Embedding"}, "", "there is no layer for it; `one_hot` and `matmul` do the same for few categories"},
      {Place::layer, {"nn.LSTM", "GRU", "nn.RNN", "SimpleRNN"}, "", "there are no recurrent layers"},
      {Place::layer, {"MultiheadAttention", "MultiHeadAttention", "attention"},
       "matmul(softmax(0.125 * matmul(x, y, transpose_right=true)), y)",
       "heads stand in front of the matrices: `transpose` puts them there"},
      {Place::layer, {"nn.Sequential", "nn.ModuleList"}, "h = relu(dense(x, 100))",
       "one statement a layer; `repeat width in [100, 50] { ... }` stacks them"},
      {Place::layer, {"keras.Input", "InputLayer"}, "network f(x: f32[N, 784]) { ... }", "inputs stand in the head of the network"},
      {Place::layer, {"Multiply"}, "x * y"},
      {Place::layer, {"Subtract"}, "x - y"},
      {Place::layer, {"torch.mm", "torch.bmm", "np.dot"}, "matmul(x, w)",
       "matrices are the last two dimensions; those in front are broadcast"},
      {Place::layer, {"torch.sum", "tf.reduce_sum"}, "reduce_sum(x, axes=[1])"},
      {Place::layer, {"torch.mean", "tf.reduce_mean"}, "reduce_mean(x, axes=[1])"},
      {Place::layer, {"torch.amax"}, "reduce_max(x, axes=[1])"},
      {Place::layer, {"torch.pow", "torch.square"}, "x * x", "there are no powers; `sqrt`, `exp` and `log` are ops"},
      {Place::layer, {"x.detach", "stop_gradient"}, "", "gradients flow everywhere; `weight=he(trainable=false)` keeps a weight as it is"},
      {Place::layer, {"x.cuda", "x.to", "x.cpu"}, "", "leave it out: everything runs on the CPU"},
      {Place::layer, {"range"}, "0..3", "`repeat i in 0..3 { ... }` counts 0, 1, 2"},
      {Place::layer, {"len"}, "length([1, 2])"},
      {Place::layer, {"int"}, "floor(7 / 2)"},

      // Arguments of layers.
      {Place::argument, {"momentum"}, "stats=ema(decay=0.9)",
       "`decay` weighs the old value: PyTorch's `momentum=0.1` is `decay=0.9`, Keras's `momentum=0.99` is `decay=0.99`", {"batch_norm"}},
      {Place::argument, {"track_running_stats", "training"}, "",
       "leave it out: `bnc train` normalizes with the batch and moves the statistics, all else uses them; `mode=infer` keeps them fixed",
       {"batch_norm"}},
      {Place::argument, {"affine"}, "gamma=ones(trainable=false), beta=zeros(trainable=false)", "gamma and beta then stay 1 and 0",
       {"batch_norm"}},
      {Place::argument, {"scale"}, "gamma=ones(trainable=false)", "gamma then stays 1", {"batch_norm"}},
      {Place::argument, {"center"}, "beta=zeros(trainable=false)", "beta then stays 0", {"batch_norm"}},
      {Place::argument, {"affine", "elementwise_affine"}, "gamma=false, beta=false", "", {"layer_norm", "group_norm", "instance_norm"}},
      {Place::argument, {"eps"}, "epsilon=1e-5", "", {"batch_norm", "layer_norm", "rms_norm", "group_norm", "instance_norm"}},
      {Place::argument, {"p"}, "rate=0.5", "the share of the elements that are dropped", {"dropout"}},
      {Place::argument, {"training"}, "", "leave it out: it drops in training only", {"dropout"}},
      {Place::argument, {"activation"}, "relu(dense(x, 100))", "an activation is an op of its own, around the layer"},
      {Place::argument, {"in_features", "in_channels", "input_shape", "input_dim", "num_features", "num_channels", "normalized_shape"}, "",
       known_size},
      {Place::argument, {"out_features"}, "units=100", "", {"dense"}},
      {Place::argument, {"out_channels", "channels"}, "filters=32", "", {"conv2d", "conv1d", "conv2d_transpose"}},
      {Place::argument, {"kernel_size"}, "kernel=3", "", {"conv2d", "conv1d", "conv2d_transpose", "max_pool", "average_pool"}},
      {Place::argument, {"pool_size"}, "kernel=2", "", {"max_pool", "average_pool"}},
      {Place::argument, {"strides"}, "stride=2", "", {"conv2d", "conv1d", "conv2d_transpose", "max_pool", "average_pool"}},
      {Place::argument, {"dilation_rate"}, "dilation=2", "", {"conv2d", "conv1d"}},
      {Place::argument, {"use_bias"}, "bias=false", "", {"dense", "conv2d", "conv1d", "conv2d_transpose"}},
      {Place::argument, {"kernel_initializer", "init"}, "weight=he", "", {"dense", "conv2d", "conv1d", "conv2d_transpose"}},
      {Place::argument, {"bias_initializer"}, "bias=zeros", "", {"dense", "conv2d", "conv1d", "conv2d_transpose"}},
      {Place::argument, {"kernel_regularizer", "weight_decay"}, "",
       "a penalty on weights is an argument of the optimizer: `weight_decay=1e-4`"},
      {Place::argument, {"negative_slope", "alpha"}, "slope=0.1", "", {"leaky_relu"}},
      {Place::argument, {"dim"}, "axis=-1", "", {"softmax", "log_softmax", "concat", "slice"}},
      {Place::argument, {"dim", "axis"}, "axes=[1]", "a list of axes", {"reduce_sum", "reduce_mean", "reduce_max", "layer_norm"}},
      {Place::argument, {"keepdim", "keepdims"}, "keep_dims=true", "", {"reduce_sum", "reduce_mean", "reduce_max"}},
      {Place::argument, {"dims"}, "permutation=[0, 2, 1]", "", {"transpose"}},
      {Place::argument, {"scale_factor"}, "scale=2", "", {"resize"}},
      {Place::argument, {"num_groups"}, "groups=8", "", {"group_norm"}},
      {Place::argument, {"min"}, "low=0", "", {"clip"}},
      {Place::argument, {"max"}, "high=6", "", {"clip"}},
      {Place::argument, {"inplace"}, "", "leave it out: memory is planned when the network is compiled"},
      {Place::argument, {"device", "dtype"}, "", "leave it out: everything is f32 on the CPU"},
      {Place::argument, {"data_format"}, "", "images are channels last; `x: f32[N, 3, 32, 32] layout=nchw` in the head takes others"},
      {Place::argument, {"from_logits"}, "", "leave it out: scores are what it takes",
       {"softmax_cross_entropy", "binary_cross_entropy_with_logits"}},
      {Place::argument, {"label_smoothing"}, "smoothing=0.1", "", {"softmax_cross_entropy"}},
      {Place::argument, {"ignore_index"}, "ignore=[255]", "", {"softmax_cross_entropy"}},
      {Place::argument, {"pos_weight"}, "positive_weight=2", "", {"binary_cross_entropy_with_logits"}},

      // Values and types.
      {Place::value, {"True"}, "true"},
      {Place::value, {"False"}, "false"},
      {Place::value, {"None"}, "", "what is not wanted is left out, or `false` where it would be made: `bias=false`"},
      {Place::value, {"self"}, "h = dense(x, 100)", "there are no objects: a layer stands where it is used, and values have plain names"},
      {Place::type, {"float", "float32", "float64", "double", "half", "Tensor"}, "f32[N, 784]"},
      {Place::type, {"int", "int32", "int64", "long"}, "i32[N]"},
      {Place::parameter_type, {"int"}, "integer"},
      {Place::parameter_type, {"float"}, "number"},
      {Place::parameter_type, {"bool"}, "boolean"},
      {Place::parameter_type, {"str", "string"}, "symbol"},
      {Place::parameter_type, {"Tensor"}, "tensor"},
      {Place::parameter_type, {"tuple"}, "list"},

      // Words and signs.
      {Place::word, {"def", "lambda"}, "block stage(x, units) { return relu(dense(x, units)) }",
       "what is used several times is a block, and the whole a `network`"},
      {Place::word, {"class", "model", "function", "func", "fn"}, "network f(x: f32[N, 784]) { return dense(x, 10) }",
       "a network is a function of its inputs, whose layers make their own weights"},
      {Place::word, {"import", "from"}, "", "leave it out: all ops are there"},
      {Place::word, {"for"}, "repeat i in 0..3 { h = dense(h, 100) }", "it is unrolled when the file is read"},
      {Place::word, {"while"}, "repeat 3 { h = dense(h, 100) }", "how often is known when the file is read"},
      {Place::word, {"elif", "elseif"}, "else if"},
      {Place::word, {"let", "var", "const", "auto"}, "h = relu(x)", "a name needs no word in front of it"},
      {Place::word, {"print"}, "return y, h", "`bnc run` computes what a network returns, intermediate values too"},
      {Place::word, {"with"}, "", "leave it out: training and inference are commands of their own"},
      {Place::sign, {"//"}, "", "a comment begins with `#`, and `floor(7 / 2)` rounds a quotient down"},
      {Place::sign, {"/*", "\"\"\"", "'''"}, "# a comment", "each line of a comment has its own `#`"},
      {Place::sign, {"**", "^"}, "x * x", "there are no powers"},
      {Place::sign, {"@"}, "matmul(x, w)"},
      {Place::sign, {"+=", "-=", "*=", "/="}, "h = h + x", "a name may be given a new value"},
      {Place::sign, {"->"}, "network f(x: f32[N, 784]) { return dense(x, 10) }", "what a network returns has no type in its head"},
      {Place::sign, {"&&"}, "and"},
      {Place::sign, {"||"}, "or"},
      {Place::sign, {"!"}, "not"},

      // The train section.
      {Place::loss, {"nn.CrossEntropyLoss", "F.cross_entropy", "sparse_categorical_crossentropy", "categorical_crossentropy"},
       "softmax_cross_entropy(labels)", scores},
      {Place::loss, {"nn.NLLLoss", "F.nll_loss"}, "softmax_cross_entropy(labels)", "the network returns scores, without log_softmax"},
      {Place::loss, {"nn.MSELoss", "F.mse_loss", "mse"}, "mean_squared_error(targets)"},
      {Place::loss, {"nn.BCELoss", "nn.BCEWithLogitsLoss", "F.binary_cross_entropy", "binary_crossentropy", "bce"},
       "binary_cross_entropy_with_logits(targets)", "the network returns scores, without sigmoid"},
      {Place::loss, {"nn.L1Loss", "F.l1_loss", "mae"}, "mean_absolute_error(targets)"},
      {Place::loss, {"nn.HuberLoss", "nn.SmoothL1Loss", "F.huber_loss", "F.smooth_l1_loss"}, "huber(targets)"},
      {Place::loss, {"nn.KLDivLoss", "F.kl_div"}, "kl_divergence(targets)", "the network returns scores, without log_softmax"},
      {Place::loss, {"nn.MultiMarginLoss"}, "multi_class_hinge(labels)"},
      {Place::setting, {"lr", "learning_rate"}, "optimizer = sgd(rate=0.01)", "the learning rate is an argument of the optimizer"},
      {Place::setting, {"momentum", "weight_decay"}, "optimizer = sgd(rate=0.01, momentum=0.9, weight_decay=1e-4)",
       "they are arguments of the optimizer"},
      {Place::setting, {"scheduler", "lr_scheduler"}, "optimizer = sgd(rate=cosine(start=0.1))",
       "a schedule stands for the learning rate"},
      {Place::setting, {"clip_grad_norm", "gradient_clip", "max_grad_norm"}, "optimizer = sgd(rate=0.01, clip_norm=1)"},
      {Place::setting, {"batch_size"}, "batch = 64"},
      {Place::setting, {"num_epochs", "n_epochs", "max_epochs", "epoch"}, "epochs = 10"},
      {Place::setting, {"max_steps", "num_steps", "iterations"}, "steps = 1000"},
      {Place::setting, {"early_stopping", "callbacks"}, "patience = 3", "`bnc train --out DIR` keeps checkpoints and the best weights"},
      {Place::setting, {"criterion", "loss_fn"}, "loss = softmax_cross_entropy(labels)"},
      {Place::setting, {"random_seed", "random_state", "manual_seed"}, "seed = 1"},
      {Place::setting, {"transform", "transforms", "augmentation"}, "augment = [pad_and_crop(2), flip]"},
      {Place::setting, {"shuffle"}, "", "leave it out: the examples are drawn in a new order in each epoch"},
      {Place::setting, {"data", "dataset", "train_data", "x_train"}, "",
       "the data are named by the command: `bnc train M.bn --data SPEC`"},
      {Place::setting, {"validation_split", "validation_data", "val_split"}, "",
       "the command says it: `bnc train --validate 0.2` holds a fifth of the examples out, `--test SPEC` tests on others"},
      {Place::setting, {"device", "gpus", "accelerator"}, "", "leave it out: everything runs on the CPU"},
      {Place::optimizer, {"optim.SGD", "Momentum"}, "sgd(rate=0.01, momentum=0.9)"},
      {Place::optimizer, {"optim.Adam"}, "adam(rate=0.001)"},
      {Place::optimizer, {"optim.AdamW"}, "adamw(rate=0.001, weight_decay=0.01)"},
      {Place::optimizer, {"optim.RMSprop"}, "rmsprop(rate=0.001)"},
      {Place::optimizer, {"Adagrad", "Adadelta", "Nadam", "RAdam", "Adamax"}, "adam(rate=0.001)", "its nearest relative here"},
      {Place::optimizer_argument, {"lr", "learning_rate"}, "rate=0.01"},
      {Place::optimizer_argument, {"betas"}, "beta1=0.9, beta2=0.999", "", {"adam", "adamw", "amsgrad", "lamb"}},
      {Place::optimizer_argument, {"eps"}, "epsilon=1e-8", "", {"rmsprop", "adam", "adamw", "amsgrad", "lamb"}},
      {Place::optimizer_argument, {"alpha", "rho"}, "smoothing=0.99", "", {"rmsprop"}},
      {Place::optimizer_argument, {"decay", "lr_decay"}, "rate=cosine(start=0.01)",
       "a learning rate that falls is a schedule; a penalty on weights is `weight_decay=1e-4`"},
      {Place::optimizer_argument, {"clipnorm", "global_clipnorm", "max_norm"}, "clip_norm=1",
       "over the gradients of all parameters together"},
      {Place::optimizer_argument, {"clipvalue"}, "clip_value=1"},
      {Place::optimizer_argument, {"params", "parameters"}, "",
       "leave it out: all parameters are trained but those made with `trainable=false`"},
      {Place::schedule, {"CosineAnnealingLR", "CosineDecay"}, "cosine(start=0.1)", "it is as long as the run"},
      {Place::schedule, {"StepLR"}, "step(start=0.1, every=30, factor=0.1, in_epochs)"},
      {Place::schedule, {"MultiStepLR", "PiecewiseConstantDecay"}, "step(start=0.1, at=[30, 60], factor=0.1, in_epochs)"},
      {Place::schedule, {"ExponentialLR", "ExponentialDecay"}, "step(start=0.1, every=1, factor=0.95, in_epochs)"},
      {Place::schedule, {"OneCycleLR"}, "one_cycle(peak=0.1)"},
      {Place::schedule, {"LinearLR", "linear"}, "constant(start=0.1, warmup=500)"},
      {Place::schedule, {"ReduceLROnPlateau"}, "cosine(start=0.1)", "no schedule looks at the loss"},

      // The command line.
      {Place::command, {"fit"}, "bnc train"},
      {Place::command, {"evaluate", "test", "validate"}, "bnc eval"},
      {Place::command, {"infer", "inference"}, "bnc predict"},
      {Place::command, {"build"}, "bnc compile"},
      {Place::command, {"benchmark", "profile", "time"}, "bnc bench"},
      {Place::command, {"format"}, "bnc fmt"},
      {Place::option, {"lr", "learning-rate"}, "optimizer = sgd(rate=0.01)", in_file},
      {Place::option, {"optimizer", "momentum", "weight-decay"}, "optimizer = sgd(rate=0.01, momentum=0.9)", in_file},
      {Place::option, {"loss", "criterion"}, "loss = softmax_cross_entropy(labels)", "the loss stands in the train section of the file"},
      {Place::option, {"batch-size", "bs"}, "--batch 64"},
      {Place::option, {"num-epochs", "max-epochs", "n-epochs"}, "--epochs 10"},
      {Place::option, {"max-steps", "iterations", "iters"}, "--steps 1000"},
      {Place::option, {"validation-split", "val-split", "validation", "val"}, "--validate 0.2", "a fifth of the examples is held out"},
      {Place::option, {"dataset", "data-dir", "data-path", "train-data"}, "--data SPEC"},
      {Place::option, {"test-data", "val-data"}, "--test SPEC"},
      {Place::option, {"output", "output-dir", "save", "save-dir", "logdir"}, "--out OUT"},
      {Place::option, {"pretrained", "checkpoint", "ckpt", "load", "load-weights"}, "--weights W.safetensors"},
      {Place::option, {"early-stopping"}, "--patience 3"},
      {Place::option, {"random-seed"}, "--seed 1"},
      {Place::option, {"workers", "num-workers", "num-threads"}, "--threads 2"},
      {Place::option, {"net"}, "M.bn", "the file of the network is the first argument, without an option"},
      {Place::option, {"device", "gpu", "gpus", "cuda"}, "", "leave it out: everything runs on the CPU"},
  };
  return hints;
}

namespace {

std::string help_of(const Hint& hint) {
  if (hint.instead.empty()) return hint.why;
  return fmt::format("write `{}`{}{}", hint.instead, hint.why.empty() ? "" : ": ", hint.why);
}

struct Section {
  const char* title;
  std::vector<Place> places;
};

const std::vector<Section>& sections() {
  static const std::vector<Section> all = {
      {"Layers and functions", {Place::layer}},
      {"Arguments of layers", {Place::argument}},
      {"Words, signs, values and types", {Place::word, Place::sign, Place::value, Place::type, Place::parameter_type}},
      {"The train section", {Place::loss, Place::setting, Place::optimizer, Place::optimizer_argument, Place::schedule}},
      {"The command line", {Place::command, Place::option}},
  };
  return all;
}

// As it is written: `momentum=` of an argument, `lr = ` of a setting, `--lr` of an option.
std::string shown(const Hint& hint, const std::string& word) {
  switch (hint.place) {
    case Place::argument:
    case Place::optimizer_argument: return word + "=";
    case Place::setting: return word + " = ";
    case Place::command: return "bnc " + word;
    case Place::option: return "--" + word;
    default: return word;
  }
}

// In a cell of a table, `|` ends it.
std::string code(const std::string& text) {
  std::string inside;
  for (char c : text) inside += c == '|' ? "\\|" : std::string(1, c);
  return "`" + inside + "`";
}

std::string row(const Hint& hint) {
  std::string written;
  for (const std::string& word : hint.written) written += (written.empty() ? "" : ", ") + code(shown(hint, word));
  if (hint.place == Place::parameter_type) written += " of a block's parameter";
  if (!hint.ops.empty()) written += fmt::format(" of `{}`", fmt::join(hint.ops, "`, `"));
  return fmt::format("| {} | {} | {} |\n", written, hint.instead.empty() ? "" : code(hint.instead), hint.why);
}

}  // namespace

std::string without_spelling(std::string_view word) {
  const size_t point = word.rfind('.');
  if (point != std::string_view::npos) word.remove_prefix(point + 1);
  std::string text;
  for (unsigned char c : word)
    if (c != '_' && c != '-') text += static_cast<char>(std::tolower(c));
  return text.empty() ? std::string(word) : text;
}

const Hint* find_hint(Hint::Place place, std::string_view written, std::string_view op) {
  const bool exact = place == Place::sign || place == Place::value;
  const std::string wanted = exact ? std::string(written) : without_spelling(written);
  for (const Hint& hint : all_hints()) {
    if (hint.place != place) continue;
    if (!hint.ops.empty() && std::find(hint.ops.begin(), hint.ops.end(), op) == hint.ops.end()) continue;
    for (const std::string& word : hint.written)
      if ((exact ? word : without_spelling(word)) == wanted) return &hint;
  }
  return nullptr;
}

std::string hint(Hint::Place place, std::string_view written, std::string_view op) {
  const Hint* found = find_hint(place, written, op);
  return found ? help_of(*found) : "";
}

std::string hint_or(Hint::Place place, std::string_view written, const std::string& otherwise, std::string_view op) {
  const std::string help = hint(place, written, op);
  return help.empty() ? otherwise : help;
}

std::string op_like(std::string_view word) {
  for (const OpDefinition& op : all_ops())
    if (!op.operands.empty() && without_spelling(op.name) == without_spelling(word)) return op.name;
  return "";
}

std::string hints_reference() {
  std::string text;
  for (const Section& section : sections()) {
    text += fmt::format("\n## {}\n\n| written elsewhere | here | |\n| --- | --- | --- |\n", section.title);
    for (const Hint& hint : all_hints())
      if (std::find(section.places.begin(), section.places.end(), hint.place) != section.places.end()) text += row(hint);
  }
  return text;
}

}  // namespace bnc
