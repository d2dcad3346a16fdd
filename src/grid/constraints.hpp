// What the parameters of a run must satisfy together. What each must satisfy alone is in
// config/parameters.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "config/place.hpp"
#include "grid/run_spec.hpp"

namespace hydrajob {

// Empty when heads (and the MLP, where intermediate > 0) can be split over `degree` ranks, else the reason:
// "n_heads 40 is not a multiple of tensor_parallel 3". Of n_kv_heads and the degree one must divide the
// other.
std::string heads_split_problem(std::int64_t n_heads, std::int64_t n_kv_heads, std::int64_t intermediate,
                                int degree);

// Throws UsageError at the place of the parameter to blame, which `place_of` knows.
void check_run(const RunSpec& spec, const std::function<const Place&(std::string_view parameter)>& place_of);

}  // namespace hydrajob
