// The head of a model file, and every way in which it can be wrong.
#include "weights/model_metadata.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hdf5.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "store/hdf5_handle.hpp"
#include "weights/hdf5_element.hpp"
#include "weights/hdf5_read.hpp"
#include "weights/model_format.hpp"

namespace hydrajob::weights {
namespace {

using hdf5::Handle;
using hdf5::hdf5_error;

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {}

  ModelMetadata read() {
    hdf5::silence_hdf5();
    open();
    read_head();
    tensors_ = Handle(H5Gopen2(file_, "tensors", H5P_DEFAULT), H5Gclose);
    if (!tensors_.valid()) refuse_head("no table of tensors: " + hdf5_error());
    const auto tensors = model_.part
                             ? tensors_of_part(model_.architecture, model_.part->rank, model_.part->degree)
                             : tensors_of(model_.architecture);
    for (const TensorInfo& tensor : tensors) {
      model_.tensors.push_back(read_tensor(tensor));
    }
    check_size();
    check_digest();
    return std::move(model_);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const { throw UsageError(path_ + ": " + why); }

  // For what only damage explains.
  [[noreturn]] void refuse_head(const std::string& why) const {
    refuse(short_ ? fmt::format("truncated at {} bytes, within the file's head", size_)
                  : "the file's head is damaged: " + why);
  }

  // HDF5 would say of any file that it is none of its own.
  void expect_readable() const {
    if (const std::string kind = other_than_file(path_); !kind.empty())
      refuse("is " + kind + ", expected a model file");
    const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) refuse(std::string("cannot be opened: ") + std::strerror(errno));
    ::close(fd);
  }

  void open() {
    expect_readable();
    std::error_code error;
    size_ = std::filesystem::file_size(path_, error);
    if (error) refuse("cannot be opened: " + error.message());
    // The signature may stand at 0, 512, 1024, …; our writer puts it at 0.
    if (H5Fis_hdf5(path_.c_str()) <= 0)
      refuse(fmt::format("not a model file: {}", size_ == 0 ? "it is empty" : "it is not HDF5"));
    file_ = open_hdf5(path_, false);
    if (file_.valid()) return;
    short_ = true;
    file_ = open_hdf5(path_, true);
    if (!file_.valid()) refuse("the file's head is truncated or damaged: " + hdf5_error());
  }

  void read_head() {
    if (H5Aexists(file_, "format") <= 0) {
      if (short_) refuse_head("");
      refuse("not a model file: no attribute 'format' (make one with hydrajob make-model)");
    }
    const std::string format = text_of(file_, "format", "the file");
    if (format != format_name) refuse(fmt::format("format is '{}', expected '{}'", format, format_name));
    const std::int64_t version = number_of("version");
    if (version != format_version) {
      refuse(fmt::format("version {}, this program reads version {}", version, format_version));
    }
    architecture_text_ = text_of(file_, "architecture", "the file");
    model_.architecture = parse_architecture(architecture_text_, path_ + " (its architecture)");
    const std::string dtype = text_of(file_, "dtype", "the file");
    model_.dtype = dtype_named(dtype);
    model_.digest = text_of(file_, "digest", "the file");
    read_part();
  }

  DType dtype_named(const std::string& name) const {
    for (const DType dtype : every_dtype) {
      if (name == name_of(dtype)) return dtype;
    }
    refuse(fmt::format("dtype is '{}', expected 'f32', 'bf16' or 'f16'", name));
  }

  // One rank's part of a model, or the whole of it.
  void read_part() {
    if (H5Aexists(file_, "tensor_parallel") <= 0) return;
    const std::int64_t degree = number_of("tensor_parallel"), rank = number_of("rank");
    if (degree < 1 || degree > most_parts || rank < 0 || rank >= degree)
      refuse(fmt::format("it is the part of rank {} of {}: expected one of 1 to {} ranks", rank, degree,
                         most_parts));
    model_.part = ModelPart{static_cast<int>(rank), static_cast<int>(degree),
                            text_of(file_, "model_digest", "the file")};
  }

  std::int64_t number_of(const char* name) const {
    const Handle attribute(H5Aopen(file_, name, H5P_DEFAULT), H5Aclose);
    const Handle space(attribute.valid() ? H5Aget_space(attribute) : -1, H5Sclose);
    std::int64_t number = 0;
    if (!space.valid() || H5Sget_simple_extent_npoints(space) != 1 ||
        H5Aread(attribute, H5T_NATIVE_INT64, &number) < 0)
      refuse_head(fmt::format("no attribute '{}' that is one number", name));
    return number;
  }

  TensorEntry read_tensor(const TensorInfo& tensor) const {
    const std::string where = "tensor '" + tensor.name + "'";
    const htri_t exists = H5Lexists(tensors_, tensor.name.c_str(), H5P_DEFAULT);
    if (exists < 0) refuse_head("its table of tensors: " + hdf5_error());
    if (exists == 0) refuse(where + " is missing");
    const Handle dataset(H5Dopen2(tensors_, tensor.name.c_str(), H5P_DEFAULT), H5Dclose);
    if (!dataset.valid()) refuse_head(where + " cannot be opened: " + hdf5_error());
    check_shape(dataset, tensor, where);
    check_type(dataset, where);
    const haddr_t offset = H5Dget_offset(dataset);
    if (offset == HADDR_UNDEF) refuse(where + " holds no data, or is not contiguous");
    return {tensor, offset, checksums_of(dataset, tensor, where)};
  }

  void check_shape(hid_t dataset, const TensorInfo& tensor, const std::string& where) const {
    const Handle space(H5Dget_space(dataset), H5Sclose);
    std::array<hsize_t, H5S_MAX_RANK> dims{};
    const int rank = H5Sget_simple_extent_dims(space, dims.data(), nullptr);
    const std::vector<hsize_t> found(dims.begin(), dims.begin() + std::max(rank, 0));
    const std::vector<hsize_t> expected{static_cast<hsize_t>(tensor.rows), static_cast<hsize_t>(tensor.cols)};
    if (found != expected) {
      refuse(fmt::format("{} has shape ({}), the architecture says ({})", where, fmt::join(found, ", "),
                         fmt::join(expected, ", ")));
    }
  }

  void check_type(hid_t dataset, const std::string& where) const {
    const std::string dtype = text_of(dataset, "dtype", where);
    if (dtype != name_of(model_.dtype))
      refuse(fmt::format("{} has dtype {}, the file says {}", where, dtype, name_of(model_.dtype)));
    const Hdf5Element element = hdf5_element(model_.dtype);
    const Handle type(H5Dget_type(dataset), H5Tclose);
    if (H5Tequal(type, element.type) <= 0)
      refuse(fmt::format("{} does not hold {}", where, element.described));
  }

  std::vector<std::uint64_t> checksums_of(hid_t dataset, const TensorInfo& tensor,
                                          const std::string& where) const {
    const Handle attribute(H5Aopen(dataset, "checksums", H5P_DEFAULT), H5Aclose);
    const Handle space(attribute.valid() ? H5Aget_space(attribute) : -1, H5Sclose);
    const std::int64_t n = space.valid() ? H5Sget_simple_extent_npoints(space) : 0;
    if (n != range_count(tensor.rows))
      refuse(fmt::format("{} has {} checksums, expected {}", where, n, range_count(tensor.rows)));
    std::vector<std::uint64_t> checksums(static_cast<std::size_t>(n));
    if (H5Aread(attribute, H5T_NATIVE_UINT64, checksums.data()) < 0)
      refuse_head(where + ": its checksums: " + hdf5_error());
    if (hex(tensor_checksum(checksums)) != text_of(dataset, "checksum", where))
      refuse(where + ": its checksums do not match their own checksum");
    return checksums;
  }

  std::string text_of(hid_t object, const char* name, const std::string& where) const {
    const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
    if (!attribute.valid()) {
      if (short_) refuse_head("");
      refuse(fmt::format("{} has no attribute '{}'", where, name));
    }
    if (!is_fixed_text(attribute))
      refuse(fmt::format("{}: attribute '{}' is not one fixed-length string", where, name));
    const std::optional<std::string> value = read_fixed_text(attribute);
    if (!value) refuse_head(fmt::format("{}: attribute '{}': {}", where, name, hdf5_error()));
    return *value;
  }

  // Names the first tensor, in the order of the file's bytes, whose end is missing.
  void check_size() const {
    const TensorEntry* cut = nullptr;
    for (const TensorEntry& entry : model_.tensors) {
      const bool ends_inside =
          entry.offset <= size_ && bytes_of(entry.info, model_.dtype) <= size_ - entry.offset;
      if (!ends_inside && (cut == nullptr || entry.offset < cut->offset)) cut = &entry;
    }
    if (cut != nullptr)
      refuse(fmt::format("truncated at {} bytes: tensor '{}' is cut", size_, cut->info.name));
  }

  void check_digest() const {
    std::vector<TensorInfo> tensors;
    std::vector<std::uint64_t> checksums;
    for (const TensorEntry& entry : model_.tensors) {
      tensors.push_back(entry.info);
      checksums.push_back(tensor_checksum(entry.checksums));
    }
    const std::string digest = model_digest(architecture_text_, model_.dtype, tensors, checksums);
    if (digest != model_.digest)
      refuse(fmt::format("its digest is {}, its head gives {}: the head was changed", model_.digest, digest));
  }

  std::string path_;
  std::uint64_t size_ = 0;  // bytes
  bool short_ = false;      // the file is shorter than it says
  std::string architecture_text_;
  Handle file_;
  Handle tensors_;
  ModelMetadata model_;
};

}  // namespace

ModelMetadata read_model_metadata(const std::string& path) {
  return Reader(path).read();
}

bool is_model_file(const std::string& path) {
  hdf5::silence_hdf5();
  const Handle file = open_hdf5(path, true);
  if (!file.valid() || H5Aexists(file, "format") <= 0) return false;
  const Handle attribute(H5Aopen(file, "format", H5P_DEFAULT), H5Aclose);
  return attribute.valid() && is_fixed_text(attribute) && read_fixed_text(attribute) == format_name;
}

}  // namespace hydrajob::weights
