// The datasets and attributes of a model file that hold no weights.
#include "weights/model_text.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <hdf5.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "store/hdf5_handle.hpp"
#include "tokenizer/tokenizer.hpp"
#include "weights/hdf5_read.hpp"
#include "weights/model_format.hpp"
#include "weights/model_metadata.hpp"

namespace hydrajob {
namespace {

using hdf5::Handle;
using hdf5::hdf5_error;

class Reader {
 public:
  Reader(const std::string& path, hid_t file) : path_(path), file_(file) {}

  std::optional<TokenizerFile> tokenizer() const {
    if (H5Lexists(file_, "tokenizer", H5P_DEFAULT) <= 0) return std::nullopt;
    const Handle dataset(H5Dopen2(file_, "tokenizer", H5P_DEFAULT), H5Dclose);
    if (!dataset.valid()) refuse("the tokenizer cannot be opened: " + hdf5_error());
    TokenizerFile tokenizer{text(dataset, "kind"), bytes_of(dataset)};
    if (tokenizer.kind != sentencepiece_tokenizer && tokenizer.kind != huggingface_tokenizer) {
      refuse(fmt::format("the tokenizer's kind is '{}', expected '{}' or '{}'", tokenizer.kind,
                         sentencepiece_tokenizer, huggingface_tokenizer));
    }
    if (digest128(tokenizer.bytes) != text(dataset, "digest"))
      refuse("the tokenizer is damaged: it does not match its digest");
    return tokenizer;
  }

  // Nothing in files of before there was such a group.
  std::optional<GenerationDefaults> generation() const {
    if (H5Lexists(file_, "generation", H5P_DEFAULT) <= 0) return std::nullopt;
    const Handle group(H5Gopen2(file_, "generation", H5P_DEFAULT), H5Gclose);
    if (!group.valid()) refuse("the group 'generation' cannot be opened: " + hdf5_error());
    GenerationDefaults found;
    const auto bos = values<std::int32_t>(group, "bos_id", H5T_NATIVE_INT32);
    found.eos_ids = values<std::int32_t>(group, "eos_ids", H5T_NATIVE_INT32);
    if (bos.size() != 1 || found.eos_ids.empty()) refuse("generation: expected one bos_id, and eos_ids");
    found.bos_id = bos.front();
    found.pad_id = value_if_there<std::int32_t>(group, "pad_id", H5T_NATIVE_INT32);
    found.temperature = value_if_there<double>(group, "temperature", H5T_NATIVE_DOUBLE);
    found.top_p = value_if_there<double>(group, "top_p", H5T_NATIVE_DOUBLE);
    return found;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const { throw UsageError(path_ + ": " + why); }

  std::string bytes_of(hid_t dataset) const {
    const Handle space(H5Dget_space(dataset), H5Sclose);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    // A damaged size would ask for any amount of memory.
    if (n < 0 || static_cast<hsize_t>(n) != H5Dget_storage_size(dataset))
      refuse("the tokenizer holds no plain bytes");
    std::string bytes(static_cast<std::size_t>(n), '\0');
    if (H5Dread(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) < 0)
      refuse("the tokenizer cannot be read: " + hdf5_error());
    return bytes;
  }

  std::string text(hid_t object, const char* name) const {
    const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
    const bool is_text = attribute.valid() && weights::is_fixed_text(attribute);
    const auto value = is_text ? weights::read_fixed_text(attribute) : std::nullopt;
    if (!value) refuse(fmt::format("the tokenizer has no text '{}'", name));
    return *value;
  }

  template <class T>
  std::vector<T> values(hid_t object, const char* name, hid_t type) const {
    const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
    const Handle space(attribute.valid() ? H5Aget_space(attribute) : -1, H5Sclose);
    const hssize_t n = space.valid() ? H5Sget_simple_extent_npoints(space) : 0;
    std::vector<T> values(static_cast<std::size_t>(std::max<hssize_t>(n, 0)));
    if (!values.empty() && H5Aread(attribute, type, values.data()) < 0)
      refuse(fmt::format("generation: attribute '{}': {}", name, hdf5_error()));
    return values;
  }

  template <class T>
  std::optional<T> value_if_there(hid_t object, const char* name, hid_t type) const {
    const std::vector<T> found = values<T>(object, name, type);
    return found.empty() ? std::nullopt : std::optional<T>(found.front());
  }

  std::string path_;
  hid_t file_;
};

}  // namespace

ModelText text_of(const Architecture& architecture) {
  ModelText text;
  text.generation.bos_id = architecture.bos_id;
  text.generation.eos_ids = {architecture.eos_id};
  return text;
}

ModelText read_model_text(const std::filesystem::path& model_file) {
  std::error_code none;
  const bool is_folder = std::filesystem::is_directory(model_file, none);  // every part holds it
  const std::string path = (is_folder ? model_file / weights::rank_file_name(0) : model_file).string();
  ModelText text = text_of(weights::read_model_metadata(path).architecture);
  const Handle file = weights::open_hdf5(path, false);
  if (!file.valid()) throw UsageError(path + ": cannot be opened: " + hdf5_error());
  const Reader reader(path, file);
  text.tokenizer = reader.tokenizer();
  if (auto generation = reader.generation()) text.generation = std::move(*generation);
  return text;
}

}  // namespace hydrajob
