#include "tokenizer/text_steps.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utf8proc.h>

#include <fmt/format.h>

#include "base/error.hpp"

namespace hydrajob::tokenizer {
namespace {

struct Free {
  void operator()(utf8proc_uint8_t* p) const { std::free(p); }
};

std::string composed(const std::string& text) {
  const bool is_ascii =
      std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (is_ascii) return text;
  utf8proc_uint8_t* bytes = nullptr;
  const utf8proc_ssize_t length = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
      &bytes, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, Free> owned(bytes);
  if (length < 0)
    throw UsageError(fmt::format("NFC of a text of {} bytes: {}", text.size(), utf8proc_errmsg(length)));
  return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length)};
}

void prepend(const TextStep& step, std::string& text) {
  if (!text.empty()) text.insert(0, step.to);
}

void apply(const TextStep& step, std::string& text, bool begins) {
  switch (step.kind) {
    case TextStep::Kind::replace:
      return replace_all(text, step.from, step.to);
    case TextStep::Kind::prepend:
      return prepend(step, text);
    case TextStep::Kind::begin:
      if (!text.starts_with(step.to)) prepend(step, text);
      return;
    case TextStep::Kind::begin_of_all:
      if (begins && !text.starts_with(step.to)) prepend(step, text);
      return;
    case TextStep::Kind::compose:
      text = composed(text);
      return;
  }
}

}  // namespace

std::string apply_steps(const std::vector<TextStep>& steps, std::string_view part, bool begins) {
  std::string text(part);
  for (const TextStep& step : steps) apply(step, text, begins);
  return text;
}

// In one pass: a text of many spaces is copied once.
void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::string replaced;
  std::size_t copied = 0;
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, copied)) {
    replaced.append(text, copied, at - copied).append(to);
    copied = at + from.size();
  }
  if (copied > 0) text = replaced.append(text, copied);
}

}  // namespace hydrajob::tokenizer
