#include <algorithm>

#include <fmt/format.h>

#include "runtime/report/graph_drawing.h"
#include "runtime/report/html.h"

namespace bnc {

namespace {

constexpr double box_width = 300, line_height = 18, padding = 7, gap = 20, lane_width = 11, margin = 6;
constexpr size_t most_lanes = 6;

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

// Text as wide as `room` at most, at about `wide` a character; a multiplication sign counts as one character.
std::string shortened(const std::string& text, double room, double wide) {
  const auto most = static_cast<size_t>(std::max(1.0, room / wide));
  return text.size() <= most ? text : text.substr(0, most - 1) + "\u2026";
}

class Layout {
 public:
  explicit Layout(const GraphDrawing& drawing) : drawing_(drawing) {
    double y = margin;
    for (const auto& box : drawing.boxes) {
      tops_.push_back(y);
      heights_.push_back(2 * padding + line_height * (box.detail.empty() ? 1 : 2));
      y += heights_.back() + gap;
    }
    height_ = y - gap + margin;
    assign_lanes();
  }

  std::string render(const std::string& description) const {
    std::string text = fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n", margin * 2 + box_width + lane_width * static_cast<double>(used_lanes_), height_,
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
      return fmt::format("<path class=\"edge\" d=\"M{0} {1}V{2}\"/><path class=\"head\" d=\"M{0} {3}l-4 -7h8z\"/>\n", x, tops_[from] + heights_[from], y - 6, y);
    }
    const double side = margin + box_width, x = side + lane_width * (static_cast<double>(lanes_[index]) + 1), out = tops_[from] + heights_[from] * 0.7, in = tops_[to] + heights_[to] * 0.3;
    return fmt::format("<path class=\"edge\" d=\"M{0} {1:.1f}H{2}Q{3} {1:.1f} {3} {4:.1f}V{5:.1f}Q{3} {6:.1f} {2} {6:.1f}H{7}\"/><path class=\"head\" d=\"M{0} {6:.1f}l7 -4v8z\"/>\n", side, out, x - 5, x,
                       out + 5, in - 5, in, side + 6);
  }

  std::string render_box(size_t index) const {
    const GraphDrawing::Box& box = drawing_.boxes[index];
    const double top = tops_[index], right = margin + box_width - 10, shape_width = 7.0 * static_cast<double>(box.shape.size());
    std::string text = fmt::format("<g class=\"box {}\"><title>{}: {}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"5\"/><rect class=\"mark\" x=\"{}\" y=\"{}\" width=\"5\" height=\"{}\"/>",
                                   colour_of(box.kind), escape_html(box.name), escape_html(box.detail), margin, top, box_width, heights_[index], margin, top, heights_[index]);
    text += fmt::format("<text class=\"name\" x=\"{}\" y=\"{}\">{}</text>", margin + 14, top + padding + 13, escape_html(shortened(box.name, box_width - 30 - shape_width, 7.6)));
    text += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", right, top + padding + 13, escape_html(box.shape));
    if (!box.detail.empty()) text += fmt::format("<text x=\"{}\" y=\"{}\">{}</text>", margin + 14, top + padding + 13 + line_height, escape_html(shortened(box.detail, box_width - 24, 6.7)));
    return text + "</g>\n";
  }

  const GraphDrawing& drawing_;
  std::vector<double> tops_, heights_;
  std::vector<size_t> lanes_;
  size_t used_lanes_ = 0;
  double height_ = 0;
};

}  // namespace

std::string render_drawing(const GraphDrawing& drawing, const std::string& description) { return Layout(drawing).render(description); }

}  // namespace bnc
