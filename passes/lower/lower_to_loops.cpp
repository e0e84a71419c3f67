// lower-to-loops: one loop nest a kernel.
//
// Each kernel of the fused graph becomes stages (passes/lower/stages.cpp), its work is split into tasks as its plan says
// (passes/schedule/kernel_plan.h), and each stage's loops run over the part a task owns.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ir/integers.h"
#include "passes/lower/elements.h"
#include "passes/lower/tall_reduction.h"
#include "passes/lower/tasks.h"
#include "passes/passes.h"

namespace bnc {
namespace lower {
namespace {

class Driver {
 public:
  Driver(const Graph& graph, PassContext& context) : uses_(graph), lowering_(graph, context) {}

  loops::Program run() {
    make_argument_buffers();
    collect_kernels();
    place_results();
    for (const Copy& copy : first_copies_) emit_copy(copy);
    for (size_t k = 0; k < kernels_.size(); ++k) emit(kernels_[k]);
    for (const Copy& copy : last_copies_) emit_copy(copy);
    for (loops::Kernel& kernel : lowering_.program.kernels) find_accesses(kernel);
    forget_unread_constants();
    loops::verify(lowering_.program);
    return std::move(lowering_.program);
  }

 private:
  void make_argument_buffers() {
    for (const char* kind : {"input", "parameter", "state"}) {
      for (Node* node : lowering_.graph.nodes_of(kind)) add_source(*node);
    }
  }

  void add_source(Node& node) {
    const Result& result = node.results[0];
    const Weight* weight = lowering_.context.embed_weights && !node.is("input") ? lowering_.context.weights->find(result.name) : nullptr;
    const int id = lowering_.add_buffer(result.name, result.type.dtype, result.type.shape,
                                        weight ? loops::BufferKind::constant : loops::BufferKind::argument);
    if (weight) lowering_.program.buffers[id].data = {weight->data, weight->owner};
    lowering_.buffers[node.result()] = id;
    sources_[result.name] = node.result();
  }

  void collect_kernels() {
    std::vector<std::vector<Node*>> members;
    std::map<int, size_t> index;
    for (const auto& node : lowering_.graph.nodes()) {
      if (node->op->lowering_as<SourceLowering>()) continue;
      BNC_CHECK(node->kernel >= 0, "fuse has not run on " + node->results[0].name);
      auto [it, added] = index.emplace(node->kernel, members.size());
      if (added) members.emplace_back();
      members[it->second].push_back(node.get());
    }
    for (const auto& nodes : members) {
      auto rides = [this](const Node* node) { return lowering_.inlined.count(node) && (is_scalar_element(*node) || is_prologue(node)); };
      FusedKernel kernel{KernelPlan(lowering_.accesses, lowering_.context.batch, lowering_.target.float_lanes(), rides),
                         make_stages(lowering_, nodes, uses_)};
      for (Node* node : nodes) {
        if (!rides(node)) kernel.plan.add(node);
      }
      kernels_.push_back(std::move(kernel));
    }
    for (size_t k = 0; k < kernels_.size(); ++k) {
      for (size_t s = 0; s < kernels_[k].stages.size(); ++s) {
        for (const Node* root : kernels_[k].stages[s].roots) places_[root] = {k, s};
      }
    }
  }

  // Whether an inlined node is computed while a product's operand is copied.
  bool is_prologue(const Node* node) const {
    const auto& readers = uses_.of(Value{const_cast<Node*>(node), 0});
    return std::any_of(readers.begin(), readers.end(), [&](const Node* reader) {
      return reader->op->lowering_as<ContractLowering>() || (lowering_.inlined.count(reader) && is_prologue(reader));
    });
  }

  // Gives every stored value its buffer: an output's, the parameter's that it updates, or one in the arena.
  void place_results() {
    for (const Output& output : lowering_.graph.outputs) {
      const TensorType& type = output.value.type();
      int buffer = 0;
      bool direct = true;
      if (output.role == Output::Role::update) {
        const Value old = sources_.at(output.name);
        updates_.insert(output.value);
        buffer = lowering_.buffer_of(old);
        direct = may_overwrite(old, output.value);
      } else {
        const char* prefix = output.role == Output::Role::output ? "output/" : output.role == Output::Role::gradient ? "grad/" : "";
        buffer = lowering_.add_buffer(prefix + (output.role == Output::Role::loss ? "loss" : output.name), type.dtype, type.shape,
                                      loops::BufferKind::argument);
      }
      if (!places_.count(output.value.node)) copy_source(output, buffer);
      else if (!direct) last_copies_.push_back({output.value, {}, buffer});
      else if (lowering_.buffers.emplace(output.value, buffer).second == false) lowering_.also_stored_to[output.value].push_back(buffer);
    }
    for (const FusedKernel& kernel : kernels_) {
      for (const Stage& stage : kernel.stages) {
        for (Node* root : stage.roots) {
          for (size_t i = 0; i < root->results.size(); ++i) place_in_arena(root->result(static_cast<int>(i)));
        }
      }
    }
  }

  // What is handed out as it stands is copied before the step changes it; what becomes the new value of another parameter or state
  // is kept until nobody reads that one's old value any more.
  void copy_source(const Output& output, int buffer) {
    const Value source = output.value;
    if (output.role != Output::Role::update) {
      first_copies_.push_back({source, {}, buffer});
    } else if (!lowering_.graph.output(Output::Role::update, source.name())) {
      last_copies_.push_back({source, {}, buffer});
    } else {
      const int kept = lowering_.add_buffer(lowering_.fresh(source.name() + "_kept"), source.type().dtype, source.type().shape,
                                            loops::BufferKind::arena);
      first_copies_.push_back({source, {}, kept});
      last_copies_.push_back({source, kept, buffer});
    }
  }

  // A value that only its own stage reads stays in registers.
  void place_in_arena(Value value) {
    if (lowering_.buffers.count(value) || (!uses_.is_output(value) && stays_in_stage(value))) return;
    const int id = lowering_.add_buffer(value.name(), value.type().dtype, value.type().shape, loops::BufferKind::arena);
    lowering_.program.buffers[id].range = value.node->range;
    lowering_.buffers[value] = id;
  }

  // Whether writing `updated` over `old` as soon as it is computed disturbs no reader of the old value. In the kernel that
  // does it other tasks may be ahead or behind: there, only what a task owns may have been read, by an earlier stage, or the
  // very element by its own stage.
  bool may_overwrite(Value old, Value updated) {
    auto place = places_.find(updated.node);
    if (place == places_.end()) return false;
    for (const Node* reader : uses_.of(old)) {
      std::set<const Node*> roots;
      collect_roots(reader, roots);
      for (const Node* root : roots) {
        const auto& [kernel, stage] = places_.at(root);
        if (kernel > place->second.first) return false;
        if (kernel < place->second.first) continue;
        if (stage > place->second.second ||
            (stage == place->second.second && !runs_until(kernels_[kernel].stages[stage], root, updated.node)))
          return false;
        if (!reads_within(root, old, stage == place->second.second ? nullptr : &kernels_[kernel].plan)) return false;
      }
    }
    return true;
  }

  // Whether a stage computes an element of `root` no later than that of `last`.
  static bool runs_until(const Stage& stage, const Node* root, const Node* last) {
    const auto position = [&](const Node* node) { return std::find(stage.roots.begin(), stage.roots.end(), node); };
    return position(root) <= position(last);
  }

  bool stays_in_stage(Value value) const {
    std::set<const Node*> roots;
    for (const Node* reader : uses_.of(value)) collect_roots(reader, roots);
    return !roots.empty() &&
           std::all_of(roots.begin(), roots.end(), [&](const Node* root) { return places_.at(root) == places_.at(value.node); });
  }

  // The stored nodes into which `node` is inlined; itself when it is stored.
  void collect_roots(const Node* node, std::set<const Node*>& roots) const {
    if (!lowering_.inlined.count(node)) {
      roots.insert(node);
      return;
    }
    for (const Node* reader : uses_.of(Value{const_cast<Node*>(node), 0})) collect_roots(reader, roots);
  }

  // Whether `node`, with what is inlined into it, reads of `value` only what its task owns; without a plan, only the very
  // element being computed.
  bool reads_within(const Node* node, Value value, const KernelPlan* plan) {
    for (size_t k = 0; k < node->operands.size(); ++k) {
      const Value operand = node->operands[k];
      if (!operand || (operand != value && !lowering_.inlined.count(operand.node))) continue;
      const Access& access = lowering_.accesses.of(*node, static_cast<int>(k));
      const bool fits = plan ? plan->stays_in_task(access) : access.pointwise && operand.type().shape == iteration_shape(*node);
      if (operand == value && !fits) return false;
      if (operand != value && !(fits && reads_within(operand.node, value, plan))) {
        if (reads_at_all(operand.node, value)) return false;
      }
    }
    return true;
  }

  bool reads_at_all(const Node* node, Value value) const {
    return std::any_of(node->operands.begin(), node->operands.end(), [&](Value operand) {
      return operand && (operand == value || (lowering_.inlined.count(operand.node) && reads_at_all(operand.node, value)));
    });
  }

  void emit(FusedKernel& fused) {
    Tasks tasks = choose_tasks(lowering_, fused);
    if (sum_slices(fused, tasks)) tasks = choose_tasks(lowering_, fused);
    loops::Kernel kernel;
    kernel.name = lowering_.fresh(fused.stages.front().roots.front()->results[0].name + "_kernel");
    kernel.task_variable = lowering_.fresh("task");
    kernel.tasks = tasks.count(lowering_);
    const auto count = loops::as_integer(kernel.tasks);
    const Expr task = count ? loops::bounded_variable(kernel.task_variable, 0, *count - 1) : loops::variable(kernel.task_variable);
    const Expr row_task = tasks.row_task(lowering_, task), column_task = tasks.column_task(lowering_, task);
    std::map<const Stage*, TallReduction> shared = shared_reductions(fused, tasks.block);
    const std::set<const Stage*> riders = find_riders(fused, tasks, shared);
    choose_streamed(fused, riders, shared);
    if (tasks.hand_on()) kernel.first_task_variable = lowering_.fresh("first_task");
    kernel.body = loops::block(split_rows(lowering_, tasks, row_task, [&](Region region) {
      if (tasks.hand_on()) region.begins_run = task == loops::variable(kernel.first_task_variable);
      std::vector<Stmt> body;
      for (const Stage& stage : fused.stages) {
        if (riders.count(&stage)) continue;
        auto part = split_columns(lowering_, tasks, stage.kind == Stage::Kind::contract, region, column_task, [&](const Region& panel) {
          if (auto it = shared.find(&stage); it != shared.end()) return it->second.partial(panel, row_task);
          return lower_stage(stage, panel, tasks,
                             &stage == &fused.stages.front() ? tile_reductions(riders, shared, row_task) : std::vector<TileReduction>{});
        });
        body.insert(body.end(), part.begin(), part.end());
      }
      return body;
    }));
    for (const Node* node : fused.plan.nodes())
      kernel.flops += lowering_.sliced.count(node) ? 0 : work_of(*node, lowering_.context.batch.value_or(1));
    lowering_.program.kernels.push_back(std::move(kernel));
    for (auto& [stage, reduction] : shared) lowering_.program.kernels.push_back(reduction.merge_kernel());
  }

  // Where the plan slices a reduction: a kernel that sums the slices. What is left of the contraction is a map of its sums.
  bool sum_slices(FusedKernel& fused, const Tasks& tasks) {
    for (Stage& stage : fused.stages) {
      auto planned = tasks.plans.find(&stage);
      if (planned == tasks.plans.end() || planned->second.slices == 1) continue;
      const ContractionPlan& plan = planned->second;
      const Node& node = *stage.roots.front();
      loops::Kernel kernel;
      kernel.name = lowering_.fresh(node.results[0].name + "_slices");
      kernel.task_variable = lowering_.fresh("task");
      const Expr regions = tasks.count(lowering_), task = loops::variable(kernel.task_variable), region = task % regions,
                 slice = task / regions;
      kernel.tasks = regions * Expr(plan.slices);
      kernel.body = loops::block(split_rows(lowering_, tasks, tasks.row_task(lowering_, region), [&](const Region& rows) {
        return split_columns(lowering_, tasks, true, rows, tasks.column_task(lowering_, region),
                             [&](const Region& panel) { return lower_slice(lowering_, stage, panel, plan, slice); });
      }));
      kernel.flops = work_of(node, lowering_.context.batch.value_or(1));
      lowering_.program.kernels.push_back(std::move(kernel));
      lowering_.sliced[&node] = {plan.slice_sums, plan.slices};
      stage.kind = Stage::Kind::map;
      return true;
    }
    return false;
  }

  // The shared reductions of what the first stage's register tile computes: they take the rows from the tile.
  std::set<const Stage*> find_riders(const FusedKernel& fused, const Tasks& tasks, std::map<const Stage*, TallReduction>& shared) {
    std::set<const Stage*> riders;
    const Stage& head = fused.stages.front();
    auto planned = tasks.plans.find(&head);
    if (planned == tasks.plans.end() || !tiles_are_final(*head.roots.front(), planned->second)) return riders;
    for (auto& [stage, reduction] : shared) {
      const bool reads_tile = std::all_of(stage->roots.begin(), stage->roots.end(), [&](const Node* root) {
        return root->operands[0].type().shape == head.space() && reads_of_kernel_are_pointwise(*root, head, true);
      });
      if (!reads_tile) continue;
      const int64_t width = planned->second.tile.vectors * lowering_.target.float_lanes();
      reduction.use_tiles(round_up(planned->second.columns_per_task, width));
      riders.insert(stage);
    }
    return riders;
  }

  // Results too large for any cache are not to displace what is read, nor to be read before they are written, where no other
  // stage of the kernel reads them from memory.
  void choose_streamed(const FusedKernel& fused, const std::set<const Stage*>& riders,
                       const std::map<const Stage*, TallReduction>& shared) {
    lowering_.streamed.clear();
    std::set<const Stage*> not_from_memory;
    for (const Stage* rider : riders) {
      if (shared.at(rider).in_registers(fused.stages.front().roots.front()->result())) not_from_memory.insert(rider);
    }
    for (const Stage& stage : fused.stages) {
      for (Node* root : stage.roots) {
        const Value value = root->result();
        if (lowering_.exceeds_caches(value.type().shape) && !updates_.count(value) && !read_by_other_stages(value, fused, not_from_memory))
          lowering_.streamed.insert(value);
      }
    }
  }

  bool read_by_other_stages(Value value, const FusedKernel& fused, const std::set<const Stage*>& not_from_memory) const {
    std::set<const Node*> roots;
    for (const Node* reader : uses_.of(value)) collect_roots(reader, roots);
    return std::any_of(roots.begin(), roots.end(), [&](const Node* root) {
      const auto& [kernel, stage] = places_.at(root);
      return &kernels_[kernel] == &fused && places_.at(root) != places_.at(value.node) && !not_from_memory.count(&fused.stages[stage]);
    });
  }

  // Whether what `node` reads of its own kernel, through what is inlined, is of the stage `head` at the element being computed.
  bool reads_of_kernel_are_pointwise(const Node& node, const Stage& head, bool reduces) {
    for (size_t k = 0; k < node.operands.size(); ++k) {
      const Value operand = node.operands[k];
      if (!operand || operand.node->kernel != node.kernel || operand.node->op->lowering_as<SourceLowering>()) continue;
      const Access& access = lowering_.accesses.of(node, static_cast<int>(k));
      if (!access.reads) continue;
      const bool pointwise = reduces || (access.pointwise && operand.type().shape == iteration_shape(node));
      if (lowering_.inlined.count(operand.node)) {
        if (!is_scalar_element(*operand.node) && !(pointwise && reads_of_kernel_are_pointwise(*operand.node, head, false))) return false;
      } else if (!pointwise || std::find(head.roots.begin(), head.roots.end(), operand.node) == head.roots.end()) {
        return false;
      }
    }
    return true;
  }

  static std::vector<TileReduction> tile_reductions(const std::set<const Stage*>& riders, std::map<const Stage*, TallReduction>& shared,
                                                    Expr block) {
    std::vector<TileReduction> all;
    for (const Stage* stage : riders) all.push_back({&shared.at(stage), block});
    return all;
  }

  std::vector<Stmt> lower_stage(const Stage& stage, const Region& region, const Tasks& tasks,
                                const std::vector<TileReduction>& reductions) {
    if (stage.kind == Stage::Kind::map) return lower_map(lowering_, stage, region);
    if (stage.kind == Stage::Kind::reduce) return lower_reduce(lowering_, stage, region);
    auto planned = tasks.plans.find(&stage);
    if (planned == tasks.plans.end()) return lower_contract(lowering_, stage, region, tasks.packings.at(&stage));
    return lower_row_contraction(lowering_, stage, region, planned->second, reductions);
  }

  // The reductions over rows that tasks share, each of which owns `block` units.
  std::map<const Stage*, TallReduction> shared_reductions(const FusedKernel& fused, int64_t block) {
    std::map<const Stage*, TallReduction> shared;
    if (!fused.plan.splits_reductions()) return shared;
    const Region region{.units = *element_count(fused.plan.units())};
    for (const Stage& stage : fused.stages) {
      if (stage.kind != Stage::Kind::reduce || !reduces_rows(*stage.roots.front())) continue;
      shared.emplace(&stage, TallReduction(lowering_, stage, block * rows_per_unit(lowering_, stage.space(), region)));
    }
    return shared;
  }

  // Of a value, or of what was kept of it in another buffer.
  struct Copy {
    Value value;
    std::optional<int> from;
    int to;
  };

  // An output that is an input or a parameter as it stands, or a new value that had to wait for the last reader of the old one.
  void emit_copy(const Copy& copy) {
    const Value value = copy.value;
    std::vector<Stmt> body;
    Shape flat{*element_count(value.type().shape)};
    const Ranges ranges = ranges_of(lowering_, flat, Region{});
    const auto scalar = value.type().dtype == DType::i32 ? loops::Scalar::i32 : loops::Scalar::f32;
    for (const ColumnRun& run : column_runs(lowering_, ranges, 1)) {
      body.push_back(over_columns(lowering_, run, [&](Expr column) {
        std::vector<Stmt> step;
        const Expr index = column_index(run, column), predicate = column_predicate(lowering_, run, column, step);
        Expr element;
        if (value.node->is("constant") && !value.node->attribute("value").get_if<NumberList>())
          element = loops::constant_of({scalar, run.lanes}, value.node->attribute("value").number());
        else element = loops::load(copy.from ? *copy.from : lowering_.buffer_of(value), scalar, index, predicate);
        step.push_back(loops::store(copy.to, index, element, predicate));
        return step;
      }));
    }
    loops::Kernel kernel;
    kernel.name = lowering_.fresh(lowering_.program.buffers[copy.to].name + "_copy");
    kernel.tasks = 1;
    kernel.task_variable = lowering_.fresh("task");
    kernel.body = loops::block(std::move(body));
    lowering_.program.kernels.push_back(std::move(kernel));
  }

  static void visit(const Expr& x, std::set<int>& reads) {
    if (!x) return;
    if (x->kind == loops::ExprKind::load) reads.insert(x->buffer);
    for (const Expr& arg : x->args) visit(arg, reads);
  }

  static void visit(const Stmt& stmt, std::set<int>& reads, std::set<int>& writes) {
    if (stmt->kind == loops::StmtKind::store) writes.insert(stmt->buffer);
    for (const Expr* x : {&stmt->begin, &stmt->end, &stmt->index, &stmt->value, &stmt->predicate}) visit(*x, reads);
    for (const Stmt& child : stmt->body) visit(child, reads, writes);
  }

  // The numbers of weights that were packed into other constants.
  void forget_unread_constants() {
    std::set<int> read;
    for (const loops::Kernel& kernel : lowering_.program.kernels) read.insert(kernel.reads.begin(), kernel.reads.end());
    for (size_t id = 0; id < lowering_.program.buffers.size(); ++id) {
      if (!read.count(static_cast<int>(id))) lowering_.program.buffers[id].data = {};
    }
  }

  void find_accesses(loops::Kernel& kernel) const {
    std::set<int> reads, writes;
    visit(kernel.body, reads, writes);
    kernel.reads.assign(reads.begin(), reads.end());
    kernel.writes.assign(writes.begin(), writes.end());
    const int64_t batch = lowering_.context.batch.value_or(1);
    for (const auto* ids : {&kernel.reads, &kernel.writes}) {
      for (int id : *ids) {
        const loops::Buffer& buffer = lowering_.program.buffers[id];
        if (buffer.kind != loops::BufferKind::scratch) kernel.bytes += 4.0 * static_cast<double>(buffer.elements.at(batch));
      }
    }
  }

  Uses uses_;
  Lowering lowering_;
  std::vector<FusedKernel> kernels_;
  std::map<const Node*, std::pair<size_t, size_t>> places_;   // kernel and stage of each stored node
  std::vector<Copy> first_copies_, last_copies_;   // before and behind all kernels
  std::unordered_map<std::string, Value> sources_;   // by name
  std::unordered_set<Value, ValueHash> updates_;     // new values of parameters and states
};

}  // namespace
}  // namespace lower

loops::Program lower_to_loops(const Graph& graph, PassContext& context) { return lower::Driver(graph, context).run(); }

}  // namespace bnc
