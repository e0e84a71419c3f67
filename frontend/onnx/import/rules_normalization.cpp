// Normalization by statistics: stored ones, of the batch, and of each example.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "frontend/onnx/import/node_import.h"

namespace bnc::onnx {

namespace {

// The operands of a batch norm behind the first, each with one number a channel.
constexpr size_t gamma_operand = 1, beta_operand = 2, mean_operand = 3, variance_operand = 4;
constexpr ParameterKind kinds[] = {{},
                                   {.stem = "gamma", .initializer = "ones"},
                                   {.stem = "beta", .initializer = "zeros"},
                                   {.stem = "mean", .initializer = "zeros", .state = true},
                                   {.stem = "variance", .initializer = "ones", .state = true}};

void check_channels(const NodeImport& cx, size_t operand, const Dim& channels) {
  if (cx.shape(operand) != Shape{channels})
    cx.fail(fmt::format("its operand {} is {} where the image has {} channels", operand, show(cx.shape(operand)), to_string(channels)));
}

// A batch norm over a flattened image has a number for each of its elements, which lie by pixels here.
Value channel_parameter(const NodeImport& cx, size_t operand, const Imported& x) {
  Imported& given = cx.operand(operand);
  if (!x.flat || !x.forms.empty()) return cx.importer.parameter(given, {0}, kinds[operand]);
  std::vector<int64_t> apart = concrete(x.image, 1);
  IntList order = identity_order(static_cast<int64_t>(apart.size()));
  std::rotate(order.begin(), order.begin() + 1, order.end());
  Known known = reshaped(permuted(reshaped(*given.known, apart), order), given.known->dims);
  known.name = fmt::format("{}\nby pixels of {}", cx.importer.identity(given.known), show(x.image));
  const ImportedPointer moved = cx.importer.imported(std::move(known));
  return cx.importer.parameter(*moved, {0}, kinds[operand]);
}

bool all_known(const NodeImport& cx) {
  return cx.known(gamma_operand) && cx.known(beta_operand) && cx.known(mean_operand) && cx.known(variance_operand);
}

void note_statistics(const NodeImport& cx, double decay) {
  const std::string where = cx.node.describe();
  if (cx.known(mean_operand) && cx.known(variance_operand) && cx.known(mean_operand)->is_all(0) && cx.known(variance_operand)->is_all(1))
    cx.importer.note("stored means are all 0 and variances all 1: batch norms of a network that was never trained, or trained without its"
                     " statistics");
  if (decay < 0.5)
    cx.importer.note(fmt::format("a momentum of {} keeps little of the old statistics: ONNX's momentum is the share that is kept, PyTorch's"
                                 " the share that is new; whoever wrote the file may have taken one for the other", decay));
}

AttributeMap batch_norm_attributes(const NodeImport& cx) {
  const double decay = cx.number("momentum", 0.9);
  note_statistics(cx, decay);
  AttributeMap attributes{{"epsilon", cx.number("epsilon", 1e-5)}};
  if (decay == 1) cx.importer.note("a momentum of 1 means that training does not move the stored statistics; they move by 0.9 here");
  else if (decay != 0.9) attributes["stats"] = Symbol{"ema", {{"decay", decay}}};
  return attributes;
}

// With the statistics of the batch, handing out the stored ones as training moves them.
void import_training_batch_norm(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const IntList order = channels_last_order(x.rank());
  const Value image = cx.importer.in_order(x, order);
  Node* moments = cx.build.create("moments", {image}, {});
  const Value normalized = cx.build.value("normalize", {image, moments->result(0), moments->result(1)},
                                          {{"epsilon", cx.number("epsilon", 1e-5)}});
  const Value gamma = cx.importer.parameter(cx.operand(gamma_operand), {0}, kinds[gamma_operand]),
              beta = cx.importer.parameter(cx.operand(beta_operand), {0}, kinds[beta_operand]);
  cx.give(cx.build.value("scale_shift", {normalized, gamma, beta}, {}), order);
  const double decay = cx.number("momentum", 0.9);
  for (const size_t k : {size_t{0}, size_t{1}}) {
    const Value stored = cx.importer.canonical(cx.operand(mean_operand + k));
    cx.give(cx.build.add(cx.build.scale(stored, decay), cx.build.scale(moments->result(static_cast<int>(k)), 1 - decay)), {0}, k + 1);
  }
}

void import_batch_norm(NodeImport& cx) {
  Imported& x = cx.operand(0);
  if (x.rank() < 2) cx.fail(fmt::format("it normalizes {}", show(x.shape)));
  if (cx.integer("spatial", 1) == 0 && x.rank() > 2) cx.fail("it has statistics for each pixel (`spatial=0`)");
  for (const size_t operand : {gamma_operand, beta_operand, mean_operand, variance_operand}) check_channels(cx, operand, x.shape[1]);
  if (cx.wants(1) || cx.wants(2)) return import_training_batch_norm(cx);
  if (cx.integer("training_mode", 0) != 0 || (cx.opset < 7 && cx.integer("is_test", 0) == 0 && cx.node.find<int64_t>("is_test")))
    cx.importer.note("the model was exported in training mode; its batch norms normalize with the stored statistics when frozen, with the"
                     " batch's in `bnc train`");
  AttributeMap attributes = batch_norm_attributes(cx);
  const auto normalized = [&](Value value) {
    std::vector<Value> operands = {value};
    for (const size_t operand : {gamma_operand, beta_operand, mean_operand, variance_operand})
      operands.push_back(channel_parameter(cx, operand, x));
    operands.push_back({});
    return cx.build.value("batch_norm", operands, attributes);
  };
  const bool flat = x.flat && x.forms.empty();
  if (flat && all_known(cx)) return cx.elementwise(normalized);
  if (flat) cx.importer.canonical(x);
  // An image of one pixel is a row.
  if (x.rank() > 2 && std::all_of(x.shape.begin() + 2, x.shape.end(), [](const Dim& dim) { return dim.is_one(); })) {
    const IntList order = place_of(0, x.order) < place_of(1, x.order) ? x.order : identity_order(x.rank());
    const Value row = normalized(cx.importer.reshape(cx.importer.in_order(x, order), {x.shape[0], x.shape[1]}));
    return cx.give(cx.importer.reshape(row, x.shape));
  }
  const int64_t axis = place_of(1, x.order);
  if (axis != x.rank() - 1) attributes["axis"] = axis;
  cx.give(normalized(cx.importer.in_order(x, x.order)), x.order);
}

// --- statistics of each example ---------------------------------------------

Value channel_operand(const NodeImport& cx, size_t operand) {
  return cx.has(operand) ? cx.importer.parameter(cx.operand(operand), identity_order(cx.rank(operand)), kinds[operand]) : Value{};
}

void import_instance_norm(NodeImport& cx) {
  Imported& x = cx.operand(0);
  if (x.rank() < 3) cx.fail(fmt::format("it normalizes {}", show(x.shape)));
  const Value image = cx.importer.channels_last(x);
  cx.give(
      cx.build.value("instance_norm", {image, channel_operand(cx, 1), channel_operand(cx, 2)}, {{"epsilon", cx.number("epsilon", 1e-5)}}),
      channels_last_order(x.rank()));
}

// Scale and shift of each group (opset 18), as of each channel (since opset 21).
Value of_each_channel(const NodeImport& cx, size_t operand, int64_t groups, int64_t channels) {
  if (!cx.has(operand) || cx.shape(operand) == Shape{{channels, false}}) return channel_operand(cx, operand);
  const Value apart = cx.importer.reshape(cx.importer.canonical(cx.operand(operand)), {{groups, false}, {}});
  return cx.importer.reshape(cx.build.value("broadcast_to", {apart}, {{"shape", Shape{{groups, false}, {channels / groups, false}}}}),
                             {{channels, false}});
}

void import_group_norm(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const int64_t groups = cx.count("num_groups", 0);
  if (x.rank() < 2 || cx.fixed(0, 1, "the number of channels") % groups != 0)
    cx.fail("its groups do not divide the channels");
  const int64_t channels = x.shape[1].factor;
  const Value image = cx.importer.channels_last(x);
  const Value gamma = of_each_channel(cx, 1, groups, channels), beta = of_each_channel(cx, 2, groups, channels);
  cx.give(cx.build.value("group_norm", {image, gamma, beta}, {{"groups", groups}, {"epsilon", cx.number("epsilon", 1e-5)}}),
          channels_last_order(x.rank()));
}

void import_layer_norm(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const int64_t first = axis_of(cx.node, cx.integer("axis", -1), x.rank());
  const Value value = cx.importer.canonical(x);
  const double epsilon = cx.number("epsilon", 1e-5);
  IntList axes;
  for (int64_t axis = first; axis < x.rank(); ++axis) axes.push_back(axis);
  AttributeMap attributes{{"epsilon", epsilon}};
  if (axes.size() > 1) attributes["axes"] = axes;
  cx.give(cx.build.value("layer_norm", {value, channel_operand(cx, 1), channel_operand(cx, 2)}, attributes));
  if (!cx.wants(1) && !cx.wants(2)) return;
  const AttributeMap over{{"axes", axes}, {"keep_dims", true}};
  const Value average = cx.build.value("reduce_mean", {value}, over), away = cx.build.sub(value, average);
  const Value spread = cx.build.value("reduce_mean", {cx.build.mul(away, away)}, over);
  cx.give(average, 1);
  cx.give(cx.build.value("rsqrt", {cx.build.add(spread, cx.build.constant(epsilon))}), 2);
}

// x * scale / root of the mean square (Zhang and Sennrich, "Root mean square layer normalization", 2019).
void import_rms_norm(NodeImport& cx) {
  Imported& x = cx.operand(0);
  IntList axes;
  for (int64_t axis = axis_of(cx.node, cx.integer("axis", -1), x.rank()); axis < x.rank(); ++axis) axes.push_back(axis);
  AttributeMap attributes{{"epsilon", cx.number("epsilon", 1e-5)}};
  if (axes.size() > 1) attributes["axes"] = axes;
  const Value value = cx.importer.canonical(x);
  Shape normalized(x.shape.end() - static_cast<int64_t>(axes.size()), x.shape.end());
  if (cx.has(1) && cx.shape(1) == normalized) return cx.give(cx.build.value("rms_norm", {value, channel_operand(cx, 1)}, attributes));
  const Value plain = cx.build.value("rms_norm", {value, {}}, attributes);
  cx.give(cx.has(1) ? cx.build.mul(plain, cx.importer.aligned(cx.operand(1), identity_order(x.rank()))) : plain);
}

// (x - mean)/deviation over some axes.
void import_mean_variance_norm(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const auto* given = cx.node.find<std::vector<int64_t>>("axes");
  IntList axes;
  for (const int64_t axis : axes_of(cx.node, given ? *given : IntList{0, 2, 3}, x.rank())) axes.push_back(place_of(axis, x.order));
  const Value value = cx.importer.in_order(x, x.order);
  const AttributeMap over{{"axes", axes}, {"keep_dims", true}};
  const Value away = cx.build.sub(value, cx.build.value("reduce_mean", {value}, over));
  const Value spread = cx.build.value("reduce_mean", {cx.build.mul(away, away)}, over);
  cx.give(cx.build.div(away, cx.build.add(cx.build.value("sqrt", {spread}), cx.build.constant(1e-9))), x.order);
}

// Divides by the norm along an axis.
void import_lp_norm(NodeImport& cx) {
  Imported& x = cx.operand(0);
  const int64_t axis = place_of(axis_of(cx.node, cx.integer("axis", -1), x.rank()), x.order), p = cx.integer("p", 2);
  if (p != 1 && p != 2) cx.fail(fmt::format("its norm is of order {}", p));
  const Value value = cx.importer.in_order(x, x.order);
  const Value size = p == 1 ? cx.build.value("abs", {value}) : cx.build.mul(value, value);
  const Value sum = cx.build.value("reduce_sum", {size}, {{"axes", IntList{axis}}, {"keep_dims", true}});
  // Zeros stay zeros.
  const Value norm = cx.build.value("maximum", {p == 1 ? sum : cx.build.value("sqrt", {sum}), cx.build.constant(1e-30)});
  cx.give(cx.build.div(value, norm), x.order);
}

}  // namespace

const std::vector<OpRule>& normalization_rules() {
  static const std::vector<OpRule> rules = {{"BatchNormalization", import_batch_norm},
                                            {"GroupNormalization", import_group_norm},
                                            {"InstanceNormalization", import_instance_norm},
                                            {"LayerNormalization", import_layer_norm},
                                            {"LpNormalization", import_lp_norm},
                                            {"MeanVarianceNormalization", import_mean_variance_norm},
                                            {"RMSNormalization", import_rms_norm}};
  return rules;
}

}  // namespace bnc::onnx
