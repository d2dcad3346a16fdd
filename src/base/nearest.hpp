// "did you mean …?": the known name closest to a wrong one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hydrajob {

// By edit distance (transpositions count one); nothing when even the closest shares too little with `wrong`.
std::optional<std::string> nearest(std::string_view wrong, const std::vector<std::string>& known);

}  // namespace hydrajob
