// A file of tensors as Hugging Face publishes them: eight bytes with the length of a JSON header, the header,
// the data (https://github.com/huggingface/safetensors, "Format").
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "weights/file_descriptor.hpp"

namespace hydrajob::weights {

struct StoredTensor {
  std::string dtype;  // "BF16", "F16", "F32", …, as the header says
  std::vector<std::int64_t> shape;
  std::uint64_t offset = 0;  // of its first byte in the file
  std::uint64_t bytes = 0;
};

class SafetensorsFile {
 public:
  // Reads and checks the header. Throws UsageError that names the file, the tensor where it is about one,
  // what was found and what was expected: when it cannot be read, is none or truncated, names a tensor twice,
  // or when the tensors' places do not fit their shapes, overlap, or leave bytes over.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::string& path() const { return path_; }
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  // Its length, the time of its last change and its header's digest: another text after most changes.
  const std::string& state() const { return state_; }

  // Bytes [offset, offset + bytes) of the file. Throws UsageError.
  void read(std::uint64_t offset, std::size_t bytes, void* target) const;
  // Soon: the system may begin with bringing them into its cache.
  void will_read(std::uint64_t offset, std::uint64_t bytes) const;

 private:
  void read_header();
  void check_places(std::uint64_t data_begin, std::uint64_t file_bytes) const;
  [[noreturn]] void fail(const std::string& what) const;

  std::string path_;
  FileDescriptor file_;
  std::string state_;
  std::map<std::string, StoredTensor> tensors_;
};

}  // namespace hydrajob::weights
