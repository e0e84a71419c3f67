// Recurrent layers, unrolled: the length of the sequence is known when compiling.
#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "frontend/onnx/import/node_import.h"
#include "frontend/onnx/onnx_check.h"

namespace bnc::onnx {

namespace {

constexpr int64_t most_steps = 1024;

// One direction of a layer, and how it computes.
class Recurrence {
 public:
  Recurrence(NodeImport& cx, int64_t gates) : cx_(cx), build_(cx.build), importer_(cx.importer), gates_(gates) {
    Imported &x = cx.operand(0), &recurrence = cx.operand(2);
    if (x.rank() != 3 || cx.rank(1) != 3 || recurrence.rank() != 3)
      cx.fail(fmt::format("its operands are {} and {}", show(x.shape), show(cx.shape(1))));
    batch_first_ = cx.integer("layout", 0) != 0;
    steps_ = cx.fixed(0, batch_first_ ? 1 : 0, "the length of its sequence");
    batch_ = x.shape[batch_first_ ? 0 : 1];
    directions_ = cx.fixed(1, 0, "its number of directions");
    hidden_ = cx.fixed(2, 2, "its hidden size");
    if (hidden_ >= largest_count) cx.fail(fmt::format("its hidden size is {}", hidden_));
    check_operand(3, 2), check_operand(5, 3), check_operand(6, 3), check_operand(7, 2);
    if (steps_ > most_steps)
      cx.fail(fmt::format("its sequence has {} steps", steps_), fmt::format("layers of up to {} steps are unrolled", most_steps));
    if (cx.has(4) && !cx.known(4, "the lengths of its sequences").is_all(static_cast<double>(steps_)))
      cx.fail("its sequences end at different steps");
    if (cx.number("clip", 0) != 0) cx.fail("it clips what goes into its activations");
    const std::string direction = cx.text("direction", "forward");
    if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
      cx.fail(fmt::format("its direction is {}", onnx_quoted(direction)));
    if (directions_ != (direction == "bidirectional" ? 2 : 1))
      cx.fail(fmt::format("it is {} and has weights for {} directions", direction, directions_));
    reverse_ = direction == "reverse";
  }
  virtual ~Recurrence() = default;

  // Gives Y [steps, directions, batch, hidden], and the last state of each kind [directions, batch, hidden].
  void run(size_t states) {
    std::vector<std::vector<Value>> outputs(static_cast<size_t>(steps_));   // by step, then direction
    std::vector<std::vector<Value>> last(states);
    for (direction_ = 0; direction_ < directions_; ++direction_) {
      const bool backward = reverse_ || direction_ == 1;
      read_direction();
      const Value all = products_of_inputs();
      state_ = {initial(5), states > 1 ? initial(6) : Value{}};
      for (int64_t k = 0; k < steps_; ++k) {
        const int64_t step = backward ? steps_ - 1 - k : k;
        state_ = next(importer_.reshape(slice(all, 0, step, 1), {batch_, {gates_ * hidden_, false}}));
        outputs[static_cast<size_t>(step)].push_back(state_[0]);
      }
      for (size_t k = 0; k < states; ++k) last[k].push_back(state_[k]);
    }
    if (cx_.wants(0)) give_sequence(outputs);
    for (size_t k = 0; k < states; ++k)
      if (cx_.wants(k + 1)) cx_.give(stacked(last[k]), batch_first_ ? IntList{1, 0, 2} : identity_order(3), k + 1);
  }

 protected:
  // The state behind a step whose input's products with the weights, and biases, are `x` [batch, gates*hidden].
  virtual std::vector<Value> next(Value x) = 0;
  // The activations of one direction where the node names none, in the order of ONNX's attribute.
  virtual std::vector<std::string> usual_activations() const = 0;
  // Whether the biases of the recurrent products are added apart from the others.
  virtual bool apart() const { return false; }

  Value slice(Value x, int64_t axis, int64_t begin, int64_t count) {
    if (x.type().shape[static_cast<size_t>(axis)] == Dim{count, false}) return x;
    return build_.value("slice", {x}, {{"axis", axis}, {"begin", begin}, {"end", begin + count}});
  }
  Value gate(Value x, int64_t k) { return slice(x, 1, k * hidden_, hidden_); }

  // This direction's part of an operand, transposed where it is a matrix; made once for all steps.
  Value part(size_t operand, const char* stem, int64_t begin, int64_t count) {
    Value& made = parts_[{operand, direction_, begin, count}];
    if (!made) made = make_part(operand, stem, begin, count);
    return made;
  }

  Value make_part(size_t operand, const char* stem, int64_t begin, int64_t count) {
    Imported& all = cx_.operand(operand);
    const bool matrix = all.rank() == 3;
    const int64_t rows = all.shape[1].factor, columns = matrix ? all.shape[2].factor : 1;
    if (all.shape[0] != Dim{directions_, false} || begin + count > rows)
      cx_.fail(fmt::format("its operand {} is {}", operand, show(all.shape)));
    if (!all.known) {
      const Value own = slice(slice(importer_.canonical(all), 0, direction_, 1), 1, begin, count);
      if (!matrix) return importer_.reshape(own, {{count, false}});
      return importer_.transpose(importer_.reshape(own, {{count, false}, {columns, false}}), {1, 0});
    }
    std::vector<int64_t> indices;
    for (int64_t k = 0; k < count * columns; ++k) indices.push_back((direction_ * rows + begin) * columns + k);
    Known own = gathered(*all.known, matrix ? std::vector<int64_t>{count, columns} : std::vector<int64_t>{count}, indices);
    own.name = fmt::format("{}\n{} {} {}", importer_.identity(all.known), direction_, begin, count);
    const ImportedPointer made = importer_.imported(std::move(own));
    return importer_.parameter(*made, matrix ? IntList{1, 0} : IntList{0}, {.stem = stem, .initializer = matrix ? "he" : "zeros"});
  }

  Value activation(size_t k, Value x) {
    const auto* names = cx_.node.find<std::vector<std::string>>("activations");
    const std::vector<std::string> usual = usual_activations();
    const size_t place = static_cast<size_t>(direction_) * usual.size() + k;
    const std::string name = names && place < names->size() ? (*names)[place] : usual[k];
    for (const auto& [onnx, op] : {std::pair{"Sigmoid", "sigmoid"}, {"Tanh", "tanh"}, {"Relu", "relu"}, {"Softplus", "softplus"}})
      if (name == onnx) return build_.value(op, {x});
    cx_.fail(fmt::format("its activation is {}", name), "bnc imports recurrent layers with Sigmoid, Tanh, Relu and Softplus");
  }

  // The product of the hidden state and the recurrent weight, from column `begin` on; nothing where the state is still 0.
  Value recurrent(Value hidden, int64_t begin, int64_t count) {
    return hidden ? build_.value("dense", {hidden, part(2, "recurrent", begin * hidden_, count * hidden_), {}}, {}) : Value{};
  }
  Value sum(Value a, Value b) { return a && b ? build_.add(a, b) : a ? a : b; }

  NodeImport& cx_;
  GraphBuilder& build_;
  Importer& importer_;
  int64_t gates_, steps_ = 0, directions_ = 1, hidden_ = 0, direction_ = 0;
  bool batch_first_ = false, reverse_ = false;
  Dim batch_;
  std::vector<Value> state_;
  Value input_bias_, recurrent_bias_;

 private:
  void check_operand(size_t operand, int64_t rank) const {
    if (cx_.has(operand) && cx_.rank(operand) != rank) cx_.fail(fmt::format("its operand {} is {}", operand, show(cx_.shape(operand))));
  }

  std::map<std::tuple<size_t, int64_t, int64_t, int64_t>, Value> parts_;   // by operand, direction, begin and count

  void read_direction() {
    input_bias_ = recurrent_bias_ = {};
    if (!cx_.has(3)) return;
    input_bias_ = part(3, "bias", 0, gates_ * hidden_);
    recurrent_bias_ = part(3, "recurrent_bias", gates_ * hidden_, gates_ * hidden_);
  }

  // [steps, batch, gates*hidden], biases included where these may be added together.
  Value products_of_inputs() {
    Imported& x = cx_.operand(0);
    const Value sequence = importer_.in_order(x, batch_first_ ? IntList{1, 0, 2} : identity_order(3));
    Value y = build_.value("dense", {sequence, part(1, "weight", 0, gates_ * hidden_), input_bias_}, {});
    return recurrent_bias_ && !apart() ? build_.add(y, recurrent_bias_) : y;
  }

  Value initial(size_t operand) {
    if (!cx_.has(operand)) return {};
    Imported& all = cx_.operand(operand);
    if (all.known && all.known->is_all(0)) return {};
    const Value value = importer_.in_order(all, batch_first_ ? IntList{1, 0, 2} : identity_order(3));
    return importer_.reshape(slice(value, 0, direction_, 1), {batch_, {hidden_, false}});
  }

  // [directions, batch, hidden] of [batch, hidden] each.
  Value stacked(const std::vector<Value>& each) {
    std::vector<Value> parts;
    for (const Value& value : each) parts.push_back(importer_.reshape(value, {{}, batch_, {hidden_, false}}));
    return parts.size() == 1 ? parts[0] : build_.value("concat", parts, {{"axis", 0}});
  }

  void give_sequence(const std::vector<std::vector<Value>>& outputs) {
    std::vector<Value> parts;
    for (const std::vector<Value>& step : outputs)
      parts.push_back(importer_.reshape(stacked(step), {{}, {directions_, false}, batch_, {hidden_, false}}));
    const Value all = parts.size() == 1 ? parts[0] : build_.value("concat", parts, {{"axis", 0}});
    cx_.give(all, batch_first_ ? IntList{1, 2, 0, 3} : identity_order(4));
  }
};

// Gates i, o, f, c; peepholes i, o, f.
class Lstm : public Recurrence {
 public:
  explicit Lstm(NodeImport& cx) : Recurrence(cx, 4) {
    if (cx.integer("input_forget", 0) != 0) cx.fail("its input and forget gates are coupled");
  }

 private:
  std::vector<std::string> usual_activations() const override { return {"Sigmoid", "Tanh", "Tanh"}; }

  Value seen(Value gate, int64_t peephole, Value cell) {
    if (!cx_.has(7) || !cell) return gate;
    return build_.add(gate, build_.mul(cell, part(7, "peephole", peephole * hidden_, hidden_)));
  }

  std::vector<Value> next(Value x) override {
    const Value sums = sum(x, recurrent(state_[0], 0, 4)), old = state_[1];
    const Value input = activation(0, seen(gate(sums, 0), 0, old)), forget = activation(0, seen(gate(sums, 2), 2, old));
    const Value candidate = build_.mul(input, activation(1, gate(sums, 3)));
    const Value cell = old ? build_.add(build_.mul(forget, old), candidate) : candidate;
    const Value output = activation(0, seen(gate(sums, 1), 1, cell));
    return {build_.mul(output, activation(2, cell)), cell};
  }
};

// Gates z, r, h.
class Gru : public Recurrence {
 public:
  explicit Gru(NodeImport& cx) : Recurrence(cx, 3) {}

 private:
  std::vector<std::string> usual_activations() const override { return {"Sigmoid", "Tanh"}; }
  bool apart() const override { return true; }

  Value bias(int64_t k, int64_t count) {
    return recurrent_bias_ ? slice(recurrent_bias_, 0, k * hidden_, count * hidden_) : Value{};
  }

  std::vector<Value> next(Value x) override {
    const Value old = state_[0];
    const Value sums = sum(sum(slice(x, 1, 0, 2 * hidden_), recurrent(old, 0, 2)), bias(0, 2));
    const Value update = activation(0, gate(sums, 0)), reset = activation(0, gate(sums, 1));
    Value inner;
    if (cx_.integer("linear_before_reset", 0) != 0) {
      inner = sum(recurrent(old, 2, 1), bias(2, 1));
      if (inner) inner = build_.mul(reset, inner);
    } else {
      inner = sum(recurrent(old ? build_.mul(reset, old) : old, 2, 1), bias(2, 1));
    }
    const Value candidate = activation(1, sum(gate(x, 2), inner));
    const Value fresh = build_.mul(build_.sub(build_.constant(1), update), candidate);
    return {old ? build_.add(fresh, build_.mul(update, old)) : fresh, {}};
  }
};

class Rnn : public Recurrence {
 public:
  explicit Rnn(NodeImport& cx) : Recurrence(cx, 1) {}

 private:
  std::vector<std::string> usual_activations() const override { return {"Tanh"}; }
  std::vector<Value> next(Value x) override { return {activation(0, sum(x, recurrent(state_[0], 0, 1))), {}}; }
};

void import_lstm(NodeImport& cx) { Lstm(cx).run(2); }
void import_gru(NodeImport& cx) { Gru(cx).run(1); }
void import_rnn(NodeImport& cx) { Rnn(cx).run(1); }

}  // namespace

const std::vector<OpRule>& recurrent_rules() {
  static const std::vector<OpRule> rules = {{"GRU", import_gru}, {"LSTM", import_lstm}, {"RNN", import_rnn}};
  return rules;
}

}  // namespace bnc::onnx
