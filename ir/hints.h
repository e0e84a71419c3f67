// What people who come from PyTorch, Keras or Python write, and what stands in its place here: one table, behind the help lines of
// errors and docs/coming-from-pytorch.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bnc {

struct Hint {
  // Where it is written.
  enum class Place {
    layer,               // what is called in a network
    argument,            // `name=` in such a call
    value,               // a name that stands for a value
    type,                // of an input
    parameter_type,      // of a parameter of a block
    word,                // the first word of a statement or declaration
    sign,                // an operator, or another character
    loss,                // of a train section, as the next ones
    setting,
    optimizer,
    optimizer_argument,
    schedule,
    command,             // `bnc WORD`
    option,              // `--WORD` of a command
  };
  Place place;
  std::vector<std::string> written;
  std::string instead;                 // what to write; empty where nothing is
  std::string why = {};                // a sentence without its point; may be empty where `instead` says it all
  std::vector<std::string> ops = {};   // arguments: of these ops or optimizers, of all where there are none
};

const std::vector<Hint>& all_hints();

// The hint for a word there, or null. Modules in front of it (`nn.`), case, `_` and `-` do not count; `op` is what an argument is of.
const Hint* find_hint(Hint::Place place, std::string_view written, std::string_view op = "");
// Its help line, "write `rate=0.5`: ..."; empty where there is no hint.
std::string hint(Hint::Place place, std::string_view written, std::string_view op = "");
// The help line, or `otherwise` where there is no hint.
std::string hint_or(Hint::Place place, std::string_view written, const std::string& otherwise, std::string_view op = "");

// `torch.ReLU` -> `relu`: without modules, case, `_` and `-`.
std::string without_spelling(std::string_view word);
// The op of that name but for modules, case, `_` and `-`; empty where none takes a tensor.
std::string op_like(std::string_view word);

// The tables of docs/coming-from-pytorch.md.
std::string hints_reference();

}  // namespace bnc
