// The reference's document: facts about dogs hidden in a text, some questions with their answers, and the
// questions that are asked. As its `haystack.py` and `needles.py` make them, to the byte
// (github.com/ScalingIntelligence/hydragen, commit 1ea2255).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "needles/needle_task.hpp"
#include "tokenizer/tokenizer.hpp"

namespace hydrajob {

struct Fact {
  std::string name;   // of a dog
  std::string color;  // of its fur

  bool operator==(const Fact&) const = default;
};

// A CSV file whose header names `name`, and maybe `color`; other columns are not read. With colours the facts
// are in the order of the document. Without, each gets one of eight, then they are shuffled, with the
// reference's seed. Throws UsageError that begins with `origin`.
std::vector<Fact> parse_facts(std::string_view csv, const std::string& origin);

struct HaystackQuestion {
  std::string prompt;     // what follows the document: "Question: …?\nAnswer:"
  std::string answer;     // "Blue"
  std::int64_t fact = 0;  // in the order of the document
};

struct Haystack {
  std::string prompt;  // the document and the examples: what all questions share
  std::int64_t n_facts = 0;
  std::vector<HaystackQuestion> questions;
};

// Between each two facts stands a piece of the text: text_length / (facts - 1) characters, and on to the end
// of the sentence. `few_shot` facts become examples with their answers, the others questions. At least two
// facts, few_shot less than there are. Throws UsageError that begins with `origin` for a text that is too
// short, or not UTF-8.
Haystack make_haystack(const std::vector<Fact>& facts, std::string_view text, std::int64_t few_shot,
                       std::int64_t text_length, const std::string& origin);

// What stands in a generated text between the first ### and ### of one line, without space around it and
// without commas.
std::optional<std::string> answer_in(std::string_view generated);

// Without bos. Right: the answer in the decoded tokens is the question's own.
NeedleTask tokenized(const Haystack& haystack, const std::shared_ptr<Tokenizer>& tokenizer);

}  // namespace hydrajob
