// JSON from outside, read strictly.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace hydrajob::weights {

// Throws UsageError that begins with `origin` where the text is no JSON object, a key stands twice in one, or
// it is nested absurdly deep.
nlohmann::json parse_json_object(const std::string& text, const std::string& origin);

// A name or value from outside as a message can hold it: in one line, and not longer than a line or two.
std::string printable(std::string text);

}  // namespace hydrajob::weights
