// The C++ type of a tensor's elements, where the tensor's is known at run time only.
#pragma once

#include "base/bf16.hpp"
#include "base/dtype.hpp"
#include "base/f16.hpp"

namespace hydrajob {

// work(T{}), T being what an element of `dtype` is: float, Bf16 or F16. All three convert to and from float.
template <class Work>
decltype(auto) with_element(DType dtype, const Work& work) {
  switch (dtype) {
    case DType::f32:
      return work(float{});
    case DType::bf16:
      return work(Bf16{});
    case DType::f16:
      break;
  }
  return work(F16{});
}

}  // namespace hydrajob
