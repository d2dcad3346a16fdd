// Writes a model file: the head first, so that a truncated file can still say what it lost; then tensor by
// tensor, a block of rows at a time; then the head again, with the checksums.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/units.hpp"
#include "weights/model_format.hpp"
#include "weights/model_head.hpp"

namespace hydrajob {
namespace {

using weights::checksum_range;
using weights::Head;
using weights::HeadContent;

constexpr std::size_t block_bytes = 8 << 20;  // written at once, unless a checksum range is larger

// The data, into the places that the head has set aside.
class Data {
 public:
  Data(const std::filesystem::path& temporary, const std::filesystem::path& path)
      : path_(path.string()), fd_(::open(temporary.c_str(), O_WRONLY | O_CLOEXEC)) {
    if (fd_ < 0) fail("be opened");
  }
  ~Data() { ::close(fd_); }
  Data(const Data&) = delete;
  Data& operator=(const Data&) = delete;

  // Returns the checksums of the tensor's ranges.
  std::vector<std::uint64_t> write(const TensorInfo& tensor, WeightSource& source, DType dtype,
                                   std::uint64_t offset) {
    const std::size_t row = static_cast<std::size_t>(tensor.cols) * size_of(dtype);
    const std::int64_t n = weights::range_count(tensor.rows);
    const std::size_t range = static_cast<std::size_t>((tensor.rows + n - 1) / n) * row;
    const auto step = static_cast<std::int64_t>(std::max<std::size_t>(1, block_bytes / range));
    std::vector<std::uint64_t> checksums;
    for (std::int64_t first = 0; first < n; first += step) {
      const std::int64_t last = std::min(first + step, n);
      const RowRange rows{checksum_range(tensor.rows, first).begin,
                          checksum_range(tensor.rows, last - 1).end};
      block_.resize(static_cast<std::size_t>(rows.count()) * row);
      source.read(tensor, rows, dtype, block_.data());
      for (std::int64_t i = first; i < last; ++i) {
        const RowRange part = checksum_range(tensor.rows, i);
        checksums.push_back(digest64(block_.data() + static_cast<std::size_t>(part.begin - rows.begin) * row,
                                     static_cast<std::size_t>(part.count()) * row));
      }
      write(block_.data(), block_.size(), offset + static_cast<std::size_t>(rows.begin) * row);
    }
    return checksums;
  }

  void write(const void* bytes, std::size_t n, std::uint64_t offset) {
    for (std::size_t done = 0; done < n;) {
      const ssize_t wrote = ::pwrite(fd_, static_cast<const std::byte*>(bytes) + done, n - done,
                                     static_cast<off_t>(offset + done));
      if (wrote < 0 && errno != EINTR) fail("be written");
      if (wrote > 0) done += static_cast<std::size_t>(wrote);
    }
  }

  void resize(std::uint64_t bytes) {
    if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) fail("be written");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw UsageError(fmt::format("{}: cannot {}: {}", path_, what, std::strerror(errno)));
  }

  std::string path_;
  int fd_;
  std::vector<std::byte> block_;
};

double data_bytes(const Architecture& architecture, DType dtype) {
  double bytes = 0;
  for (const TensorInfo& tensor : tensors_of(architecture))
    bytes += static_cast<double>(weights::bytes_of(tensor, dtype));
  return bytes;
}

void check_space(const std::filesystem::path& folder, double bytes) {
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  if (error) throw UsageError(folder.string() + ": " + error.message());
  if (static_cast<double>(space.available) < bytes) {
    throw UsageError(fmt::format("{}: the model needs {}, {} are free", folder.string(), format_bytes(bytes),
                                 format_bytes(static_cast<double>(space.available))));
  }
}

// A file of that length can be made here: found out before HDF5 has anything open.
void check_length(const std::filesystem::path& temporary, const std::filesystem::path& path, double bytes) {
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  const bool fits = fd >= 0 && ::ftruncate(fd, static_cast<off_t>(bytes)) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!fits) throw UsageError(fmt::format("{}: cannot be written: {}", path.string(), std::strerror(error)));
}

std::filesystem::path prepare_folder(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw UsageError(folder.string() + ": cannot be created: " + error.message());
  if (const std::string kind = other_than_file(path); !kind.empty())
    throw UsageError(fmt::format("{}: is {}, expected a file", path.string(), kind));
  return folder;
}

void write_temporary(const std::filesystem::path& temporary, const std::filesystem::path& path,
                     WeightSource& source, DType dtype) {
  HeadContent content{source.architecture(), dtype, source.text(), tensors_of(source.architecture()), {}};
  const std::filesystem::path scratch = temporary.string() + ".head";
  const Head empty = weights::make_head(content, scratch, path.string());
  Data data(temporary, path);
  data.resize(empty.file_bytes);
  data.write(empty.bytes.data(), empty.bytes.size(), 0);
  if (const auto& tokenizer = content.text.tokenizer)
    data.write(tokenizer->bytes.data(), tokenizer->bytes.size(), empty.tokenizer_offset);
  std::vector<std::vector<std::uint64_t>> checksums;
  for (std::size_t i = 0; i < content.tensors.size(); ++i)
    checksums.push_back(data.write(content.tensors[i], source, dtype, empty.offsets[i]));
  content.checksums = std::move(checksums);
  const Head head = weights::make_head(content, scratch, path.string());
  data.write(head.bytes.data(), head.bytes.size(), 0);
}

}  // namespace

void write_model_file(const std::filesystem::path& path, WeightSource& source, DType dtype) {
  const std::filesystem::path folder = prepare_folder(path);
  const double bytes = data_bytes(source.architecture(), dtype);
  check_space(folder, bytes);
  const std::filesystem::path temporary = path.string() + ".tmp." + std::to_string(::getpid());
  try {
    check_length(temporary, path, bytes);
    write_temporary(temporary, path, source, dtype);
    publish_file(temporary, path);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw;
  }
}

}  // namespace hydrajob
