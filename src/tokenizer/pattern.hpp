// A pattern of pre-tokenisation: written for Oniguruma, as tokenizer.json has it, matched by PCRE2.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hydrajob::tokenizer {

// The same pattern for PCRE2, which reads some of Oniguruma's signs otherwise. Throws UsageError that begins
// with `place` where there is none.
std::string to_pcre2(std::string_view pattern, const std::string& place);

// One thread at a time.
class Pattern {
 public:
  // Throws UsageError that begins with `place`.
  Pattern(std::string_view pattern, const std::string& place);
  ~Pattern();
  Pattern(Pattern&&) noexcept;

  // Matches, and what is between them, in turn. Throws UsageError where the pattern would take forever.
  void split(std::string_view utf8, std::vector<std::string_view>& words);

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace hydrajob::tokenizer
