// From a haystack to token ids, and from generated ids to an answer.
#include <cstddef>
#include <utility>

#include "needles/haystack.hpp"

namespace hydrajob {
namespace {

constexpr std::string_view fence = "###";
constexpr std::string_view space = " \t\n\v\f\r";

std::string_view stripped(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(space);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(space) + 1 - begin);
}

// A model may have more ids than its tokenizer: those stand for no text.
std::string text_of(const Tokenizer& tokenizer, std::span<const TokenId> generated) {
  std::vector<TokenId> known(generated.begin(), generated.end());
  std::erase_if(known, [&](TokenId id) { return id >= tokenizer.vocabulary_size(); });
  return tokenizer.decode(known);
}

}  // namespace

// The regular expression ###(.*?)###: the first place where it matches, and there the shortest match; a dot
// is no end of a line.
std::optional<std::string> answer_in(std::string_view generated) {
  for (std::size_t begin = generated.find(fence); begin != std::string_view::npos;
       begin = generated.find(fence, begin + 1)) {
    const std::size_t inside = begin + fence.size();
    const std::size_t end = generated.find(fence, inside);
    if (end == std::string_view::npos) return std::nullopt;
    if (generated.substr(inside, end - inside).find('\n') != std::string_view::npos) continue;
    std::string answer(stripped(generated.substr(inside, end - inside)));
    std::erase(answer, ',');
    return answer;
  }
  return std::nullopt;
}

NeedleTask tokenized(const Haystack& haystack, const std::shared_ptr<Tokenizer>& tokenizer) {
  NeedleTask task;
  task.n_needles = haystack.n_facts;
  task.document = tokenizer->encode(haystack.prompt, Tokenizer::Around::nothing);
  std::vector<std::string> answers;
  for (const HaystackQuestion& question : haystack.questions) {
    task.questions.push_back({tokenizer->encode(question.prompt, Tokenizer::Around::nothing), question.fact});
    answers.push_back(question.answer);
  }
  task.is_right = [tokenizer, answers = std::move(answers)](std::size_t question,
                                                            std::span<const TokenId> generated) {
    return answer_in(text_of(*tokenizer, generated)) == answers[question];
  };
  return task;
}

}  // namespace hydrajob
