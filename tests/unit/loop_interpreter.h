// A plain interpreter of loop programs: what generated code is compared with.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ir/loops.h"

namespace bnc::loops::testing {

// One lane: `real` of floating-point types, `integer` of all others.
struct Lane {
  double real = 0;
  int64_t integer = 0;
};
using Lanes = std::vector<Lane>;
inline constexpr Lane unwritten{NAN, INT32_MIN};

class Interpreter {
 public:
  Interpreter(const Program& program, int64_t n) : program_(program), variables_{{batch_variable, {{0, n}}}}, n_(n) {
    // What nobody has written is no number.
    for (const Buffer& b : program.buffers) memory.emplace_back(b.elements.at(n), b.kind == BufferKind::argument ? Lane{} : unwritten);
    for (size_t i = 0; i < program.buffers.size(); ++i) {
      std::span<const float> numbers = program.buffers[i].data.view();
      for (size_t j = 0; j < numbers.size(); ++j) memory[i][j] = {numbers[j], static_cast<int64_t>(numbers[j])};
    }
  }

  void run();
  Lanes evaluate(const Expr& x);
  void set(const std::string& name, Lanes value) { variables_[name] = std::move(value); }

  std::vector<std::vector<Lane>> memory;  // by buffer number

 private:
  void forget_scratch();
  void execute(const Stmt& s);
  void execute_all(const std::vector<Stmt>& body);
  Lane unary(const ExprNode& x, Lane a) const;
  Lane binary(const ExprNode& x, Type type, Lane a, Lane b) const;
  Lane& element(int buffer, int64_t index);

  const Program& program_;
  std::map<std::string, Lanes> variables_;
  std::map<std::string, std::vector<Lanes>> registers_;
  int64_t n_;
};

}  // namespace bnc::loops::testing
