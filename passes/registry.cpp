#include "passes/passes.h"

#include <map>

namespace bnc {

// One entry a pass: name, summary, what it does and when it declines, function.
const std::vector<PassInfo>& all_passes() {
  static const std::vector<PassInfo> passes = {
      {"canonicalize", "brings a graph into its simplest form",
       "Rewrites layers (dense, flatten) into plain ops, removes identities (x+0, x*1, a reshape to the same shape, double negation and "
       "transposition), joins reshapes and transposes, makes one product of several by the same matrix, orders constants to the right of "
       "commutative ops, and counts axes one way. Never x*0: NaN and infinity must go through; the sign of a zero does not count.",
       canonicalize},
      {"constant-fold", "computes what is known when compiling",
       "Evaluates expressions of constants, and element counts once the batch size is known. Given weights, and in a graph that does not "
       "train, each outermost expression of parameters and states becomes a new parameter NAME.folded: evaluated in float64, rounded to "
       "f32 once. Constants of more than 65536 elements stay expressions.",
       constant_fold},
      {"common-subexpressions", "computes equal expressions once",
       "Merges nodes of equal op, operands and attributes. Leaves what prepare-training has not told apart yet: dropouts without a step, "
       "and batch norms of mode auto.",
       common_subexpressions},
      {"dead-code", "removes what no output needs",
       "Inputs stay, being the network's signature; so do parameters and states that a gradient or update names.", dead_code},
      {"prepare-training", "appends the loss and the updates of running statistics",
       "Appends the train section's loss of the first output with its target as input, turns batch norms of mode auto to train and gives "
       "each the update of its running statistics (bn-running, bn-variance), gives each dropout a step, a stream and the seed. Batch norms "
       "with ghost batches become instance norms of those (bn-ghost); then N stands for so many examples as all of their sizes divide. An "
       "error where a statistic would be of one element (bn-one).",
       prepare_training},
      {"drop-dead-bias", "takes away biases that a training batch norm subtracts again",
       "A bias, or an addition of one constant a channel, in front of a batch norm in mode train changes only the batch's mean: it goes, "
       "also through reshape and transpose, and whoever reads that mean (the running statistics) has it added back. Likewise in front of "
       "the instance norm that ghost batches become. It stays in the file, untrained. Declines where the batch norm is in mode infer, "
       "where something else reads the biased value or it is an output, and where the bias runs along another axis than the channels.",
       drop_dead_bias},
      {"build-backward", "appends the gradients of the loss",
       "Reverse-mode differentiation by each op's rule, from the last node to the first. Every trainable parameter and floating-point "
       "input gets a gradient; zeros where the loss does not depend on it.",
       build_backward},
      {"attach-optimizer", "turns gradients into updates of the parameters",
       "sgd, rmsprop, adam, adamw, amsgrad and lamb in PyTorch's form; what they carry from step to step are states "
       "optimizer.PARAMETER.KIND, and training.step counts the steps where bias corrections or a schedule of the learning rate need it. "
       "Weight decay leaves out parameters of at most one dimension unless decay_all is given; clip_value and clip_norm come before all "
       "else. An error where a schedule needs the length of the training and nobody knows it. Skips parameters whose gradient is the "
       "constant 0. The gradients are no outputs afterwards, unless they were asked for.",
       attach_optimizer},
      {"freeze", "leaves inference only",
       "Drops the loss, gradients, updates and dropouts; `preprocess` becomes a scale and a shift of channels, where it is one; batch "
       "norms read their stored statistics (bn-infer), or the batch's own where that was asked for. An error where the batch leaves "
       "another normalization one element a statistic (bn-one).",
       freeze},
      {"fold-batch-norm", "folds batch norms into the layers around them",
       "In mode infer y = x*s + t with s = gamma*rsqrt(variance + epsilon), t = beta - mean*s. Folds it into what computes x (convolutions "
       "of every kind, matmul, dense, bias, mul, scale_shift, batch_norm), through reshape, transpose, slice, concat, add, sub, pad, "
       "resize, pooling and averages, if nobody else reads what lies between; else into everything that reads y (convolution, matmul, "
       "dense, and per-channel arithmetic), through the same views. A shift in front of zero padding becomes a border_bias "
       "(bn-fold-border). Repeats until nothing folds. Shared weights are scaled for each use anew. Declines at nonlinearities, at values "
       "with other users or outputs, at a scale along another axis, where a weight is computed from the input, and at maxima unless "
       "weights show that all scales are positive. Given weights, refuses a stored variance with variance + epsilon <= 0. Needs "
       "canonicalize.",
       fold_batch_norm},
      {"decompose", "splits what has no lowering of its own into parts that have",
       "Rewrites each op by its definition until none is left to rewrite. A reduction over axes that do not lie together, at the end or in "
       "front of the last one, becomes several; the moments of channels that are not the last axis become those of the lines behind them, "
       "and of the lines' means.",
       decompose},
      {"fuse", "groups nodes into kernels",
       "A kernel is what runs between two barriers: its tasks own columns, rows or tiles and hand nothing to one another. A list scheduler "
       "opens a kernel with the first node that is ready and takes in what continues it. A parameter's new value waits for the last reader "
       "of the old one, so that it can be written in its place.",
       fuse},
      {"lower-to-loops", "makes a loop nest of each kernel",
       "Products become register tiles, with their operands packed where the order in memory would cost more than the copy; what follows "
       "them element by element is computed before the tile is stored. Needs `fuse`.",
       lower_to_loops},
      {"plan-memory", "places buffers in the arena",
       "Largest first, at the lowest place free for as long as the buffer lives. Sizes that are multiples of the batch size have an area "
       "of their own, so that offsets hold for every batch size.",
       plan_memory},
  };
  return passes;
}

const PassInfo* find_pass(const std::string& name) {
  for (const PassInfo& pass : all_passes())
    if (pass.name == name) return &pass;
  return nullptr;
}

const std::vector<std::string>& pipeline(const std::string& name) {
  static const std::map<std::string, std::vector<std::string>> pipelines = {
      {"training",
       {"canonicalize", "prepare-training", "drop-dead-bias", "build-backward", "attach-optimizer", "canonicalize", "constant-fold",
        "common-subexpressions", "dead-code", "decompose", "canonicalize", "constant-fold", "common-subexpressions", "dead-code", "fuse"}},
      {"inference",
       {"canonicalize", "freeze", "fold-batch-norm", "canonicalize", "constant-fold", "common-subexpressions", "dead-code", "decompose",
        "constant-fold", "common-subexpressions", "dead-code", "fuse"}},
      {"lowering", {"lower-to-loops", "plan-memory"}},
  };
  const auto found = pipelines.find(name);
  BNC_CHECK(found != pipelines.end(), "no pipeline " + name);
  return found->second;
}

}  // namespace bnc
