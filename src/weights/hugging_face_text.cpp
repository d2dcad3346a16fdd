#include "weights/hugging_face_text.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/json_text.hpp"
#include "tokenizer/tokenizer.hpp"
#include "weights/json_fields.hpp"

namespace hydrajob::weights {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Empty where it is not there.
std::optional<std::string> text_if_there(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  if (const std::string kind = other_than_file(path); !kind.empty())
    throw UsageError(fmt::format("{}: is {}, expected a file", path.string(), kind));
  return read_file(path);
}

json object_if_there(const fs::path& path) {
  const std::optional<std::string> text = text_if_there(path);
  return text ? parse_json_object(*text, path.string()) : json::object();
}

// Protocol buffers begin with the first field's tag: here field 1, the pieces. Llama 3's tokenizer.model is
// text of another kind.
bool is_sentencepiece(const std::string& bytes) {
  return !bytes.empty() && bytes.front() == '\n';
}

std::optional<TokenizerFile> read_tokenizer(const fs::path& folder) {
  const fs::path model = folder / "tokenizer.model", list = folder / "tokenizer.json";
  std::optional<std::string> bytes = text_if_there(model);
  if (bytes && is_sentencepiece(*bytes)) return TokenizerFile{sentencepiece_tokenizer, std::move(*bytes)};
  std::optional<std::string> text = text_if_there(list);
  if (text) {
    parse_json_object(*text, list.string());  // what is damaged is found now
    return TokenizerFile{huggingface_tokenizer, std::move(*text)};
  }
  if (!bytes) return std::nullopt;
  throw UsageError(model.string() + (bytes->empty() ? ": is empty" : ": is no sentencepiece model") +
                   "; expected one, or a tokenizer.json beside it");
}

// The first of two objects that has a key, as transformers looks for them.
class Defaults {
 public:
  Defaults(const JsonFields& generation, const JsonFields& config, std::int64_t vocab)
      : generation_(generation), config_(config), vocab_(vocab) {}

  std::vector<std::int32_t> ids(const char* key, std::vector<std::int32_t> fallback) const {
    const JsonFields& fields = holder_of(key);
    const std::vector<std::int32_t> ids = fields.token_ids(key);
    if (std::any_of(ids.begin(), ids.end(), [&](std::int32_t id) { return id >= vocab_; }))
      fields.wrong(key, fmt::format("ids below vocab_size {}", vocab_));
    return ids.empty() ? std::move(fallback) : ids;
  }

  // Some models say that they have none by an id outside of the vocabulary, as -1.
  std::optional<std::int32_t> id_or_none(const char* key) const {
    const JsonFields& fields = holder_of(key);
    if (fields.find(key) == nullptr) return std::nullopt;
    const std::int64_t id = fields.integer(key, {}, -1);
    if (id < 0 || id >= vocab_) return std::nullopt;
    return static_cast<std::int32_t>(id);
  }

  std::optional<double> number(const char* key, bool zero_too, double most) const {
    const JsonFields& fields = holder_of(key);
    const json* value = fields.find(key);
    if (value == nullptr) return std::nullopt;
    const double number = value->is_number() ? value->get<double>() : -1;
    const bool in_range = (zero_too ? number >= 0 : number > 0) && number <= most;
    if (!in_range)
      fields.wrong(key, fmt::format("a number {} 0, at most {}", zero_too ? "from" : "above", most));
    return number;
  }

 private:
  const JsonFields& holder_of(const char* key) const {
    return generation_.find(key) != nullptr ? generation_ : config_;
  }

  const JsonFields& generation_;
  const JsonFields& config_;
  std::int64_t vocab_;
};

constexpr double hottest = 1e6;  // a temperature at which every token is as likely as another

GenerationDefaults read_generation(const fs::path& folder, const Architecture& architecture) {
  const fs::path config_path = folder / "config.json", generation_path = folder / "generation_config.json";
  const json config = object_if_there(config_path), generation = object_if_there(generation_path);
  const JsonFields of_config(config, config_path.string()),
      of_generation(generation, generation_path.string());
  const Defaults defaults(of_generation, of_config, architecture.vocab);
  GenerationDefaults found;
  found.bos_id = defaults.ids("bos_token_id", {architecture.bos_id}).front();
  found.eos_ids = defaults.ids("eos_token_id", {architecture.eos_id});
  found.pad_id = defaults.id_or_none("pad_token_id");
  found.temperature = defaults.number("temperature", true, hottest);
  found.top_p = defaults.number("top_p", false, 1);
  return found;
}

}  // namespace

ModelText read_hugging_face_text(const fs::path& folder, const Architecture& architecture) {
  return {read_tokenizer(folder), read_generation(folder, architecture)};
}

}  // namespace hydrajob::weights
