// oneDNN in fewer words, for onednn_step.cpp.
#ifndef BENCH_ONEDNN_HPP
#define BENCH_ONEDNN_HPP

#include <dnnl.hpp>

#if DNNL_VERSION_MAJOR != 2
#error "bench/onednn_step.cpp is written for oneDNN 2."
#endif

#include <cstring>
#include <unordered_map>

namespace onednn {

using dnnl::memory;
using tag = memory::format_tag;
using arguments = std::unordered_map<int, memory>;

inline dnnl::engine &engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

inline dnnl::stream &stream() {
  static dnnl::stream order(engine());
  return order;
}

inline memory::desc describe(const memory::dims &dims, tag format) {
  return memory::desc(dims, memory::data_type::f32, format);
}

// As the primitive likes it best.
inline memory::desc any(const memory::dims &dims) { return describe(dims, tag::any); }

inline void run(const dnnl::primitive &primitive, const arguments &operands) {
  primitive.execute(stream(), operands);
  stream().wait();
}

inline void reorder(memory from, memory to) {
  dnnl::reorder(from, to).execute(stream(), from, to);
  stream().wait();
}

inline memory fresh(const memory::desc &format) {
  memory made(format, engine());
  std::memset(made.get_data_handle(), 0, format.get_size());
  return made;
}

// A copy in the wanted format.
inline memory in_format(memory from, const memory::desc &want) {
  memory made = fresh(want);
  reorder(from, made);
  return made;
}

inline float *floats(const memory &m) { return static_cast<float *>(m.get_data_handle()); }

}  // namespace onednn

#endif
