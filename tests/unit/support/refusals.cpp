#include "support/refusals.h"

#include "support/op_cases.h"

namespace bnc::test {

namespace {

const TensorType x = f32({N, {5}}), c5 = f32({{5}}), c3 = f32({{3}}), labels = i32({N});

// i32 where f32 is needed, for every operand that must be f32.
void add_wrong_element_types(std::vector<Refusal>& all) {
  for (const char* op :
       {"relu", "leaky_relu", "elu",   "sigmoid", "tanh",    "softplus",    "gelu",       "hard_sigmoid", "hard_swish", "clip",   "exp",
        "log",  "sqrt",       "rsqrt", "neg",     "abs",     "softmax", "log_softmax", "reduce_sum", "reduce_mean",  "reduce_max",
        "moments", "erf", "argmax"})
    all.push_back({op, 1, {i32({N, {5}})}, {}, {"i32[N, 5]", "f32"}});
  for (const char* op : {"add", "sub", "mul", "div", "maximum", "trust_ratio", "relu_gradient", "leaky_relu_gradient", "elu_gradient",
                         "gelu_gradient", "hard_sigmoid_gradient", "hard_swish_gradient", "clip_gradient", "abs_gradient",
                         "mean_squared_error", "mean_absolute_error", "huber", "hinge", "binary_cross_entropy_with_logits", "matmul",
                         "bias"})
    all.push_back({op, 1, {x, i32({N, {5}})}, {}, {"i32[N, 5]"}});
  for (const char* op : {"mul", "div", "maximum"}) all.push_back({op, 1, {i32({N}), i32({N})}, {}, {"i32[N]", "must be f32"}});
  const TensorType i5 = i32({{5}});
  for (const char* op : {"normalize", "scale_shift"}) all.push_back({op, 1, {x, c5, i5}, {}, {"i32[5]"}});
  all.push_back({"dense", 1, {x, f32({{5}, {3}}), i32({{3}})}, {}, {"bias", "i32[3]"}});
  all.push_back({"batch_norm", 1, {x, i5, c5, c5, c5}, {}, {"gamma", "i32[5]"}});
  all.push_back({"moments_gradient", 1, {x, c5, i5}, {}, {"mean_gradient", "i32[5]"}});
  all.push_back({"batch_norm_gradient_sums", 1, {x, x, i5, c5}, {}, {"mean", "i32[5]"}});
  all.push_back({"batch_norm_input_gradient", 1, {x, x, c5, c5, c5, c5, i5}, {}, {"gamma_gradient", "i32[5]"}});
  all.push_back({"reduce_max_gradient", 1, {x, i32({N, {5}}), x}, {}, {"i32[N, 5]"}});
  all.push_back({"slice_gradient", 1, {i32({N, {2}})}, {{"axis", 1}, {"begin", 0}, {"extent", 4}}, {"i32[N, 2]"}});
  all.push_back({"dropout", 1, {i32({N})}, {}, {"i32[N]"}});
  all.push_back({"one_hot", 1, {x}, {{"classes", 3}}, {"f32[N, 5]"}});
}

void add_linear(std::vector<Refusal>& all) {
  all.push_back({"matmul", 2, {f32({N}), f32({{5}, {3}})}, {}, {"f32[N]", "f32[5, 3]"}});
  all.push_back({"matmul", 2, {x, c5}, {}, {"f32[5]"}});
  all.push_back({"matmul", 3, {f32({N, {2}, {5}}), f32({{2}, {5}, {3}})}, {}, {"f32[N, 2, 5]", "f32[2, 5, 3]"}});
  all.push_back({"matmul", 3, {f32({{2}, {4}, {5}, {2}}), f32({{3}, {1}, {5}, {3}})}, {{"transpose_left", true}}, {"f32[2, 4, 5, 2]"}});
  all.push_back({"matmul", 4, {f32({N, {2}, {5}}), f32({N, {5}, {3}})}, {{"transpose_left", true}}, {"2 and 5", "transpose_left=true"}});
  all.push_back({"matmul", 4, {f32({N, {784}}), f32({{100}, {10}})}, {}, {"784", "100", "f32[N, 784]", "f32[100, 10]"}});
  all.push_back({"matmul", 4, {x, f32({{5}, {3}})}, {{"transpose_left", true}}, {"N and 5", "transpose_left=true"}});
  all.push_back({"dense", 2, {f32({{5}}), f32({{5}, {3}})}, {}, {"f32[5]"}});
  all.push_back({"dense", 3, {x, f32({{7}, {3}})}, {}, {"f32[N, 5]", "f32[7, 3]", "f32[5, units]"}});
  all.push_back({"dense", 3, {x, c5}, {}, {"f32[5]"}});
  all.push_back({"dense", 4, {x, f32({{5}, {3}}), c5}, {}, {"f32[3]", "f32[5]"}});
  all.push_back({"bias", 2, {x, c5}, {{"axis", 2}}, {"axis 2", "f32[N, 5]"}});
  all.push_back({"bias", 2, {x, c5}, {{"axis", 0}}, {"batch"}});
  all.push_back({"bias", 3, {x, c3}, {}, {"f32[N, 5]", "f32[3]"}});
  const TensorType image = f32({N, {4}, {5}, {3}}), table = f32({{1}, {3}, {2}, {3}});
  const AttributeMap inside = {{"interior", IntList{1, 1}}};
  all.push_back({"border_bias", 1, {image, i32({{1}, {3}, {2}, {3}})}, inside, {"i32[1, 3, 2, 3]"}});
  for (const TensorType& other :
       {f32({{3}, {2}, {3}}), f32({{2}, {3}, {2}, {3}}), f32({{1}, {5}, {2}, {3}}), f32({{1}, {3}, {6}, {3}}), f32({{1}, {3}, {2}, {1}})})
    all.push_back({"border_bias", 2, {image, other}, inside, {"f32[1, rows, columns, C]", "f32[N, 4, 5, 3]"}});
  for (const IntList& interior : {IntList{3, 1}, IntList{1, 2}, IntList{-1, 0}, IntList{1}, IntList{1, 1, 0}})
    all.push_back({"border_bias", 3, {image, table}, {{"interior", interior}}, {"f32[1, 3, 2, 3]", to_string(Attribute(interior))}});
}

// The constraints that all convolutions share, for an op with these good operands.
void add_convolution(std::vector<Refusal>& all, const std::string& op, std::vector<std::optional<TensorType>> good,
                     const AttributeMap& attributes) {
  auto with_operand = [&](size_t k, TensorType type) {
    auto operands = good;
    operands[k] = std::move(type);
    return operands;
  };
  auto with = [&](const char* name, Attribute value) {
    AttributeMap changed = attributes;
    changed[name] = std::move(value);
    return changed;
  };
  const size_t axes = good[0]->shape.size() - 2;
  Shape flat = good[0]->shape, batches = flat, huge = flat;
  flat.pop_back();
  batches[1] = N;
  huge.back() = {int64_t{1} << 31};
  all.push_back({op, 1, with_operand(1, i32(good[1]->shape)), attributes, {"i32"}});
  all.push_back({op, 2, with_operand(0, f32(flat)), attributes, {to_string(f32(flat)), "dimensions"}});
  all.push_back({op, 2, with_operand(0, f32(batches)), attributes, {"batch"}});
  all.push_back({op, 2, with_operand(0, f32(huge)), attributes, {"2147483648"}});
  all.push_back({op, 3, good, with("stride", IntList(axes, 0)), {"stride must be at least 1, got 0"}});
  all.push_back({op, 3, good, with("stride", IntList{1, 1, 1}), {"stride", "[1, 1, 1]"}});
  all.push_back({op, 3, good, with("stride", IntList(axes, int64_t{1} << 31)), {"below 2^31", "2147483648"}});
  all.push_back({op, 3, good, with("dilation", IntList(axes, 0)), {"dilation must be at least 1, got 0"}});
  all.push_back({op, 3, good, with("padding", IntList(2 * axes, -1)), {"padding must be at least 0, got -1"}});
  all.push_back({op, 3, good, with("padding", IntList{1, 1, 1, 1, 1}), {"padding"}});
  all.push_back({op, 4, good, with("groups", 0), {"groups must be at least 1"}});
  all.push_back({op, 4, good, with("groups", 5), {"5 groups", "channels", to_string(*good[0])}});
}

void add_convolutions(std::vector<Refusal>& all) {
  const TensorType image = f32({N, {4}, {5}, {6}}), weight = f32({{3}, {2}, {6}, {8}}), result = f32({N, {2}, {4}, {8}});
  const TensorType line = f32({N, {5}, {6}}), line_weight = f32({{3}, {6}, {8}});
  const AttributeMap size = {{"size", IntList{4, 5}}}, kernel = {{"kernel", IntList{3, 2}}}, groups = {{"groups", 3}};
  auto in_groups = [](AttributeMap attributes, int groups) {
    attributes["groups"] = groups;
    return attributes;
  };
  add_convolution(all, "convolution", {image, weight}, {});
  add_convolution(all, "convolution_input_gradient", {result, weight}, size);
  add_convolution(all, "convolution_weight_gradient", {image, result}, kernel);
  add_convolution(all, "conv2d", {image, weight, {}}, {});
  add_convolution(all, "conv1d", {line, line_weight, {}}, {});
  add_convolution(all, "conv2d_transpose", {result, weight, {}}, {});
  for (const char* op : {"convolution", "conv2d"}) {
    all.push_back({op, 4, {image, f32({{3}, {2}, {2}, {8}})}, groups, {"3 groups", "8 filters"}});
    all.push_back({op,
                   5,
                   {image, f32({{3}, {2}, {5}, {8}})},
                   {},
                   {"f32[N, 4, 5, 6]", "f32[kernel height, kernel width, 6, filters]", "f32[3, 2, 5, 8]"}});
    all.push_back({op, 5, {image, f32({{3}, {2}, {6}, {9}})}, groups, {"3 groups", ", 2, filters]"}});
    all.push_back({op, 5, {image, f32({{3}, {6}, {8}})}, {}, {"f32[3, 6, 8]"}});
    all.push_back({op, 5, {image, f32({{3}, N, {6}, {8}})}, {}, {"f32[3, N, 6, 8]"}});
  }
  all.push_back({"convolution", 6, {image, f32({{5}, {2}, {6}, {8}})}, {}, {"5 x 2", "4 x 5", "f32[N, 4, 5, 6]"}});
  all.push_back(
      {"conv2d", 6, {image, f32({{2}, {3}, {6}, {8}})}, {{"dilation", IntList{1, 4}}, {"padding", IntList{0, 1}}}, {"2 x 9", "4 x 7"}});
  all.push_back({"conv1d", 5, {line, weight}, {}, {"f32[kernel, 6, filters]"}});
  all.push_back(
      {"conv1d", 6, {line, line_weight}, {{"padding", "valid"}, {"dilation", IntList{3}}}, {"a window of 7", "f32[N, 5, 6]", "5"}});
  const AttributeMap far = {{"dilation", IntList{(int64_t{1} << 31) - 1}}};
  all.push_back({"conv2d", 6, {image, f32({{5}, {2}, {6}, {8}})}, far, {"8589934589 x 2147483648", "zeros beside", "below 2^31"}});
  all.push_back({"conv1d", 6, {line, f32({{5}, {6}, {8}})}, far, {"8589934589", "below 2^31"}});
  all.push_back({"conv2d_transpose", 6, {result, f32({{5}, {2}, {6}, {8}})}, far, {"8589934589", "below 2^31"}});
  all.push_back({"conv2d", 7, {image, weight, c5}, {}, {"f32[8]", "f32[5]"}});
  all.push_back({"conv1d", 7, {line, line_weight, c5}, {}, {"f32[8]", "f32[5]"}});
  all.push_back({"conv2d_transpose", 7, {result, weight, c5}, {}, {"f32[6]", "f32[5]"}});
  all.push_back({"convolution_input_gradient", 3, {result, weight}, {{"size", IntList{0, 5}}}, {"size must be at least 1"}});
  all.push_back({"convolution_input_gradient", 5, {result, f32({{3}, {2}, {6}, {7}})}, size, {"f32[N, 2, 4, 8]", "f32[3, 2, 6, 7]"}});
  all.push_back({"convolution_input_gradient", 6, {result, weight}, {{"size", IntList{2, 5}}}, {"3 x 2", "2 x 5"}});
  all.push_back({"convolution_input_gradient",
                 7,
                 {result, weight},
                 {{"size", IntList{5, 5}}},
                 {"f32[N, 5, 5, 6]", "f32[N, 3, 4, 8]", "f32[N, 2, 4, 8]"}});
  all.push_back({"convolution_weight_gradient", 3, {image, result}, {{"kernel", IntList{3}}}, {"kernel must be 2 integers"}});
  all.push_back({"convolution_weight_gradient", 4, {image, result}, in_groups(kernel, 3), {"3 groups", "8 filters"}});
  all.push_back({"convolution_weight_gradient", 5, {image, result}, {{"kernel", IntList{3, 3}}}, {"f32[N, 2, 3, 8]", "f32[N, 2, 4, 8]"}});
  all.push_back({"convolution_weight_gradient", 5, {image, f32({{3}, {2}, {4}, {8}})}, kernel, {"f32[3, 2, 4, 8]"}});
  all.push_back({"convolution_weight_gradient", 6, {image, result}, {{"kernel", IntList{3, 6}}}, {"3 x 6", "4 x 5"}});
  all.push_back({"conv2d_transpose", 5, {result, f32({{3}, {2}, {8}, {6}})}, {}, {"f32[3, 2, 8, 6]", ", 8]"}});
  all.push_back({"conv2d_transpose", 6, {result, weight}, {{"padding", IntList{2, 0}}}, {"f32[N, 0, 5, 6]"}});
  all.push_back({"conv2d_transpose", 6, {f32({N, {int64_t{1} << 30}, {1}, {8}}), weight}, {{"stride", IntList{2, 1}}}, {"2147483648"}});
  const AttributeMap odd = {{"output_padding", IntList{0, 2}}, {"stride", IntList{3, 2}}, {"padding", 1}},
                     same = {{"output_padding", IntList{1}}, {"stride", IntList{2}}};
  all.push_back({"conv2d_transpose", 8, {result, weight}, odd, {"output_padding 2", "stride 2"}});
  all.push_back({"conv2d_transpose", 8, {result, weight}, same, {"padding=same"}});
}

void add_example_normalization(std::vector<Refusal>& all) {
  const TensorType image = f32({N, {3}, {5}}), pair = f32({{3}, N, {5}}), i5 = i32({{5}});
  for (const char* op : {"layer_norm", "rms_norm"}) {
    all.push_back({op, 1, {x, i5}, {}, {"gamma", "i32[5]"}});
    all.push_back({op, 2, {x, {}}, {{"axes", IntList{2}}}, {"axis 2", "f32[N, 5]"}});
    all.push_back({op, 2, {x, {}}, {{"axes", IntList{1, -1}}}, {"axis 1", "twice"}});
    all.push_back({op, 2, {x, {}}, {{"axes", IntList{}}}, {"no axis"}});
    all.push_back({op, 2, {x, {}}, {{"axes", IntList{0, 1}}}, {"axis 0", "batch"}});
    all.push_back({op, 3, {image, f32({{3}})}, {{"axes", IntList{1, 2}}}, {"gamma", "f32[3, 5]", "f32[3]"}});
    all.push_back({op, 4, {x, {}}, {{"epsilon", 0.0}}, {"epsilon"}});
  }
  all.push_back({"layer_norm", 3, {image, {}, c3}, {}, {"beta", "f32[5]", "f32[3]"}});
  const AttributeMap one = {{"groups", 1}};
  for (const auto& [op, groups] : {std::pair{"group_norm", one}, std::pair{"instance_norm", AttributeMap{}}}) {
    AttributeMap flat = groups;
    flat["epsilon"] = -1.0;
    all.push_back({op, 1, {image, {}, i5}, groups, {"beta", "i32[5]"}});
    all.push_back({op, 2, {c5, {}, {}}, groups, {"f32[5]"}});
    all.push_back({op, 2, {pair, {}, {}}, groups, {"dimension 1", "f32[3, N, 5]"}});
    all.push_back({op, 3, {image, c3, {}}, groups, {"gamma", "f32[5]", "f32[3]"}});
    all.push_back({op, 4, {image, {}, {}}, flat, {"epsilon"}});
  }
  all.push_back({"instance_norm", 2, {x, {}, {}}, {}, {"3 dimensions", "f32[N, 5]"}});
  for (const int64_t groups : {0, 2, -5, 7})
    all.push_back({"group_norm", 6, {x, {}, {}}, {{"groups", groups}}, {"5 channels", std::to_string(groups) + " groups"}});
  all.push_back({"standardize", 1, {i5}, {}, {"i32[5]"}});
  all.push_back({"standardize", 2, {x}, {{"axes", IntList{-3}}}, {"axis -3"}});
  all.push_back({"standardize", 3, {x}, {{"epsilon", 0.0}}, {"epsilon"}});
  all.push_back({"standardize", 3, {x}, {{"epsilon", 1e-46}}, {"`epsilon` must be a number above 0, got 1e-46, which is 0 as f32"}});
  all.push_back({"min_max_normalize", 1, {i5}, {}, {"i32[5]"}});
  all.push_back({"min_max_normalize", 3, {f32({})}, {}, {"a single element of f32[]"}});
  all.push_back({"standardize", 4, {f32({{1}, {5}})}, {{"axes", IntList{0}}}, {"a single element of f32[1, 5]"}});
  for (const char* op : {"layer_norm", "rms_norm"})
    all.push_back({op, 5, {f32({N, {5}, {1}}), {}}, {}, {"a single element of f32[N, 5, 1]"}});
  all.push_back({"group_norm", 5, {x, {}, {}}, {{"groups", 5}}, {"a single element of f32[N, 5]"}});
  all.push_back({"instance_norm", 5, {f32({N, {1}, {1}, {5}}), {}, {}}, {}, {"a single element of f32[N, 1, 1, 5]"}});
  all.push_back({"min_max_normalize", 2, {x}, {{"axes", IntList{0, 0}}}, {"axis 0", "twice"}});
  all.push_back({"preprocess", 1, {x, i5, c5}, {}, {"offset", "i32[5]"}});
  all.push_back({"preprocess", 2, {x, c5, c3}, {}, {"f32[5]", "f32[3]"}});
  all.push_back({"preprocess", 2, {image, c3, c3}, {}, {"f32[3]", "f32[N, 3, 5]"}});
  all.push_back({"preprocess", 2, {c5, c5, c5}, {}, {"f32[5]"}});
  all.push_back({"preprocess", 2, {f32({N}), f32({N}), f32({N})}, {}, {"f32[N]", "batch"}});
}

void add_normalization(std::vector<Refusal>& all) {
  const AttributeMap last = {{"axis", 0}};
  all.push_back({"moments", 2, {x}, last, {"batch"}});
  all.push_back({"moments", 3, {c5}, {}, {"f32[5]"}});
  all.push_back({"batch_norm", 2, {c5, c5, c5, c5, c5}, {}, {"f32[5]"}});
  all.push_back({"batch_norm", 2, {x, c5, c5, c5, c5}, {{"axis", -3}}, {"axis -3"}});
  all.push_back({"batch_norm", 3, {x, c5, c5, c3, c5}, {}, {"mean", "f32[5]", "f32[3]"}});
  all.push_back({"batch_norm", 4, {x, c5, c5, c5, c5}, {{"epsilon", 0.0}}, {"epsilon"}});
  all.push_back({"batch_norm", 5, {x, c5, c5, c5, c5}, {{"stats", Symbol{"ema", {{"decay", 1.5}}}}}, {"1.5"}});
  all.push_back({"batch_norm", 5, {x, c5, c5, c5, c5}, {{"stats", Symbol{"ema", {{"momentum", 0.1}}}}}, {"momentum"}});
  all.push_back({"batch_norm", 5, {x, c5, c5, c5, c5}, {{"stats", Symbol{"cumulative", {{"decay", 0.1}}}}}, {"decay"}});
  all.push_back({"batch_norm", 6, {x, c5, c5, c5, c5}, {{"stats", "cumulative"}, {"mode", "train"}}, {"cumulative", "count"}});
  all.push_back({"batch_norm", 6, {x, c5, c5, c5, c5, c5}, {{"stats", "cumulative"}}, {"f32[5]"}});
  all.push_back({"batch_norm", 7, {f32({{1}, {5}}), c5, c5, c5, c5}, {{"mode", "train"}}, {"f32[1, 5]"}});
  for (const int64_t ghost : {-1, 1})
    all.push_back({"batch_norm", 8, {x, c5, c5, c5, c5}, {{"ghost", ghost}}, {"2 examples", std::to_string(ghost)}});
  all.push_back({"batch_norm", 8, {f32({{7}, {5}}), c5, c5, c5, c5}, {{"ghost", 4}}, {"f32[7, 5]"}});
  all.push_back({"batch_norm", 8, {f32({N, {5}, {3}}), c5, c5, c5, c5}, {{"ghost", 4}, {"axis", 1}}, {"f32[N, 5, 3]"}});
  for (const char* op : {"normalize", "scale_shift"}) {
    all.push_back({op, 2, {x, c5, c5}, last, {"batch"}});
    all.push_back({op, 3, {x, c5, c3}, {}, {"f32[5]", "f32[3]"}});
  }
  all.push_back({"normalize", 4, {x, c5, c5}, {{"epsilon", -1e-5}}, {"-"}});
  all.push_back({"moments_gradient", 2, {x, c5, c5}, last, {"batch"}});
  all.push_back({"moments_gradient", 3, {x, c5, c3}, {}, {"mean_gradient", "f32[3]"}});
  all.push_back({"moments_gradient", 4, {x, c5, {}, {}}, {}, {"neither"}});
  const std::vector<std::optional<TensorType>> sums = {x, x, c5, c5}, input = {x, x, c5, c5, c5, c5, c5};
  for (const auto& [op, operands] : {std::pair{"batch_norm_gradient_sums", sums}, std::pair{"batch_norm_input_gradient", input}}) {
    auto unlike = operands, uneven = operands;
    unlike[0] = f32({N, {6}});
    uneven.back() = c3;
    all.push_back({op, 2, unlike, {}, {"f32[N, 6]", "f32[N, 5]"}});
    all.push_back({op, 3, operands, last, {"batch"}});
    all.push_back({op, 4, uneven, {}, {"f32[3]"}});
    all.push_back({op, 5, operands, {{"epsilon", 0.0}}, {"epsilon"}});
  }
}

void add_maps_and_reductions(std::vector<Refusal>& all) {
  for (const char* op : {"add", "sub", "mul", "div", "maximum"}) all.push_back({op, 2, {x, f32({N, {4}})}, {}, {"f32[N, 5]", "f32[N, 4]"}});
  for (const char* op : {"relu_gradient", "leaky_relu_gradient", "elu_gradient", "gelu_gradient", "hard_sigmoid_gradient",
                         "hard_swish_gradient", "clip_gradient", "abs_gradient"})
    all.push_back({op, 2, {x, f32({N, {4}})}, {}, {"f32[N, 5]", "f32[N, 4]"}});
  for (const char* op : {"reduce_sum", "reduce_mean", "reduce_max"}) {
    all.push_back({op, 2, {x}, {{"axes", IntList{2}}}, {"axis 2"}});
    all.push_back({op, 2, {x}, {{"axes", IntList{1, -1}}}, {"twice"}});
  }
  all.push_back({"one_minus_power", 1, {f32({{1}})}, {{"decay", 0.5}}, {"f32[1]"}});
  all.push_back({"one_minus_power", 2, {f32({})}, {{"decay", 1.0}}, {"got 1"}});
  all.push_back({"one_minus_power", 2, {f32({})}, {{"decay", 0.0}}, {"got 0"}});
  all.push_back({"trust_ratio", 2, {x, f32({N, {4}})}, {}, {"f32[N, 5]", "f32[N, 4]"}});
  const auto refuse_schedule = [&](int constraint, const Symbol& schedule, std::vector<std::string> texts) {
    all.push_back({"learning_rate", constraint, {i32({})}, {{"schedule", schedule}}, std::move(texts)});
  };
  all.push_back({"learning_rate", 1, {f32({})}, {{"schedule", Symbol{"constant", {{"start", 0.1}}}}}, {"f32[]"}});
  refuse_schedule(2, {"cosin", {{"start", 0.1}}}, {"unknown schedule `cosin`"});
  refuse_schedule(3, {"cosine", {{"start", 0.1}, {"stop", 5}}}, {"`cosine` has no argument `stop`"});
  refuse_schedule(3, {"cosine", {{"start", 0.1}}}, {"`cosine` needs `steps`"});
  refuse_schedule(3, {"cosine", {{"start", -0.1}, {"steps", 5}}}, {"`start` of `cosine` is -0.1"});
  refuse_schedule(3, {"cosine", {{"start", 1e39}, {"steps", 5}}}, {"`start` of `cosine` is 1e+39, which is inf as f32"});
  refuse_schedule(3, {"cosine", {{"start", 0.1}, {"steps", 5}, {"warmup", 5}}}, {"a warm-up of 5 steps leaves nothing"});
  refuse_schedule(3, {"one_cycle", {{"peak", 0.1}, {"steps", 5}, {"rise", 1.0}}}, {"`rise` of `one_cycle` is 1"});
  refuse_schedule(3, {"step", {{"start", 0.1}, {"every", 0}}}, {"`every` of `step` is 0"});
  refuse_schedule(3, {"step", {{"start", 0.1}, {"every", 5.5}}}, {"`every` of `step` is 5.5"});
  refuse_schedule(3, {"step", {{"start", 0.1}, {"at", IntList{5, 5}}}}, {"`at` of `step` is [5, 5]"});
  refuse_schedule(3, {"step", {{"start", 0.1}}}, {"either `every` or `at`"});
  refuse_schedule(3, {"step", {{"start", 0.1}, {"every", 3}, {"at", IntList{5}}}}, {"either `every` or `at`"});
  all.push_back({"clip", 2, {x}, {{"low", 0.5}, {"high", 0.25}}, {"low is 0.5", "high is 0.25"}});
  all.push_back({"clip", 2, {x}, {{"low", 0.0}, {"high", 1e-50}}, {"low is 0", "high is 1e-50", "the same number as f32"}});
  all.push_back({"leaky_relu", 2, {x}, {{"slope", INFINITY}}, {"`slope` must be a finite number, got inf"}});
  all.push_back({"elu", 2, {x}, {{"alpha", 1e39}}, {"`alpha` must be a finite number, got 1e+39, which is inf as f32"}});
  all.push_back({"element_count", 1, {x}, {{"axes", IntList{-3}}}, {"axis -3"}});
  all.push_back({"reduce_max_gradient", 2, {f32({N, {1}}), x, f32({N})}, {}, {"f32[N, 1]", "f32[N]", "f32[N, 5]"}});
  for (const char* op : {"softmax", "log_softmax", "argmax"}) all.push_back({op, 2, {x}, {{"axis", 2}}, {"axis 2"}});
  all.push_back({"dropout", 2, {x, labels}, {}, {"i32[N]"}});
  all.push_back({"dropout", 3, {x}, {{"rate", 1.0}}, {"1"}});
  all.push_back(
      {"dropout", 3, {x}, {{"rate", 1 - 1e-9}}, {"`rate` must be a number of at least 0 and below 1, got 0.999999999, which is 1 as f32"}});
}

void add_losses(std::vector<Refusal>& all) {
  for (const char* op : {"mean_squared_error", "mean_absolute_error", "huber", "hinge", "binary_cross_entropy_with_logits"}) {
    all.push_back({op, 1, {x, x, labels}, {}, {"weights", "i32[N]"}});
    all.push_back({op, 2, {x, f32({N, {4}})}, {}, {"f32[N, 5]", "f32[N, 4]"}});
    all.push_back({op, 3, {x, x, x}, {}, {"weights of a prediction f32[N, 5] must be f32[N], got f32[N, 5]"}});
    all.push_back({op, 3, {f32({}), f32({}), f32({N})}, {}, {"must be f32[], got f32[N]"}});
  }
  for (const auto& [op, attribute] : {std::pair{"huber", "delta"}, {"hinge", "margin"}})
    for (const double number : {0.0, -1.0, 1e-46, 1e39, static_cast<double>(NAN)})
      all.push_back({op, 4, {x, x}, {{attribute, number}}, {attribute}});
  const char* binary = "binary_cross_entropy_with_logits";
  all.push_back({binary, 4, {x, x}, {{"positive_weight", NumberList{1, 2}}}, {"2 positive weights", "f32[N, 5]"}});
  all.push_back({binary, 4, {f32({}), f32({})}, {{"positive_weight", NumberList{}}}, {"0 positive weights", "f32[]"}});
  all.push_back({binary, 5, {x, x}, {{"positive_weight", -1.0}}, {"-1"}});
  for (const char* op : {"softmax_cross_entropy", "multi_class_hinge"}) {
    all.push_back({op, 1, {f32({N}), i32({})}, {}, {"f32[N]"}});
    all.push_back({op, 2, {x, i32({N, {5}})}, {}, {"i32[N, 5]", "i32[N]"}});
    all.push_back({op, 2, {x, f32({N})}, {}, {"f32[N]", "i32[N]"}});
    all.push_back({op, 3, {x, labels, labels}, {}, {"weights", "f32[N]", "i32[N]"}});
    all.push_back({op, 5, {x, labels}, {{"ignore", IntList{3, 1, 3}}}, {"3 is ignored twice"}});
    all.push_back({op, 5, {x, labels}, {{"ignore", IntList{int64_t{1} << 31}}}, {"2147483648"}});
  }
  for (const char* op : {"softmax_cross_entropy_with_probabilities", "kl_divergence"}) {
    all.push_back({op, 1, {f32({N}), f32({N})}, {}, {"f32[N]"}});
    all.push_back({op, 2, {x, labels}, {}, {"f32[N, 5]", "i32[N]"}});
    all.push_back({op, 3, {x, x, x}, {}, {"weights", "f32[N]", "f32[N, 5]"}});
  }
  for (const double margin : {0.0, static_cast<double>(NAN)})
    all.push_back({"multi_class_hinge", 4, {x, labels}, {{"margin", margin}}, {"margin"}});
  for (const double smoothing : {-0.1, 1.5, static_cast<double>(NAN)})
    all.push_back({"softmax_cross_entropy", 4, {x, labels}, {{"smoothing", smoothing}}, {"smoothing"}});
  all.push_back({"softmax_cross_entropy", 6, {x, labels}, {{"class_weights", NumberList{1, 2}}}, {"2 class weights", "5 classes"}});
  all.push_back({"softmax_cross_entropy", 7, {x, labels}, {{"class_weights", NumberList{1, 2, 3, -4, 5}}}, {"-4"}});
}

void add_shapes(std::vector<Refusal>& all) {
  all.push_back({"reshape", 1, {x}, {{"shape", Shape{N, {0}}}}, {"0"}});
  all.push_back({"reshape", 2, {x}, {{"shape", Shape{N, N}}}, {"batch size twice"}});
  all.push_back({"reshape", 3, {x}, {{"shape", Shape{N, {4}}}}, {"f32[N, 5]", "f32[N, 4]", "5*N", "4*N"}});
  all.push_back({"reshape", 3, {x}, {{"shape", Shape{{5}}}}, {"5*N"}});
  all.push_back({"broadcast_to", 1, {x}, {{"shape", Shape{{-1}}}}, {"-1"}});
  all.push_back({"broadcast_to", 2, {x}, {{"shape", Shape{N, {6}}}}, {"f32[N, 5]", "f32[N, 6]"}});
  all.push_back({"broadcast_to", 2, {x}, {{"shape", Shape{{5}}}}, {"f32[5]"}});
  all.push_back({"flatten", 1, {f32({})}, {}, {"f32[]"}});
  all.push_back({"transpose", 1, {x}, {{"permutation", IntList{0, 0}}}, {"[0, 0]", "f32[N, 5]"}});
  const AttributeMap good = {{"axis", 1}, {"begin", 1}, {"end", 4}};
  auto with = [](AttributeMap attributes, const char* name, int value) {
    attributes[name] = value;
    return attributes;
  };
  all.push_back({"slice", 1, {x}, with(good, "axis", 0), {"batch"}});
  all.push_back({"slice", 2, {x}, with(good, "end", 6), {"[1, 6)", "f32[N, 5]"}});
  all.push_back({"slice", 2, {x}, with(good, "begin", 4), {"[4, 4)"}});
  all.push_back({"slice", 3, {x}, with(good, "step", 0), {"0"}});
  const AttributeMap spread = {{"axis", 1}, {"begin", 1}, {"extent", 10}, {"step", 2}};
  all.push_back({"slice_gradient", 2, {x}, with(spread, "axis", 0), {"batch"}});
  all.push_back({"slice_gradient", 3, {x}, with(spread, "step", 0), {"0"}});
  all.push_back({"slice_gradient", 4, {x}, with(spread, "extent", 9), {"f32[N, 5]", "9"}});
  all.push_back({"concat", 1, {x, x}, {{"axis", 0}}, {"batch"}});
  all.push_back({"concat", 1, {x, x}, {{"axis", 2}}, {"axis 2"}});
  all.push_back({"concat", 2, {x, f32({N, {2}, {5}})}, {}, {"f32[N, 5]", "f32[N, 2, 5]"}});
  all.push_back({"concat", 2, {x, i32({N, {5}})}, {}, {"i32[N, 5]"}});
  const TensorType huge = f32({{int64_t{1} << 62}});
  all.push_back({"concat", 3, {huge, huge}, {}, {"2^62"}});
  all.push_back({"one_hot", 2, {labels}, {{"classes", 0}}, {"0"}});
}

void add_pooling_and_resizing(std::vector<Refusal>& all) {
  const TensorType image = f32({N, {4}, {3}, {5}}), whole = i32({N, {4}, {3}, {5}});
  for (const char* op : {"global_average_pool", "global_max_pool"}) {
    all.push_back({op, 1, {whole}, {}, {"i32[N, 4, 3, 5]"}});
    all.push_back({op, 2, {x}, {}, {"f32[N, 5]"}});
  }
  for (const char* op : {"max_pool", "max_pool_index", "average_pool", "average_pool_gradient", "max_pool_gradient"}) {
    const bool is_gradient = find_op(op)->category == OpCategory::gradient, takes_index = find_op(op)->operands.size() == 2;
    auto refuse = [&](int constraint, const TensorType& type, AttributeMap attributes, std::vector<std::string> mentions) {
      std::vector<std::optional<TensorType>> operands = {type};
      if (takes_index) operands.push_back(TensorType{DType::i32, type.shape});
      if (is_gradient) attributes.try_emplace("size", IntList{4, 3});
      attributes.try_emplace("kernel", IntList{3});
      all.push_back({op, constraint, operands, attributes, mentions});
    };
    refuse(1, whole, {}, {"i32[N, 4, 3, 5]"});
    if (!is_gradient) refuse(2, x, {}, {"f32[N, 5]"});
    refuse(2, f32({{4}, {4}, {3}, N}), {}, {"dimension 3", "batch"});
    refuse(3, image, {{"kernel", IntList{1, 2, 3}}}, {"kernel", "[1, 2, 3]"});
    refuse(3, image, {{"kernel", IntList{0}}}, {"kernel", "0"});
    refuse(3, image, {{"stride", IntList{2, -1}}}, {"stride", "-1"});
    refuse(3, image, {{"padding", IntList{1, 1, 1}}}, {"padding", "[1, 1, 1]"});
    refuse(3, image, {{"padding", -1}}, {"padding", "-1"});
    refuse(4, image, {{"padding", 3}}, {"padding of 3", "kernel, 3"});
    refuse(5, image, {{"kernel", IntList{4}}}, {"4 x 4", "4, 3, 5]", "4 x 3"});
    if (!is_gradient) refuse(5, f32({N, {99}, {99}, {5}}), {{"kernel", IntList{99}}}, {"99 x 99", "4096"});
    if (!is_gradient) continue;
    refuse(6, image, {}, {"[4, 3]", "f32[N, 1, 1, 5]", "f32[N, 4, 3, 5]"});
    refuse(6, image, {{"size", IntList{4}}}, {"[4]"});
  }
  all.push_back({"prelu", 1, {x, i32({{5}})}, {}, {"alpha", "i32[5]"}});
  all.push_back({"prelu", 2, {x, c5}, {{"axis", 0}}, {"batch"}});
  all.push_back({"prelu", 3, {x, c3}, {}, {"f32[N, 5]", "f32[3]"}});
  all.push_back({"prelu_gradient", 1, {x, labels, c5}, {}, {"i32[N]"}});
  all.push_back({"prelu_gradient", 2, {x, f32({N, {4}}), c5}, {}, {"f32[N, 5]", "f32[N, 4]"}});
  all.push_back({"prelu_gradient", 3, {x, x, c5}, {{"axis", 2}}, {"axis 2"}});
  all.push_back({"prelu_gradient", 4, {x, x, c3}, {}, {"f32[3]"}});
  const IntList none = {0, 0, 0, 0}, rows = {0, 1, 0, 0};
  all.push_back({"pad", 1, {whole}, {{"low", none}, {"high", rows}}, {"i32[N, 4, 3, 5]"}});
  all.push_back({"pad", 2, {x}, {{"low", IntList{0, 1}}, {"high", rows}}, {"`high` has 4", "f32[N, 5]"}});
  all.push_back({"pad", 3, {image}, {{"low", none}, {"high", IntList{0, -1, 0, 0}}}, {"axis 1", "-1"}});
  all.push_back({"pad", 4, {image}, {{"low", IntList{1, 0, 0, 0}}, {"high", none}}, {"axis 0"}});
  all.push_back({"pad", 5, {image}, {{"low", IntList{0, INT64_MAX, 0, 0}}, {"high", none}}, {"axis 1"}});
  const IntList size = {6, 7};
  all.push_back({"resize", 1, {whole}, {{"size", size}}, {"i32[N, 4, 3, 5]"}});
  all.push_back({"resize", 2, {x}, {{"size", size}}, {"f32[N, 5]"}});
  all.push_back({"resize", 3, {image}, {}, {"neither"}});
  all.push_back({"resize", 3, {image}, {{"size", size}, {"scale", NumberList{2}}}, {"both"}});
  all.push_back({"resize", 3, {image}, {{"size", IntList{6}}}, {"1 numbers", "2 spatial dimensions"}});
  all.push_back({"resize", 4, {image}, {{"scale", NumberList{0.3}}}, {"dimension 2", "size 0"}});
  all.push_back({"resize", 4, {image}, {{"scale", NumberList{NAN}}}, {"dimension 1"}});
  all.push_back({"resize", 5, {image}, {{"size", size}, {"align_corners", true}}, {"bilinear"}});
  for (const char* op : {"interpolate", "interpolate_gradient"}) {
    all.push_back({op, 1, {whole}, {{"axis", 1}, {"size", 2}}, {"i32[N, 4, 3, 5]"}});
    all.push_back({op, 2, {image}, {{"axis", 0}, {"size", 2}}, {"batch"}});
    all.push_back({op, 3, {image}, {{"axis", 1}, {"size", 0}}, {"size 0"}});
    all.push_back({op, 4, {image}, {{"axis", 1}, {"size", 2}, {"align_corners", true}}, {"bilinear"}});
  }
}

}  // namespace

std::vector<Refusal> refusals() {
  std::vector<Refusal> all;
  add_wrong_element_types(all);
  add_linear(all);
  add_convolutions(all);
  add_normalization(all);
  add_example_normalization(all);
  add_maps_and_reductions(all);
  add_losses(all);
  add_shapes(all);
  add_pooling_and_resizing(all);
  return all;
}

}  // namespace bnc::test
