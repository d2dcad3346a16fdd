// JSON from outside, strictly: each object names each key once.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace hydrajob::weights {

// Throws UsageError that begins with `origin` where the text is no JSON object, or a key stands twice in one.
nlohmann::json parse_json_object(const std::string& text, const std::string& origin);

}  // namespace hydrajob::weights
