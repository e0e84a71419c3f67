#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include "runtime/report/graph_drawing.h"
#include "runtime/report/html.h"

namespace bnc {

namespace {

constexpr double box_width = 300, line_height = 18, padding = 7, gap = 20, lane_width = 11, margin = 6;
constexpr size_t most_lanes = 6, most_lines = 3, fewest_characters = 6;

const char* colour_of(GraphDrawing::Kind kind) {
  switch (kind) {
    case GraphDrawing::Kind::contraction: return "c0";
    case GraphDrawing::Kind::normalization: return "c1";
    case GraphDrawing::Kind::activation: return "c2";
    case GraphDrawing::Kind::pooling: return "c4";
    case GraphDrawing::Kind::other: break;
  }
  return "c7";
}

// The widths of characters in the widest fonts that browsers take for `system-ui`; a multiplication sign counts as two characters.
constexpr double name_character = 8.6, text_character = 7.3;

size_t characters(double room, double wide) { return std::max(fewest_characters, static_cast<size_t>(std::max(0.0, room) / wide)); }

// Lines of `text`: the first one has room for `first` characters, the others for `rest`. What does not fit in them is left out.
std::vector<std::string> wrap(const std::string& text, size_t first, size_t rest) {
  std::vector<std::string> lines;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!lines.empty() && lines.back().size() + 1 + word.size() <= (lines.size() == 1 ? first : rest)) lines.back() += " " + word;
    else lines.push_back(word);
  }
  const bool left_out = lines.size() > most_lines;
  lines.resize(std::min(lines.size(), most_lines));
  for (size_t k = 0; k < lines.size(); ++k) {
    const size_t most = k == 0 ? first : rest;
    if (lines[k].size() > most) lines[k] = lines[k].substr(0, most - 1) + "\u2026";
    else if (left_out && k + 1 == lines.size()) lines[k] += "\u2026";
  }
  return lines;
}

class DrawingLayout {
 public:
  explicit DrawingLayout(const GraphDrawing& drawing) : drawing_(drawing) {
    double y = margin;
    for (const auto& box : drawing.boxes) {
      const double room = box_width - 24, beside_shape = room - 8 - text_character * static_cast<double>(box.shape.size());
      names_.push_back(wrap(box.name, characters(beside_shape, name_character), characters(room, name_character)));
      details_.push_back(wrap(box.detail, characters(room, text_character), characters(room, text_character)));
      tops_.push_back(y);
      heights_.push_back(2 * padding + line_height * static_cast<double>(names_.back().size() + details_.back().size()));
      y += heights_.back() + gap;
    }
    height_ = y - gap + margin;
    assign_lanes();
  }

  std::string render(const std::string& description) const {
    std::string text = fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n",
                                   margin * 2 + box_width + lane_width * static_cast<double>(used_lanes_), height_,
                                   escape_html(description));
    for (size_t k = 0; k < drawing_.edges.size(); ++k) text += render_edge(k);
    for (size_t k = 0; k < drawing_.boxes.size(); ++k) text += render_box(k);
    return text + "</svg>\n";
  }

 private:
  // Edges that skip boxes run side by side; a lane is free again below the edge that took it.
  void assign_lanes() {
    std::vector<size_t> ends;
    for (const auto& [from, to] : drawing_.edges) {
      size_t lane = 0;
      if (to > from + 1) {
        while (lane < ends.size() && ends[lane] > from) ++lane;
        lane = std::min(lane, most_lanes - 1);
        if (lane == ends.size()) ends.push_back(0);
        ends[lane] = std::max(ends[lane], to);
        used_lanes_ = std::max(used_lanes_, lane + 1);
      }
      lanes_.push_back(lane);
    }
  }

  std::string render_edge(size_t index) const {
    const auto& [from, to] = drawing_.edges[index];
    if (to == from + 1) {
      const double x = margin + box_width / 2, y = tops_[to];
      return fmt::format("<path class=\"edge\" d=\"M{0} {1}V{2}\"/><path class=\"head\" d=\"M{0} {3}l-4 -7h8z\"/>\n", x,
                         tops_[from] + heights_[from], y - 6, y);
    }
    const double side = margin + box_width, x = side + lane_width * (static_cast<double>(lanes_[index]) + 1),
                 out = tops_[from] + heights_[from] * 0.7, in = tops_[to] + heights_[to] * 0.3;
    return fmt::format(
        "<path class=\"edge\" d=\"M{0} {1:.1f}H{2}Q{3} {1:.1f} {3} {4:.1f}V{5:.1f}Q{3} {6:.1f} {2} {6:.1f}H{7}\"/><path class=\"head\" "
        "d=\"M{0} {6:.1f}l7 -4v8z\"/>\n",
        side, out, x - 5, x, out + 5, in - 5, in, side + 6);
  }

  std::string render_box(size_t index) const {
    const GraphDrawing::Box& box = drawing_.boxes[index];
    const double top = tops_[index], left = margin + 14, right = margin + box_width - 10;
    std::string text = fmt::format(
        "<g class=\"box {}\"><title>{}: {}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"5\"/><rect class=\"mark\" "
        "x=\"{}\" y=\"{}\" width=\"5\" height=\"{}\"/>",
        colour_of(box.kind), escape_html(box.name), escape_html(box.detail), margin, top, box_width, heights_[index], margin, top,
        heights_[index]);
    double line = top + padding + 13;
    text += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", right, line, escape_html(box.shape));
    for (const auto& [lines, style] : {std::pair(&names_[index], "name"), std::pair(&details_[index], "detail")}) {
      for (const std::string& each : *lines) {
        text += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\">{}</text>", style, left, line, escape_html(each));
        line += line_height;
      }
    }
    return text + "</g>\n";
  }

  const GraphDrawing& drawing_;
  std::vector<double> tops_, heights_;
  std::vector<std::vector<std::string>> names_, details_;   // as lines
  std::vector<size_t> lanes_;
  size_t used_lanes_ = 0;
  double height_ = 0;
};

}  // namespace

std::string render_drawing(const GraphDrawing& drawing, const std::string& description) {
  return DrawingLayout(drawing).render(description);
}

}  // namespace bnc
