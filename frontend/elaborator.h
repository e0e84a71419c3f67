// Syntax tree -> graph. Blocks are expanded where they are used, `repeat` is unrolled, compile-time values are computed;
// what is left are nodes. An error ends its statement: the names it should have given become unknown, and what depends
// on them is left out in silence, so that one run reports every mistake once.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "frontend/ast.h"
#include "frontend/frontend.h"
#include "frontend/report.h"
#include "frontend/term.h"
#include "ir/builder.h"
#include "ir/metric.h"

namespace bnc {

using Strings = std::vector<std::string>;

class Elaborator {
 public:
  Elaborator(const ast::Module& module, Reporter& reporter, BlockPaths* blocks = nullptr);

  // The graph of one network; meaningful only if nothing was reported.
  Graph network(const ast::Function& network);
  // `network` is the one that it names; null where there is none, or something was reported of it.
  TrainSection train(const ast::Train& train, const Graph* network);

 private:
  // The network's body, or one use of a block.
  struct Scope {
    const ast::Function* function = nullptr;
    std::string prefix;                      // of parameter names: `stage2.block1.`
    std::map<std::string, Term> variables;
    std::map<std::string, int> counts;       // of unnamed layers and blocks, by stem
    std::map<std::string, SourceRange> instances;
    Scope* caller = nullptr;
    SourceRange use;                         // the call of the block
    bool failed = false;                     // an error was reported here or in a block used here
    std::optional<Term::List> returned;
    Strings stems = {};                      // what the caller calls the values returned
  };
  struct Abandon {};  // thrown where a value is unknown because of an error already reported
  struct Stop {};     // thrown when it makes no sense to go on

  // Networks and types (elaborate_module.cpp).
  void inputs(const ast::Function& network);
  void finish_outputs(const ast::Function& network);
  TensorType tensor_type(const ast::Type& type);
  DType element_type(const ast::Type& type);
  Dim dimension(const ast::Expression& expression);
  void check_size(const Shape& shape, const SourceRange& range);
  enum class Edge { input, output };
  Value change_layout(Value value, const ast::Layout& layout, Edge edge);

  // The train section (elaborate_train.cpp).
  void settings(const ast::Train& train, TrainSection& section);
  void train_setting(const ast::Argument& setting, std::map<std::string, const ast::Argument*>& given, TrainSection& section);
  void check_watch(const TrainSection& section, const ast::Argument& setting);
  std::vector<Symbol> augment(const ast::Expression& value);   // elaborate_augment.cpp
  Symbol augment_step(const ast::Expression& value);

  // Loss and metrics (elaborate_objective.cpp).
  Formula loss(const ast::Expression& value);
  std::vector<Metric> metrics(const ast::Expression& value);
  Metric metric(const ast::Expression& value);
  Formula metric_of_classes_or_numbers(const MetricDefinition& metric, const ast::Expression& value);
  Formula formula(const ast::Expression& value, const char* what);
  Formula formula_of(const Value& value) const;
  Formula called_by_name(const Formula& output) const;   // of the first output, where its name goes unsaid
  Value leaf(const Value& value, Formula name, const SourceRange& range);
  std::optional<Term> look_up_in_network(const std::string& name, const SourceRange& range);
  bool is_target(const ast::Expression& expression);
  void make_target(const ast::Expression& expression, const TensorType& type);
  [[noreturn]] void refuse_target(const std::string& name, const SourceRange& range) const;
  Value first_output_of_network(const SourceRange& range);
  void refuse_prediction(const ast::Expression& expression);

  // Statements (elaborate_statements.cpp).
  void execute(const std::vector<ast::Statement>& statements);
  void execute(const ast::Statement& statement);
  void assign(const ast::Statement& statement);
  void bind(const ast::Name& name, Term term);
  void declare(const ast::Statement& statement);
  void objective(const ast::Statement& statement);
  void derivative(const ast::Statement& statement);
  void repeat(const ast::Statement& statement);
  void bind_loop_variables(const ast::Statement& statement, const Term& item);
  void conditional(const ast::Statement& statement);
  void result(const ast::Statement& statement);
  void return_output(const ast::Argument& argument, size_t index);
  void forget(const ast::Statement& statement);
  void spend(const SourceRange& range, int64_t elements = 0);
  void report(const CompileError& error);

  // Expressions (elaborate_expressions.cpp). `stems` name the results of the outermost call.
  Term evaluate(const ast::Expression& expression, const Strings& stems = {});
  Term compute_value(const ast::Expression& expression, const Strings& stems);
  Term evaluate_list(const ast::Expression& expression);
  Term evaluate_unary(const ast::Expression& expression, const Strings& stems);
  Term evaluate_binary(const ast::Expression& expression, const Strings& stems);
  Term evaluate_index(const ast::Expression& expression);
  Term evaluate_conditional(const ast::Expression& expression, const Strings& stems);
  Term evaluate_call(const ast::Expression& call, const Strings& stems);
  Term call_function(const ast::Expression& call);
  Term evaluate_name(const ast::Expression& expression);
  std::optional<Term> look_up(const std::string& name, const SourceRange& range);
  [[noreturn]] void unknown_name(const ast::Expression& expression);
  bool condition(const ast::Expression& expression, const std::string& of);
  Value tensor(const Term& term, const SourceRange& range, const std::string& what);
  // A bare name, or a call of one, as a symbol where `choices` allow it; else whatever the expression evaluates to.
  Term evaluate_symbol(const ast::Expression& expression, const Strings& choices);
  Symbol symbol(const ast::Expression& expression);
  // The value as that attribute; an error where its kind or name does not fit.
  Attribute attribute(const OpDefinition& op, const AttributeSpec& spec, const Term& term, const SourceRange& range) const;
  Value apply(const std::string& op, std::vector<Value> operands, const SourceRange& range, const Strings& stems);

  // Calls (elaborate_callables.cpp, elaborate_calls.cpp, elaborate_blocks.cpp).
  Term::List call(const ast::Expression& call, const Strings& stems);
  Term::List call_op(const OpDefinition& op, const ast::Expression& call, const Strings& stems);
  Term::List call_block(const ast::Function& block, const ast::Expression& call, const Strings& stems);
  const ast::Argument* bind_arguments(const ast::Function& block, const ast::Expression& call, Scope& inside,
                                      std::map<std::string, SourceRange>& places);
  void note_block(const std::string& prefix, size_t before);
  void check_parameter(const ast::Function& block, const ast::Name& parameter, const Term& term, const SourceRange& range);
  void match_type(const ast::Name& parameter, const Value& value, const SourceRange& range);
  std::string instance(const std::string& stem, const ast::Argument* name, const SourceRange& place);
  const ast::Function* find_block(const std::string& name) const;
  Strings callable_names() const;
  std::string callable_help(const std::string& callee) const;
  friend class OpCall;

  const ast::Module& module_;
  Reporter& reporter_;
  Graph graph_;
  GraphBuilder builder_;
  Scope* scope_ = nullptr;
  const Graph* trained_ = nullptr;           // in a train section: the network that it is of
  std::string target_name_ = default_target; // what a loss without a target takes
  bool targets_known_ = false;               // all that the loss takes
  std::set<const Node*> balanced_;           // losses whose class weights follow from data
  std::map<std::pair<const Node*, int>, Formula> leaves_;   // what a formula calls values that it does not compute
  std::map<std::string, Value> parameters_;  // parameters and states by full name
  std::set<std::string> symbols_;            // names that stand for themselves where no variable has them
  std::vector<SourceRange> repeats_;         // the loops being unrolled
  int depth_ = 0, statements_ = 0, errors_ = 0;
  int64_t elements_ = 0;  // of all lists computed so far
  BlockPaths* blocks_ = nullptr;
  friend class DepthGuard;
};

// Bounds the recursion through expressions, statements and blocks together.
class DepthGuard {
 public:
  DepthGuard(Elaborator& elaborator, const SourceRange& range);
  ~DepthGuard() { --elaborator_.depth_; }

 private:
  Elaborator& elaborator_;
};

}  // namespace bnc
