#include "weights/safetensors.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/json_text.hpp"
#include "base/printable.hpp"

namespace hydrajob::weights {
namespace {

using nlohmann::json;

constexpr std::uint64_t length_bytes = 8;
constexpr std::uint64_t longest_header = 100'000'000;  // as the format's own library allows

const std::map<std::string, std::uint64_t> element_bytes{
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
    {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"F64", 8},     {"I64", 8}, {"U64", 8}};

// Thrown: what is wrong with the tensor that is being read.
struct WrongTensor {
  std::string what;
};

const json& member(const json& tensor, const char* name, json::value_t type, const char* expected) {
  const auto found = tensor.find(name);
  if (found == tensor.end()) throw WrongTensor{fmt::format("no '{}'", name)};
  if (found->type() != type)
    throw WrongTensor{fmt::format("'{}' is {}, expected a {}", name, printable(found->dump()), expected)};
  return *found;
}

std::uint64_t whole(const json& value, const char* name) {
  if (!value.is_number_unsigned()) {
    throw WrongTensor{
        fmt::format("'{}' holds {}, expected whole numbers of 0 or more", name, printable(value.dump()))};
  }
  return value.get<std::uint64_t>();
}

std::uint64_t bytes_of(const StoredTensor& tensor) {
  const auto element = element_bytes.find(tensor.dtype);
  if (element == element_bytes.end())
    throw WrongTensor{fmt::format("unknown dtype '{}'", printable(tensor.dtype))};
  std::uint64_t bytes = element->second;
  for (const std::int64_t n : tensor.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(n), &bytes)) {
      throw WrongTensor{"its shape is larger than any file"};
    }
  }
  return bytes;
}

// Offsets are those of the header, from the data's begin.
StoredTensor read_tensor(const json& value) {
  if (!value.is_object()) throw WrongTensor{"no object"};
  StoredTensor tensor;
  tensor.dtype = member(value, "dtype", json::value_t::string, "text").get<std::string>();
  for (const json& n : member(value, "shape", json::value_t::array, "list")) {
    const std::uint64_t size = whole(n, "shape");
    if (size > static_cast<std::uint64_t>(INT64_MAX)) throw WrongTensor{"its shape is larger than any file"};
    tensor.shape.push_back(static_cast<std::int64_t>(size));
  }
  const json& offsets = member(value, "data_offsets", json::value_t::array, "list");
  if (offsets.size() != 2) throw WrongTensor{"'data_offsets' is no pair"};
  const std::uint64_t begin = whole(offsets[0], "data_offsets"), end = whole(offsets[1], "data_offsets");
  if (end < begin)
    throw WrongTensor{fmt::format("'data_offsets' end at {} before they begin at {}", end, begin)};
  tensor.offset = begin;
  tensor.bytes = end - begin;
  if (const std::uint64_t expected = bytes_of(tensor); tensor.bytes != expected) {
    throw WrongTensor{
        fmt::format("{} bytes are set aside, its shape and dtype take {}", tensor.bytes, expected)};
  }
  return tensor;
}

// Before it is opened: that would wait for a pipe's other end.
std::string expect_file(const std::filesystem::path& path) {
  if (const std::string kind = other_than_file(path); !kind.empty()) {
    throw UsageError(fmt::format("{}: is {}, expected a file", path.string(), kind));
  }
  return path.string();
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(expect_file(path)), file_(path_) {
  read_header();
}

void SafetensorsFile::fail(const std::string& what) const {
  throw UsageError(fmt::format("{}: {}", path_, what));
}

void SafetensorsFile::read(std::uint64_t offset, std::size_t bytes, void* target) const {
  const ReadBytes read = read_bytes(file_.fd(), offset, target, bytes);
  if (read.error != 0) fail(std::strerror(read.error));
  if (read.got < bytes) {
    fail(fmt::format("ends at byte {}, expected {} more", offset + read.got, bytes - read.got));
  }
}

void SafetensorsFile::will_read(std::uint64_t offset, std::uint64_t bytes) const {
  // No more than a hint: where it is refused, nothing is lost.
  static_cast<void>(::posix_fadvise(file_.fd(), static_cast<off_t>(offset), static_cast<off_t>(bytes),
                                    POSIX_FADV_WILLNEED));
}

void SafetensorsFile::read_header() {
  struct stat status {};
  if (::fstat(file_.fd(), &status) != 0) fail(std::strerror(errno));
  const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
  if (file_bytes < length_bytes) fail(fmt::format("{} bytes long: no safetensors file", file_bytes));
  unsigned char length[length_bytes];
  read(0, length_bytes, length);
  std::uint64_t header_bytes = 0;
  for (std::size_t i = length_bytes; i-- > 0;) header_bytes = header_bytes << 8 | length[i];
  if (header_bytes > longest_header || header_bytes > file_bytes - length_bytes) {
    fail(fmt::format(
        "a header of {} bytes, expected {} at most in a file of {}: no safetensors file, or truncated",
        header_bytes, std::min(longest_header, file_bytes - length_bytes), file_bytes));
  }
  std::string text(header_bytes, '\0');
  read(length_bytes, text.size(), text.data());
  state_ = fmt::format("{} {}.{:09} {}", file_bytes, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                       digest128(text));
  const std::uint64_t data_begin = length_bytes + header_bytes;
  const json header = parse_json_object(text, path_ + ", header");
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") continue;
    try {
      StoredTensor tensor = read_tensor(value);
      if (__builtin_add_overflow(tensor.offset, data_begin, &tensor.offset))
        throw WrongTensor{"beyond any file"};
      tensors_.emplace(name, std::move(tensor));
    } catch (const WrongTensor& wrong) {
      fail(fmt::format("tensor '{}': {}", printable(name), wrong.what));
    }
  }
  check_places(data_begin, file_bytes);
}

void SafetensorsFile::check_places(std::uint64_t data_begin, std::uint64_t file_bytes) const {
  using Entry = std::pair<const std::string, StoredTensor>;
  std::vector<const Entry*> in_order;
  for (const Entry& entry : tensors_) in_order.push_back(&entry);
  std::sort(in_order.begin(), in_order.end(), [](const Entry* a, const Entry* b) {
    return std::pair(a->second.offset, a->second.bytes) < std::pair(b->second.offset, b->second.bytes);
  });
  std::uint64_t end = data_begin;
  for (const Entry* entry : in_order) {
    const StoredTensor& tensor = entry->second;
    if (tensor.offset != end) {
      fail(fmt::format(
          "tensor '{}' begins at byte {} of the file, expected {}: tensors overlap or leave a gap",
          printable(entry->first), tensor.offset, end));
    }
    if (tensor.bytes > file_bytes - end) {
      fail(fmt::format("truncated at {} bytes: tensor '{}' ends at {}", file_bytes, printable(entry->first),
                       end + tensor.bytes));
    }
    end += tensor.bytes;
  }
  if (end != file_bytes)
    fail(fmt::format("{} bytes long, expected {}, where its last tensor ends", file_bytes, end));
}

}  // namespace hydrajob::weights
