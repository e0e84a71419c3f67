// Every op, in the order of the documentation. One line an op.
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "ir/op.h"

#define BNC_OPS(OP)                    \
  OP(input)                            \
  OP(parameter)                        \
  OP(state)                            \
  OP(constant)                         \
  OP(matmul)                           \
  OP(dense)                            \
  OP(conv2d)                           \
  OP(conv1d)                           \
  OP(conv2d_transpose)                 \
  OP(convolution)                      \
  OP(convolution_input_gradient)       \
  OP(convolution_weight_gradient)      \
  OP(bias)                             \
  OP(border_bias)                      \
  OP(max_pool)                         \
  OP(average_pool)                     \
  OP(global_average_pool)              \
  OP(global_max_pool)                  \
  OP(batch_norm)                       \
  OP(layer_norm)                       \
  OP(rms_norm)                         \
  OP(group_norm)                       \
  OP(instance_norm)                    \
  OP(standardize)                      \
  OP(min_max_normalize)                \
  OP(preprocess)                       \
  OP(moments)                          \
  OP(normalize)                        \
  OP(scale_shift)                      \
  OP(relu)                             \
  OP(leaky_relu)                       \
  OP(elu)                              \
  OP(sigmoid)                          \
  OP(tanh)                             \
  OP(softplus)                         \
  OP(gelu)                             \
  OP(hard_sigmoid)                     \
  OP(hard_swish)                       \
  OP(prelu)                            \
  OP(clip)                             \
  OP(softmax)                          \
  OP(log_softmax)                      \
  OP(add)                              \
  OP(sub)                              \
  OP(mul)                              \
  OP(div)                              \
  OP(maximum)                          \
  OP(neg)                              \
  OP(abs)                              \
  OP(exp)                              \
  OP(log)                              \
  OP(erf)                              \
  OP(sqrt)                             \
  OP(rsqrt)                            \
  OP(one_minus_power)                  \
  OP(trust_ratio)                      \
  OP(learning_rate)                    \
  OP(reduce_sum)                       \
  OP(reduce_mean)                      \
  OP(reduce_max)                       \
  OP(argmax)                           \
  OP(element_count)                    \
  OP(reshape)                          \
  OP(flatten)                          \
  OP(broadcast_to)                     \
  OP(transpose)                        \
  OP(slice)                            \
  OP(concat)                           \
  OP(pad)                              \
  OP(resize)                           \
  OP(interpolate)                      \
  OP(one_hot)                          \
  OP(dropout)                          \
  OP(softmax_cross_entropy)            \
  OP(softmax_cross_entropy_with_probabilities) \
  OP(kl_divergence)                    \
  OP(multi_class_hinge)                \
  OP(mean_squared_error)               \
  OP(mean_absolute_error)              \
  OP(huber)                            \
  OP(binary_cross_entropy_with_logits) \
  OP(hinge)                            \
  OP(moments_gradient)                 \
  OP(batch_norm_gradient_sums)         \
  OP(batch_norm_input_gradient)        \
  OP(relu_gradient)                    \
  OP(abs_gradient)                     \
  OP(leaky_relu_gradient)              \
  OP(elu_gradient)                     \
  OP(gelu_gradient)                    \
  OP(hard_sigmoid_gradient)            \
  OP(hard_swish_gradient)              \
  OP(prelu_gradient)                   \
  OP(clip_gradient)                    \
  OP(reduce_max_gradient)              \
  OP(slice_gradient)                   \
  OP(max_pool_index)                   \
  OP(max_pool_gradient)                \
  OP(average_pool_gradient)            \
  OP(interpolate_gradient)

namespace bnc {

#define BNC_DECLARE(name) OpDefinition name##_op();
BNC_OPS(BNC_DECLARE)
#undef BNC_DECLARE

namespace {

// What holds for every op: results of a size that can be stored, and elements with as many lanes as their index.
OpDefinition completed(OpDefinition op) {
  if (op.infer)
    op.infer = [infer = std::move(op.infer)](const InferContext& cx) {
      std::vector<TensorType> types = infer(cx);
      for (const TensorType& type : types)
        if (!element_count(type.shape))
          cx.fail(fmt::format("the result would be {}: more than 2^62 elements, or the batch size twice", cx.show(type)));
      return types;
    };
  if (auto* lowering = std::get_if<ElementLowering>(&op.lowering))
    lowering->element = [element = std::move(lowering->element)](ElementContext& cx, const Index& index) {
      loops::Expr result = element(cx, index);
      int lanes = 1;
      for (const loops::Expr& i : index) lanes = std::max(lanes, i->type.lanes);
      return result->type.lanes < lanes ? loops::broadcast(result, lanes) : result;
    };
  return op;
}

}  // namespace

const std::vector<OpDefinition>& all_ops() {
  static const std::vector<OpDefinition> ops = {
#define BNC_DEFINE(name) completed(name##_op()),
      BNC_OPS(BNC_DEFINE)
#undef BNC_DEFINE
  };
  return ops;
}

}  // namespace bnc
