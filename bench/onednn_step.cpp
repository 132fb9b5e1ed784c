// One training step of the tutorial's network (relu, Adam) as a specialist would write it on oneDNN's
// primitives: blocked formats kept from layer to layer, relu fused into its convolution or product, no data
// gradient for the first layer, Adam as one loop. First checks that the loss falls, then reads jobs from
// standard input, one a line,
//   step relu adam BATCH THREADS STEPS
// and answers each with the median of STEPS steps in milliseconds. A job with the same batch and threads as
// the one before goes on with its network.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <vector>

#include <omp.h>

#include "onednn.hpp"

using namespace onednn;
using dnnl::algorithm;
using dnnl::prop_kind;

namespace {

constexpr memory::dim image = 28, kernel = 5, pad = 2, first_filters = 32, second_filters = 64, hidden = 1024,
                      classes = 10;
constexpr float learning_rate = 1e-4f, beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
constexpr int warm_steps = 5;
constexpr double settle_milliseconds = 100;  // of steps that are not timed, as in training.lua

// Uniform in [0, 1): Marsaglia's xorshift of a hashed counter, so that each element is on its own.
float uniform(uint32_t counter) {
  uint32_t x = counter * 2654435761u + 1;
  x ^= x << 13, x ^= x >> 17, x ^= x << 5;
  x *= 2246822519u;
  return static_cast<float>((x ^ x >> 15) >> 8) * (1.f / (1 << 24));
}

// A parameter in the format of its forward primitive, its gradient in the same, and Adam's state.
struct parameter {
  memory value, gradient;
  std::vector<float> m, v;

  parameter(const memory::desc &plain, const memory::desc &format, float deviation, float constant)
      : gradient(fresh(format)), m(format.get_size() / sizeof(float)), v(m.size()) {
    memory start = fresh(plain);
    float *x = floats(start);
    for (size_t i = 0; i < plain.get_size() / sizeof(float); i++) {
      float sum = -6;  // of twelve uniform numbers: nearly normal
      for (uint32_t k = 0; k < 12; k++) sum += uniform(static_cast<uint32_t>(i) * 12 + k);
      x[i] = constant + deviation * sum;
    }
    value = in_format(start, format);
  }

  void adam(float rate) {
    float *w = floats(value), *first = m.data(), *second = v.data();
    const float *g = floats(gradient);
    const size_t count = m.size();
#pragma omp parallel for simd
    for (size_t i = 0; i < count; i++) {
      first[i] = beta1 * first[i] + (1 - beta1) * g[i];
      second[i] = beta2 * second[i] + (1 - beta2) * g[i] * g[i];
      w[i] -= rate * first[i] / (std::sqrt(second[i]) + epsilon);
    }
  }
};

// How the backward passes of the large layer want its weights: as the forward pass has them, or as they like
// best, at the price of a reorder in every step.
enum class weights { as_forward, as_liked };

class network {
 public:
  network(memory::dim batch, weights large);
  float step();

 private:
  struct layer {
    std::shared_ptr<parameter> weight, bias;
    memory in, out;  // out is after relu
  };

  memory::dim batch_;
  weights large_;
  std::vector<std::function<void()>> passes_;
  std::vector<std::shared_ptr<parameter>> parameters_;
  std::vector<int> labels_;
  uint32_t steps_ = 0;
  float loss_ = 0;

  void add(const dnnl::primitive &primitive, const arguments &operands) {
    passes_.push_back([=] { primitive.execute(stream(), operands); });
  }

  // The same numbers in another format: the memory itself, or a copy that each step makes anew.
  memory as(memory from, const memory::desc &want) {
    if (from.get_desc() == want) return from;
    memory copy = fresh(want);
    add(dnnl::reorder(from, copy), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, copy}});
    return copy;
  }

  // Where a primitive writes its result, and after it the reorder into `to` if that has another format.
  void add_into(const dnnl::primitive &primitive, arguments operands, int argument, const memory::desc &made,
                memory to) {
    memory result = made == to.get_desc() ? to : fresh(made);
    operands.insert({argument, result});
    add(primitive, operands);
    if (made != to.get_desc()) add(dnnl::reorder(result, to), {{DNNL_ARG_FROM, result}, {DNNL_ARG_TO, to}});
  }

  std::shared_ptr<parameter> make_parameter(const memory::desc &plain, const memory::desc &format,
                                            bool bias) {
    parameters_.push_back(std::make_shared<parameter>(plain, format, bias ? 0.f : 0.1f, bias ? 0.1f : 0.f));
    return parameters_.back();
  }

  static dnnl::primitive_attr with_relu() {
    dnnl::post_ops after;
    after.append_eltwise(1.f, algorithm::eltwise_relu, 0.f, 0.f);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(after);
    return attributes;
  }

  struct conv : layer {
    dnnl::convolution_forward::primitive_desc forward;
  };
  struct pool : layer {
    dnnl::pooling_forward::primitive_desc forward;
    memory workspace;
  };
  struct linear : layer {
    dnnl::inner_product_forward::primitive_desc forward;
    memory::desc weight_plain;
  };

  conv conv_forward(memory x, memory::dim size, memory::dim in, memory::dim out);
  void conv_backward_weights(const conv &c, memory gy);
  memory conv_backward_data(const conv &c, memory gy, const memory::desc &want);
  pool pool_forward(memory x, memory::dim size, memory::dim channels);
  memory pool_backward(const pool &p, memory gy);
  linear linear_forward(memory x, const memory::dims &in, memory::dim out, bool relu);
  void linear_backward_weights(const linear &l, memory gy);
  memory linear_backward_data(const linear &l, memory gy, const memory::desc &want);
  void relu_backward(memory gradient, memory y);
  memory dropout(memory y);
  memory cross_entropy(memory logits);
};

network::conv network::conv_forward(memory x, memory::dim size, memory::dim in, memory::dim out) {
  conv c;
  memory::desc bias = describe({out}, tag::x);
  c.forward = {{prop_kind::forward_training,
                algorithm::convolution_direct,
                any({batch_, in, size, size}),
                any({out, in, kernel, kernel}),
                bias,
                any({batch_, out, size, size}),
                {1, 1},
                {pad, pad},
                {pad, pad}},
               with_relu(),
               engine()};
  c.weight = make_parameter(describe({out, in, kernel, kernel}, tag::oihw), c.forward.weights_desc(), false);
  c.bias = make_parameter(bias, bias, true);
  c.in = x;
  c.out = fresh(c.forward.dst_desc());
  add(dnnl::convolution_forward(c.forward), {{DNNL_ARG_SRC, as(x, c.forward.src_desc())},
                                             {DNNL_ARG_WEIGHTS, c.weight->value},
                                             {DNNL_ARG_BIAS, c.bias->value},
                                             {DNNL_ARG_DST, c.out}});
  return c;
}

void network::conv_backward_weights(const conv &c, memory gy) {
  dnnl::convolution_backward_weights::primitive_desc made({algorithm::convolution_direct,
                                                           any(c.forward.src_desc().dims()),
                                                           any(c.forward.weights_desc().dims()),
                                                           c.bias->value.get_desc(),
                                                           any(c.forward.dst_desc().dims()),
                                                           {1, 1},
                                                           {pad, pad},
                                                           {pad, pad}},
                                                          engine(), c.forward);
  add_into(dnnl::convolution_backward_weights(made),
           {{DNNL_ARG_SRC, as(c.in, made.src_desc())},
            {DNNL_ARG_DIFF_DST, as(gy, made.diff_dst_desc())},
            {DNNL_ARG_DIFF_BIAS, c.bias->gradient}},
           DNNL_ARG_DIFF_WEIGHTS, made.diff_weights_desc(), c.weight->gradient);
}

memory network::conv_backward_data(const conv &c, memory gy, const memory::desc &want) {
  dnnl::convolution_backward_data::primitive_desc made({algorithm::convolution_direct,
                                                        any(c.forward.src_desc().dims()),
                                                        any(c.forward.weights_desc().dims()),
                                                        any(c.forward.dst_desc().dims()),
                                                        {1, 1},
                                                        {pad, pad},
                                                        {pad, pad}},
                                                       engine(), c.forward);
  memory gx = fresh(want);
  add_into(dnnl::convolution_backward_data(made),
           {{DNNL_ARG_DIFF_DST, as(gy, made.diff_dst_desc())},
            {DNNL_ARG_WEIGHTS, as(c.weight->value, made.weights_desc())}},
           DNNL_ARG_DIFF_SRC, made.diff_src_desc(), gx);
  return gx;
}

network::pool network::pool_forward(memory x, memory::dim size, memory::dim channels) {
  pool p;
  p.forward = {{prop_kind::forward_training,
                algorithm::pooling_max,
                x.get_desc(),
                any({batch_, channels, size / 2, size / 2}),
                {2, 2},
                {2, 2},
                {0, 0},
                {0, 0}},
               engine()};
  p.in = x;
  p.out = fresh(p.forward.dst_desc());
  p.workspace = fresh(p.forward.workspace_desc());
  add(dnnl::pooling_forward(p.forward),
      {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, p.out}, {DNNL_ARG_WORKSPACE, p.workspace}});
  return p;
}

memory network::pool_backward(const pool &p, memory gy) {
  dnnl::pooling_backward::primitive_desc made(
      {algorithm::pooling_max, p.in.get_desc(), p.out.get_desc(), {2, 2}, {2, 2}, {0, 0}, {0, 0}}, engine(),
      p.forward);
  memory gx = fresh(p.in.get_desc());
  add(dnnl::pooling_backward(made),
      {{DNNL_ARG_DIFF_DST, gy}, {DNNL_ARG_WORKSPACE, p.workspace}, {DNNL_ARG_DIFF_SRC, gx}});
  return gx;
}

network::linear network::linear_forward(memory x, const memory::dims &in, memory::dim out, bool relu) {
  linear l;
  memory::dims weight = in;
  weight[0] = out;
  l.weight_plain = describe(weight, weight.size() == 4 ? tag::oihw : tag::oi);
  memory::desc bias = describe({out}, tag::x);
  dnnl::inner_product_forward::desc wanted(prop_kind::forward_training, any(in), any(weight), bias,
                                           describe({batch_, out}, tag::nc));
  l.forward = {wanted, relu ? with_relu() : dnnl::primitive_attr(), engine()};
  l.weight = make_parameter(l.weight_plain, l.forward.weights_desc(), false);
  l.bias = make_parameter(bias, bias, true);
  l.in = x;
  l.out = fresh(l.forward.dst_desc());
  add(dnnl::inner_product_forward(l.forward), {{DNNL_ARG_SRC, as(x, l.forward.src_desc())},
                                               {DNNL_ARG_WEIGHTS, l.weight->value},
                                               {DNNL_ARG_BIAS, l.bias->value},
                                               {DNNL_ARG_DST, l.out}});
  return l;
}

void network::linear_backward_weights(const linear &l, memory gy) {
  memory::desc weight = large_ == weights::as_liked ? any(l.weight_plain.dims()) : l.forward.weights_desc();
  dnnl::inner_product_backward_weights::primitive_desc made(
      {any(l.forward.src_desc().dims()), weight, l.bias->value.get_desc(), gy.get_desc()}, engine(),
      l.forward);
  add_into(dnnl::inner_product_backward_weights(made),
           {{DNNL_ARG_SRC, as(l.in, made.src_desc())},
            {DNNL_ARG_DIFF_DST, as(gy, made.diff_dst_desc())},
            {DNNL_ARG_DIFF_BIAS, l.bias->gradient}},
           DNNL_ARG_DIFF_WEIGHTS, made.diff_weights_desc(), l.weight->gradient);
}

memory network::linear_backward_data(const linear &l, memory gy, const memory::desc &want) {
  memory::desc weight = large_ == weights::as_liked ? any(l.weight_plain.dims()) : l.forward.weights_desc();
  dnnl::inner_product_backward_data::primitive_desc made(
      {any(l.forward.src_desc().dims()), weight, gy.get_desc()}, engine(), l.forward);
  memory gx = fresh(want);
  add_into(dnnl::inner_product_backward_data(made),
           {{DNNL_ARG_DIFF_DST, as(gy, made.diff_dst_desc())},
            {DNNL_ARG_WEIGHTS, as(l.weight->value, made.weights_desc())}},
           DNNL_ARG_DIFF_SRC, made.diff_src_desc(), gx);
  return gx;
}

// In place; y is what came out of the relu, in the same format.
void network::relu_backward(memory gradient, memory y) {
  size_t count = y.get_desc().get_size() / sizeof(float);
  float *g = floats(gradient);
  const float *out = floats(y);
  passes_.push_back([=] {
#pragma omp parallel for simd
    for (size_t i = 0; i < count; i++) g[i] = out[i] > 0 ? g[i] : 0;
  });
}

// Half of the elements, doubled. What is dropped is 0 like what the relu before it stopped, so that one loop
// takes both back.
memory network::dropout(memory y) {
  memory kept = fresh(y.get_desc());
  size_t count = y.get_desc().get_size() / sizeof(float);
  passes_.push_back([=] {
    const float *x = floats(y);
    float *out = floats(kept);
    uint32_t first = steps_ * static_cast<uint32_t>(count);
#pragma omp parallel for simd
    for (size_t i = 0; i < count; i++)
      out[i] = uniform(first + static_cast<uint32_t>(i)) < 0.5f ? 0 : 2 * x[i];
  });
  return kept;
}

// Mean cross-entropy of the softmax, and its gradient.
memory network::cross_entropy(memory logits) {
  memory gradient = fresh(logits.get_desc());
  passes_.push_back([=] {
    double total = 0;
    for (memory::dim row = 0; row < batch_; row++) {
      const float *x = floats(logits) + row * classes;
      float *g = floats(gradient) + row * classes, largest = *std::max_element(x, x + classes), sum = 0;
      for (memory::dim i = 0; i < classes; i++) sum += g[i] = std::exp(x[i] - largest);
      int label = labels_[static_cast<size_t>(row)];
      total += std::log(sum) + largest - x[label];
      for (memory::dim i = 0; i < classes; i++)
        g[i] = (g[i] / sum - (i == label)) / static_cast<float>(batch_);
    }
    loss_ = static_cast<float>(total / static_cast<double>(batch_));
  });
  return gradient;
}

// The batch is fixed: noise, with a bright square whose place is the label's.
network::network(memory::dim batch, weights large) : batch_(batch), large_(large) {
  memory x = fresh(describe({batch, 1, image, image}, tag::nchw));
  for (memory::dim i = 0; i < batch; i++) {
    int label = static_cast<int>(i % classes);
    labels_.push_back(label);
    float *pixels = floats(x) + i * image * image;
    for (memory::dim p = 0; p < image * image; p++)
      pixels[p] = 0.3f * uniform(static_cast<uint32_t>(i * image * image + p));
    for (memory::dim p = 0; p < 36; p++) pixels[(label / 5 * 14 + p / 6) * image + label % 5 * 5 + p % 6] = 1;
  }

  conv conv1 = conv_forward(x, image, 1, first_filters);
  pool pool1 = pool_forward(conv1.out, image, first_filters);
  conv conv2 = conv_forward(pool1.out, image / 2, first_filters, second_filters);
  pool pool2 = pool_forward(conv2.out, image / 2, second_filters);
  linear linear1 = linear_forward(pool2.out, {batch, second_filters, image / 4, image / 4}, hidden, true);
  memory kept = dropout(linear1.out);
  linear linear2 = linear_forward(kept, {batch, hidden}, classes, false);
  memory g = cross_entropy(linear2.out);

  linear_backward_weights(linear2, g);
  g = linear_backward_data(linear2, g, kept.get_desc());
  size_t count = kept.get_desc().get_size() / sizeof(float);
  passes_.push_back([g, kept, count] {
    float *gradient = floats(g);
    const float *y = floats(kept);
#pragma omp parallel for simd
    for (size_t i = 0; i < count; i++) gradient[i] = y[i] > 0 ? 2 * gradient[i] : 0;
  });
  linear_backward_weights(linear1, g);
  g = linear_backward_data(linear1, g, pool2.out.get_desc());
  g = pool_backward(pool2, g);
  relu_backward(g, conv2.out);
  conv_backward_weights(conv2, g);
  g = conv_backward_data(conv2, g, pool1.out.get_desc());
  g = pool_backward(pool1, g);
  relu_backward(g, conv1.out);
  conv_backward_weights(conv1, g);
}

float network::step() {
  steps_++;
  for (const auto &pass : passes_) pass();
  stream().wait();
  double step = steps_;
  float rate =
      learning_rate * static_cast<float>(std::sqrt(1 - std::pow(beta2, step)) / (1 - std::pow(beta1, step)));
  for (const auto &p : parameters_) p->adam(rate);
  return loss_;
}

double milliseconds(network &net) {
  auto began = std::chrono::steady_clock::now();
  net.step();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
}

double median(network &net, int steps) {
  std::vector<double> times;
  for (int i = 0; i < steps; i++) times.push_back(milliseconds(net));
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// The faster of the two ways of keeping the large layer's weights.
std::unique_ptr<network> fastest(memory::dim batch) {
  std::unique_ptr<network> best;
  double least = 0;
  for (weights way : {weights::as_forward, weights::as_liked}) {
    auto net = std::make_unique<network>(batch, way);
    median(*net, warm_steps);
    double time = median(*net, warm_steps);
    if (!best || time < least) best = std::move(net), least = time;
  }
  return best;
}

bool loss_falls() {
  for (weights way : {weights::as_forward, weights::as_liked}) {
    network net(50, way);
    float first = net.step(), last = first;
    for (int i = 0; i < 30; i++) last = net.step();
    if (!(last < first / 2)) {
      std::cerr << "onednn_step: the loss went from " << first << " to " << last
                << " in 30 steps on one batch\n";
      return false;
    }
  }
  return true;
}

}  // namespace

int main() {
  if (!loss_falls()) return 1;
  std::unique_ptr<network> net;
  memory::dim batch = 0;
  int threads = 0;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string kind, activation, rule;
    memory::dim wanted_batch = 0;
    int wanted_threads = 0, steps = 0;
    words >> kind >> activation >> rule >> wanted_batch >> wanted_threads >> steps;
    if (kind != "step" || activation != "relu" || rule != "adam" || wanted_batch < 1 || wanted_threads < 1 ||
        steps < 1) {
      std::cerr << "onednn_step: expected 'step relu adam BATCH THREADS STEPS', got '" << line << "'\n";
      return 2;
    }
    if (!net || batch != wanted_batch || threads != wanted_threads) {
      net.reset();
      batch = wanted_batch, threads = wanted_threads;
      omp_set_num_threads(threads);
      net = fastest(batch);
    }
    for (double spent = 0; spent < settle_milliseconds;) spent += milliseconds(*net);
    std::printf("%.3f\n", median(*net, steps));
    std::fflush(stdout);
  }
}
