// sentencepiece's tokenizer.model (Llama-2, CodeLlama, Yi), encoded by its own library.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tokenizer/tokenizer.hpp"

namespace hydrajob::tokenizer {

// Throws UsageError that begins with `origin`.
std::unique_ptr<Tokenizer> make_sentencepiece(std::string_view bytes, const std::string& origin);

}  // namespace hydrajob::tokenizer
