#include "tokenizer/pattern.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/utf8.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace hydrajob::tokenizer {
namespace {

static_assert(PCRE2_MAJOR > 10 || PCRE2_MINOR >= 40, "\\p{White_Space} needs PCRE2 10.40 or later");

std::string message_of(int error) {
  std::array<PCRE2_UCHAR8, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

// Of one match: a few for each byte are what long runs of spaces need, more is a pattern that tries
// everything.
std::uint32_t most_steps(std::size_t bytes) {
  return static_cast<std::uint32_t>(std::min<std::size_t>(10'000'000 + 10 * bytes, 0xffffffff));
}

PCRE2_SPTR bytes_of(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

template <auto free>
struct Free {
  template <typename T>
  void operator()(T* p) const {
    free(p);
  }
};
template <typename T, auto free>
using Owned = std::unique_ptr<T, Free<free>>;

}  // namespace

struct Pattern::Compiled {
  Owned<pcre2_code, pcre2_code_free> code;
  Owned<pcre2_match_context, pcre2_match_context_free> context;
  Owned<pcre2_jit_stack, pcre2_jit_stack_free> stack;
  Owned<pcre2_match_data, pcre2_match_data_free> match;
  std::string place;
};

Pattern::Pattern(std::string_view pattern, const std::string& place)
    : compiled_(std::make_unique<Compiled>()) {
  constexpr std::size_t least_stack = 32 << 10, most_stack = 1 << 20;  // bytes
  const std::string translated = to_pcre2(pattern, place);
  const Owned<pcre2_compile_context, pcre2_compile_context_free> compile(
      pcre2_compile_context_create(nullptr));
  // "." ends at "\n" only, whatever the library was built for.
  pcre2_set_newline(compile.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  std::size_t at = 0;
  compiled_->code.reset(pcre2_compile(bytes_of(translated), translated.size(),
                                      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &at,
                                      compile.get()));
  if (!compiled_->code) {
    throw UsageError(fmt::format("{}: '{}': at {}: {}", place, printable(translated), at, message_of(error)));
  }
  compiled_->place = place;
  compiled_->match.reset(pcre2_match_data_create_from_pattern(compiled_->code.get(), nullptr));
  compiled_->context.reset(pcre2_match_context_create(nullptr));
  // Where it cannot be compiled to machine code it is interpreted: slower, with the same matches.
  if (pcre2_jit_compile(compiled_->code.get(), PCRE2_JIT_COMPLETE) == 0) {
    compiled_->stack.reset(pcre2_jit_stack_create(least_stack, most_stack, nullptr));
    pcre2_jit_stack_assign(compiled_->context.get(), nullptr, compiled_->stack.get());
  }
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;

void Pattern::split(std::string_view text, std::vector<std::string_view>& words) {
  pcre2_set_match_limit(compiled_->context.get(), most_steps(text.size()));
  std::size_t begin = 0;  // of what is in no match yet
  std::size_t from = 0;
  while (from < text.size()) {
    const int found = pcre2_match(compiled_->code.get(), bytes_of(text), text.size(), from,
                                  PCRE2_NO_UTF_CHECK, compiled_->match.get(), compiled_->context.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) throw UsageError(fmt::format("{}: {}", compiled_->place, message_of(found)));
    const std::size_t* match = pcre2_get_ovector_pointer(compiled_->match.get());
    if (match[1] <= match[0]) {
      from += utf8_step(text.substr(from)).length;  // an empty match cuts nothing off
      continue;
    }
    if (match[0] > begin) words.push_back(text.substr(begin, match[0] - begin));
    words.push_back(text.substr(match[0], match[1] - match[0]));
    begin = from = match[1];
  }
  if (begin < text.size()) words.push_back(text.substr(begin));
}

}  // namespace hydrajob::tokenizer
