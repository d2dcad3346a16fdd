// The keys of a JSON object from outside, each checked as it is read.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace hydrajob::weights {

// Null is as good as absent. Throws UsageError that names the file, the key, its value and what was expected.
class JsonFields {
 public:
  static constexpr std::int64_t largest = std::numeric_limits<std::int32_t>::max();

  // `object` outlives this. `prefix`: of keys, in messages.
  JsonFields(const nlohmann::json& object, std::string path, std::string prefix = "")
      : object_(object), path_(std::move(path)), prefix_(std::move(prefix)) {}

  const nlohmann::json* find(const char* key) const;
  std::int64_t integer(const char* key, std::optional<std::int64_t> fallback = {},
                       std::int64_t least = 1) const;
  double positive(const char* key, std::optional<double> fallback = {}) const;
  std::string text(const char* key, const std::string& fallback) const;
  bool boolean(const char* key, bool fallback) const;
  // One, or a list of at least one; none where the key is absent.
  std::vector<std::int32_t> token_ids(const char* key) const;

  [[noreturn]] void wrong(const char* key, const std::string& expected) const;
  const std::string& path() const { return path_; }

 private:
  [[noreturn]] std::int64_t missing(const char* key) const;

  const nlohmann::json& object_;
  std::string path_, prefix_;
};

}  // namespace hydrajob::weights
