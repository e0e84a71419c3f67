#include "runtime/report/answers_json.h"

#include <algorithm>

#include "runtime/json_numbers.h"

namespace bnc {

namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson json_of(const Prediction& prediction) {
  return {{"example", prediction.example},
          {"truth", prediction.truth},
          {"answer", prediction.answer},
          {"probability", prediction.probability},
          {"truth_probability", prediction.truth_probability},
          {"image", prediction.image}};
}

Prediction prediction_of(const OrderedJson& json) {
  return {whole_number<int64_t>(json.at("example")), whole_number<int32_t>(json.at("truth")),
          whole_number<int32_t>(json.at("answer")),  number(json.at("probability")),
          number(json.at("truth_probability")),      json.at("image").get<std::string>()};
}

// As two lists of numbers.
OrderedJson json_of(const Points& points) {
  OrderedJson xs = OrderedJson::array(), ys = OrderedJson::array();
  for (const auto& [x, y] : points) {
    xs.push_back(x);
    ys.push_back(y);
  }
  return {{"x", xs}, {"y", ys}};
}

Points points_of(const OrderedJson& json) {
  const OrderedJson &xs = json.at("x"), &ys = json.at("y");
  Points points;
  for (size_t k = 0; k < std::max(xs.size(), ys.size()); ++k) points.emplace_back(number(xs.at(k)), number(ys.at(k)));
  return points;
}

OrderedJson json_of(const Ranking& ranking) {
  return {{"examples", ranking.examples},
          {"auc", ranking.auc},
          {"roc", json_of(ranking.roc)},
          {"precision", json_of(ranking.precision)},
          {"recall", json_of(ranking.recall)}};
}

Ranking ranking_of(const OrderedJson& json) {
  return {whole_number<int64_t>(json.at("examples")), number(json.at("auc")), points_of(json.at("roc")), points_of(json.at("precision")),
          points_of(json.at("recall"))};
}

OrderedJson json_of(const ClassAnswers& answers) {
  OrderedJson predictions = OrderedJson::array();
  for (const Prediction& each : answers.predictions) predictions.push_back(json_of(each));
  OrderedJson confusion = OrderedJson::array();   // of [truth, answer, how often]
  for (const auto& [pair, count] : answers.confusion) confusion.push_back({pair.first, pair.second, count});
  return {{"classes", answers.classes},
          {"names", answers.names},
          {"count", answers.count},
          {"mistakes", answers.mistakes},
          {"confusion", confusion},
          {"unanswered", answers.unanswered},
          {"predictions", predictions},
          {"ranking", answers.ranking ? json_of(*answers.ranking) : OrderedJson()}};
}

ClassAnswers class_answers_of(const OrderedJson& json) {
  ClassAnswers answers{.classes = whole_number<size_t>(json.at("classes")),
                       .names = json.at("names").get<std::vector<std::string>>(),
                       .count = whole_number<int64_t>(json.at("count")),
                       .mistakes = whole_number<int64_t>(json.at("mistakes")),
                       .unanswered = whole_numbers(json.at("unanswered"))};
  if (answers.unanswered.size() != answers.classes) throw OrderedJson::other_error::create(501, "not a number for each class", &json);
  for (const OrderedJson& each : json.at("confusion")) {
    const auto truth = whole_number<size_t>(each.at(0)), answer = whole_number<size_t>(each.at(1));
    if (std::max(truth, answer) >= answers.classes) throw OrderedJson::other_error::create(501, "there is no such class", &json);
    answers.confusion[{truth, answer}] = whole_number<int64_t>(each.at(2));
  }
  for (const OrderedJson& each : json.at("predictions")) answers.predictions.push_back(prediction_of(each));
  if (!json.at("ranking").is_null()) answers.ranking = ranking_of(json.at("ranking"));
  return answers;
}

OrderedJson json_of(const WorstExample& example) {
  return {{"example", example.example},
          {"truth", example.truth},
          {"prediction", example.prediction},
          {"error", example.error},
          {"image", example.image}};
}

WorstExample worst_example_of(const OrderedJson& json) {
  return {whole_number<int64_t>(json.at("example")), number(json.at("truth")), number(json.at("prediction")), number(json.at("error")),
          json.at("image").get<std::string>()};
}

OrderedJson json_of(const NumberAnswers& answers) {
  OrderedJson worst = OrderedJson::array();
  for (const WorstExample& each : answers.worst) worst.push_back(json_of(each));
  return {{"name", answers.name},
          {"count", answers.count},
          {"not_finite", answers.not_finite},
          {"mean_absolute_error", answers.mean_absolute_error},
          {"root_mean_square_error", answers.root_mean_square_error},
          {"r_squared", answers.r_squared},
          {"points", json_of(answers.points)},
          {"residuals", json_of(answers.residuals)},
          {"worst", worst}};
}

NumberAnswers number_answers_of(const OrderedJson& json) {
  NumberAnswers answers{.name = json.at("name").get<std::string>(),
                        .count = whole_number<int64_t>(json.at("count")),
                        .not_finite = whole_number<int64_t>(json.at("not_finite")),
                        .mean_absolute_error = number(json.at("mean_absolute_error")),
                        .root_mean_square_error = number(json.at("root_mean_square_error")),
                        .r_squared = number(json.at("r_squared")),
                        .points = points_of(json.at("points")),
                        .residuals = histogram_from(json.at("residuals"))};
  for (const OrderedJson& each : json.at("worst")) answers.worst.push_back(worst_example_of(each));
  return answers;
}

}  // namespace

OrderedJson json_of(const Histogram& histogram) { return {{"low", histogram.low}, {"high", histogram.high}, {"counts", histogram.counts}}; }

Histogram histogram_from(const OrderedJson& json) {
  return {number(json.at("low")), number(json.at("high")), whole_numbers(json.at("counts"))};
}

OrderedJson json_of(const OutputAnswers& answers) {
  OrderedJson numbers = OrderedJson::array();
  for (const NumberAnswers& each : answers.numbers) numbers.push_back(json_of(each));
  return {{"output", answers.output},
          {"target", answers.target},
          {"classes", answers.classes ? json_of(*answers.classes) : OrderedJson()},
          {"numbers", numbers}};
}

OutputAnswers answers_of(const OrderedJson& json) {
  OutputAnswers answers{json.at("output").get<std::string>(), json.at("target").get<std::string>(), {}, {}};
  if (!json.at("classes").is_null()) answers.classes = class_answers_of(json.at("classes"));
  for (const OrderedJson& each : json.at("numbers")) answers.numbers.push_back(number_answers_of(each));
  return answers;
}

}  // namespace bnc
