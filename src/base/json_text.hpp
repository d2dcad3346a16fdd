// JSON from outside, read strictly.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace hydrajob {

// Throws UsageError that begins with `origin`: no JSON, not an object, a key twice in one object, nested so
// deep that walking over it could exhaust the stack.
nlohmann::json parse_json_object(std::string_view text, const std::string& origin);

}  // namespace hydrajob
