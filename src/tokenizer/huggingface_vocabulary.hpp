// What a tokenizer.json's tokens are in text.
#pragma once

#include <string>

#include "tokenizer/tokenizer.hpp"
#include "tokenizer/tokenizer_json.hpp"

namespace hydrajob::tokenizer {

// Throws UsageError that begins with `origin`.
Vocabulary vocabulary_of(const TokenizerJson& file, const std::string& origin);

}  // namespace hydrajob::tokenizer
