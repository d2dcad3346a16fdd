#include "store/table.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.hpp"

namespace hydrajob {
namespace {

using hdf5::Handle;

constexpr std::size_t compact_bytes = 32 * 1024;    // inside the object header: no block of its own
constexpr std::size_t chunked_bytes = 1024 * 1024;  // larger: compressed in chunks
constexpr std::size_t chunk_bytes = 256 * 1024;
constexpr int deflate_level = 4;
constexpr std::size_t deflate_gain = 1100;  // a byte of a deflated file becomes at most 1032

[[noreturn]] void fail(const std::string& where, const std::string& name, const std::string& what) {
  throw StoreError(where + ": " + name + ": " + what + ": " + hdf5::hdf5_error());
}

Handle string_type(std::size_t length) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, std::max<std::size_t>(length, 1));
  H5Tset_cset(type, H5T_CSET_UTF8);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  return type;
}

Handle creation_list(hsize_t n, std::size_t element_bytes) {
  Handle list(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  const std::size_t bytes = n * element_bytes;
  if (bytes <= compact_bytes) {
    H5Pset_layout(list, H5D_COMPACT);
  } else if (bytes > chunked_bytes) {
    const hsize_t chunk = std::max<hsize_t>(1, std::min<hsize_t>(n, chunk_bytes / element_bytes));
    H5Pset_chunk(list, 1, &chunk);
    H5Pset_shuffle(list);
    H5Pset_deflate(list, deflate_level);
  }
  return list;
}

// Length of the UTF-8 character at text[i]; 0 where there is none. Zero bytes would end the text.
std::size_t character_bytes(const std::string& text, std::size_t i) {
  const auto lead = static_cast<unsigned char>(text[i]);
  const std::size_t n = lead == 0     ? 0
                        : lead < 0x80 ? 1
                        : lead < 0xc2 ? 0
                        : lead < 0xe0 ? 2
                        : lead < 0xf0 ? 3
                                      : 4;
  if (n == 0 || lead > 0xf4 || i + n > text.size()) return 0;
  for (std::size_t k = 1; k < n; ++k) {
    if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return 0;
  }
  const auto second = static_cast<unsigned char>(n > 1 ? text[i + 1] : 0);
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool outside = (lead == 0xed && second > 0x9f) || (lead == 0xf4 && second > 0x8f);
  return overlong || outside ? 0 : n;
}

std::string clean_text(std::string text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t n = character_bytes(text, i);
    if (n == 0) text[i] = '?';
    i += std::max<std::size_t>(n, 1);
  }
  return text;
}

// The values as HDF5 takes them: a file type, a memory type, the bytes.
struct Encoded {
  Handle owned_type;
  hid_t file_type = -1;
  hid_t memory_type = -1;
  std::size_t element_bytes = 0;
  std::vector<char> text;
  const void* data = nullptr;
};

Encoded encode(const std::vector<std::int64_t>& values, int int_bytes) {
  Encoded e;
  e.file_type = int_bytes == 1 ? H5T_STD_I8LE : int_bytes == 4 ? H5T_STD_I32LE : H5T_STD_I64LE;
  e.memory_type = H5T_NATIVE_INT64;
  e.element_bytes = static_cast<std::size_t>(int_bytes);
  e.data = values.data();
  return e;
}

Encoded encode(const std::vector<double>& values, int) {
  Encoded e;
  e.file_type = H5T_IEEE_F64LE;
  e.memory_type = H5T_NATIVE_DOUBLE;
  e.element_bytes = sizeof(double);
  e.data = values.data();
  return e;
}

Encoded encode(const std::vector<std::string>& values, int) {
  std::size_t length = 1;
  for (const auto& value : values) length = std::max(length, value.size());
  Encoded e;
  e.owned_type = string_type(length);
  e.file_type = e.memory_type = e.owned_type;
  e.element_bytes = length;
  e.text.resize(length * values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string value = clean_text(values[i]);
    std::copy(value.begin(), value.end(), e.text.begin() + static_cast<std::ptrdiff_t>(i * length));
  }
  e.data = e.text.data();
  return e;
}

void write_missing(hid_t dataset, const Column& column) {
  if (!column.missing) return;
  if (std::holds_alternative<std::vector<std::int64_t>>(column.values)) {
    write_int_attribute(dataset, "missing_value", missing_int);
  } else if (std::holds_alternative<std::vector<std::string>>(column.values)) {
    write_text_attribute(dataset, "missing_value", "");
  } else {
    const double nan = std::nan("");
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    const Handle a(H5Acreate2(dataset, "missing_value", H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT),
                   H5Aclose);
    H5Awrite(a, H5T_NATIVE_DOUBLE, &nan);
  }
}

// Number of values, each of `element_bytes` in the file.
hsize_t length_of(hid_t dataset, std::size_t element_bytes, std::size_t file_bytes, const std::string& where,
                  const std::string& name) {
  const Handle space(H5Dget_space(dataset), H5Sclose);
  hsize_t n = 0;
  if (H5Sget_simple_extent_ndims(space) != 1) fail(where, name, "expected one dimension");
  H5Sget_simple_extent_dims(space, &n, nullptr);
  if (n > deflate_gain * file_bytes / std::max<std::size_t>(element_bytes, 1)) {
    throw StoreError(where + ": " + name + ": damaged: " + std::to_string(n) + " values of " +
                     std::to_string(element_bytes) + " bytes in a file of " + std::to_string(file_bytes));
  }
  return n;
}

template <class T>
std::vector<T> read_numbers(hid_t dataset, hid_t type, hsize_t n, const std::string& where,
                            const std::string& name) {
  std::vector<T> values(n);
  if (n > 0 && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
    fail(where, name, "cannot be read");
  return values;
}

std::vector<std::string> read_strings(hid_t dataset, hid_t type, hsize_t n, const std::string& where,
                                      const std::string& name) {
  if (H5Tis_variable_str(type) > 0) fail(where, name, "expected fixed-length strings");
  const std::size_t length = H5Tget_size(type);
  std::vector<char> text(length * n);
  if (n > 0 && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()) < 0)
    fail(where, name, "cannot be read");
  std::vector<std::string> values(n);
  for (hsize_t i = 0; i < n; ++i) values[i].assign(&text[i * length], strnlen(&text[i * length], length));
  return values;
}

}  // namespace

void write_text_attribute(hid_t object, const char* name, const std::string& text) {
  const Handle type = string_type(text.size());
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle attribute(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  H5Awrite(attribute, type, text.c_str());
}

void write_int_attribute(hid_t object, const char* name, std::int64_t value) {
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle attribute(H5Acreate2(object, name, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  H5Awrite(attribute, H5T_NATIVE_INT64, &value);
}

std::string read_text_attribute(hid_t object, const char* name) {
  if (H5Aexists(object, name) <= 0) return {};
  const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
  const Handle type(H5Aget_type(attribute), H5Tclose);
  if (!type.valid() || H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) > 0) return {};
  std::string text(H5Tget_size(type), '\0');
  if (H5Aread(attribute, type, text.data()) < 0) return {};
  text.resize(strnlen(text.data(), text.size()));
  return text;
}

void write_column(hid_t group, const Column& column, const std::string& where) {
  const Encoded e = std::visit([&](const auto& v) { return encode(v, column.int_bytes); }, column.values);
  const hsize_t n = column.size();
  const Handle space(H5Screate_simple(1, &n, nullptr), H5Sclose);
  const Handle list = creation_list(n, e.element_bytes);
  const Handle dataset(
      H5Dcreate2(group, column.name.c_str(), e.file_type, space, H5P_DEFAULT, list, H5P_DEFAULT), H5Dclose);
  if (!dataset.valid()) fail(where, column.name, "cannot be created");
  if (n > 0 && H5Dwrite(dataset, e.memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, e.data) < 0) {
    fail(where, column.name, "cannot be written");
  }
  write_text_attribute(dataset, "units", column.units);
  write_text_attribute(dataset, "long_name", column.long_name);
  write_missing(dataset, column);
}

Column read_column(hid_t group, const std::string& name, const std::string& where, std::size_t file_bytes) {
  const Handle dataset(H5Dopen2(group, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.valid()) fail(where, name, "is missing");
  const Handle type(H5Dget_type(dataset), H5Tclose);
  const hsize_t n = length_of(dataset, H5Tget_size(type), file_bytes, where, name);
  Column column;
  column.name = name;
  column.units = read_text_attribute(dataset, "units");
  column.long_name = read_text_attribute(dataset, "long_name");
  column.missing = H5Aexists(dataset, "missing_value") > 0;
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      column.int_bytes = static_cast<int>(H5Tget_size(type));
      column.values = read_numbers<std::int64_t>(dataset, H5T_NATIVE_INT64, n, where, name);
      break;
    case H5T_FLOAT:
      column.values = read_numbers<double>(dataset, H5T_NATIVE_DOUBLE, n, where, name);
      break;
    case H5T_STRING:
      column.values = read_strings(dataset, type, n, where, name);
      break;
    default:
      fail(where, name, "expected integers, floating-point numbers or strings");
  }
  return column;
}

std::vector<std::string> names_in(hid_t group) {
  std::vector<std::string> names;
  H5Literate(
      group, H5_INDEX_NAME, H5_ITER_INC, nullptr,
      [](hid_t, const char* name, const H5L_info_t*, void* data) -> herr_t {
        static_cast<std::vector<std::string>*>(data)->emplace_back(name);
        return 0;
      },
      &names);
  return names;
}

}  // namespace hydrajob
