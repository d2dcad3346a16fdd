#include "weights/model_head.hpp"

#include <algorithm>
#include <system_error>

#include <fmt/format.h>
#include <hdf5.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "store/hdf5_handle.hpp"
#include "weights/file_descriptor.hpp"
#include "weights/hdf5_element.hpp"
#include "weights/model_format.hpp"

namespace hydrajob::weights {
namespace {

using hdf5::Handle;

constexpr hsize_t page = 4096;
constexpr hsize_t head_bytes_per_object = 4096;    // generous: object header, attributes, link
constexpr std::size_t objects_beside_tensors = 4;  // root, group of tensors, tokenizer, generation

// Until they are known, zeros keep their place.
std::vector<std::uint64_t> checksums_of(const HeadContent& content, std::size_t tensor) {
  if (!content.checksums.empty()) return content.checksums[tensor];
  return std::vector<std::uint64_t>(static_cast<std::size_t>(range_count(content.tensors[tensor].rows)));
}

class HeadFile {
 public:
  HeadFile(const HeadContent& content, const std::filesystem::path& scratch, const std::string& path)
      : content_(content), path_(path) {
    hdf5::silence_hdf5();
    file_ =
        Handle(H5Fcreate(scratch.c_str(), H5F_ACC_TRUNC, without_times(H5P_FILE_CREATE), access()), H5Fclose);
    check(static_cast<hid_t>(file_), "be created");
  }

  void write(Head& head) {
    write_root();
    write_tensors(head);
    write_generation();
    if (content_.text.tokenizer) head.tokenizer_offset = create_tokenizer(*content_.text.tokenizer);
    check(H5Fflush(file_, H5F_SCOPE_GLOBAL), "write its head");
    check(file_.close(), "close it");
  }

 private:
  template <class Status>
  void check(Status status, const std::string& what) const {
    if (status < 0) throw UsageError(fmt::format("{}: cannot {}: {}", path_, what, hdf5::hdf5_error()));
  }

  Handle access() const {
    Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_alignment(access, page, page);
    H5Pset_meta_block_size(access,
                           page + head_bytes_per_object * (content_.tensors.size() + objects_beside_tensors));
    // Heads of this version carry checksums of their own: a damaged one is found, not misread.
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
    H5Pset_file_locking(access, false, true);
    return access;
  }

  // The same content is the same bytes, whenever it is written.
  static Handle without_times(hid_t kind) {
    Handle creation(H5Pcreate(kind), H5Pclose);
    H5Pset_obj_track_times(creation, false);
    return creation;
  }

  Handle create_group(const char* name) const {
    Handle group(H5Gcreate2(file_, name, H5P_DEFAULT, without_times(H5P_GROUP_CREATE), H5P_DEFAULT),
                 H5Gclose);
    check(static_cast<hid_t>(group), fmt::format("create the group '{}'", name));
    return group;
  }

  Handle create_dataset(hid_t parent, const char* name, hid_t type, const std::vector<hsize_t>& dims) const {
    const Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
    const Handle creation = without_times(H5P_DATASET_CREATE);
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    Handle dataset(H5Dcreate2(parent, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT), H5Dclose);
    check(static_cast<hid_t>(dataset), fmt::format("create '{}'", name));
    return dataset;
  }

  void write_root() {
    const std::string architecture = to_yaml(content_.architecture);
    std::vector<std::uint64_t> checksums;
    for (std::size_t i = 0; i < content_.tensors.size(); ++i)
      checksums.push_back(tensor_checksum(checksums_of(content_, i)));
    text(file_, "format", format_name);
    number(file_, "version", H5T_NATIVE_INT64, H5T_STD_I64LE, &format_version);
    text(file_, "architecture", architecture);
    text(file_, "dtype", std::string(name_of(content_.dtype)));
    text(file_, "digest", model_digest(architecture, content_.dtype, content_.tensors, checksums));
    if (content_.part) write_part(*content_.part);
  }

  void write_part(const ModelPart& part) {
    const std::int64_t rank = part.rank, degree = part.degree;
    number(file_, "rank", H5T_NATIVE_INT64, H5T_STD_I64LE, &rank);
    number(file_, "tensor_parallel", H5T_NATIVE_INT64, H5T_STD_I64LE, &degree);
    text(file_, "model_digest", part.model_digest);
  }

  void write_tensors(Head& head) {
    const Handle group = create_group("tensors");
    const Hdf5Element element = hdf5_element(content_.dtype);
    for (std::size_t i = 0; i < content_.tensors.size(); ++i) {
      const TensorInfo& tensor = content_.tensors[i];
      const Handle dataset =
          create_dataset(group, tensor.name.c_str(), element.type,
                         {static_cast<hsize_t>(tensor.rows), static_cast<hsize_t>(tensor.cols)});
      const std::vector<std::uint64_t> checksums = checksums_of(content_, i);
      text(dataset, "dtype", std::string(name_of(content_.dtype)));
      text(dataset, "checksum", hex(tensor_checksum(checksums)));
      numbers(dataset, "checksums", H5T_NATIVE_UINT64, H5T_STD_U64LE, checksums);
      head.offsets.push_back(H5Dget_offset(dataset));
    }
  }

  void write_generation() {
    const GenerationDefaults& generation = content_.text.generation;
    const Handle group = create_group("generation");
    const auto id = [&](const char* name, const std::int32_t& value) {
      number(group, name, H5T_NATIVE_INT32, H5T_STD_I64LE, &value);
    };
    const auto real = [&](const char* name, const std::optional<double>& value) {
      if (value) number(group, name, H5T_NATIVE_DOUBLE, H5T_IEEE_F64LE, &*value);
    };
    id("bos_id", generation.bos_id);
    numbers(group, "eos_ids", H5T_NATIVE_INT32, H5T_STD_I64LE, generation.eos_ids);
    if (generation.pad_id) id("pad_id", *generation.pad_id);
    real("temperature", generation.temperature);
    real("top_p", generation.top_p);
  }

  // Its place in the file.
  std::uint64_t create_tokenizer(const TokenizerFile& tokenizer) {
    const Handle dataset = create_dataset(file_, "tokenizer", H5T_STD_U8LE, {tokenizer.bytes.size()});
    text(dataset, "kind", tokenizer.kind);
    text(dataset, "digest", digest128(tokenizer.bytes));
    return H5Dget_offset(dataset);
  }

  void text(hid_t object, const char* name, const std::string& value) const {
    const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type, value.size());
    H5Tset_cset(type, H5T_CSET_UTF8);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    attribute(object, name, type, type, Handle(H5Screate(H5S_SCALAR), H5Sclose), value.data());
  }

  void number(hid_t object, const char* name, hid_t memory_type, hid_t type, const void* value) const {
    attribute(object, name, memory_type, type, Handle(H5Screate(H5S_SCALAR), H5Sclose), value);
  }

  template <class T>
  void numbers(hid_t object, const char* name, hid_t memory_type, hid_t type,
               const std::vector<T>& values) const {
    const hsize_t n = values.size();
    attribute(object, name, memory_type, type, Handle(H5Screate_simple(1, &n, nullptr), H5Sclose),
              values.data());
  }

  void attribute(hid_t object, const char* name, hid_t memory_type, hid_t type, const Handle& space,
                 const void* value) const {
    const Handle attribute(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    check(static_cast<hid_t>(attribute), fmt::format("create attribute '{}'", name));
    check(H5Awrite(attribute, memory_type, value), fmt::format("write attribute '{}'", name));
  }

  const HeadContent& content_;
  std::string path_;
  Handle file_;
};

// What stands before the first value.
std::uint64_t end_of(const Head& head) {
  const std::uint64_t first = *std::min_element(head.offsets.begin(), head.offsets.end());
  return head.tokenizer_offset > 0 ? std::min(first, head.tokenizer_offset) : first;
}

void read_back(Head& head, const std::filesystem::path& scratch, const std::string& path) {
  const FileDescriptor file(scratch.string());
  head.bytes.resize(end_of(head));
  if (read_bytes(file.fd(), 0, head.bytes.data(), head.bytes.size()).got != head.bytes.size())
    throw UsageError(path + ": its head cannot be read back");
  head.file_bytes = std::filesystem::file_size(scratch);
}

}  // namespace

Head make_head(const HeadContent& content, const std::filesystem::path& scratch, const std::string& path) {
  std::error_code ignored;
  Head head;
  try {
    HeadFile(content, scratch, path).write(head);
    read_back(head, scratch, path);
  } catch (...) {
    std::filesystem::remove(scratch, ignored);
    throw;
  }
  std::filesystem::remove(scratch, ignored);
  return head;
}

}  // namespace hydrajob::weights
