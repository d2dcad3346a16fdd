// The weights of a model as Hugging Face publishes them: config.json, and its tensors in one safetensors file
// or several with an index.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/json_text.hpp"
#include "base/printable.hpp"
#include "weights/convert.hpp"
#include "weights/hugging_face_config.hpp"
#include "weights/hugging_face_text.hpp"
#include "weights/safetensors.hpp"
#include "weights/transpose.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;
using weights::SafetensorsFile;
using weights::StoredTensor;

constexpr const char* single_name = "model.safetensors";
constexpr const char* index_name = "model.safetensors.index.json";
constexpr std::size_t most_named = 4;  // tensors, in a message

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), most_named); ++i) {
    text += fmt::format("{}'{}'", i > 0 ? ", " : "", printable(names[i]));
  }
  if (names.size() > most_named) text += fmt::format(" and {} more", names.size() - most_named);
  return text;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

// --- the files ---

using WeightMap = std::map<std::string, std::string>;  // which file has which tensor

WeightMap read_index(const fs::path& index) {
  const nlohmann::json document = parse_json_object(read_file(index), index.string());
  const auto map = document.find("weight_map");
  if (map == document.end() || !map->is_object()) {
    throw UsageError(index.string() + ": no object 'weight_map'");
  }
  WeightMap files;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || file.get<std::string>().find('/') != std::string::npos) {
      throw UsageError(fmt::format("{}: weight_map.{}: {}: expected a file of this folder", index.string(),
                                   printable(tensor), printable(file.dump())));
    }
    files.emplace(tensor, file.get<std::string>());
  }
  return files;
}

[[noreturn]] void refuse_without_safetensors(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("pytorch_model") || !name.ends_with(".bin")) continue;
    throw UsageError(fmt::format(
        "{}: {} is a pickle, which can run anything when it is read; expected {}: with transformers, "
        "load the model and save_pretrained(…, safe_serialization=True)",
        folder.string(), name, single_name));
  }
  throw UsageError(fmt::format("{}: neither {} nor {}", folder.string(), single_name, index_name));
}

// --- what tensors are called there ---

struct Counterpart {
  std::string name;
  bool transposed = false;  // (out, in) there, (in, out) in the model file
};

Counterpart counterpart_of(const std::string& name) {
  static const std::map<std::string, std::string> whole{{"embedding", "model.embed_tokens.weight"},
                                                        {"final_norm", "model.norm.weight"},
                                                        {"lm_head", "lm_head.weight"}};
  static const std::map<std::string, std::string> of_layer{
      {"attention_norm", "input_layernorm"}, {"attention.q", "self_attn.q_proj"},
      {"attention.k", "self_attn.k_proj"},   {"attention.v", "self_attn.v_proj"},
      {"attention.o", "self_attn.o_proj"},   {"mlp_norm", "post_attention_layernorm"},
      {"mlp.gate", "mlp.gate_proj"},         {"mlp.up", "mlp.up_proj"},
      {"mlp.down", "mlp.down_proj"}};
  if (const auto found = whole.find(name); found != whole.end()) return {found->second, false};
  const std::size_t begin = std::string("layers.").size(), end = name.find('.', begin);
  const std::string part = name.substr(end + 1);
  return {fmt::format("model.layers.{}.{}.weight", name.substr(begin, end - begin), of_layer.at(part)),
          part == "attention.o" || part == "mlp.down"};
}

// Tensors that old versions saved though the configuration says them; and the embedding once more.
bool may_be_passed_over(const std::string& name, const Architecture& architecture) {
  return name.ends_with(".rotary_emb.inv_freq") || (name == "lm_head.weight" && architecture.tied_embeddings);
}

// --- the source ---

class HuggingFaceWeights final : public WeightSource {
 public:
  HuggingFaceWeights(const fs::path& folder, const std::string& name)
      : folder_(folder.string()),
        architecture_(weights::read_hugging_face_config(folder / "config.json", name)) {
    open_all(folder);
    check_tensors();
    text_ = weights::read_hugging_face_text(folder, architecture_);
    const std::vector<TensorInfo> tensors = tensors_of(architecture_);
    for (std::size_t i = 1; i < tensors.size(); ++i) next_.emplace(tensors[i - 1].name, tensors[i].name);
  }

  const Architecture& architecture() const override { return architecture_; }
  std::string digest() const override { return "hugging-face:" + folder_; }
  ModelText text() const override { return text_; }

  std::string identity() const {
    std::string text;
    for (const auto& file : files_)
      text += fs::path(file->path()).filename().string() + ' ' + file->state() + '\n';
    return digest128(text);
  }

  // Of every tensor, where it is of all; f32 is exact for each.
  DType dtype() const {
    std::set<DType> stored;
    for (const TensorInfo& tensor : tensors_of(architecture_))
      stored.insert(dtype_of(*at(counterpart_of(tensor.name).name).tensor));
    return stored.size() == 1 ? *stored.begin() : DType::f32;
  }

  void read(const TensorInfo& tensor, RowRange rows, DType dtype, void* target) override {
    const Counterpart counterpart = counterpart_of(tensor.name);
    const Place& place = at(counterpart.name);
    if (tensor.name != last_name_) {
      last_name_ = tensor.name;
      read_ahead(tensor.name);
    }
    const std::int64_t elements = rows.count() * tensor.cols;
    const auto bytes = static_cast<std::size_t>(elements) * element_bytes(*place.tensor);
    const DType stored = dtype_of(*place.tensor);
    const bool as_stored = stored == dtype;
    if (!as_stored) stored_.resize(bytes);
    auto* into = as_stored ? static_cast<std::byte*>(target) : stored_.data();
    if (counterpart.transposed) {
      read_transposed(counterpart.name, place, tensor, rows, into);
    } else {
      const std::size_t row = static_cast<std::size_t>(tensor.cols) * element_bytes(*place.tensor);
      place.file->read(place.tensor->offset + static_cast<std::size_t>(rows.begin) * row, bytes, into);
    }
    if (!as_stored && !convert_in_range(stored_.data(), stored, target, dtype, elements)) {
      throw BeyondRange(fmt::format("{}: tensor '{}'", place.file->path(), counterpart.name), dtype);
    }
  }

 private:
  struct Place {
    const SafetensorsFile* file = nullptr;
    const StoredTensor* tensor = nullptr;
  };

  // Of one that check_tensor() has let pass.
  static DType dtype_of(const StoredTensor& tensor) {
    if (tensor.dtype == "F32") return DType::f32;
    return tensor.dtype == "BF16" ? DType::bf16 : DType::f16;
  }
  static std::size_t element_bytes(const StoredTensor& tensor) { return size_of(dtype_of(tensor)); }

  // One file before several, as transformers looks for them.
  void open_all(const fs::path& folder) {
    std::error_code ignored;
    if (fs::exists(folder / single_name, ignored)) return open(folder / single_name);
    if (!fs::exists(folder / index_name, ignored)) refuse_without_safetensors(folder);
    const WeightMap map = read_index(folder / index_name);
    std::set<std::string> names;
    for (const auto& [tensor, file] : map) names.insert(file);
    for (const std::string& name : names) open(folder / name);
    for (const auto& [tensor, file] : map) {
      const auto found = places_.find(tensor);
      if (found == places_.end() || found->second.file->path() != (folder / file).string()) {
        throw UsageError(fmt::format("{}: tensor '{}' is not in {}, where {} says", folder_,
                                     printable(tensor), file, index_name));
      }
    }
  }

  void open(const fs::path& path) {
    files_.push_back(std::make_unique<SafetensorsFile>(path));
    for (const auto& [name, tensor] : files_.back()->tensors()) {
      const auto [other, added] = places_.emplace(name, Place{files_.back().get(), &tensor});
      if (!added) {
        throw UsageError(fmt::format("{}: tensor '{}' is in {} too", path.string(), printable(name),
                                     other->second.file->path()));
      }
    }
  }

  const Place& at(const std::string& name) const { return places_.at(name); }

  void check_tensors() const {
    // Before so many are listed.
    if (architecture_.n_layers > static_cast<std::int64_t>(places_.size())) {
      throw UsageError(fmt::format("{}: {} tensors, config.json says {} layers", folder_, places_.size(),
                                   architecture_.n_layers));
    }
    std::set<std::string> known;
    std::vector<std::string> missing, unknown;
    for (const TensorInfo& tensor : tensors_of(architecture_)) {
      const Counterpart counterpart = counterpart_of(tensor.name);
      known.insert(counterpart.name);
      const auto found = places_.find(counterpart.name);
      if (found == places_.end()) {
        missing.push_back(counterpart.name);
      } else {
        check_tensor(counterpart, tensor, found->second);
      }
    }
    for (const auto& [name, place] : places_) {
      if (known.count(name) == 0 && !may_be_passed_over(name, architecture_)) unknown.push_back(name);
    }
    if (!missing.empty())
      throw UsageError(fmt::format("{}: no tensor {}, which config.json asks for", folder_, listed(missing)));
    if (!unknown.empty()) {
      throw UsageError(
          fmt::format("{}: config.json describes a model without tensor {}", folder_, listed(unknown)));
    }
  }

  static void check_tensor(const Counterpart& counterpart, const TensorInfo& tensor, const Place& place) {
    const bool vector = tensor.name.ends_with("norm");
    const std::vector<std::int64_t> expected = vector ? std::vector{tensor.cols}
                                               : counterpart.transposed
                                                   ? std::vector{tensor.cols, tensor.rows}
                                                   : std::vector{tensor.rows, tensor.cols};
    const std::string where = fmt::format("{}: tensor '{}'", place.file->path(), counterpart.name);
    if (place.tensor->shape != expected) {
      throw UsageError(fmt::format("{} has shape {}, config.json says {}", where,
                                   shape_text(place.tensor->shape), shape_text(expected)));
    }
    const std::string& dtype = place.tensor->dtype;
    if (dtype != "BF16" && dtype != "F16" && dtype != "F32") {
      throw UsageError(fmt::format("{} is of dtype {}, expected BF16, F16 or F32", where, dtype));
    }
  }

  // Storage is busy with the tensor that will be asked for next, while one is converted and written.
  void read_ahead(const std::string& name) const {
    const auto next = next_.find(name);
    if (next == next_.end()) return;
    const Place& place = at(counterpart_of(next->second).name);
    place.file->will_read(place.tensor->offset, place.tensor->bytes);
  }

  // Rows are columns there. A tensor is read whole, once: it is asked for in pieces.
  void read_transposed(const std::string& name, const Place& place, const TensorInfo& tensor, RowRange rows,
                       std::byte* into) {
    if (whole_name_ != name) {
      whole_name_.clear();
      if (whole_.size() < place.tensor->bytes) {
        whole_ = {};  // before the next one: two at once are not needed
        whole_.resize(place.tensor->bytes);
      }
      place.file->read(place.tensor->offset, place.tensor->bytes, whole_.data());
      whole_name_ = name;
    }
    const auto part = [&](auto* to) {
      const auto* from = reinterpret_cast<decltype(to)>(whole_.data());
      weights::transpose(from + rows.begin, tensor.rows, rows.count(), tensor.cols, to);
    };
    if (element_bytes(*place.tensor) == 4) {
      part(reinterpret_cast<std::uint32_t*>(into));
    } else {
      part(reinterpret_cast<std::uint16_t*>(into));
    }
  }

  std::string folder_;
  Architecture architecture_;
  ModelText text_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place> places_;
  std::vector<std::byte> stored_;  // what is being read, where it is to be converted
  std::vector<std::byte> whole_;   // the last tensor that was asked for transposed, at least
  std::string whole_name_;
  std::map<std::string, std::string> next_;  // of the tensors in the order of tensors_of(): which follows
  std::string last_name_;                    // that was read from
};

}  // namespace

Checkpoint open_hugging_face(const std::filesystem::path& folder, const std::string& name) {
  auto source = std::make_unique<HuggingFaceWeights>(folder, name);
  const DType dtype = source->dtype();
  const std::string identity = source->identity();
  return {std::move(source), dtype, identity};
}

}  // namespace hydrajob
