#include "tokenizer/huggingface.hpp"

#include "tokenizer/added_tokens.hpp"
#include "tokenizer/huggingface_vocabulary.hpp"
#include "tokenizer/pattern.hpp"
#include "tokenizer/text_steps.hpp"
#include "tokenizer/tokenizer_json.hpp"
#include "tokenizer/word_encoder.hpp"
#include "tokenizer/words.hpp"

namespace hydrajob::tokenizer {
namespace {

// Without a pattern the text is one word, and can be as long as a book.
bool can_cut_words(const TokenizerJson& file) {
  if (!file.pre_tokenizer.splits.empty() || file.pre_tokenizer.byte_level) return false;
  // A word that is cut off might be a token where the whole is none.
  if (file.model.ignore_merges || !file.model.ids.contains(std::string(space_mark))) return false;
  return words_stand_alone(file.model.ids, [](const auto& entry) { return std::string_view(entry.first); });
}

class HuggingFace : public Tokenizer {
 public:
  HuggingFace(const TokenizerJson& file, const std::string& origin)
      : Tokenizer(vocabulary_of(file, origin)),
        normalizer_(file.normalizer),
        marks_(file.pre_tokenizer.marks),
        add_prefix_space_(file.pre_tokenizer.add_prefix_space),
        cut_words_(can_cut_words(file)),
        encoder_(file.model, file.pre_tokenizer.byte_level, origin) {
    for (const PreTokenizer::Split& split : file.pre_tokenizer.splits) {
      patterns_.emplace_back(split.pattern, split.place);
    }
    for (const AddedToken& token : file.added) {
      if (!token.normalized) {
        added_.insert(token.content, token.id);
      } else if (const std::string content = apply_steps(normalizer_, token.content, false);
                 !content.empty()) {
        added_normalized_.insert(content, token.id);
      }
    }
  }

 private:
  void append(std::string_view text, std::vector<TokenId>& ids) override {
    const auto add = [&](TokenId id) { ids.push_back(id); };
    const auto normalize = [&](std::string_view part) {
      const bool begins = part.data() == text.data();
      if (normalizer_.empty()) return append_normalized(part, begins, ids);
      append_normalized(apply_steps(normalizer_, part, begins), begins, ids);
    };
    added_.split(text, normalize, add);
  }

  void append_normalized(std::string_view text, bool begins, std::vector<TokenId>& ids) {
    const auto add = [&](TokenId id) { ids.push_back(id); };
    const auto encode = [&](std::string_view part) {
      append_part(part, begins && part.data() == text.data(), ids);
    };
    added_normalized_.split(text, encode, add);
  }

  void append_part(std::string_view part, bool begins, std::vector<TokenId>& ids) {
    if (!marks_.empty()) return append_words(apply_steps(marks_, part, begins), ids);
    if (add_prefix_space_ && !part.starts_with(' '))
      return append_words(std::string(1, ' ').append(part), ids);
    append_words(part, ids);
  }

  void append_words(std::string_view text, std::vector<TokenId>& ids) {
    if (cut_words_) {
      while (!text.empty()) {
        const std::string_view word = text.substr(0, first_word(text, space_mark));
        encoder_.append(word, ids);
        text.remove_prefix(word.size());
      }
      return;
    }
    words_.assign(1, text);
    for (Pattern& pattern : patterns_) {
      longer_words_.swap(words_);
      words_.clear();
      for (const std::string_view word : longer_words_) pattern.split(word, words_);
    }
    for (const std::string_view word : words_) encoder_.append(word, ids);
  }

  std::vector<TextStep> normalizer_, marks_;
  bool add_prefix_space_;
  bool cut_words_;  // words.hpp
  std::vector<Pattern> patterns_;
  AddedTokens added_, added_normalized_;
  WordEncoder encoder_;
  std::vector<std::string_view> words_, longer_words_;  // kept for their memory
};

}  // namespace

std::unique_ptr<Tokenizer> make_huggingface(std::string_view bytes, const std::string& origin) {
  return std::make_unique<HuggingFace>(read_tokenizer_json(bytes, origin), origin);
}

}  // namespace hydrajob::tokenizer
