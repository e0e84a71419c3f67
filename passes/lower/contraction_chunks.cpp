// What a task copies of the left operand at a time: chunks of its rows, whose windows stay near the first cache.
#include "ir/integers.h"
#include "passes/lower/contraction_space.h"
#include "passes/schedule/cost.h"

namespace bnc::lower {
namespace {

class Chunks : ContractionSpace {
 public:
  Chunks(const ContractionSpace& space, ContractionPlan& plan)
      : ContractionSpace(space), plan_(plan), large_weights_(8 * elements_of(form_.right) > static_cast<double>(lowering_.target.l2_bytes)),
        fewest_(plan.tile.rows * (plan.prefetch_right ? 4 : 1)) {}

  void choose() {
    if (!plan_.stage_left || plan_.long_reduction || plan_.blocked_reduction > 0 || form_.parts.size() > 1 || form_.groups(0) > 1 ||
        plan_.tile_lines > 1)
      return;
    if (!choose_ahead()) choose_at_a_time();
  }

 private:
  // What is staged is read once a panel: where windows of fewer rows do not overlap, chunks of them stay in the first cache, and
  // the way there overlaps with the products around it. Full tiles, and in every task the same. Small chunks are best, but for results
  // that are stored past the caches, where each chunk's first stores wait (docs/performance.md). Large weights come anew.
  void choose_at_a_time() {
    const bool streamed = lowering_.exceeds_caches(form_.result);
    auto is_enough = [&](int64_t rows) {
      return !streamed && !large_weights_ && static_cast<double>(rows) * elements_of(form_.right) / lanes_ >= cost::least_chunk_products;
    };
    const int64_t all = staged_elements(plan_), room = (large_weights_ ? 2 : 1) * lowering_.target.l1_bytes / 4;
    for_each_chunk(plan_.split_dimension, [&](const ContractionPlan& tried) {
      const int64_t rows = tried.rows_per_chunk;
      if ((tried.split_dimension == tried.chunk_dimension && tried.split_block % tried.chunk_block != 0) || rows >= plan_.rows_per_task ||
          (all <= room && !is_enough(rows)))
        return false;
      const int64_t window = staged_elements(tried);
      const bool overlaps = window * plan_.rows_per_task > all * rows;
      // The fewest rows that are enough, else as many as there is room for.
      const bool better = is_enough(plan_.rows_per_chunk) ? is_enough(rows) && rows < plan_.rows_per_chunk : rows > plan_.rows_per_chunk;
      if (window <= room && !overlaps && better) plan_ = tried;
      return false;
    });
  }

  // Chunks each copied among the products of the one before: the smallest that leave time for it. Not where weights would have to
  // come from beyond the second cache for each; and where the tile leaves no registers.
  bool choose_ahead() {
    if (lowering_.target.vector_registers < cost::least_registers_ahead || plan_.columns_per_task != columns_ ||
        extent(form_.left.back()) % lanes_ != 0 || large_weights_)
      return false;
    return for_each_chunk(0, [&](const ContractionPlan& chunk) {
      ContractionPlan tried = chunk;
      tried.stage_ahead = true;
      if (!leaves_time(tried) || !make_tasks(tried)) return false;
      plan_ = tried;
      return true;
    });
  }

  // Calls for each chunk of full tiles, from the smallest on, until one is taken.
  template <typename Take>
  bool for_each_chunk(int first_split, const Take& take) {
    for (int split = static_cast<int>(row_dims_) - 1; split >= first_split; --split) {
      const auto all = lowering_.fixed(form_.result[static_cast<size_t>(split)]);
      for (int64_t block : blocks_of(split)) {
        const int64_t rows = block * inner_rows(split);
        if (!all || *all % block != 0 || rows % plan_.tile.rows != 0 || rows < fewest_) continue;
        ContractionPlan tried = plan_;
        tried.chunk_dimension = split, tried.chunk_block = block;
        tried.rows_per_chunk = rows;
        if (take(tried)) return true;
      }
    }
    return false;
  }

  // Whether the window has no edges, all tiles are alike, and their stretches have few of the window's vectors each.
  bool leaves_time(const ContractionPlan& plan) {
    const FormPart& part = form_.parts.front();
    make_spans(plan.chunk());
    const Window window = this->window();
    if (!window.edges().empty() || rows_of(0, plan, window).back().most % plan.tile.rows != 0) return false;
    std::vector<ReductionDimension> sum;
    for (size_t j = 0; j < part.reduction.size(); ++j)
      sum.push_back({reduction_[0][j].count, reduction_[0][j].most, window.reduction_stride(part, j)});
    const int64_t stretch = stretch_of(merged_reduction(std::move(sum))),
                  tiles = plan.rows_per_chunk / plan.tile.rows * divide_up(columns_, plan.tile.vectors * lanes_);
    return stretch > 1 && window.vectors(lanes_) <= cost::most_vectors_a_stretch * tiles * lower::elements_of(reduction_[0]) / stretch;
  }

  // Lets the tasks own several chunks, as nothing hides the copy of their first one, and leaves enough tasks. Where there are plenty
  // they own more: each leaves parts of the moments, which another processor's task may have to fetch.
  bool make_tasks(ContractionPlan& plan) const {
    double rows = 1;
    for (size_t d = 0; d < row_dims_; ++d) rows *= static_cast<double>(extent(form_.result[d]));
    auto may_own = [&](int split, int64_t block, int64_t tasks) {
      const int64_t own = block * inner_rows(split);
      return own % plan.rows_per_chunk == 0 && (split != plan.chunk_dimension || block % plan.chunk_block == 0) &&
             own >= cost::least_chunks_a_task * plan.rows_per_chunk && static_cast<double>(own * tasks) <= rows;
    };
    auto take = [&](int split, int64_t block) {
      plan.split_dimension = split, plan.split_block = block, plan.rows_per_task = block * inner_rows(split);
    };
    if (may_own(plan.split_dimension, plan.split_block, 1) && plan.split_dimension <= plan.chunk_dimension) {
      const int split = plan.split_dimension;
      for (int64_t block : blocks_of(split, 2 * cost::most_task_rows)) {
        if (block > plan.split_block && may_own(split, block, cost::plenty_of_tasks)) take(split, block);
      }
      return true;
    }
    for (int split = plan.chunk_dimension; split >= 0; --split) {
      for (int64_t block : blocks_of(split)) {
        if (!may_own(split, block, cost::enough_tasks)) continue;
        take(split, block);
        return true;
      }
    }
    return false;
  }

  // Of what is copied at a time.
  int64_t staged_elements(const ContractionPlan& plan) {
    make_spans(plan.chunk());
    const Window window = this->window();
    return window.stride[0] * window.extent[0];
  }

  ContractionPlan& plan_;
  const bool large_weights_;
  const int64_t fewest_;   // rows: where weights come from memory, the next panel's come meanwhile
};

}  // namespace

void choose_chunks(const ContractionSpace& space, ContractionPlan& plan) { Chunks(space, plan).choose(); }

}  // namespace bnc::lower
