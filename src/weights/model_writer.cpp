// Writes a model file: all headers first, so that a truncated file can still say what it lost; then tensor by
// tensor.
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/units.hpp"
#include "weights/hdf5_handle.hpp"
#include "weights/model_format.hpp"

namespace hydrajob {
namespace {

using weights::Handle;
using weights::hdf5_error;

constexpr hsize_t page = 4096;
constexpr hsize_t header_bytes_per_tensor = 4096;  // generous: object header, attributes, link

hid_t checked(hid_t id, const std::string& what, const std::string& path) {
  if (id < 0) throw UsageError(path + ": cannot " + what + ": " + hdf5_error());
  return id;
}

class Writer {
 public:
  Writer(const std::filesystem::path& path, WeightSource& source, DType dtype)
      : path_(path.string()), source_(source), dtype_(dtype), tensors_(tensors_of(source.architecture())) {}

  void write() {
    weights::silence_hdf5();
    create_file();
    for (const TensorInfo& tensor : tensors_) create_tensor(tensor);
    std::vector<std::uint64_t> checksums;
    for (const TensorInfo& tensor : tensors_) checksums.push_back(fill_tensor(tensor));
    const std::string digest = weights::model_digest(source_.architecture(), dtype_, tensors_, checksums);
    string_attribute(file_, "digest", digest);
    datasets_.clear();
    group_.reset();
    if (H5Fflush(file_, H5F_SCOPE_GLOBAL) < 0) fail("flush");
    file_.reset();
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UsageError(path_ + ": cannot " + what + ": " + hdf5_error());
  }

  void create_file() {
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_alignment(access, page, page);
    H5Pset_meta_block_size(access, page + header_bytes_per_tensor * (tensors_.size() + 1));
    file_ = Handle(H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
    if (!file_.valid()) fail("create");
    string_attribute(file_, "format", weights::format_name);
    string_attribute(file_, "architecture", to_yaml(source_.architecture()));
    string_attribute(file_, "dtype", std::string(name_of(dtype_)));
    string_attribute(file_, "digest", std::string(32, '0'));
    const std::int64_t version = weights::format_version;
    number_attribute(file_, "version", H5T_NATIVE_INT64, H5T_STD_I64LE, {}, &version);
    group_ = Handle(H5Gcreate2(file_, "tensors", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    if (!group_.valid()) fail("create the group 'tensors'");
  }

  void create_tensor(const TensorInfo& tensor) {
    const hsize_t dims[2] = {static_cast<hsize_t>(tensor.rows), static_cast<hsize_t>(tensor.cols)};
    const Handle space(H5Screate_simple(2, dims, nullptr), H5Sclose);
    const Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    Handle dataset(
        H5Dcreate2(group_, tensor.name.c_str(), file_type(), space, H5P_DEFAULT, creation, H5P_DEFAULT),
        H5Dclose);
    if (!dataset.valid()) fail("create tensor '" + tensor.name + "'");
    string_attribute(dataset, "dtype", std::string(name_of(dtype_)));
    string_attribute(dataset, "checksum", std::string(16, '0'));
    const std::vector<std::uint64_t> none(static_cast<std::size_t>(weights::range_count(tensor.rows)), 0);
    checksums_attribute(dataset, none);
    datasets_.emplace(tensor.name, std::move(dataset));
  }

  // Returns the tensor's checksum: the digest of its ranges' digests.
  std::uint64_t fill_tensor(const TensorInfo& tensor) {
    const hid_t dataset = datasets_.at(tensor.name);
    std::vector<std::uint64_t> ranges;
    std::vector<std::byte> rows;
    for (std::int64_t i = 0; i < weights::range_count(tensor.rows); ++i) {
      const RowRange range = weights::checksum_range(tensor.rows, i);
      rows.resize(static_cast<std::size_t>(range.count() * tensor.cols) * size_of(dtype_));
      source_.read(tensor, range, dtype_, rows.data());
      ranges.push_back(digest64(rows.data(), rows.size()));
      write_rows(dataset, tensor, range, rows.data());
    }
    const std::uint64_t checksum = digest64(ranges.data(), ranges.size() * sizeof(std::uint64_t));
    checksums_attribute(dataset, ranges);
    string_attribute(dataset, "checksum", hex(checksum));
    return checksum;
  }

  void write_rows(hid_t dataset, const TensorInfo& tensor, RowRange range, const void* data) {
    const hsize_t start[2] = {static_cast<hsize_t>(range.begin), 0};
    const hsize_t count[2] = {static_cast<hsize_t>(range.count()), static_cast<hsize_t>(tensor.cols)};
    const Handle file_space(H5Dget_space(dataset), H5Sclose);
    H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, nullptr, count, nullptr);
    const Handle memory_space(H5Screate_simple(2, count, nullptr), H5Sclose);
    const hid_t type = dtype_ == DType::bf16 ? H5T_NATIVE_UINT16 : H5T_NATIVE_FLOAT;
    if (H5Dwrite(dataset, type, memory_space, file_space, H5P_DEFAULT, data) < 0) {
      fail("write tensor '" + tensor.name + "'");
    }
  }

  // HDF5 has no bfloat16: its bits are kept in unsigned integers, and an attribute says so.
  hid_t file_type() const { return dtype_ == DType::bf16 ? H5T_STD_U16LE : H5T_IEEE_F32LE; }

  void string_attribute(hid_t object, const char* name, const std::string& value) {
    const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type, value.size());
    H5Tset_cset(type, H5T_CSET_UTF8);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    number_attribute(object, name, type, type, {}, value.data());
  }

  void checksums_attribute(hid_t dataset, const std::vector<std::uint64_t>& values) {
    number_attribute(dataset, "checksums", H5T_NATIVE_UINT64, H5T_STD_U64LE, {values.size()}, values.data());
  }

  // Creates the attribute, or writes it anew where it is.
  void number_attribute(hid_t object, const char* name, hid_t memory_type, hid_t type,
                        std::vector<hsize_t> dims, const void* value) {
    Handle attribute;
    if (H5Aexists(object, name) > 0) {
      attribute = Handle(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
    } else {
      const Handle space(dims.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, dims.data(), nullptr),
                         H5Sclose);
      attribute = Handle(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    }
    if (H5Awrite(checked(attribute, std::string("create attribute ") + name, path_), memory_type, value) <
        0) {
      fail(std::string("write attribute ") + name);
    }
  }

  std::string path_;
  WeightSource& source_;
  DType dtype_;
  std::vector<TensorInfo> tensors_;
  Handle file_;
  Handle group_;
  std::map<std::string, Handle> datasets_;
};

void check_space(const std::filesystem::path& folder, const Architecture& architecture, DType dtype) {
  double bytes = 0;
  for (const TensorInfo& tensor : tensors_of(architecture)) {
    bytes += static_cast<double>(tensor.rows) * static_cast<double>(tensor.cols) *
             static_cast<double>(size_of(dtype));
  }
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  if (error) throw UsageError(folder.string() + ": " + error.message());
  if (static_cast<double>(space.available) < bytes) {
    throw UsageError(fmt::format("{}: the model needs {}, {} are free", folder.string(), format_bytes(bytes),
                                 format_bytes(static_cast<double>(space.available))));
  }
}

}  // namespace

void write_model_file(const std::filesystem::path& path, WeightSource& source, DType dtype) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw UsageError(folder.string() + ": cannot be created: " + error.message());
  check_space(folder, source.architecture(), dtype);
  const std::filesystem::path temporary = path.string() + ".tmp." + std::to_string(::getpid());
  try {
    Writer(temporary, source, dtype).write();
    publish_file(temporary, path);
  } catch (const std::exception& e) {
    std::filesystem::remove(temporary, error);
    throw UsageError(e.what());
  }
}

}  // namespace hydrajob
