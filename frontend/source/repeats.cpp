#include "frontend/source/repeats.h"

#include <algorithm>
#include <limits>
#include <set>
#include <unordered_map>

#include "frontend/source/arguments.h"
#include "frontend/source/rewrite.h"
#include "frontend/source/windows.h"

namespace bnc::source {

namespace {

// Costs are counted in calls. A block must be worth its head and the jump of the eye; a loop reads as easily as what it stands for.
constexpr double block_head = 1.5, least_gain_of_block = 1.5, loop_head = 1, least_gain_of_loop = 0.5, argument = 0.25, tensor = 0.3;
constexpr double odd_beginning = 0.9;   // what a part that begins with an activation or a sum is worth: people cut in front of layers
constexpr double torn_beginning = 0.6;  // and one that begins behind the layer whose result it normalizes or cuts off
constexpr double odd_end = 0.7;         // and one that ends everywhere in front of what would belong to it
constexpr double computed = 0.25;       // an argument that is a multiple of another
constexpr size_t most_tensors = 6, most_arguments = 5, most_variables = 4;

struct Candidate {
  double gain = 0;
  bool is_loop = false;
  std::vector<Window> windows;
  Arguments arguments;
};

class Search {
 public:
  explicit Search(Program& program) : program_(program), sequences_(sequences_of(program)) {
    for (const Function& function : program.functions) uses_.push_back(count_uses(function));
    for (const Sequence& sequence : sequences_) places_.push_back(places_in(*sequence.pieces));
  }

  // Makes the block or loop that shortens the program most; false where there is none.
  bool step() {
    for (const std::vector<Window>& group : alike_windows(sequences_)) {
      try_block(group);
      try_loops(group);
    }
    if (best_.windows.empty()) return false;
    if (best_.is_loop) make_loop(program_, sequences_, best_.windows, best_.arguments);
    else make_block(program_, sequences_, best_.windows, best_.arguments);
    return true;
  }

 private:
  // Of a value: the piece of the sequence whose first result it is, and the first one that reads it.
  static constexpr size_t nowhere = std::numeric_limits<size_t>::max();
  struct Places {
    size_t made = nowhere, read = nowhere;
  };
  using PlacesOfValues = std::unordered_map<ValueId, Places>;
  static PlacesOfValues places_in(const std::vector<Piece>& pieces) {
    PlacesOfValues places;
    for (size_t k = 0; k < pieces.size(); ++k) {
      visit_values(pieces[k], [&](ValueId value) { places[value].read = std::min(places[value].read, k); }, [](ValueId) {});
      if (!pieces[k].results.empty()) places[pieces[k].results[0]].made = k;
    }
    return places;
  }

  Piece* begin(const Window& window) const { return sequences_[window.sequence].pieces->data() + window.begin; }
  Piece* end(const Window& window) const { return begin(window) + window.length; }
  int function(const Window& window) const { return sequences_[window.sequence].function; }
  bool gives_one(const Window& window) const { return gives_one_value(begin(window), end(window), uses_[function(window)]); }

  double cost(const Window& window) const {
    const Piece& first = *begin(window);
    const bool odd = first.kind == Piece::Kind::op && (first.op->category == OpCategory::activation || is_infix(*first.op));
    return cost_of(program_, begin(window), end(window)) * (is_torn(window) ? torn_beginning : odd ? odd_beginning : 1);
  }

  // Whether the first piece belongs to the layer before, which nothing else reads.
  bool is_torn(const Window& window) const {
    const Piece& first = *begin(window);
    if (first.kind != Piece::Kind::op || first.operands.empty() || first.operands[0].values.empty()) return false;
    const ValueId read = first.operands[0].values[0];
    if (uses_[function(window)][read] != 1) return false;
    const auto found = places_[static_cast<size_t>(window.sequence)].find(read);
    return found != places_[static_cast<size_t>(window.sequence)].end() && found->second.made < window.begin &&
           continues((*sequences_[window.sequence].pieces)[found->second.made], *first.op);
  }

  // Sums and activations belong to what is before them, and a batch norm to the layer before it.
  static bool continues(const Piece& last, const OpDefinition& next) {
    const bool is_layer = last.kind == Piece::Kind::op && last.op->category == OpCategory::linear;
    return next.category == OpCategory::activation || is_infix(next) || (is_layer && next.category == OpCategory::normalization);
  }

  // Whether what reads the window's result next would belong to it.
  bool is_cut_short(const Window& window) const {
    const auto found = places_[static_cast<size_t>(window.sequence)].find((end(window) - 1)->results[0]);
    if (found == places_[static_cast<size_t>(window.sequence)].end() || found->second.read == nowhere) return false;
    const Piece& next = (*sequences_[window.sequence].pieces)[found->second.read];
    return next.kind == Piece::Kind::op && continues(*(end(window) - 1), *next.op);
  }

  static double burden(const Arguments& arguments) {
    const auto is_multiple = [](const Arguments::Use& use) { return use.form == Setting::Form::times || use.form == Setting::Form::over; };
    return computed * static_cast<double>(std::count_if(arguments.uses.begin(), arguments.uses.end(), is_multiple));
  }

  std::optional<Arguments> arguments(const std::vector<Window>& windows, bool in_place, size_t most) const {
    std::vector<std::vector<Slot>> slots;
    for (const Window& window : windows) slots.push_back(open_slots(program_, begin(window), end(window)));
    return arguments_for(slots, in_place, most);
  }

  void offer(Candidate candidate, double least) {
    if (candidate.gain >= least && candidate.gain > best_.gain + 1e-9) best_ = std::move(candidate);
  }

  // What a block needs to know beyond its arguments: `N` in a shape is not known there, but a tensor's first dimension is.
  bool knows_batch(const std::vector<Window>& windows) const {
    for (const Slot& slot : open_slots(program_, begin(windows[0]), end(windows[0])))
      if (slot.setting->is_literal() && mentions_batch(slot.setting->literal)) return batch_tensor(windows) >= 0;
    return true;
  }
  int batch_tensor(const std::vector<Window>& windows) const { return shared_batch_tensor(program_, sequences_, windows); }

  void try_block(const std::vector<Window>& group) {
    if (group[0].length < 2) return;
    std::vector<Window> windows;
    for (const Window& window : group) {
      const bool same_place = !windows.empty() && windows.back().sequence == window.sequence;
      const bool overlaps = same_place && windows.back().begin + window.length > window.begin;
      if (!overlaps && gives_one(window)) windows.push_back(window);
    }
    if (windows.size() < 2) return;
    const double count = static_cast<double>(windows.size()), whole = cost(windows[0]);
    if (count * whole <= best_.gain) return;
    const size_t tensors = externals_of(begin(windows[0]), end(windows[0])).size();
    if (tensors == 0 || tensors > most_tensors || !knows_batch(windows)) return;
    std::optional<Arguments> found = arguments(windows, false, most_arguments);
    if (!found) return;
    const double call = 1 + argument * static_cast<double>(found->parameters.size()) + tensor * static_cast<double>(tensors - 1);
    const bool cut = std::all_of(windows.begin(), windows.end(), [&](const Window& window) { return is_cut_short(window); });
    const double gain = ((count - 1) * whole - block_head - count * call) * (cut ? odd_end : 1) - burden(*found);
    offer({gain, false, std::move(windows), std::move(*found)}, least_gain_of_block);
  }

  // The place among what `next` reads of what `window` gives, where nobody else reads that and both read the same otherwise; or -1.
  int carried(const Window& window, const Window& next) const {
    const ValueId given = (end(window) - 1)->results[0];
    const std::vector<ValueId> before = externals_of(begin(window), end(window)), after = externals_of(begin(next), end(next));
    int place = -1;
    for (size_t k = 0; k < after.size(); ++k) {
      if (after[k] == given) place = static_cast<int>(k);
      else if (after[k] != before[k]) return -1;
    }
    const bool alone = place >= 0 && uses_[function(window)][given] == uses_within(begin(next), end(next), given);
    return alone ? place : -1;
  }

  void try_loops(const std::vector<Window>& group) {
    std::set<std::pair<int, size_t>> seen;
    for (size_t first = 0; first < group.size(); ++first) {
      if (seen.contains({group[first].sequence, group[first].begin}) || !gives_one(group[first])) continue;
      std::vector<Window> run = {group[first]};
      int place = -1;
      for (size_t k = first + 1; k < group.size() && group[k].sequence == run[0].sequence; ++k) {
        const size_t wanted = run.back().begin + run.back().length;
        if (group[k].begin > wanted) break;
        if (group[k].begin < wanted) continue;
        const int next = carried(run.back(), group[k]);
        if (next < 0 || (place >= 0 && next != place) || !gives_one(group[k])) break;
        place = next;
        run.push_back(group[k]);
      }
      for (const Window& window : run) seen.emplace(window.sequence, window.begin);
      try_loop(run, most_variables);
      try_equal_rounds(run);
    }
  }

  void try_loop(const std::vector<Window>& run, size_t most) {
    if (run.size() < 2) return;
    const double count = static_cast<double>(run.size()), whole = cost(run[0]);
    if ((count - 1) * whole <= best_.gain) return;
    // Short lists of many numbers read badly.
    std::optional<Arguments> found = arguments(run, true, std::min(most, run.size() - 1));
    if (!found) return;
    const double list = argument * (count + 1) * static_cast<double>(found->parameters.size());
    const bool cut = std::all_of(run.begin(), run.end() - 1, [&](const Window& window) { return is_cut_short(window); });
    const double gain = ((count - 1) * whole - loop_head - list) * (cut ? odd_end : 1) - burden(*found);
    offer({gain, true, run, std::move(*found)}, least_gain_of_loop);
  }

  // Loops without variables over what lies next to each other within a run.
  void try_equal_rounds(const std::vector<Window>& run) {
    for (size_t first = 0; first + 1 < run.size();) {
      size_t last = first + 1;
      while (last < run.size() && arguments({run[first], run[last]}, true, 0)) ++last;
      const auto begin = run.begin();
      if (last - first < run.size()) try_loop({begin + static_cast<std::ptrdiff_t>(first), begin + static_cast<std::ptrdiff_t>(last)}, 0);
      first = last;
    }
  }

  Program& program_;
  std::vector<Sequence> sequences_;
  std::vector<std::vector<int>> uses_;
  std::vector<PlacesOfValues> places_;   // of each sequence
  Candidate best_;
};

}  // namespace

void find_repeats(Program& program) {
  while (Search(program).step()) {
  }
}

}  // namespace bnc::source
