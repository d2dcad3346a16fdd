#include "kernels/cpu/onednn.hpp"

#include <cstdlib>

namespace hydrajob::cpu {

MatmulDesc describe_matmul(const dnnl::engine& engine, std::int64_t rows, std::int64_t in, std::int64_t out,
                           dnnl::memory::data_type a_type, const dnnl::memory::desc& b,
                           dnnl::memory::data_type c_type, bool add) {
  using Tag = dnnl::memory::format_tag;
  const dnnl::memory::desc a({rows, in}, a_type, Tag::ab);
  const dnnl::memory::desc c({rows, out}, c_type, Tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (add) {
    dnnl::post_ops then;
    then.append_sum();
    attributes.set_post_ops(then);
  }
#if DNNL_VERSION_MAJOR >= 3
  return {engine, a, b, c, attributes};
#else
  return {dnnl::matmul::desc(a, b, c), attributes, engine};
#endif
}

bool is_reference(const std::string& implementation) {
  return implementation.rfind("ref", 0) == 0;
}

void limit_onednn(Isa isa) {
  if (std::getenv("ONEDNN_MAX_CPU_ISA") != nullptr || std::getenv("DNNL_MAX_CPU_ISA") != nullptr) return;
#if defined(__x86_64__)
  switch (isa) {
    case Isa::portable:
      dnnl::set_max_cpu_isa(dnnl::cpu_isa::sse41);
      break;
    case Isa::avx2:
      dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
      break;
    case Isa::avx512:
      dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core_vnni);
      break;
    case Isa::avx512_bf16:
      break;
  }
#else
  static_cast<void>(isa);
#endif
}

bool multiplies(DType dtype) {
  if (dtype == DType::f32) return true;
#if defined(__x86_64__)
  // Each set of instructions contains the bits of those it includes.
  const auto has = [](dnnl::cpu_isa needed) {
    const auto effective = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
    return (effective & static_cast<unsigned>(needed)) == static_cast<unsigned>(needed);
  };
  if (dtype == DType::bf16) return has(dnnl::cpu_isa::avx512_core_bf16);
#if DNNL_VERSION_MAJOR >= 3  // before, it knew f16 on GPUs only
  return has(dnnl::cpu_isa::avx512_core_fp16);
#endif
#endif
  return false;
}

dnnl::memory::data_type data_type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return dnnl::memory::data_type::f32;
    case DType::bf16:
      return dnnl::memory::data_type::bf16;
    case DType::f16:
      break;
  }
  return dnnl::memory::data_type::f16;
}

}  // namespace hydrajob::cpu
