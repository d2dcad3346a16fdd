// Changes of the text before it is cut into words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer_json.hpp"

namespace hydrajob::tokenizer {

// `part`: of a text, between added tokens. `begins`: the text itself begins with it.
std::string apply_steps(const std::vector<TextStep>& steps, std::string_view part, bool begins);

void replace_all(std::string& text, std::string_view from, std::string_view to);

}  // namespace hydrajob::tokenizer
