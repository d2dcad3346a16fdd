// Writes a model file: all headers first, so that a truncated file can still say what it lost; then tensor by
// tensor, a block of rows at a time; then the checksums into the headers.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>
#include <hdf5.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/units.hpp"
#include "store/hdf5_handle.hpp"
#include "weights/model_format.hpp"

namespace hydrajob {
namespace {

using hdf5::Handle;
using weights::checksum_range;

constexpr hsize_t page = 4096;
constexpr hsize_t head_bytes_per_tensor = 4096;  // generous: object header, attributes, link
constexpr std::size_t block_bytes = 8 << 20;     // written at once, unless a checksum range is larger

// The head of the file, by HDF5. Errors name `path`, which is the file's final place. The file is closed
// while the data is written: HDF5 crashes at the process's end over a file that it could not write and close.
class Head {
 public:
  // Creates the file with every tensor's place in it, checksums still zero.
  Head(const std::filesystem::path& temporary, const std::filesystem::path& path,
       const Architecture& architecture, DType dtype)
      : temporary_(temporary),
        path_(path.string()),
        dtype_(dtype),
        tensors_(tensors_of(architecture)),
        architecture_(to_yaml(architecture)) {
    hdf5::silence_hdf5();
    create_file();
    for (const TensorInfo& tensor : tensors_) offsets_.push_back(H5Dget_offset(create_tensor(tensor)));
    close();
  }

  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // Of a tensor's first byte in the file.
  std::uint64_t offset(std::size_t tensor) const { return offsets_[tensor]; }

  // range_checksums[i]: of the ranges of tensor i.
  void finish(const std::vector<std::vector<std::uint64_t>>& range_checksums) {
    file_ = Handle(H5Fopen(temporary_.c_str(), H5F_ACC_RDWR, access()), H5Fclose);
    check(static_cast<hid_t>(file_), "be opened");
    group_ = Handle(H5Gopen2(file_, "tensors", H5P_DEFAULT), H5Gclose);
    std::vector<std::uint64_t> checksums;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      checksums.push_back(weights::tensor_checksum(range_checksums[i]));
      const Handle dataset(H5Dopen2(group_, tensors_[i].name.c_str(), H5P_DEFAULT), H5Dclose);
      numbers(dataset, "checksums", range_checksums[i]);
      text(dataset, "checksum", hex(checksums.back()));
    }
    text(file_, "digest", weights::model_digest(architecture_, dtype_, tensors_, checksums));
    close();
  }

 private:
  template <class Status>
  void check(Status status, const std::string& what) const {
    if (status < 0) throw UsageError(fmt::format("{}: cannot {}: {}", path_, what, hdf5::hdf5_error()));
  }

  Handle access() const {
    Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_alignment(access, page, page);
    H5Pset_meta_block_size(access, page + head_bytes_per_tensor * (tensors_.size() + 1));
    // Heads of this version carry checksums of their own: a damaged one is found, not misread.
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
    H5Pset_file_locking(access, false, true);
    return access;
  }

  void close() {
    group_.reset();
    check(H5Fflush(file_, H5F_SCOPE_GLOBAL), "write its head");
    check(file_.close(), "close it");
  }

  void create_file() {
    file_ = Handle(H5Fcreate(temporary_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access()), H5Fclose);
    check(static_cast<hid_t>(file_), "be created");
    text(file_, "format", weights::format_name);
    number(file_, "version", weights::format_version);
    text(file_, "architecture", architecture_);
    text(file_, "dtype", std::string(name_of(dtype_)));
    text(file_, "digest", std::string(32, '0'));
    group_ = Handle(H5Gcreate2(file_, "tensors", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    check(static_cast<hid_t>(group_), "create the group 'tensors'");
  }

  Handle create_tensor(const TensorInfo& tensor) {
    const hsize_t dims[2] = {static_cast<hsize_t>(tensor.rows), static_cast<hsize_t>(tensor.cols)};
    const Handle space(H5Screate_simple(2, dims, nullptr), H5Sclose);
    const Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    Handle dataset(
        H5Dcreate2(group_, tensor.name.c_str(), file_type(), space, H5P_DEFAULT, creation, H5P_DEFAULT),
        H5Dclose);
    check(static_cast<hid_t>(dataset), "create tensor '" + tensor.name + "'");
    text(dataset, "dtype", std::string(name_of(dtype_)));
    text(dataset, "checksum", std::string(16, '0'));
    numbers(dataset, "checksums",
            std::vector<std::uint64_t>(static_cast<std::size_t>(weights::range_count(tensor.rows))));
    return dataset;
  }

  // HDF5 has no bfloat16: its bits are kept in unsigned integers, and an attribute says so.
  hid_t file_type() const { return dtype_ == DType::bf16 ? H5T_STD_U16LE : H5T_IEEE_F32LE; }

  void text(hid_t object, const char* name, const std::string& value) {
    const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type, value.size());
    H5Tset_cset(type, H5T_CSET_UTF8);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    attribute(object, name, type, type, Handle(H5Screate(H5S_SCALAR), H5Sclose), value.data());
  }

  void number(hid_t object, const char* name, std::int64_t value) {
    attribute(object, name, H5T_NATIVE_INT64, H5T_STD_I64LE, Handle(H5Screate(H5S_SCALAR), H5Sclose), &value);
  }

  void numbers(hid_t object, const char* name, const std::vector<std::uint64_t>& values) {
    const hsize_t n = values.size();
    attribute(object, name, H5T_NATIVE_UINT64, H5T_STD_U64LE,
              Handle(H5Screate_simple(1, &n, nullptr), H5Sclose), values.data());
  }

  // Creates the attribute, or writes it anew where it is.
  void attribute(hid_t object, const char* name, hid_t memory_type, hid_t type, const Handle& space,
                 const void* value) {
    const Handle attribute(H5Aexists(object, name) > 0
                               ? H5Aopen(object, name, H5P_DEFAULT)
                               : H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT),
                           H5Aclose);
    check(static_cast<hid_t>(attribute), fmt::format("create attribute '{}'", name));
    check(H5Awrite(attribute, memory_type, value), fmt::format("write attribute '{}'", name));
  }

  std::filesystem::path temporary_;
  std::string path_;
  DType dtype_;
  std::vector<TensorInfo> tensors_;
  std::string architecture_;
  std::vector<std::uint64_t> offsets_;  // as tensors_
  Handle file_;
  Handle group_;
};

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
      write_bytes(offset + static_cast<std::size_t>(rows.begin) * row);
    }
    return checksums;
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw UsageError(fmt::format("{}: cannot {}: {}", path_, what, std::strerror(errno)));
  }

  // All of block_.
  void write_bytes(std::uint64_t offset) {
    for (std::size_t done = 0; done < block_.size();) {
      const ssize_t wrote =
          ::pwrite(fd_, block_.data() + done, block_.size() - done, static_cast<off_t>(offset + done));
      if (wrote < 0 && errno != EINTR) fail("be written");
      if (wrote > 0) done += static_cast<std::size_t>(wrote);
    }
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
  Head head(temporary, path, source.architecture(), dtype);
  Data data(temporary, path);
  std::vector<std::vector<std::uint64_t>> checksums;
  for (std::size_t i = 0; i < head.tensors().size(); ++i)
    checksums.push_back(data.write(head.tensors()[i], source, dtype, head.offset(i)));
  head.finish(checksums);
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
