// The alphabet in which byte-level tokens are spelled: a printable character for each byte (GPT-2's).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hydrajob::tokenizer {

// The bytes that a token spells; nothing where it has a character that stands for none.
std::optional<std::string> spelled_bytes(std::string_view token);

}  // namespace hydrajob::tokenizer
