// Oniguruma's syntax in PCRE2's: what means the same is kept, what has another spelling gets it, the rest is
// refused.
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/utf8.hpp"
#include "tokenizer/pattern.hpp"

namespace hydrajob::tokenizer {
namespace {

class Translation {
 public:
  Translation(std::string_view pattern, const std::string& place) : pattern_(pattern), place_(place) {}

  std::string result() {
    while (at_ < pattern_.size()) step();
    if (in_class_) refuse("[");
    return std::move(result_);
  }

 private:
  bool ahead(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  void keep(std::size_t length) {
    result_ += pattern_.substr(at_, length);
    at_ += length;
  }

  void step() {
    const char c = pattern_[at_];
    if (c == '\\') return escape();
    if (in_class_) return within_class(c);
    if (c == '[') return open_class();
    if (c == '(') return group();
    // Oniguruma's "^" and "$" are those of lines.
    if (c == '^' || c == '$') refuse(pattern_.substr(at_, 1));
    // A repeated repetition there, a possessive one here; {0,n} there, six characters here.
    for (const std::string_view other : {"}+", "{,"}) {
      if (ahead(other)) refuse(other);
    }
    keep(1);
  }

  void open_class() {
    in_class_ = true;
    keep(ahead("[^") ? 2 : 1);
    if (ahead("]")) refuse("[]");
  }

  void within_class(char c) {
    // Sets within sets, and what they have in common.
    if (c == '[') refuse("[ within []");
    if (ahead("&&")) refuse("&&");
    if (c == ']') in_class_ = false;
    keep(1);
  }

  void group() {
    if (ahead("(*")) refuse("(*");
    if (!ahead("(?")) return keep(1);
    for (const std::string_view known : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:"}) {
      if (ahead(known)) return keep(known.size());
    }
    refuse(pattern_.substr(at_, 3));
  }

  void escape() {
    if (at_ + 1 == pattern_.size()) refuse("\\ at the end");
    const char c = pattern_[at_ + 1];
    // PCRE2's has U+180E besides.
    if (c == 's') return replace("\\p{White_Space}");
    if (c == 'S') return replace("\\P{White_Space}");
    if (c == 'u') return code_point();
    if (c == 'p' || c == 'P' || c == 'x') return in_braces();
    const bool is_letter_or_digit =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool is_same = std::string_view("dDrntf").find(c) != std::string_view::npos;
    if (is_letter_or_digit && !is_same) refuse(pattern_.substr(at_, 2));
    keep(1 + utf8_step(pattern_.substr(at_ + 1)).length);
  }

  void replace(std::string_view by) {
    result_ += by;
    at_ += 2;
  }

  // \p{L}, \x{1F600}: without braces they mean something else there.
  void in_braces() {
    const std::size_t end = pattern_.find('}', at_);
    if (pattern_.substr(at_ + 2, 1) != "{" || end == std::string_view::npos) refuse(pattern_.substr(at_, 2));
    keep(end + 1 - at_);
  }

  // \uHHHH
  void code_point() {
    const std::string_view digits = pattern_.substr(at_ + 2, 4);
    if (digits.size() < 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) {
      refuse("\\u without four digits");
    }
    result_ += fmt::format("\\x{{{}}}", digits);
    at_ += 6;
  }

  [[noreturn]] void refuse(std::string_view what) const {
    throw UsageError(fmt::format("{}: '{}': at {}: '{}' is not supported", place_,
                                 printable(std::string(pattern_)), at_, printable(std::string(what))));
  }

  std::string_view pattern_;
  const std::string& place_;
  std::string result_;
  std::size_t at_ = 0;
  bool in_class_ = false;
};

}  // namespace

std::string to_pcre2(std::string_view pattern, const std::string& place) {
  return Translation(pattern, place).result();
}

}  // namespace hydrajob::tokenizer
