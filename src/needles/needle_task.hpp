// What a needle benchmark asks: a document with needles in it, and questions after it, each about one needle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tokenizer/decode_stream.hpp"

namespace hydrajob {

struct NeedleQuestion {
  std::vector<TokenId> tokens;  // what follows the document; not empty
  std::int64_t needle = 0;      // which one, in the order of the document
};

struct NeedleTask {
  std::vector<TokenId> document;          // tokens that all questions share
  std::int64_t n_needles = 0;             // in the document, evenly spread
  std::vector<NeedleQuestion> questions;  // in the order they are asked; not empty
  // Whether the tokens generated after questions[question] answer it.
  std::function<bool(std::size_t question, std::span<const TokenId> generated)> is_right;

  // The i-th that is asked: where more are asked than there are, they come again (the reference does so).
  std::size_t asked(std::size_t i) const { return i % questions.size(); }
};

}  // namespace hydrajob
