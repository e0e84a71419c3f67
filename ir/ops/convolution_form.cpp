#include "ir/ops/convolution_form.h"

#include <algorithm>

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

Shape as_image(Shape x) {
  if (x.size() == 3) x.insert(x.begin() + 1, Dim{1});
  return x;
}

Shape as_image_weight(Shape weight) {
  if (weight.size() == 3) weight.insert(weight.begin(), Dim{1});
  return weight;
}

// --- shape rules -----------------------------------------------------------------------------------------------

std::vector<std::string> convolution_constraints(const std::string& images, const std::string& sizes, const std::string& weight,
                                                 const std::string& fits) {
  return {"all operands are f32",
          images + ", where only N may be the batch",
          sizes + " at least 1, `padding` at least 0, all below 2^31",
          "`groups` is at least 1 and divides the channels of both images",
          weight,
          fits};
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
    fail(cx, groups_divide, fmt::format("{} groups do not divide the {} channels of `{}` {}", groups, channels, name, cx.show(x)),
         fmt::format("groups={} would convolve each channel by itself", channels));
  return groups;
}

void require_grouped(const InferContext& cx, int64_t groups, int64_t filters) {
  if (filters % groups == 0) return;
  fail(cx, groups_divide, fmt::format("{} groups do not divide {} filters", groups, filters),
       filters < groups ? fmt::format("at least {} filters, one a group", groups)
                        : fmt::format("{} or {} filters would do", filters / groups * groups, (filters / groups + 1) * groups));
}

// Whether all dimensions are sizes that a weight may have.
static bool sizes_of_weight(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](const Dim& dim) { return !dim.batch && dim.factor >= 1 && dim.factor < window_limit; });
}

void require_weight(const InferContext& cx, const TensorType& x, const TensorType& weight) {
  const int64_t groups = cx.attribute("groups").integer(), in = x.shape.back().factor / groups;
  const bool fits = weight.rank() == x.rank() && weight.shape[weight.rank() - 2] == Dim{in} && sizes_of_weight(weight.shape);
  if (!fits)
    fail(cx, weight_type,
         fmt::format("the weight for {}{} must be f32[{}, {}, filters], got {}", cx.show(x),
                     groups == 1 ? "" : fmt::format(" in {} groups", groups), x.rank() == 3 ? "kernel" : "kernel height, kernel width", in,
                     cx.show(weight)),
         "weights begin with the window and end with the filters, unlike PyTorch's, which begin with the filters");
  require_grouped(cx, groups, weight.shape.back().factor);
}

void require_transposed_weight(const InferContext& cx, const TensorType& y, const TensorType& weight) {
  if (weight.rank() != 4 || weight.shape[3] != y.shape[3] || !sizes_of_weight(weight.shape))
    fail(cx, weight_type,
         fmt::format("the weight for {} must be f32[kernel height, kernel width, channels of the result in one group, {}], got {}",
                     cx.show(y), y.shape[3].factor, cx.show(weight)));
}

Convolution checked_convolution(const InferContext& cx, const TensorType& x, const TensorType& weight, const AttributeMap& attributes) {
  Convolution convolution = convolution_of(as_image(x.shape), as_image_weight(weight.shape), attributes);
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

void add_bias(Tensor& y, const Tensor* bias) {
  if (!bias) return;
  for_each_in_channel(y, static_cast<int>(y.dims.size()) - 1,
                      [&](int64_t position, int64_t channel) { y.data[position] += bias->data[channel]; });
}

// --- lowering and gradients ------------------------------------------------------------------------------------

Shape with(Shape shape, std::initializer_list<int64_t> more) {
  for (int64_t extent : more) shape.push_back({extent});
  return shape;
}

loops::Expr tap_position(const Window& window, loops::Expr i, loops::Expr k) {
  return i * window.stride + k * window.dilation - window.before;
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

// --- layers ----------------------------------------------------------------------------------------------------

AttributeSpec filters_attribute() {
  return {.name = "filters", .kind = AttributeKind::integer, .fallback = {}, .doc = "the channels of the result", .layer_only = true};
}

AttributeSpec kernel_attribute() {
  return {.name = "kernel",
          .kind = AttributeKind::integers,
          .fallback = IntList{3},
          .doc = "the size of the window: one integer, or one for each axis",
          .layer_only = true};
}

int64_t checked_filters(const InferContext& cx, int64_t groups) {
  const int64_t filters = checked_integers(cx, integers_in_range, "filters", {1}, 1).front();
  require_grouped(cx, groups, filters);
  return filters;
}

OperandSpec bias_operand(std::function<TensorType(const InferContext&)> type) {
  return {.name = "bias",
          .doc = "`[filters]`",
          .optional = true,
          .parameter = ParameterRule{.type = std::move(type), .initializer = {"zeros", {}}}};
}

void require_bias(const InferContext& cx, const TensorType& wanted) {
  if (cx.has(2) && cx.type(2) != wanted)
    fail(cx, 7, fmt::format("the bias beside the weight {} must be {}, got {}", cx.show(cx.type(1)), cx.show(wanted), cx.show(cx.type(2))));
}

Value with_bias(GraphBuilder& builder, Value y, Value bias) { return bias ? builder.value("bias", {y, bias}) : y; }

}  // namespace bnc::ops
