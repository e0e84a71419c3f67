#include "op_cases.h"

#include <array>

namespace bnc::test {

namespace {

void add_maps(std::vector<OpCase>& cases) {
  for (const char* op : {"relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu", "hard_sigmoid", "hard_swish", "clip", "exp",
                         "log", "erf", "sqrt", "rsqrt", "neg", "abs"})
    for (const TensorType& type : {f32({N, {5}}), f32({{17}}), f32({})}) cases.push_back({op, {type}});
  for (const char* op : {"relu_gradient", "leaky_relu_gradient", "elu_gradient", "gelu_gradient", "hard_sigmoid_gradient",
                         "hard_swish_gradient", "clip_gradient", "abs_gradient"})
    for (const TensorType& type : {f32({N, {17}}), f32({{3}, {1}})}) cases.push_back({op, {type, type}});
  cases.push_back({"leaky_relu", {f32({N, {33}})}, {{"slope", 0.25}}});
  cases.push_back({"clip", {f32({N, {33}})}, {{"low", -0.75}, {"high", 0.5}}});
  cases.push_back({"elu", {f32({N, {16}})}, {{"alpha", 0.5}}});
  for (const auto& [op, attributes] : {std::pair{"leaky_relu_gradient", AttributeMap{{"slope", 0.25}}},
                                       {"elu_gradient", {{"alpha", 0.5}}},
                                       {"clip_gradient", {{"low", -0.75}, {"high", 0.5}}}})
    cases.push_back({op, {f32({N, {16}}), f32({N, {16}})}, attributes});
  struct Slopes {
    TensorType x, alpha;
    int axis;
  };
  for (const auto& [x, alpha, axis] :
       {Slopes{f32({N, {3}, {5}}), f32({{5}}), -1}, Slopes{f32({N, {5}, {3}}), f32({{5}}), 1}, Slopes{f32({N, {17}}), f32({{1}}), -1}}) {
    cases.push_back({"prelu", {x, alpha}, {{"axis", axis}}});
    cases.push_back({"prelu_gradient", {x, x, alpha}, {{"axis", axis}}});
  }
  for (const char* op : {"add", "sub", "mul", "div", "maximum"}) {
    cases.push_back({op, {f32({N, {5}}), f32({N, {5}})}});
    cases.push_back({op, {f32({N, {1}, {5}}), f32({{3}, {1}})}});
    cases.push_back({op, {f32({}), f32({N, {7}})}});
    cases.push_back({op, {f32({{4}, {1}}), f32({{1}})}});
  }
  cases.push_back({"one_minus_power", {f32({})}, {{"decay", 0.9}}});
  cases.push_back({"one_minus_power", {i32({})}, {{"decay", 0.999}, {"offset", 1}}});
  cases.push_back({"trust_ratio", {f32({}), f32({})}});
  cases.push_back({"learning_rate", {i32({})}, {{"schedule", Symbol{"step", {{"start", 0.5}, {"every", 2}}}}}});
  cases.push_back({"learning_rate", {i32({})}, {{"schedule", Symbol{"cosine", {{"start", 0.5}, {"steps", 7}, {"warmup", 2}}}}}});
  cases.push_back({"trust_ratio", {f32({{5}}), f32({{5}})}});
}

void add_linear(std::vector<OpCase>& cases) {
  for (bool tl : {false, true})
    for (bool tr : {false, true})
      cases.push_back({"matmul",
                       {tl ? f32({{7}, N}) : f32({N, {7}}), tr ? f32({{5}, {7}}) : f32({{7}, {5}})},
                       {{"transpose_left", tl}, {"transpose_right", tr}}});
  cases.push_back({"matmul", {f32({N, {7}}), f32({N, {3}})}, {{"transpose_left", true}}});
  cases.push_back({"matmul", {f32({N, {3}, {2}, {7}}), f32({{7}, {1}})}});
  cases.push_back({"matmul", {f32({N, {2}, {7}}), f32({{3}, {7}})}, {{"transpose_right", true}}});
  for (bool tl : {false, true})
    for (bool tr : {false, true}) {
      const Dim m{tl ? 7 : 3}, k{tl ? 3 : 7};
      const AttributeMap attributes = {{"transpose_left", tl}, {"transpose_right", tr}};
      cases.push_back({"matmul", {f32({N, {2}, m, k}), tr ? f32({N, {2}, {5}, {7}}) : f32({N, {2}, {7}, {5}})}, attributes, 2});
      cases.push_back({"matmul", {f32({{2}, m, k}), tr ? f32({N, {1}, {5}, {7}}) : f32({N, {1}, {7}, {5}})}, attributes, 2});
      cases.push_back({"matmul", {f32({N, {2}, m, k}), tr ? f32({{1}, {1}, {1}, {7}}) : f32({{1}, {1}, {7}, {1}})}, attributes, 2});
    }
  cases.push_back({"matmul", {f32({{2}, {3}, N}), f32({{2}, N, {5}})}});
  cases.push_back({"matmul", {f32({{2}, N, {3}}), f32({{2}, {5}, N})}, {{"transpose_left", true}, {"transpose_right", true}}});
  cases.push_back({"matmul", {f32({{2}, {3}, {4}}), f32({{2}, N, {4}})}, {{"transpose_right", true}}});
  cases.push_back({"matmul", {f32({N, {7}, {3}}), f32({{7}, {5}})}, {{"transpose_left", true}}});
  cases.push_back({"matmul", {f32({{3}, {7}}), f32({N, {7}, {5}})}});
  cases.push_back({"dense", {f32({N, {7}}), f32({{7}, {5}}), f32({{5}})}});
  cases.push_back({"dense", {f32({N, {3}, {7}}), f32({{7}, {1}}), f32({{1}})}});
  cases.push_back({"dense", {f32({N, {7}}), f32({{7}, {5}}), {}}, {}, 1});
  cases.push_back({"bias", {f32({N, {5}}), f32({{5}})}});
  cases.push_back({"bias", {f32({N, {5}, {3}}), f32({{5}})}, {{"axis", 1}}});
  cases.push_back({"bias", {f32({{5}}), f32({{5}})}});
  cases.push_back({"border_bias", {f32({N, {7}, {5}, {3}}), f32({{1}, {4}, {2}, {3}})}, {{"interior", IntList{1, 1}}}, 3});
  cases.push_back({"border_bias", {f32({N, {3}, {4}, {2}}), f32({{1}, {3}, {1}, {2}})}, {{"interior", IntList{2, 0}}}});
}

// The three core ops of one convolution of `x` by `weight` with the result `y`, channels last.
void add_convolution(std::vector<OpCase>& cases, std::array<int64_t, 3> x, const Shape& weight, std::array<int64_t, 2> y,
                     const AttributeMap& window, int64_t batch = 2) {
  const TensorType image = f32({N, {x[0]}, {x[1]}, {x[2]}}), result = f32({N, {y[0]}, {y[1]}, weight[3]});
  AttributeMap sized = window, of_kernel = window;
  sized["size"] = IntList{x[0], x[1]};
  of_kernel["kernel"] = IntList{weight[0].factor, weight[1].factor};
  cases.push_back({"convolution", {image, f32(weight)}, window, batch});
  cases.push_back({"convolution_input_gradient", {result, f32(weight)}, sized, batch});
  cases.push_back({"convolution_weight_gradient", {image, result}, of_kernel, batch});
}

void add_convolutions(std::vector<OpCase>& cases) {
  using L = IntList;
  add_convolution(cases, {4, 5, 2}, {{3}, {2}, {2}, {3}}, {2, 4}, {});
  add_convolution(cases, {4, 3, 1}, {{3}, {3}, {1}, {2}}, {4, 3}, {{"padding", L{1, 1, 1, 1}}}, 3);
  add_convolution(cases, {5, 4, 2}, {{1}, {1}, {2}, {3}}, {3, 2}, {{"stride", L{2, 2}}}, 1);             // phases that no tap falls on
  add_convolution(cases, {7, 6, 1}, {{3}, {3}, {1}, {2}}, {3, 3}, {{"stride", L{2, 2}}, {"padding", L{0, 0, 0, 1}}});
  add_convolution(cases, {6, 7, 2}, {{3}, {4}, {2}, {1}}, {4, 3}, {{"stride", L{2, 3}}, {"padding", L{2, 1, 1, 3}}});
  add_convolution(cases, {7, 6, 1}, {{2}, {3}, {1}, {2}}, {5, 4}, {{"dilation", L{3, 2}}, {"padding", L{0, 1, 1, 1}}});
  add_convolution(cases, {8, 5, 1}, {{3}, {2}, {1}, {2}}, {3, 2},
                  {{"stride", L{2, 4}}, {"dilation", L{2, 2}}, {"padding", L{0, 1, 1, 2}}});  // strides and dilations share a divisor
  add_convolution(cases, {2, 1, 1}, {{3}, {3}, {1}, {2}}, {1, 1},
                  {{"stride", L{5, 3}}, {"padding", L{3, 1, 1, 1}}});                                     // strides beyond the image
  add_convolution(cases, {3, 2, 1}, {{2}, {1}, {1}, {1}}, {8, 6}, {{"padding", L{4, 2, 0, 4}}});          // windows within the padding
  add_convolution(cases, {3, 4, 6}, {{2}, {2}, {2}, {9}}, {2, 3}, {{"groups", 3}});
  add_convolution(cases, {5, 3, 4}, {{3}, {3}, {2}, {6}}, {3, 2}, {{"groups", 2}, {"stride", L{2, 2}}, {"padding", L{1, 1, 1, 1}}}, 1);
  add_convolution(cases, {4, 3, 5}, {{3}, {2}, {1}, {5}}, {4, 2}, {{"groups", 5}, {"padding", L{1, 1, 0, 0}}});        // depthwise
  add_convolution(cases, {5, 4, 3}, {{3}, {3}, {1}, {6}}, {3, 2}, {{"groups", 3}, {"stride", L{2, 2}}, {"padding", L{1, 1, 1, 1}}},
                  1);                                                                                     // multiplier 2
  add_convolution(cases, {3, 3, 2}, {{2}, {2}, {1}, {10}}, {2, 2}, {{"groups", 2}});                      // multiplier beyond the groups
}

void add_convolution_layers(std::vector<OpCase>& cases) {
  using L = IntList;
  const TensorType image = f32({N, {7}, {6}, {2}}), weight = f32({{3}, {2}, {2}, {3}}), line = f32({N, {9}, {4}});
  cases.push_back({"conv2d", {image, weight, f32({{3}})}, {}, 2});
  cases.push_back({"conv2d", {image, weight, {}}, {{"stride", L{2}}}, 1});
  cases.push_back({"conv2d", {image, weight, f32({{3}})}, {{"stride", L{3, 2}}, {"padding", "valid"}}, 1});
  cases.push_back({"conv2d", {image, weight, {}}, {{"stride", L{2}}, {"padding", 1}, {"dilation", L{2, 1}}}, 1});
  cases.push_back({"conv2d", {image, weight, f32({{3}})}, {{"padding", L{2, 0}}, {"dilation", L{1, 3}}}, 1});
  cases.push_back({"conv2d", {image, f32({{3}, {3}, {1}, {4}}), f32({{4}})}, {{"padding", L{0, 2, 1, 3}}, {"groups", 2}}, 1});
  cases.push_back({"conv2d", {image, f32({{1}, {1}, {2}, {3}}), f32({{3}})}, {}, 2});
  cases.push_back({"conv1d", {line, f32({{3}, {4}, {5}}), f32({{5}})}, {}, 2});
  cases.push_back({"conv1d", {line, f32({{4}, {2}, {6}}), {}}, {{"stride", L{2}}, {"groups", 2}, {"padding", 2}}, 1});
  cases.push_back({"conv1d", {line, f32({{2}, {4}, {1}}), f32({{1}})}, {{"dilation", L{3}}, {"padding", L{3, 0}}}, 2});
  const TensorType small = f32({N, {3}, {2}, {3}});
  cases.push_back({"conv2d_transpose", {small, f32({{3}, {2}, {2}, {3}}), f32({{2}})}, {}, 2});
  cases.push_back({"conv2d_transpose", {small, f32({{4}, {3}, {1}, {3}}), {}}, {{"stride", L{2, 3}}}, 1});
  cases.push_back(
      {"conv2d_transpose", {small, f32({{1}, {2}, {2}, {3}}), f32({{2}})}, {{"stride", L{2}}}, 1});  // windows smaller than the stride
  cases.push_back({"conv2d_transpose",
                   {small, f32({{3}, {3}, {1}, {3}}), f32({{3}})},
                   {{"stride", L{2}}, {"padding", 1}, {"output_padding", L{1, 0}}, {"groups", 3}},
                   1});
  cases.push_back({"conv2d_transpose", {small, f32({{2}, {2}, {2}, {3}}), {}}, {{"padding", "valid"}, {"dilation", L{2, 1}}}, 1});
}

void add_normalization(std::vector<OpCase>& cases) {
  struct Form {
    TensorType x, channels;
    int axis;
  };
  const Form forms[] = {{f32({N, {5}}), f32({{5}}), -1},
                        {f32({N, {4}, {3}}), f32({{4}}), 1},
                        {f32({{2}, N, {2}, {3}}), f32({{2}}), 0},
                        {f32({{17}, {1}}), f32({{1}}), -1}};
  for (const auto& [x, c, axis] : forms) {
    AttributeMap at = {{"axis", axis}}, with_epsilon = {{"axis", axis}, {"epsilon", 0.01}};
    cases.push_back({"moments", {x}, at});
    cases.push_back({"normalize", {x, c, c}, with_epsilon});
    cases.push_back({"scale_shift", {x, c, c}, at});
    cases.push_back({"moments_gradient", {x, c, c, c}, at});
    cases.push_back({"moments_gradient", {x, c, {}, c}, at});
    cases.push_back({"moments_gradient", {x, c, c, {}}, at});
    cases.push_back({"batch_norm_gradient_sums", {x, x, c, c}, with_epsilon});
    cases.push_back({"batch_norm_input_gradient", {x, x, c, c, c, c, c}, with_epsilon});
    for (const char* mode : {"train", "infer", "auto"}) {
      cases.push_back({"batch_norm", {x, c, c, c, c, {}}, {{"axis", axis}, {"mode", mode}}});
      cases.push_back(
          {"batch_norm", {x, c, c, c, c, f32({})}, {{"axis", axis}, {"mode", mode}, {"epsilon", 0.1}, {"stats", "cumulative"}}, 7});
    }
  }
}

void add_example_normalization(std::vector<OpCase>& cases) {
  using L = IntList;
  const TensorType rows = f32({N, {19}}), image = f32({N, {3}, {5}, {6}}), c = f32({{6}});
  cases.push_back({"layer_norm", {rows, f32({{19}}), f32({{19}})}});
  cases.push_back({"layer_norm", {rows, {}, f32({{19}})}, {{"epsilon", 0.1}}, 1});
  cases.push_back({"layer_norm", {image, f32({{3}, {5}, {6}}), f32({{3}, {5}, {6}})}, {{"axes", L{1, -2, 3}}}, 2});
  cases.push_back({"layer_norm", {image, f32({{3}, {6}}), {}}, {{"axes", L{-1, 1}}}, 2});
  cases.push_back({"layer_norm", {f32({{7}, N, {2}}), f32({{7}}), f32({{7}})}, {{"axes", L{0}}}});
  cases.push_back({"rms_norm", {rows, f32({{19}})}});
  cases.push_back({"rms_norm", {rows, {}}, {{"epsilon", 0.1}}, 1});
  cases.push_back({"rms_norm", {image, f32({{5}, {6}})}, {{"axes", L{2, 3}}}, 2});
  for (const int64_t groups : {1, 2, 3, 6}) cases.push_back({"group_norm", {image, c, c}, {{"groups", groups}}, 2});
  cases.push_back({"group_norm", {f32({N, {34}}), {}, f32({{34}})}, {{"groups", 2}}});
  cases.push_back({"group_norm", {f32({{2, true}, {5}, {9}}), f32({{9}}), {}}, {{"groups", 3}, {"epsilon", 0.01}}, 2});
  cases.push_back({"instance_norm", {image, c, c}, {}, 2});
  cases.push_back({"instance_norm", {f32({N, {7}, {17}}), {}, {}}, {{"epsilon", 0.1}}});
  for (const L& axes : {L{}, L{0}, L{0, 2}, L{1, 3}, L{-1}}) cases.push_back({"standardize", {image}, {{"axes", axes}}, 3});
  cases.push_back({"standardize", {f32({{7}, {17}})}});
  for (const L& axes : {L{}, L{0}, L{0, 2}, L{1, 3}, L{-1}}) cases.push_back({"min_max_normalize", {image}, {{"axes", axes}}, 3});
  cases.push_back({"min_max_normalize", {f32({{7}, {17}})}});
  cases.push_back({"min_max_normalize", {f32({})}, {{"allow_single", true}}});
  for (const TensorType& statistic : {f32({}), c, f32({{5}, {6}}), f32({{3}, {5}, {6}})})
    cases.push_back({"preprocess", {image, statistic, statistic}});
  cases.push_back({"preprocess", {f32({N}), f32({}), f32({})}, {{"method", "min_max"}}});
  cases.push_back({"standardize", {f32({})}, {{"epsilon", 0.5}, {"allow_single", true}}});
}

void add_reductions(std::vector<OpCase>& cases) {
  for (const char* op : {"reduce_sum", "reduce_mean", "reduce_max"})
    for (bool keep : {false, true}) {
      cases.push_back({op, {f32({N, {5}})}, {{"axes", IntList{1}}, {"keep_dims", keep}}});
      cases.push_back({op, {f32({N, {3}, {2}})}, {{"axes", IntList{-1, 0}}, {"keep_dims", keep}}});
      cases.push_back({op, {f32({N, {5}, {1}})}, {{"keep_dims", keep}}, 1});
      cases.push_back({op, {f32({})}, {{"keep_dims", keep}}});
    }
  cases.push_back({"reduce_max_gradient", {f32({N, {1}}), f32({N, {5}}), f32({N, {1}})}});
  for (int axis : {0, 1, 2, -1})
    for (bool keep : {false, true}) cases.push_back({"argmax", {f32({N, {3}, {5}})}, {{"axis", axis}, {"keep_dims", keep}}});
  cases.push_back({"argmax", {f32({{2}, N, {3}, {2}})}, {{"axis", 1}}});
  cases.push_back({"argmax", {f32({N, {1}, {5}})}, {{"axis", 1}}});
  cases.push_back({"argmax", {f32({N})}});
  cases.push_back({"argmax", {f32({{1}})}, {{"keep_dims", true}}});
  cases.push_back({"element_count", {f32({N, {5}, {3}})}, {{"axes", IntList{0, 2}}}});
  cases.push_back({"element_count", {i32({{2, true}, {5}})}});
  for (const char* op : {"softmax", "log_softmax"}) {
    cases.push_back({op, {f32({N, {5}})}});
    cases.push_back({op, {f32({N, {5}, {2}})}, {{"axis", 1}}});
    cases.push_back({op, {f32({N, {3}})}, {{"axis", 0}}});
    cases.push_back({op, {f32({{1}})}});
  }
}

void add_shapes(std::vector<OpCase>& cases) {
  cases.push_back({"reshape", {f32({N, {6}, {5}})}, {{"shape", Shape{{2, true}, {3}, {5}}}}});
  cases.push_back({"reshape", {f32({N, {3}, {4}})}, {{"shape", Shape{N, {2}, {1}, {6}}}}});
  cases.push_back({"reshape", {f32({N, {3}, {4}})}, {{"shape", Shape{{12, true}}}}});
  cases.push_back({"reshape", {f32({{12, true}})}, {{"shape", Shape{{3}, N, {4}}}}});
  cases.push_back({"reshape", {f32({{1}, {1}})}, {{"shape", Shape{}}}});
  cases.push_back({"reshape", {i32({{4}, {3}})}, {{"shape", Shape{{1}, {12}}}}});
  cases.push_back({"flatten", {f32({N, {3}, {4}})}});
  cases.push_back({"flatten", {f32({N})}});
  cases.push_back({"broadcast_to", {f32({{5}, {1}})}, {{"shape", Shape{N, {5}, {3}}}}});
  cases.push_back({"broadcast_to", {f32({})}, {{"shape", Shape{N, {17}}}}});
  cases.push_back({"broadcast_to", {f32({N, {1}})}, {{"shape", Shape{N, {1}}}}});
  cases.push_back({"transpose", {f32({N, {5}})}});
  cases.push_back({"transpose", {f32({N, {5}, {2}})}, {{"permutation", IntList{2, 0, 1}}}});
  cases.push_back({"transpose", {i32({N, {5}, {2}})}, {{"permutation", IntList{0, 2, 1}}}});
  cases.push_back({"slice", {f32({N, {7}})}, {{"axis", 1}, {"begin", 2}, {"end", 6}}});
  cases.push_back({"slice", {f32({N, {7}, {2}})}, {{"axis", -2}, {"begin", 1}, {"end", 7}, {"step", 4}}});
  cases.push_back({"slice", {i32({{17}, N})}, {{"axis", 0}, {"begin", 16}, {"end", 17}, {"step", 3}}});
  cases.push_back({"slice_gradient", {f32({N, {3}})}, {{"axis", 1}, {"begin", 0}, {"extent", 8}}});
  cases.push_back({"slice_gradient", {f32({N, {3}, {2}})}, {{"axis", -2}, {"begin", 1}, {"step", 2}, {"extent", 6}}});
  cases.push_back({"concat", {f32({N, {5}}), f32({N, {1}}), f32({N, {3}})}});
  cases.push_back({"concat", {f32({N, {5}, {2}}), f32({N, {4}, {2}})}, {{"axis", 1}}});
  cases.push_back({"concat", {i32({{5}})}});
  cases.push_back({"one_hot", {i32({N})}, {{"classes", 5}}});
  cases.push_back({"one_hot", {i32({N, {2}})}, {{"classes", 3}}});
}

// Max and average pooling of `x` [.., C] to windows `y`, forward and backward.
void add_windows(std::vector<OpCase>& cases, IntList x, IntList y, const AttributeMap& attributes, int64_t channels) {
  Shape image = {N}, pooled = {N};
  for (int64_t extent : x) image.push_back({extent});
  for (int64_t extent : y) pooled.push_back({extent});
  image.push_back({channels});
  pooled.push_back({channels});
  AttributeMap sized = attributes;
  sized["size"] = x;
  cases.push_back({"max_pool", {f32(image)}, attributes, 2});
  cases.push_back({"max_pool_index", {f32(image)}, attributes, 2});
  cases.push_back({"max_pool_gradient", {f32(pooled), i32(pooled)}, sized, 2});
  for (bool include : {true, false}) {
    AttributeMap counted = attributes, sized_counted = sized;
    counted["count_include_pad"] = sized_counted["count_include_pad"] = include;
    cases.push_back({"average_pool", {f32(image)}, counted, 2});
    cases.push_back({"average_pool_gradient", {f32(pooled)}, sized_counted, 2});
  }
}

void add_pooling(std::vector<OpCase>& cases) {
  using L = IntList;
  add_windows(cases, {4, 6}, {2, 3}, {{"kernel", L{2}}}, 5);
  add_windows(cases, {5, 7}, {2, 3}, {{"kernel", L{2}}}, 3);  // a rest that no window covers
  add_windows(cases, {5, 7}, {3, 4}, {{"kernel", L{2}}, {"ceil_mode", true}}, 2);
  add_windows(cases, {5, 6}, {3, 3}, {{"kernel", L{3}}, {"stride", L{2}}, {"padding", L{1}}}, 4);                       // overlapping
  add_windows(cases, {5, 6}, {3, 2}, {{"kernel", L{3, 2}}, {"stride", L{2, 3}}, {"padding", L{1, 1, 0, 0}}, {"ceil_mode", true}}, 1);
  add_windows(cases, {6, 5}, {6, 2}, {{"kernel", L{3, 2}}, {"stride", L{1, 3}}, {"padding", L{0, 2, 1, 0}}}, 3);  // gaps between windows
  add_windows(cases, {5, 4}, {2, 2}, {{"kernel", L{2}}, {"stride", L{3}}, {"padding", L{1, 0, 1, 0}}, {"ceil_mode", true}},
              2);  // a last window that would begin behind x
  add_windows(cases, {5, 3}, {5, 3}, {{"kernel", L{3}}, {"stride", L{1}}, {"padding", L{1}}, {"ceil_mode", true}},
              2);  // no rest to take in
  add_windows(cases, {7, 4}, {4, 2}, {{"kernel", L{3}}, {"stride", L{2}}, {"padding", "same"}}, 2);
  add_windows(cases, {7, 4}, {4, 2}, {{"kernel", L{4, 3}}, {"stride", L{2, 2}}, {"padding", "same"}, {"ceil_mode", true}}, 3);
  add_windows(cases, {7}, {4}, {{"kernel", L{3}}, {"stride", L{2}}, {"padding", L{1, 1}}}, 17);
  for (const char* op : {"global_average_pool", "global_max_pool"}) {
    cases.push_back({op, {f32({N, {4}, {3}, {5}})}});
    cases.push_back({op, {f32({N, {7}, {17}})}, {{"keep_dims", true}}, 1});
  }
}

void add_resizing(std::vector<OpCase>& cases) {
  cases.push_back({"pad", {f32({N, {4}, {3}, {5}})}, {{"low", IntList{0, 1, 0, 0}}, {"high", IntList{0, 0, 2, 0}}}});
  cases.push_back({"pad", {f32({N, {3}, {5}})}, {{"low", IntList{0, 0, 2}}, {"high", IntList{0, 0, 15}}, {"value", -1.5}}});
  cases.push_back({"pad", {f32({N, {7}})}, {{"low", IntList{0, 0}}, {"high", IntList{0, 0}}}});
  struct Mode {
    const char* name;
    bool align_corners;
  };
  for (const Mode& mode : {Mode{"nearest", false}, Mode{"bilinear", false}, Mode{"bilinear", true}}) {
    const AttributeMap attributes = {{"mode", mode.name}, {"align_corners", mode.align_corners}};
    auto with = [&](AttributeMap more) {
      more.insert(attributes.begin(), attributes.end());
      return more;
    };
    cases.push_back({"resize", {f32({N, {4}, {3}, {5}})}, with({{"size", IntList{9, 2}}})});
    cases.push_back({"resize", {f32({N, {2}, {5}, {3}})}, with({{"scale", NumberList{2}}}), 2});
    cases.push_back({"resize", {f32({N, {7}, {2}})}, with({{"scale", NumberList{0.45}}})});
    for (const auto& [in, out] : {std::pair{4, 9}, std::pair{9, 4}, std::pair{1, 5}, std::pair{5, 1}, std::pair{3, 3}, std::pair{17, 50}}) {
      cases.push_back({"interpolate", {f32({N, {in}, {3}})}, with({{"axis", 1}, {"size", out}})});
      cases.push_back({"interpolate_gradient", {f32({N, {in}, {3}})}, with({{"axis", 1}, {"size", out}}), 2});
    }
    cases.push_back({"interpolate", {f32({N, {5}})}, with({{"axis", -1}, {"size", 13}})});
    cases.push_back({"interpolate_gradient", {f32({N, {19}})}, with({{"axis", -1}, {"size", 13}})});
  }
}

void add_random(std::vector<OpCase>& cases) {
  cases.push_back({"dropout", {f32({N, {5}}), {}}});
  cases.push_back({"dropout", {f32({N, {17}}), i32({})}, {{"rate", 0.25}, {"stream", 3}, {"seed", int64_t{1} << 40}}});
  cases.push_back({"dropout", {f32({N, {3}, {4}}), i32({})}, {{"rate", 0.0}}});
}

// A loss of these operands, for both reductions, without and with weights.
void add_loss(std::vector<OpCase>& cases, const char* op, const TensorType& prediction, const TensorType& target, AttributeMap attributes,
              int64_t batch = 3) {
  const TensorType weights = find_op(op)->weights_type(prediction);
  for (const char* reduction : {"mean", "sum"}) {
    attributes["reduction"] = reduction;
    cases.push_back({op, {prediction, target}, attributes, batch});
    cases.push_back({op, {prediction, target, weights}, attributes, batch});
  }
}

void add_losses(std::vector<OpCase>& cases) {
  using L = IntList;
  const TensorType rows = f32({N, {5}}), pairs = f32({N, {2}, {3}}), image = f32({N, {3}, {2}, {4}}), single = f32({N, {1}});
  add_loss(cases, "softmax_cross_entropy", rows, i32({N}), {});
  add_loss(cases, "softmax_cross_entropy", pairs, i32({N, {2}}), {}, 1);
  add_loss(cases, "softmax_cross_entropy", f32({N, {7}}), i32({N}), {{"smoothing", 0.1}});
  add_loss(cases, "softmax_cross_entropy", f32({N, {3}}), i32({N}), {{"smoothing", 1.0}});
  add_loss(cases, "softmax_cross_entropy", image, i32({N, {3}, {2}}), {{"ignore", L{1}}});
  add_loss(cases, "softmax_cross_entropy", f32({N, {2}}), i32({N}), {{"ignore", L{0, -7, 1}}}, 17);   // 2, which is no class, is left
  add_loss(cases, "softmax_cross_entropy", f32({N, {3}}), i32({N}), {{"class_weights", NumberList{0.5, 0, 3}}}, 17);
  add_loss(cases, "softmax_cross_entropy", pairs, i32({N, {2}}),
           {{"class_weights", NumberList{2, 1, 0.25}}, {"ignore", L{2, 255}}, {"smoothing", 0.2}}, 9);
  add_loss(cases, "softmax_cross_entropy", single, i32({N}), {{"class_weights", NumberList{2}}, {"ignore", L{1}}}, 5);
  add_loss(cases, "multi_class_hinge", rows, i32({N}), {});
  add_loss(cases, "multi_class_hinge", image, i32({N, {3}, {2}}), {{"ignore", L{0}}, {"margin", 2.5}}, 2);
  add_loss(cases, "multi_class_hinge", single, i32({N}), {{"margin", 0.25}}, 1);
  for (const char* op : {"softmax_cross_entropy_with_probabilities", "kl_divergence"}) {
    add_loss(cases, op, rows, rows, {}, 17);
    add_loss(cases, op, image, image, {}, 1);
    add_loss(cases, op, single, single, {});
  }
  for (const char* op :
       {"mean_squared_error", "mean_absolute_error", "huber", "binary_cross_entropy_with_logits", "hinge"}) {
    add_loss(cases, op, rows, rows, {});
    add_loss(cases, op, f32({N}), f32({N}), {}, 1);
    add_loss(cases, op, image, image, {}, 5);
    add_loss(cases, op, f32({}), f32({}), {});
  }
  add_loss(cases, "huber", rows, rows, {{"delta", 0.75}}, 17);
  add_loss(cases, "hinge", rows, rows, {{"margin", 2.5}}, 17);
  add_loss(cases, "binary_cross_entropy_with_logits", rows, rows, {{"positive_weight", 3.0}}, 17);
  add_loss(cases, "binary_cross_entropy_with_logits", pairs, pairs, {{"positive_weight", NumberList{0, 1, 2.5}}});
}

bool needs_positive(const OpCase& test, size_t operand) {
  const OpDefinition& op = *find_op(test.op);
  const std::string& name = op.operands[std::min(operand, op.operands.size() - 1)].name;
  return name == "variance" || name == "weights" ||
         test.op == "log" || test.op == "sqrt" || test.op == "rsqrt" || (test.op == "div" && operand == 1);
}

}  // namespace

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = [] {
    std::vector<OpCase> all;
    add_maps(all);
    add_linear(all);
    add_convolutions(all);
    add_convolution_layers(all);
    add_normalization(all);
    add_example_normalization(all);
    add_reductions(all);
    add_pooling(all);
    add_shapes(all);
    add_resizing(all);
    add_random(all);
    add_losses(all);
    return all;
  }();
  return cases;
}

OpGraph make_graph(const OpCase& test) {
  OpGraph result;
  result.graph.name = "case";
  GraphBuilder builder(result.graph);
  std::vector<Value> operands;
  for (size_t k = 0; k < test.operands.size(); ++k)
    operands.push_back(test.operands[k] ? builder.input("x" + std::to_string(k), *test.operands[k]) : Value{});
  result.node = builder.create(test.op, operands, test.attributes);
  for (size_t k = 0; k < result.node->results.size(); ++k)
    result.graph.outputs.push_back({Output::Role::output, "y" + std::to_string(k), result.node->result(static_cast<int>(k))});
  return result;
}

Bindings make_bindings(const OpCase& test, uint64_t seed) {
  Bindings bindings;
  for (size_t k = 0; k < test.operands.size(); ++k) {
    if (!test.operands[k]) continue;
    const std::string name = "x" + std::to_string(k);
    RandomStream random(seed, name);
    Tensor tensor = Tensor::filled(test.operands[k]->dtype, concrete(test.operands[k]->shape, test.batch), 0);
    for (double& element : tensor.data) {
      if (tensor.dtype == DType::i32) element = static_cast<double>(random.below(3));
      else element = static_cast<float>(needs_positive(test, k) ? 0.25 + 2 * random.uniform() : 2 * random.normal());
    }
    bindings[name] = tensor;
  }
  return bindings;
}

}  // namespace bnc::test
