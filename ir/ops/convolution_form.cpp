#include "ir/ops/convolution_form.h"

namespace bnc::ops {

Convolution convolution_of(const Shape& x, const Shape& weight, const AttributeMap& attributes) {
  Convolution convolution;
  convolution.batch = x[0];
  convolution.windows = windows_of(attributes, x[1].factor, x[2].factor, weight[0].factor, weight[1].factor);
  convolution.groups = attributes.at("groups").integer();
  convolution.in = weight[2].factor;
  convolution.out = weight[3].factor / convolution.groups;
  return convolution;
}

// --- shape rules -----------------------------------------------------------------------------------------------

std::vector<std::string> convolution_constraints(const std::string& images, const std::string& weight) {
  return {"all operands are f32",
          images + " `[N, H, W, C]`, where only N may be the batch",
          "`stride` and `dilation` are at least 1, `padding` at least 0, all below 2^31",
          "`groups` is at least 1 and divides the channels of both images",
          weight,
          "the window is no larger than the image with its padding"};
}

AttributeSpec groups_attribute() {
  return {.name = "groups",
          .kind = AttributeKind::integer,
          .fallback = 1,
          .doc = "channels come in so many groups, convolved each by itself; as many as channels: a depthwise convolution"};
}

int64_t checked_groups(const InferContext& cx, const std::string& name, const TensorType& x) {
  const int64_t groups = cx.attribute("groups").integer(), channels = x.shape.back().factor;
  if (groups < 1) fail(cx, groups_divide, fmt::format("groups must be at least 1, got {}", groups));
  if (channels % groups != 0)
    fail(cx, groups_divide, fmt::format("{} groups do not divide the {} channels of `{}` {}", groups, channels, name, cx.show(x)));
  return groups;
}

void require_explicit_window(const InferContext& cx) {
  checked_integers(cx, integers_in_range, "stride", 2, 1);
  checked_integers(cx, integers_in_range, "dilation", 2, 1);
  checked_integers(cx, integers_in_range, "padding", 4, 0);
}

Convolution checked_convolution(const InferContext& cx, const TensorType& x, const TensorType& weight, const AttributeMap& attributes) {
  const int64_t groups = attributes.at("groups").integer(), in = x.shape[3].factor / groups;
  bool fits = weight.rank() == 4 && weight.shape[2] == Dim{in};
  for (const Dim& dim : weight.shape) fits &= !dim.batch && dim.factor >= 1 && dim.factor < window_limit;
  if (!fits)
    fail(cx, weight_type,
         fmt::format("the weight for {} in {} group{} must be f32[kernel height, kernel width, {}, filters], got {}", cx.show(x), groups,
                     groups == 1 ? "" : "s", in, cx.show(weight)));
  if (weight.shape[3].factor % groups != 0)
    fail(cx, groups_divide, fmt::format("{} groups do not divide the {} filters of the weight {}", groups, weight.shape[3].factor, cx.show(weight)));
  Convolution convolution = convolution_of(x.shape, weight.shape, attributes);
  require_fit(cx, window_fits, convolution.windows, x);
  return convolution;
}

// --- float64 evaluation ----------------------------------------------------------------------------------------

namespace {

// A line of pixels of y and those of x that one tap of the window sees from there: offsets of their first channels.
struct Line {
  int64_t x, x_step, y, y_step, pixels;
  int64_t tap;  // number of the tap
};

template <class Visit> void for_each_line(const Convolution& convolution, int64_t batch, const Visit& visit) {
  const Window &h = convolution.windows.height, &w = convolution.windows.width;
  const int64_t x_channels = convolution.groups * convolution.in, y_channels = convolution.groups * convolution.out;
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t kh = 0; kh < h.kernel; ++kh)
      for (int64_t oh = h.first_inside(kh); oh < h.end_inside(kh); ++oh)
        for (int64_t kw = 0; kw < w.kernel; ++kw) {
          const int64_t first = w.first_inside(kw), pixels = w.end_inside(kw) - first;
          const int64_t ih = oh * h.stride - h.before + kh * h.dilation, iw = first * w.stride - w.before + kw * w.dilation;
          visit(Line{((n * h.input + ih) * w.input + iw) * x_channels, w.stride * x_channels,
                     ((n * h.output() + oh) * w.output() + first) * y_channels, y_channels, pixels, kh * w.kernel + kw});
        }
}

void add_multiple(double* target, double factor, const double* source, int64_t count) {
  for (int64_t k = 0; k < count; ++k) target[k] += factor * source[k];
}

}  // namespace

void add_convolution(Tensor& y, const Convolution& c, const Tensor& x, const Tensor& weight) {
  for_each_line(c, y.dims[0], [&](const Line& line) {
    for (int64_t g = 0; g < c.groups; ++g)
      for (int64_t ci = 0; ci < c.in; ++ci) {
        const double* row = &weight.data[((line.tap * c.in + ci) * c.groups + g) * c.out];
        for (int64_t p = 0; p < line.pixels; ++p)
          add_multiple(&y.data[line.y + p * line.y_step + g * c.out], x.data[line.x + p * line.x_step + g * c.in + ci], row, c.out);
      }
  });
}

void add_input_gradient(Tensor& dx, const Convolution& c, const Tensor& dy, const Tensor& weight) {
  const int64_t filters = c.groups * c.out, taps = static_cast<int64_t>(weight.data.size()) / (c.in * filters);
  std::vector<double> transposed(weight.data.size());  // [tap, filter, ci], so that the innermost loop is contiguous
  for (int64_t tap = 0; tap < taps; ++tap)
    for (int64_t ci = 0; ci < c.in; ++ci)
      for (int64_t f = 0; f < filters; ++f) transposed[(tap * filters + f) * c.in + ci] = weight.data[(tap * c.in + ci) * filters + f];
  for_each_line(c, dx.dims[0], [&](const Line& line) {
    for (int64_t f = 0; f < filters; ++f) {
      const double* row = &transposed[(line.tap * filters + f) * c.in];
      for (int64_t p = 0; p < line.pixels; ++p)
        add_multiple(&dx.data[line.x + p * line.x_step + f / c.out * c.in], dy.data[line.y + p * line.y_step + f], row, c.in);
    }
  });
}

void add_weight_gradient(Tensor& d_weight, const Convolution& c, const Tensor& x, const Tensor& dy) {
  for_each_line(c, x.dims[0], [&](const Line& line) {
    for (int64_t g = 0; g < c.groups; ++g)
      for (int64_t ci = 0; ci < c.in; ++ci) {
        double* row = &d_weight.data[((line.tap * c.in + ci) * c.groups + g) * c.out];
        for (int64_t p = 0; p < line.pixels; ++p)
          add_multiple(row, x.data[line.x + p * line.x_step + g * c.in + ci], &dy.data[line.y + p * line.y_step + g * c.out], c.out);
      }
  });
}

// --- lowering and gradients ------------------------------------------------------------------------------------

Shape with(Shape shape, std::initializer_list<int64_t> more) {
  for (int64_t extent : more) shape.push_back({extent});
  return shape;
}

loops::Expr tap_position(const Window& window, loops::Expr i, loops::Expr k) {
  using loops::Expr;
  return i * Expr(window.stride) + k * Expr(window.dilation) - Expr(window.before);
}

AttributeMap window_attributes(const Node& node) {
  AttributeMap window;
  for (const char* name : {"stride", "padding", "dilation", "groups"}) window[name] = node.attribute(name);
  return window;
}

Value convolution(GraphBuilder& builder, Value x, Value weight, AttributeMap window) {
  return builder.value("convolution", {x, weight}, std::move(window));
}

Value input_gradient(GraphBuilder& builder, Value dy, Value weight, const Shape& x, AttributeMap window) {
  window["size"] = IntList{x[1].factor, x[2].factor};
  return builder.value("convolution_input_gradient", {dy, weight}, std::move(window));
}

Value weight_gradient(GraphBuilder& builder, Value x, Value dy, const Shape& weight, AttributeMap window) {
  window["kernel"] = IntList{weight[0].factor, weight[1].factor};
  return builder.value("convolution_weight_gradient", {x, dy}, std::move(window));
}

}  // namespace bnc::ops
