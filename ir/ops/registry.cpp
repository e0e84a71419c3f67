// Every op, in the order of the documentation. One line an op.
#include <vector>

#include "ir/op.h"

namespace bnc {

OpDefinition input_op();
OpDefinition parameter_op();
OpDefinition state_op();
OpDefinition constant_op();

const std::vector<OpDefinition>& all_ops() {
  static const std::vector<OpDefinition> ops = {input_op(), parameter_op(), state_op(), constant_op()};
  return ops;
}

}  // namespace bnc
