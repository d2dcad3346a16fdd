#include "needles/haystack.hpp"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <numeric>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/utf8.hpp"
#include "needles/python_random.hpp"

namespace hydrajob {
namespace {

// As Python reads a text file: every end of a line is \n.
std::string with_plain_lines(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool pair = text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n';
    if (!pair) plain += text[i] == '\r' ? '\n' : text[i];
  }
  return plain;
}

bool begins_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

// Takes pieces of a text from its front.
class Text {
 public:
  explicit Text(std::string_view text) : text_(with_plain_lines(text)) {}

  // So many characters, and on to the next full stop. None where the text has no such piece left.
  std::optional<std::string_view> next(std::int64_t characters) {
    std::size_t end = at_;
    for (std::int64_t n = 0; end < text_.size(); ++end) {
      if (begins_character(text_[end]) && ++n > characters) break;
    }
    end = text_.find('.', end);
    if (end == std::string::npos) return std::nullopt;
    const std::size_t begin = at_;
    at_ = end + 1;
    return std::string_view(text_).substr(begin, at_ - begin);
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

// One pass, as the reference's: of three spaces two are left.
std::string in_one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    if (text[i] == ' ' && i + 1 < text.size() && text[i + 1] == ' ') ++i;
  }
  return result;
}

std::string document_of(const std::vector<Fact>& facts, std::string_view text, std::int64_t text_length,
                        const std::string& origin) {
  const auto pieces = static_cast<std::int64_t>(facts.size()) - 1;
  const std::int64_t length = text_length / pieces;
  Text rest(text);
  std::string document;
  for (std::int64_t i = 0; i <= pieces; ++i) {
    const Fact& fact = facts[static_cast<std::size_t>(i)];
    document += fmt::format("The dog named {} has fur that is {}.", fact.name, fact.color);
    if (i == pieces) break;
    const auto piece = rest.next(length);
    if (!piece) {
      throw UsageError(fmt::format("{}: ends after {} of {} pieces of {} characters and more, to a full stop",
                                   origin, i, pieces, length));
    }
    document += fmt::format(" {} ", *piece);
  }
  return in_one_line(std::move(document));
}

std::string question_about(const Fact& fact) {
  return fmt::format("Question: What color is the fur of the dog named {}?\nAnswer:", fact.name);
}

// Python's str.title(), of ASCII letters.
std::string title(std::string text) {
  bool inside = false;
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = byte >= 0x80 || std::isalpha(byte) != 0;
    if (byte < 0x80) c = static_cast<char>(inside ? std::tolower(byte) : std::toupper(byte));
    inside = letter;
  }
  return text;
}

// The order in which facts are used: the examples first, then the questions.
std::vector<std::size_t> order_of_use(std::size_t n) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  PythonRandom(reference_seed).shuffle(order);
  return order;
}

}  // namespace

Haystack make_haystack(const std::vector<Fact>& facts, std::string_view text, std::int64_t few_shot,
                       std::int64_t text_length, const std::string& origin) {
  if (!is_utf8(text)) throw UsageError(origin + ": is not UTF-8");
  Haystack haystack;
  haystack.n_facts = static_cast<std::int64_t>(facts.size());
  haystack.prompt =
      "Start of document:\n" + document_of(facts, text, text_length, origin) + "\nEnd of document\n\n";
  for (const std::size_t i : order_of_use(facts.size())) {
    const std::string answer = title(facts[i].color);
    if (few_shot > 0) {
      haystack.prompt += fmt::format("{} ###{}###\n\n", question_about(facts[i]), answer);
      --few_shot;
    } else {
      haystack.questions.push_back({question_about(facts[i]), answer, static_cast<std::int64_t>(i)});
    }
  }
  return haystack;
}

}  // namespace hydrajob
