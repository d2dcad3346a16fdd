// Hugging Face's tokenizer.json: BPE over bytes (Llama-3) or over characters (Llama-2, converted).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tokenizer/tokenizer.hpp"

namespace hydrajob::tokenizer {

// Throws UsageError that begins with `origin`.
std::unique_ptr<Tokenizer> make_huggingface(std::string_view bytes, const std::string& origin);

}  // namespace hydrajob::tokenizer
