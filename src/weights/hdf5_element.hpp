// What HDF5 keeps a tensor's elements in.
#pragma once

#include <hdf5.h>

#include "base/dtype.hpp"
#include "store/hdf5_handle.hpp"

namespace hydrajob::weights {

struct Hdf5Element {
  hdf5::Handle type;
  const char* described;
};

// HDF5 has no bfloat16: its bits are kept in unsigned integers, and an attribute says so. binary16 it can be
// told of: numpy and h5py know the type as float16.
inline Hdf5Element hdf5_element(DType dtype) {
  const auto copy = [](hid_t type) { return hdf5::Handle(H5Tcopy(type), H5Tclose); };
  switch (dtype) {
    case DType::f32:
      return {copy(H5T_IEEE_F32LE), "32-bit floating-point numbers, little-endian"};
    case DType::bf16:
      return {copy(H5T_STD_U16LE), "unsigned 16-bit integers (bf16), little-endian"};
    case DType::f16:
      break;
  }
  Hdf5Element element{copy(H5T_IEEE_F32LE), "16-bit floating-point numbers, little-endian"};
  H5Tset_fields(element.type, 15, 10, 5, 0, 10);  // sign, 5 bits of exponent, 10 of fraction
  H5Tset_size(element.type, 2);
  H5Tset_ebias(element.type, 15);
  return element;
}

}  // namespace hydrajob::weights
