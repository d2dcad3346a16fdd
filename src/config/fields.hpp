// Reads the fields of one map of a file that is no experiment: architectures, machines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.hpp"

namespace hydrajob {

// All throw UsageError with the place, the value and what was expected. What is missing or left over is told
// at the end: only then all keys are known, and a misspelt one says more than a missing one. Until then what
// is missing is 1, or empty.
class Fields {
 public:
  // `what`: what the map is, for messages. The map outlives this.
  Fields(const Node& map, std::string_view what);

  // Null where the key is absent.
  const Node* take(const std::string& key);

  // Without a fallback the key is required.
  std::string text(const std::string& key);
  std::string text(const std::string& key, const std::string& fallback);
  std::int64_t integer(const std::string& key, std::int64_t minimum,
                       std::optional<std::int64_t> fallback = {});
  double positive(const std::string& key, std::optional<double> fallback = {});
  double not_negative(const std::string& key, double fallback);
  // Above 0 and at most 1.
  double fraction(const std::string& key, double fallback);
  bool boolean(const std::string& key, bool fallback);

  // A key that nothing asked for, with the nearest known one; then what was asked for in vain.
  void finish() const;

  Place place_of(std::string_view key) const;

 private:
  // A finite number that `allowed` holds for.
  template <class Allowed>
  double number(const std::string& key, std::optional<double> fallback, const char* expected,
                const Allowed& allowed);
  [[noreturn]] static void wrong(const std::string& key, const Node& node, const std::string& expected);
  void missing(const std::string& key);

  const Node& map_;
  std::vector<std::string> known_;
  std::string missing_;  // the first
};

}  // namespace hydrajob
