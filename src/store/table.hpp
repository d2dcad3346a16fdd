// Columns of a table as 1-D HDF5 datasets, each with its unit and what it means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "store/hdf5_handle.hpp"

namespace hydrajob {

struct Column {
  std::string name;
  std::string units = "1";
  std::string long_name;
  std::variant<std::vector<std::int64_t>, std::vector<double>, std::vector<std::string>> values;
  bool missing = false;  // some values are missing: the smallest int64, NaN, ""
  int int_bytes = 8;     // width of integers in the file: 1, 4 or 8

  std::size_t size() const {
    return std::visit([](const auto& v) { return v.size(); }, values);
  }
};

inline constexpr std::int64_t missing_int = INT64_MIN;

// `where` is for messages: the file's path. Both throw StoreError with the dataset's name and HDF5's words.
// Texts become UTF-8 without zero bytes: what is neither is written as '?'.
void write_column(hid_t group, const Column& column, const std::string& where);
// `file_bytes`: size of the file; a dataset that cannot come out of so few bytes is refused, not allocated.
Column read_column(hid_t group, const std::string& name, const std::string& where, std::size_t file_bytes);

// Names of the datasets or groups in a group, sorted.
std::vector<std::string> names_in(hid_t group);

void write_text_attribute(hid_t object, const char* name, const std::string& text);
void write_int_attribute(hid_t object, const char* name, std::int64_t value);
// Empty when it is not there, or no fixed-length string.
std::string read_text_attribute(hid_t object, const char* name);

}  // namespace hydrajob
