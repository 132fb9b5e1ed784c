#include "peer.h"

#include <cstdio>

#include "onednn.hpp"

using namespace onednn;
using dnnl::algorithm;
using dnnl::prop_kind;

struct peer {
  dnnl::primitive primitive;
  arguments operands;
  memory result;              // in the primitive's format
  memory::desc result_plain;  // in ours
};

namespace {

memory::dim to_dim(size_t n) { return static_cast<memory::dim>(n); }

// A copy of our operand in the format that the primitive wants.
memory operand(const float *from, const memory::desc &plain, const memory::desc &want) {
  memory ours(plain, engine(), const_cast<float *>(from));
  return in_format(ours, want);
}

template <typename make>
peer *guarded(make body) {
  try {
    return new peer(body());
  } catch (const dnnl::error &problem) {
    std::fprintf(stderr, "oneDNN: %s\n", problem.what());
    return nullptr;
  }
}

dnnl::convolution_forward::primitive_desc conv_forward(const peer_conv &c) {
  memory::dim batch = to_dim(c.batch), size = to_dim(c.size), in = to_dim(c.in), out = to_dim(c.out);
  memory::dim kernel = to_dim(c.kernel), pad = kernel / 2;
  dnnl::convolution_forward::desc wanted(prop_kind::forward_training, algorithm::convolution_direct,
                                         any({batch, in, size, size}), any({out, in, kernel, kernel}),
                                         describe({out}, tag::x), any({batch, out, size, size}), {1, 1},
                                         {pad, pad}, {pad, pad});
  return {wanted, engine()};
}

dnnl::inner_product_forward::primitive_desc linear_forward(memory::dim batch, memory::dim in,
                                                           memory::dim out) {
  return {{prop_kind::forward_training, any({batch, in}), any({out, in}), describe({out}, tag::x),
           any({batch, out})},
          engine()};
}

}  // namespace

const char *peer_name(void) {
  static const std::string name = version();
  return name.c_str();
}

peer *peer_conv_new(peer_pass pass, const peer_conv *conv, const float *a, const float *b,
                    const float *bias) {
  return guarded([&]() -> peer {
    memory::dim batch = to_dim(conv->batch), size = to_dim(conv->size), in = to_dim(conv->in);
    memory::dim out = to_dim(conv->out), kernel = to_dim(conv->kernel), pad = kernel / 2;
    memory::desc x = describe({batch, in, size, size}, tag::nhwc),
                 y = describe({batch, out, size, size}, tag::nhwc);
    memory::desc w = describe({out, in, kernel, kernel}, tag::hwio), per_filter = describe({out}, tag::x);
    auto forward = conv_forward(*conv);

    if (pass == PEER_FORWARD) {
      memory result = fresh(forward.dst_desc());
      return {dnnl::convolution_forward(forward),
              {{DNNL_ARG_SRC, operand(a, x, forward.src_desc())},
               {DNNL_ARG_WEIGHTS, operand(b, w, forward.weights_desc())},
               {DNNL_ARG_BIAS, operand(bias, per_filter, per_filter)},
               {DNNL_ARG_DST, result}},
              result,
              y};
    }
    if (pass == PEER_DATA) {
      dnnl::convolution_backward_data::desc wanted(algorithm::convolution_direct, any(x.dims()),
                                                   any(w.dims()), any(y.dims()), {1, 1}, {pad, pad},
                                                   {pad, pad});
      dnnl::convolution_backward_data::primitive_desc made(wanted, engine(), forward);
      memory result = fresh(made.diff_src_desc());
      return {dnnl::convolution_backward_data(made),
              {{DNNL_ARG_DIFF_DST, operand(a, y, made.diff_dst_desc())},
               {DNNL_ARG_WEIGHTS, operand(b, w, made.weights_desc())},
               {DNNL_ARG_DIFF_SRC, result}},
              result,
              x};
    }
    dnnl::convolution_backward_weights::desc wanted(algorithm::convolution_direct, any(x.dims()),
                                                    any(w.dims()), per_filter, any(y.dims()), {1, 1},
                                                    {pad, pad}, {pad, pad});
    dnnl::convolution_backward_weights::primitive_desc made(wanted, engine(), forward);
    memory result = fresh(made.diff_weights_desc());
    return {dnnl::convolution_backward_weights(made),
            {{DNNL_ARG_DIFF_DST, operand(a, y, made.diff_dst_desc())},
             {DNNL_ARG_SRC, operand(b, x, made.src_desc())},
             {DNNL_ARG_DIFF_WEIGHTS, result},
             {DNNL_ARG_DIFF_BIAS, fresh(per_filter)}},
            result,
            w};
  });
}

peer *peer_linear_new(peer_pass pass, size_t batch, size_t in, size_t out, const float *a, const float *b,
                      const float *bias) {
  return guarded([&]() -> peer {
    memory::desc x = describe({to_dim(batch), to_dim(in)}, tag::nc),
                 y = describe({to_dim(batch), to_dim(out)}, tag::nc);
    memory::desc w = describe({to_dim(out), to_dim(in)}, tag::io),
                 per_output = describe({to_dim(out)}, tag::x);
    auto forward = linear_forward(to_dim(batch), to_dim(in), to_dim(out));

    if (pass == PEER_FORWARD) {
      memory result = fresh(forward.dst_desc());
      return {dnnl::inner_product_forward(forward),
              {{DNNL_ARG_SRC, operand(a, x, forward.src_desc())},
               {DNNL_ARG_WEIGHTS, operand(b, w, forward.weights_desc())},
               {DNNL_ARG_BIAS, operand(bias, per_output, per_output)},
               {DNNL_ARG_DST, result}},
              result,
              y};
    }
    if (pass == PEER_DATA) {
      dnnl::inner_product_backward_data::desc wanted(any(x.dims()), any(w.dims()), any(y.dims()));
      dnnl::inner_product_backward_data::primitive_desc made(wanted, engine(), forward);
      memory result = fresh(made.diff_src_desc());
      return {dnnl::inner_product_backward_data(made),
              {{DNNL_ARG_DIFF_DST, operand(a, y, made.diff_dst_desc())},
               {DNNL_ARG_WEIGHTS, operand(b, w, made.weights_desc())},
               {DNNL_ARG_DIFF_SRC, result}},
              result,
              x};
    }
    dnnl::inner_product_backward_weights::desc wanted(any(x.dims()), any(w.dims()), any(y.dims()));
    dnnl::inner_product_backward_weights::primitive_desc made(wanted, engine(), forward);
    memory result = fresh(made.diff_weights_desc());
    return {dnnl::inner_product_backward_weights(made),
            {{DNNL_ARG_DIFF_DST, operand(a, y, made.diff_dst_desc())},
             {DNNL_ARG_SRC, operand(b, x, made.src_desc())},
             {DNNL_ARG_DIFF_WEIGHTS, result}},
            result,
            w};
  });
}

peer *peer_softmax_new(peer_pass pass, size_t rows, size_t columns, const float *a, const float *b) {
  return guarded([&]() -> peer {
    memory::desc plain = describe({to_dim(rows), to_dim(columns)}, tag::ab);
    dnnl::softmax_forward::primitive_desc forward({prop_kind::forward_training, plain, 1}, engine());
    memory result = fresh(plain);
    if (pass == PEER_FORWARD) {
      return {dnnl::softmax_forward(forward),
              {{DNNL_ARG_SRC, operand(a, plain, plain)}, {DNNL_ARG_DST, result}},
              result,
              plain};
    }
    dnnl::softmax_backward::primitive_desc made({plain, plain, 1}, engine(), forward);
    return {dnnl::softmax_backward(made),
            {{DNNL_ARG_DIFF_DST, operand(a, plain, plain)},
             {DNNL_ARG_DST, operand(b, plain, plain)},
             {DNNL_ARG_DIFF_SRC, result}},
            result,
            plain};
  });
}

peer *peer_maxpool_new(peer_pass pass, size_t batch, size_t size, size_t channels, const float *a,
                       const float *b) {
  return guarded([&]() -> peer {
    memory::dim n = to_dim(batch), c = to_dim(channels), s = to_dim(size);
    memory::desc x = describe({n, c, s, s}, tag::nhwc), y = describe({n, c, s / 2, s / 2}, tag::nhwc);
    // The format that a convolution would hand over.
    memory::desc blocked = conv_forward({batch, size, channels, channels, 5}).dst_desc();
    dnnl::pooling_forward::primitive_desc forward({prop_kind::forward_training,
                                                   algorithm::pooling_max,
                                                   blocked,
                                                   any(y.dims()),
                                                   {2, 2},
                                                   {2, 2},
                                                   {0, 0},
                                                   {0, 0}},
                                                  engine());
    memory images = operand(pass == PEER_FORWARD ? a : b, x, blocked);
    memory pooled = fresh(forward.dst_desc()), workspace = fresh(forward.workspace_desc());
    dnnl::pooling_forward pool(forward);
    arguments operands = {{DNNL_ARG_SRC, images}, {DNNL_ARG_DST, pooled}, {DNNL_ARG_WORKSPACE, workspace}};
    if (pass == PEER_FORWARD) return {pool, operands, pooled, y};

    run(pool, operands);
    dnnl::pooling_backward::primitive_desc made(
        {algorithm::pooling_max, blocked, forward.dst_desc(), {2, 2}, {2, 2}, {0, 0}, {0, 0}}, engine(),
        forward);
    memory result = fresh(blocked);
    return {dnnl::pooling_backward(made),
            {{DNNL_ARG_DIFF_DST, operand(a, y, forward.dst_desc())},
             {DNNL_ARG_WORKSPACE, workspace},
             {DNNL_ARG_DIFF_SRC, result}},
            result,
            x};
  });
}

peer *peer_relu_new(peer_pass pass, size_t n, const float *a, const float *b) {
  return guarded([&]() -> peer {
    memory::desc plain = describe({to_dim(n)}, tag::a);
    dnnl::eltwise_forward::primitive_desc forward(
        {prop_kind::forward_training, algorithm::eltwise_relu, plain, 0.f, 0.f}, engine());
    memory result = fresh(plain);
    if (pass == PEER_FORWARD) {
      return {dnnl::eltwise_forward(forward),
              {{DNNL_ARG_SRC, operand(a, plain, plain)}, {DNNL_ARG_DST, result}},
              result,
              plain};
    }
    dnnl::eltwise_backward::primitive_desc made({algorithm::eltwise_relu, plain, plain, 0.f, 0.f}, engine(),
                                                forward);
    return {dnnl::eltwise_backward(made),
            {{DNNL_ARG_DIFF_DST, operand(a, plain, plain)},
             {DNNL_ARG_SRC, operand(b, plain, plain)},
             {DNNL_ARG_DIFF_SRC, result}},
            result,
            plain};
  });
}

void peer_run(peer *peer) { run(peer->primitive, peer->operands); }

void peer_result(float *out, peer *peer) {
  memory ours(peer->result_plain, engine(), out);
  reorder(peer->result, ours);
}

void peer_free(peer *peer) { delete peer; }
