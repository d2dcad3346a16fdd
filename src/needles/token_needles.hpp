// A needle benchmark of token ids alone, for models without a tokenizer and for documents of any length: keys
// with a value behind each, among other tokens. A question is some other tokens and a key; its answer is the
// key's value, as the first token generated. A model that repeats what followed a token before answers all.
#pragma once

#include <cstdint>

#include "needles/needle_task.hpp"

namespace hydrajob {

struct TokenNeedles {
  std::uint64_t seed = 1;
  std::int64_t vocab = 0;            // ids of the model
  std::int64_t length = 0;           // tokens of the document
  std::int64_t needles = 0;          // keys in it, each once
  std::int64_t question_length = 1;  // tokens, the key included
};

// The smallest vocabulary, and the shortest document, for so many needles.
std::int64_t least_vocabulary(std::int64_t needles);
std::int64_t least_length(std::int64_t needles);

// Of `vocab` ids the last `needles` are values, those before them keys, all others fill: each key and each
// value stands in the document once. Needle i begins at token 1 + i (length - 1) / needles. One question a
// needle. vocab, length and question_length are large enough, needles is 1 or more.
NeedleTask make_token_needles(const TokenNeedles& request);

}  // namespace hydrajob
