// learning_rate: schedules, each a function of the number of steps done.
#include "ir/ops/learning_rate.h"

#include <algorithm>
#include <limits>

#include "ir/hints.h"
#include "ir/number_range.h"
#include "ir/ops/common.h"

namespace bnc {

using loops::Expr;

namespace {

struct ScheduleArgument {
  enum class Kind { rate, count, factor, milestones };
  std::string name;
  Kind kind = Kind::rate;
  bool required = false;
};

struct Schedule {
  std::string name;
  std::vector<ScheduleArgument> arguments;

  const ScheduleArgument* find(const std::string& argument) const {
    for (const ScheduleArgument& each : arguments)
      if (each.name == argument) return &each;
    return nullptr;
  }
};

const std::vector<Schedule>& schedules() {
  using Kind = ScheduleArgument::Kind;
  const ScheduleArgument start{"start", Kind::rate, true}, end{"end"}, warmup{"warmup", Kind::count}, steps{"steps", Kind::count, true};
  static const std::vector<Schedule> all = {
      {"constant", {start, warmup}},
      {"step", {start, {"every", Kind::count}, {"at", Kind::milestones}, {"factor", Kind::factor}, warmup}},
      {"cosine", {start, end, steps, warmup}},
      {"one_cycle", {{"peak", Kind::rate, true}, {"start"}, end, {"rise", Kind::factor}, steps, warmup}},
  };
  return all;
}

template <class T> std::vector<std::string> names_of(const std::vector<T>& list) {
  std::vector<std::string> names;
  for (const T& each : list) names.push_back(each.name);
  return names;
}

const Schedule* find_schedule(const std::string& name) {
  for (const Schedule& each : schedules())
    if (each.name == name) return &each;
  return nullptr;
}

// --- checks --------------------------------------------------------------------------------------------------------

constexpr NumberRange factors{.low = 0, .high = 1, .is_decay = true};   // powers are taken in f64

std::string expectation(ScheduleArgument::Kind kind) {
  switch (kind) {
    case ScheduleArgument::Kind::rate: return "it is " + not_negative.text();
    case ScheduleArgument::Kind::count: return "it is an integer from 1 to 2147483647";
    case ScheduleArgument::Kind::factor: return "it is " + factors.text();
    case ScheduleArgument::Kind::milestones: return "it is an ascending list of integers of at least 1";
  }
  return "";
}

bool fits(ScheduleArgument::Kind kind, const Attribute& value) {
  const bool is_number = value.get_if<double>() || value.get_if<int64_t>();
  switch (kind) {
    case ScheduleArgument::Kind::rate: return is_number && not_negative.holds(value.number());
    case ScheduleArgument::Kind::count:
      return value.get_if<int64_t>() && value.integer() >= 1 && value.integer() <= std::numeric_limits<int32_t>::max();
    case ScheduleArgument::Kind::factor: return is_number && factors.holds(value.number());
    case ScheduleArgument::Kind::milestones: {
      const IntList* list = value.get_if<IntList>();
      return list && !list->empty() && list->front() >= 1 &&
             std::adjacent_find(list->begin(), list->end(), std::greater_equal<>()) == list->end();
    }
  }
  return false;
}

// --- the rate ------------------------------------------------------------------------------------------------------

// What the formulas are computed in: numbers, or expressions of the loop IR.
struct Numbers {
  using Integer = int64_t;
  using Real = double;
  static double real(double x) { return x; }
  static double real_of(int64_t x) { return static_cast<double>(x); }
  static double choose(bool condition, double a, double b) { return condition ? a : b; }
  static double sine(double right_angles) { return std::sin(right_angles * std::acos(-1.0) / 2); }
};

struct Expressions {
  using Integer = Expr;
  using Real = Expr;
  static Expr real(double x) { return loops::real(x); }
  static Expr real_of(Expr x) { return loops::cast(loops::Scalar::f32, x); }
  static Expr choose(Expr condition, Expr a, Expr b) { return loops::select(condition, a, b); }
  // An odd polynomial, relative error 2^-27 over [0, 1]; coefficients by scripts/minimax.py.
  static Expr sine(Expr right_angles) {
    constexpr float coefficients[] = {1.5707963184f, -0.6459637106f, 0.07968967895f, -0.0046737666148f, 0.00015148513175f};
    const Expr square = right_angles * right_angles;
    Expr sum = real(coefficients[4]);
    for (int k = 3; k >= 0; --k) sum = loops::fma(sum, square, real(coefficients[k]));
    return sum * right_angles;
  }
};

template <class A> class Rate {
 public:
  using Integer = typename A::Integer;
  using Real = typename A::Real;

  explicit Rate(const Symbol& schedule) : schedule_(schedule), warmup_(count("warmup")) {}

  // The rate of a step before which `t` others were done.
  Real at(Integer t) const {
    const Real rate = behind_warmup(t - Integer(warmup_));
    if (warmup_ == 0) return rate;
    const double first = Rate<Numbers>(schedule_).behind_warmup(0);
    return A::choose(t < Integer(warmup_), A::real(first / static_cast<double>(warmup_ + 1)) * A::real_of(t + Integer(1)), rate);
  }

  Real behind_warmup(Integer t) const {
    if (schedule_.name == "step") return step(t);
    if (schedule_.name == "cosine") return cosine(t);
    if (schedule_.name == "one_cycle") return one_cycle(t);
    return A::real(number("start"));
  }

 private:
  int64_t count(const char* name) const {
    const Attribute* value = schedule_.find(name);
    return value ? value->integer() : 0;
  }
  double number(const char* name, double fallback = 0) const { return schedule_.number(name, fallback); }

  // factor^k by the bits of k, as exact as a few products.
  static Real power(double factor, Integer k) {
    Real result = A::real(1);
    for (int64_t bit = 1; bit < int64_t{1} << 31; bit *= 2, factor *= factor) {
      if (static_cast<float>(factor) == 0) return A::choose(k < Integer(bit), result, A::real(0));
      result = result * A::choose(k / Integer(bit) % Integer(2) == Integer(1), A::real(factor), A::real(1));
    }
    return result;
  }

  Real step(Integer t) const {
    const double start = number("start"), factor = number("factor", 0.1);
    if (const int64_t every = count("every")) return A::real(start) * power(factor, t / Integer(every));
    const IntList& at = schedule_.find("at")->integers();
    Real rate = A::real(start * std::pow(factor, static_cast<double>(at.size())));
    for (size_t i = at.size(); i-- > 0;)
      rate = A::choose(t < Integer(at[i]), A::real(start * std::pow(factor, static_cast<double>(i))), rate);
    return rate;
  }

  // Half a cosine from `from` to `to`, of which the part `left` (1 to 0) is still to come.
  static Real half_cosine(double from, double to, Real left) {
    const Real sine = A::sine(left);
    return A::real(to) + A::real(from - to) * (sine * sine);
  }

  Real cosine(Integer t) const {
    const int64_t length = count("steps") - warmup_;
    const double start = number("start"), end = number("end");
    return A::choose(t < Integer(length), half_cosine(start, end, A::real_of(Integer(length) - t) / A::real_of(Integer(length))),
                     A::real(end));
  }

  // Up to the peak at step rise*length - 1, down to the end at the last one.
  Real one_cycle(Integer t) const {
    const int64_t length = count("steps") - warmup_;
    const double peak = number("peak"), start = number("start", peak / 25), end = number("end", start / 1e4);
    const double last = static_cast<double>(length - 1), top = std::clamp(number("rise", 0.3) * static_cast<double>(length) - 1, 0.0, last);
    const Real now = A::real_of(t);
    Real rate = A::real(end);
    if (top < last) rate = A::choose(now < A::real(last), half_cosine(peak, end, (A::real(last) - now) / A::real(last - top)), rate);
    if (top > 0) rate = A::choose(now < A::real(top), half_cosine(start, peak, (A::real(top) - now) / A::real(top)), rate);
    return rate;
  }

  const Symbol& schedule_;
  const int64_t warmup_;
};

}  // namespace

std::optional<ops::ScheduleProblem> ops::check_schedule(const Symbol& given) {
  const Schedule* schedule = find_schedule(given.name);
  if (!schedule) {
    return ScheduleProblem{2, fmt::format("unknown schedule `{}`", given.name),
                           hint_or(Hint::Place::schedule, given.name, did_you_mean(given.name, names_of(schedules()))), ""};
  }
  const auto problem = [](std::string argument, std::string text, std::string help) {
    return ScheduleProblem{3, std::move(text), std::move(help), std::move(argument)};
  };
  for (const auto& [name, value] : given.arguments) {
    const ScheduleArgument* known = schedule->find(name);
    if (!known)
      return problem(name, fmt::format("`{}` has no argument `{}`", given.name, name), did_you_mean(name, names_of(schedule->arguments)));
    if (fits(known->kind, value)) continue;
    const double* number = value.get_if<double>();
    return problem(name, fmt::format("`{}` of `{}` is {}", name, given.name, number ? as_computed_with(*number) : to_string(value)),
                   expectation(known->kind));
  }
  for (const ScheduleArgument& argument : schedule->arguments)
    if (argument.required && !given.find(argument.name))
      return problem("", fmt::format("`{}` needs `{}`", given.name, argument.name), expectation(argument.kind));
  if (given.name == "step" && !given.find("every") == !given.find("at"))
    return problem("", "`step` needs either `every` or `at`", "step(start=0.1, every=1000) or step(start=0.1, at=[1000, 1500])");
  if (given.find("steps") && given.number("warmup", 0) >= given.number("steps", 0))
    return problem("warmup",
                   fmt::format("a warm-up of {} steps leaves nothing of a schedule of {}", given.find("warmup")->integer(),
                               given.find("steps")->integer()),
                   "shorten the warm-up, or train for longer");
  return std::nullopt;
}

bool ops::schedule_has_length(const std::string& schedule) {
  const Schedule* found = find_schedule(schedule);
  return found && found->find("steps");
}

const std::vector<std::string>& ops::schedule_counts() {
  static const std::vector<std::string> names = {"steps", "warmup", "every", "at"};
  return names;
}

double ops::scheduled_rate(const Symbol& schedule, int64_t done) { return Rate<Numbers>(schedule).at(done); }

OpDefinition learning_rate_op() {
  std::map<std::string, std::map<std::string, AttributeKind>> arguments;
  for (const Schedule& schedule : schedules()) arguments[schedule.name] = {};
  return {
      .name = "learning_rate",
      .category = OpCategory::arithmetic,
      .summary = "The learning rate of a training step.",
      .description =
          "A schedule's value behind t = `step` steps. constant: start. step: start*factor^k, k = floor(t/every) or how many of the steps "
          "`at` have been done. cosine: end + (start - end)*(1 + cos(pi*t/steps))/2, and end from there on (Loshchilov & Hutter, \"SGDR\", "
          "2017, one period). one_cycle: half a cosine from start up to peak at step rise*steps - 1, and another one down to end at the "
          "last step (Smith & Topin, \"Super-convergence\", 2018, as in PyTorch). With warmup=w the first w steps rise by equal parts to "
          "the schedule's first rate, which step w then has; the schedule runs over the others.",
      .operands = {{.name = "step", .doc = "`i32[]`, the steps done before", .differentiable = false}},
      .attributes =
          {{.name = "schedule",
            .kind = AttributeKind::symbol,
            .fallback = {},
            .doc =
                "`constant(start, warmup)`, `step(start, factor=0.1, every, at, warmup)`, `cosine(start, end=0, steps, warmup)` or "
                "`one_cycle(peak, start=peak/25, end=start/1e4, rise=0.3, steps, warmup)`; `every`, `at`, `steps` and `warmup` count steps",
            .choices = names_of(schedules()),
            .arguments = arguments}},
      .results = {{"rate", "`f32[]`"}},
      .constraints =
          {"`step` is i32[]", "`schedule` is one of its choices",
           "a schedule has the arguments it needs and no others; rates are not negative, counts positive and factors between 0 and 1"},
      .infer =
          [](const InferContext& cx) {
            if (cx.type(0) != TensorType{DType::i32, {}})
              ops::fail(cx, 1, fmt::format("`step` must be i32[], got {}", cx.show(cx.type(0))));
            if (const auto problem = ops::check_schedule(cx.attribute("schedule").symbol()))
              ops::fail(cx, problem->constraint, problem->text, problem->help);
            return std::vector{TensorType{}};
          },
      .evaluate =
          [](const EvaluateContext& cx) {
            const double rate = ops::scheduled_rate(cx.node.attribute("schedule").symbol(), static_cast<int64_t>(cx.operand(0).data[0]));
            return std::vector{Tensor::filled(DType::f32, {}, rate)};
          },
      .lowering = ElementLowering{.element =
                                      [](ElementContext& cx, const Index&) {
                                        const Expr step = loops::cast(loops::Scalar::i64, cx.operand(0, {}));
                                        return Rate<Expressions>(cx.node.attribute("schedule").symbol()).at(step);
                                      },
                                  .cost = 40},
      .example = "learning_rate(t, schedule=cosine(start=0.1, steps=1000))",
      .example_inputs = "t: i32[]",
  };
}

}  // namespace bnc
