// Opening a model file with HDF5, and its strings: all are attributes of fixed length.
#pragma once

#include <cstring>
#include <optional>
#include <string>

#include <hdf5.h>

#include "store/hdf5_handle.hpp"

namespace hydrajob::weights {

// `short_too`: also when the file is shorter than it says, to tell what is missing.
inline hdf5::Handle open_hdf5(const std::string& path, bool short_too) {
  const hdf5::Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  // Locks are refused by some file systems of clusters, and a file that is replaced by rename needs none.
  H5Pset_file_locking(access, false, true);
  const hbool_t skip = 1;
  if (short_too && H5Pexist(access, "skip_eof_check") > 0) H5Pset(access, "skip_eof_check", &skip);
  return hdf5::Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
}

inline bool is_fixed_text(hid_t attribute) {
  const hdf5::Handle type(H5Aget_type(attribute), H5Tclose);
  const hdf5::Handle space(H5Aget_space(attribute), H5Sclose);
  return H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) <= 0 &&
         H5Sget_simple_extent_npoints(space) == 1;
}

// Of an attribute that is_fixed_text(); nothing where HDF5 cannot read it.
inline std::optional<std::string> read_fixed_text(hid_t attribute) {
  const hdf5::Handle type(H5Aget_type(attribute), H5Tclose);
  std::string value(H5Tget_size(type), '\0');
  if (H5Aread(attribute, type, value.data()) < 0) return std::nullopt;
  value.resize(std::strlen(value.c_str()));
  return value;
}

}  // namespace hydrajob::weights
