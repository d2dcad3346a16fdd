// The instructions of the tensor cores that every GPU since sm_80 has (PTX ISA: mma, ldmatrix, cp.async).
#pragma once

#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace hydrajob::cuda {

// The element types of products, as instructions name them.
template <class T>
struct Operand;
template <>
struct Operand<__nv_bfloat16> {
  static constexpr char type[] = "bf16";
};
template <>
struct Operand<__half> {
  static constexpr char type[] = "f16";
};

__device__ inline std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

// 16 bytes from global to shared memory, asynchronously; zeros instead where `there` is false.
__device__ inline void copy_16(std::uint32_t shared_target, const void* source, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_target), "l"(source),
               "r"(there ? 16 : 0));
}
__device__ inline void copy_16(void* target, const void* source, bool there) {
  copy_16(shared_address(target), source, there);
}
// What is read once: it leaves the cache before what is read again.
__device__ inline std::uint64_t read_once_policy() {
  std::uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;\n" : "=l"(policy));
  return policy;
}
__device__ inline void copy_16(std::uint32_t shared_target, const void* source, std::uint64_t policy) {
  asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;\n" ::"r"(shared_target),
               "l"(source), "l"(policy));
}
// The 128 bytes around it into L2.
__device__ inline void prefetch(const void* source) {
  asm volatile("prefetch.global.L2 [%0];\n" ::"l"(source));
}
__device__ inline void commit_copies() {
  asm volatile("cp.async.commit_group;\n" ::);
}
// Waits until all but the last N groups of this thread's copies have arrived.
template <int N>
__device__ inline void wait_copies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(N));
}

// Four 8x8 matrices of 16-bit elements; each lane gives the address of a row.
__device__ inline void load_matrices(std::uint32_t (&r)[4], std::uint32_t shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_row));
}
__device__ inline void load_matrices(std::uint32_t (&r)[4], const void* row) {
  load_matrices(r, shared_address(row));
}
__device__ inline void load_matrices_transposed(std::uint32_t (&r)[4], std::uint32_t shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_row));
}
__device__ inline void load_matrices_transposed(std::uint32_t (&r)[4], const void* row) {
  load_matrices_transposed(r, shared_address(row));
}

// c (16x8 f32) += a (16x16 T) b (16x8 T).
template <class T>
__device__ inline void multiply(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.%10.%10.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "C"(Operand<T>::type));
}

// Two elements of T, rounded.
template <class T>
__device__ std::uint32_t paired(float low, float high);
template <>
__device__ inline std::uint32_t paired<__nv_bfloat16>(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const std::uint32_t*>(&pair);
}
template <>
__device__ inline std::uint32_t paired<__half>(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const std::uint32_t*>(&pair);
}

}  // namespace hydrajob::cuda
