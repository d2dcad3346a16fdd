// Reads a model file. HDF5 tells where each tensor lies; the data itself is read with plain requests straight
// into the caller's memory by several threads, and every range of rows is hashed while it is still in the
// cache.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "weights/convert.hpp"
#include "weights/hdf5_handle.hpp"
#include "weights/model_format.hpp"

namespace hydrajob {
namespace {

using weights::Handle;
using weights::hdf5_error;

// Where a tensor lies and what it must hash to.
struct Entry {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::uint64_t offset = 0;
  std::vector<std::uint64_t> checksums;  // of its ranges
};

class FileDescriptor {
 public:
  explicit FileDescriptor(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) throw UsageError(path + ": cannot be opened: " + std::strerror(errno));
  }
  ~FileDescriptor() { ::close(fd_); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// --- metadata
// ------------------------------------------------------------------------------------------------------

// The file opened by HDF5, also when it is shorter than it says: then it can still tell what is missing.
Handle open_hdf5(const std::string& path) {
  const auto open_with = [&](bool truncated_too) {
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    const hbool_t skip = 1;
    if (truncated_too && H5Pexist(access, "skip_eof_check") > 0) H5Pset(access, "skip_eof_check", &skip);
    return Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  };
  Handle file = open_with(false);
  return file.valid() ? std::move(file) : open_with(true);
}

class Metadata {
 public:
  explicit Metadata(const std::string& path) : path_(path) {
    weights::silence_hdf5();
    if (!std::filesystem::exists(path)) throw UsageError(path + ": there is no such model file");
    // The signature may stand at 0, 512, 1024, …; our writer puts it at 0.
    if (H5Fis_hdf5(path.c_str()) <= 0) refuse("not a model file: it is not HDF5");
    file_ = open_hdf5(path);
    if (!file_.valid()) refuse("truncated or damaged: " + hdf5_error());
    read_head();
    group_ = Handle(H5Gopen2(file_, "tensors", H5P_DEFAULT), H5Gclose);
    if (!group_.valid()) refuse("its table of tensors cannot be read: " + hdf5_error());
    for (const TensorInfo& tensor : tensors_of(architecture))
      entries.emplace(tensor.name, read_entry(tensor));
    check_size();
  }

  Architecture architecture;
  DType dtype = DType::f32;
  std::string digest;
  std::map<std::string, Entry> entries;

 private:
  [[noreturn]] void refuse(const std::string& why) const { throw UsageError(path_ + ": " + why); }

  void read_head() {
    if (H5Aexists(file_, "format") <= 0)
      refuse("not a model file: no attribute 'format' (make one with hydrajob make-model)");
    const std::string format = string_attribute(file_, "format", "the file");
    if (format != weights::format_name) {
      refuse(fmt::format("format is '{}', expected '{}'", format, weights::format_name));
    }
    const Handle attribute(H5Aopen(file_, "version", H5P_DEFAULT), H5Aclose);
    std::int64_t version = 0;
    if (!attribute.valid() || H5Aread(attribute, H5T_NATIVE_INT64, &version) < 0)
      refuse("its version cannot be read");
    if (version != weights::format_version) {
      refuse(fmt::format("version {}, this program reads version {}", version, weights::format_version));
    }
    architecture = parse_architecture(string_attribute(file_, "architecture", "the file"), path_);
    dtype = parse_dtype(string_attribute(file_, "dtype", "the file"));
    digest = string_attribute(file_, "digest", "the file");
  }

  Entry read_entry(const TensorInfo& tensor) {
    const std::string where = "tensor '" + tensor.name + "'";
    const Handle dataset(H5Dopen2(group_, tensor.name.c_str(), H5P_DEFAULT), H5Dclose);
    if (!dataset.valid()) refuse(where + " is missing");
    Entry entry;
    read_shape(dataset, tensor, entry);
    const std::string type = string_attribute(dataset, "dtype", where);
    if (type != name_of(dtype))
      refuse(fmt::format("{} has dtype {}, the file says {}", where, type, name_of(dtype)));
    const haddr_t offset = H5Dget_offset(dataset);
    if (offset == HADDR_UNDEF) refuse(where + " holds no data, or is not contiguous");
    entry.offset = offset;
    read_checksums(dataset, where, entry);
    return entry;
  }

  void read_shape(hid_t dataset, const TensorInfo& tensor, Entry& entry) {
    const Handle space(H5Dget_space(dataset), H5Sclose);
    hsize_t dims[H5S_MAX_RANK] = {0, 0};
    const int rank = H5Sget_simple_extent_dims(space, dims, nullptr);
    entry.rows = static_cast<std::int64_t>(dims[0]);
    entry.cols = static_cast<std::int64_t>(dims[1]);
    if (rank != 2 || entry.rows != tensor.rows || entry.cols != tensor.cols) {
      refuse(fmt::format("tensor '{}' has shape ({}, {}), the architecture says ({}, {})", tensor.name,
                         entry.rows, entry.cols, tensor.rows, tensor.cols));
    }
    const Handle type(H5Dget_type(dataset), H5Tclose);
    if (H5Tget_size(type) != size_of(dtype)) {
      refuse(fmt::format("tensor '{}' has elements of {} bytes, expected {}", tensor.name, H5Tget_size(type),
                         size_of(dtype)));
    }
  }

  void read_checksums(hid_t dataset, const std::string& where, Entry& entry) {
    const Handle attribute(H5Aopen(dataset, "checksums", H5P_DEFAULT), H5Aclose);
    const Handle space(attribute.valid() ? H5Aget_space(attribute) : -1, H5Sclose);
    const auto n = static_cast<std::int64_t>(space.valid() ? H5Sget_simple_extent_npoints(space) : 0);
    if (n != weights::range_count(entry.rows)) {
      refuse(fmt::format("{} has {} checksums, expected {}", where, n, weights::range_count(entry.rows)));
    }
    entry.checksums.resize(static_cast<std::size_t>(n));
    if (H5Aread(attribute, H5T_NATIVE_UINT64, entry.checksums.data()) < 0)
      refuse(where + ": its checksums cannot be read");
    const std::uint64_t sum =
        digest64(entry.checksums.data(), entry.checksums.size() * sizeof(std::uint64_t));
    if (hex(sum) != string_attribute(dataset, "checksum", where))
      refuse(where + ": its checksums are damaged");
  }

  std::string string_attribute(hid_t object, const char* name, const std::string& where) const {
    const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
    if (!attribute.valid()) refuse(fmt::format("{} has no attribute '{}'", where, name));
    const Handle type(H5Aget_type(attribute), H5Tclose);
    if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) > 0) {
      refuse(fmt::format("{}: attribute '{}' is no fixed-length string", where, name));
    }
    std::string value(H5Tget_size(type), '\0');
    if (H5Aread(attribute, type, value.data()) < 0)
      refuse(fmt::format("{}: attribute '{}' cannot be read", where, name));
    value.resize(std::strlen(value.c_str()));
    return value;
  }

  // The first tensor, in the file's order, whose end lies beyond the file's.
  void check_size() const {
    const std::uint64_t size = std::filesystem::file_size(path_);
    const std::pair<const std::string, Entry>* cut = nullptr;
    for (const auto& entry : entries) {
      const Entry& e = entry.second;
      const std::uint64_t end = e.offset + static_cast<std::uint64_t>(e.rows * e.cols) * size_of(dtype);
      if (end > size && (cut == nullptr || e.offset < cut->second.offset)) cut = &entry;
    }
    if (cut != nullptr) refuse(fmt::format("truncated at {} bytes: tensor '{}' is cut", size, cut->first));
  }

  std::string path_;
  Handle file_;
  Handle group_;
};

// --- data
// ----------------------------------------------------------------------------------------------------------

class ModelFile final : public WeightSource {
 public:
  ModelFile(const std::filesystem::path& path, int threads)
      : path_(path.string()), threads_(std::max(threads, 1)), metadata_(path_), file_(path_) {}

  const Architecture& architecture() const override { return metadata_.architecture; }
  std::string digest() const override { return metadata_.digest; }

  void read(const TensorInfo& tensor, RowRange rows, DType dtype, void* target) override {
    const auto found = metadata_.entries.find(tensor.name);
    if (found == metadata_.entries.end())
      throw UsageError(path_ + ": tensor '" + tensor.name + "' is missing");
    const Entry& entry = found->second;
    if (rows.begin < 0 || rows.end > entry.rows || rows.begin > rows.end) {
      throw UsageError(fmt::format("{}: rows [{}, {}) of tensor '{}', which has {}", path_, rows.begin,
                                   rows.end, tensor.name, entry.rows));
    }
    read_ahead(entry, rows);
    const std::int64_t n = weights::range_count(entry.rows);
    std::string error;
#pragma omp parallel num_threads(threads_)
    {
      std::vector<std::byte> scratch;
#pragma omp for schedule(dynamic)
      for (std::int64_t i = 0; i < n; ++i) {
        const std::string problem =
            read_range(tensor, entry, i, rows, dtype, static_cast<std::byte*>(target), scratch);
        if (problem.empty()) continue;
#pragma omp critical
        error = problem;
      }
    }
    if (!error.empty()) throw UsageError(error);
  }

 private:
  std::size_t row_bytes(const Entry& entry) const {
    return static_cast<std::size_t>(entry.cols) * size_of(metadata_.dtype);
  }

  void read_ahead(const Entry& entry, RowRange rows) const {
    const std::size_t bytes = row_bytes(entry);
    ::posix_fadvise(file_.fd(),
                    static_cast<off_t>(entry.offset + static_cast<std::size_t>(rows.begin) * bytes),
                    static_cast<off_t>(static_cast<std::size_t>(rows.count()) * bytes), POSIX_FADV_WILLNEED);
  }

  // Reads the part of checksum range `index` that is wanted, and verifies the whole range. Returns what is
  // wrong.
  std::string read_range(const TensorInfo& tensor, const Entry& entry, std::int64_t index, RowRange rows,
                         DType dtype, std::byte* target, std::vector<std::byte>& scratch) const {
    const RowRange range = weights::checksum_range(entry.rows, index);
    const RowRange wanted{std::max(range.begin, rows.begin), std::min(range.end, rows.end)};
    if (wanted.begin >= wanted.end) return {};
    const std::size_t source_row = row_bytes(entry);
    const std::size_t target_row = static_cast<std::size_t>(entry.cols) * size_of(dtype);
    const std::size_t bytes = static_cast<std::size_t>(range.count()) * source_row;
    const bool straight = dtype == metadata_.dtype && wanted.count() == range.count();
    std::byte* out = target + static_cast<std::size_t>(wanted.begin - rows.begin) * target_row;
    if (!straight) scratch.resize(bytes);
    std::byte* place = straight ? out : scratch.data();

    const std::string problem =
        read_bytes(entry.offset + static_cast<std::size_t>(range.begin) * source_row, place, bytes);
    if (!problem.empty()) return fmt::format("{}: tensor '{}': {}", path_, tensor.name, problem);
    if (digest64(place, bytes) != entry.checksums[static_cast<std::size_t>(index)]) {
      return fmt::format("{}: tensor '{}' is damaged: rows {} to {} do not match their checksum", path_,
                         tensor.name, range.begin, range.end - 1);
    }
    if (!straight) {
      convert(place + static_cast<std::size_t>(wanted.begin - range.begin) * source_row, metadata_.dtype, out,
              dtype, wanted.count() * entry.cols);
    }
    return {};
  }

  std::string read_bytes(std::uint64_t offset, std::byte* place, std::size_t bytes) const {
    while (bytes > 0) {
      const ssize_t got = ::pread(file_.fd(), place, bytes, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return std::string("reading failed: ") + std::strerror(errno);
      if (got == 0) return "the file ends before it";
      place += got;
      offset += static_cast<std::uint64_t>(got);
      bytes -= static_cast<std::size_t>(got);
    }
    return {};
  }

  std::string path_;
  int threads_;
  Metadata metadata_;
  FileDescriptor file_;
};

}  // namespace

std::unique_ptr<WeightSource> open_model_file(const std::filesystem::path& path, int threads) {
  return std::make_unique<ModelFile>(path, threads);
}

}  // namespace hydrajob
