// When, where and how a run was made, and how it stands.
#include <fmt/format.h>

#include "runtime/report/html.h"
#include "runtime/report/numbers.h"
#include "runtime/report/sections.h"

namespace bnc {

namespace {

std::string steps_text(const RunRecord& run) {
  const int64_t done = steps_done(run);
  return run.steps > 0 ? fmt::format("step {} of {}", done, run.steps) : fmt::format("step {}", done);
}

std::string state_text(const RunRecord& run) {
  const std::string time = run.history.empty() ? "" : ", after " + duration(run.history.back().seconds);
  switch (run.state) {
    case RunState::running:
      return fmt::format("The run had not ended when this page was written: {}{}. The page reloads itself.", steps_text(run), time);
    case RunState::stopped: return fmt::format("The run was stopped after {}{}.", steps_text(run), time);
    case RunState::diverged: {
      if (!run.divergence) return "The run diverged.";
      const std::string place = run.divergence->place.empty() ? "" : " at " + run.divergence->place;
      return fmt::format("The run diverged in step {}: the first tensor that was not finite was `{}`{}.", run.divergence->step,
                         run.divergence->tensor, place);
    }
    case RunState::done: break;
  }
  return "";
}

}  // namespace

std::string render_state(const RunRecord& run) {
  const std::string text = state_text(run);
  if (text.empty()) return "";
  return fmt::format("<p class=\"state{}\" role=\"status\">{}</p>\n", run.state == RunState::diverged ? " bad" : "", with_code(text));
}

Section render_settings(const RunRecord& run) {
  HtmlTable table{"how this run was made", "wide", {}, {}, {}};
  for (const RunCall& call : run.calls) {
    const std::string started = call.first_step > 0 ? fmt::format("resumed after step {}", call.first_step) : "started";
    table.rows.push_back({started, escape_html(call.started)});
    if (!call.command.empty()) table.rows.push_back({"command", "<code>" + breakable(call.command) + "</code>"});
    table.rows.push_back({"machine", escape_html(call.machine)});
    table.rows.push_back({"threads", std::to_string(call.threads)});
    table.rows.push_back({"version", escape_html(call.version)});
  }
  for (const auto& [name, value] : run.settings) table.rows.push_back({breakable(name), breakable(value)});
  return {"Settings", "", table.rows.empty() ? "" : render_table(table)};
}

}  // namespace bnc
