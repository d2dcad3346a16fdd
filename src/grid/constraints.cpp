#include "grid/constraints.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "needles/token_needles.hpp"

namespace hydrajob {
namespace {

using PlaceOf = std::function<const Place&(std::string_view parameter)>;

void check_heads(const RunSpec& spec, const PlaceOf& place_of) {
  if (spec.n_heads % spec.n_kv_heads != 0) {
    fail_at(place_of("n_kv_heads"),
            fmt::format("n_kv_heads: {} does not divide n_heads {}", spec.n_kv_heads, spec.n_heads));
  }
  if (spec.head_dim % 2 != 0) {
    fail_at(place_of("head_dim"),
            fmt::format("head_dim: {} is odd: elements of a head go in pairs", spec.head_dim));
  }
}

void check_split(const RunSpec& spec, const PlaceOf& place_of) {
  const bool model = has_model(spec.workload);
  const Architecture& a = spec.architecture;
  const std::string problem =
      model ? heads_split_problem(a.n_heads, a.n_kv_heads, a.intermediate, spec.tensor_parallel)
            : heads_split_problem(spec.n_heads, spec.n_kv_heads, 0, spec.tensor_parallel);
  if (problem.empty()) return;
  fail_at(place_of("tensor_parallel"), model ? fmt::format("{}: {}", a.name, problem) : problem);
}

void check_tree(const RunSpec& spec, const PlaceOf& place_of) {
  if (spec.tree.empty()) return;
  const std::int64_t leaves = spec.tree.back().nodes;
  if (spec.batch % leaves != 0) {
    fail_at(place_of("tree"), fmt::format("tree {}: batch {} is not a multiple of its {} leaves",
                                          to_string(spec.tree), spec.batch, leaves));
  }
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (spec.prefix > most || tree_tokens(spec.tree) > most) {
    fail_at(place_of("tree"), fmt::format("tree {}: more than {} tokens", to_string(spec.tree), most));
  }
}

// Of token ids: their document and their questions are as long as asked for.
void check_token_needles(const RunSpec& spec, const PlaceOf& place_of) {
  if (spec.workload != WorkloadKind::needles || spec.needles) return;
  const std::int64_t length = least_length(spec.n_needles), ids = least_vocabulary(spec.n_needles);
  if (spec.prefix < length) {
    fail_at(place_of("prefix"),
            fmt::format("prefix: a document of {} tokens has no place for {} needles, a key "
                        "and its value each: expected {} or more, or fewer `needles`",
                        spec.prefix, spec.n_needles, length));
  }
  if (spec.suffix < 1) {
    fail_at(place_of("suffix"), "suffix: 0: a question ends with its key: expected 1 token or more");
  }
  if (spec.architecture.vocab < ids) {
    fail_at(place_of("needles"),
            fmt::format("needles: {} keys, their values and a token between them are {} "
                        "ids, {} has {}: expected fewer `needles`",
                        spec.n_needles, ids, spec.architecture.name, spec.architecture.vocab));
  }
}

void check_positions(const RunSpec& spec, const PlaceOf& place_of) {
  if (spec.prefix + spec.suffix < 1) {
    fail_at(place_of("prefix"), "a sequence needs a token to continue: give a prefix, a tree or a suffix");
  }
  if (!has_model(spec.workload)) return;
  const std::int64_t needed = spec.prefix + spec.suffix + spec.new_tokens;
  if (needed > spec.architecture.max_positions) {
    fail_at(place_of(spec.tree.size() > 1 ? "tree" : "prefix"),
            fmt::format("prefix {} + suffix {} + new_tokens {} = {}: {} has {} positions", spec.prefix,
                        spec.suffix, spec.new_tokens, needed, spec.architecture.name,
                        spec.architecture.max_positions));
  }
}

}  // namespace

std::string heads_split_problem(std::int64_t n_heads, std::int64_t n_kv_heads, std::int64_t intermediate,
                                int degree) {
  const auto uneven = [&](std::string_view what, std::int64_t n) {
    return fmt::format("{} {} is not a multiple of tensor_parallel {}", what, n, degree);
  };
  if (n_heads % degree != 0) return uneven("n_heads", n_heads);
  if (intermediate % degree != 0) return uneven("intermediate", intermediate);
  if (n_kv_heads % degree != 0 && degree % n_kv_heads != 0) {
    return fmt::format("n_kv_heads {} and tensor_parallel {}: expected one to be a multiple of the other",
                       n_kv_heads, degree);
  }
  return {};
}

void check_run(const RunSpec& spec, const PlaceOf& place_of) {
  if (spec.workload == WorkloadKind::attention) check_heads(spec, place_of);
  check_split(spec, place_of);
  check_tree(spec, place_of);
  check_token_needles(spec, place_of);
  check_positions(spec, place_of);
  if (spec.max_iterations < spec.iterations) {
    fail_at(place_of("max_iterations"), fmt::format("max_iterations: {} is less than iterations {}",
                                                    spec.max_iterations, spec.iterations));
  }
}

}  // namespace hydrajob
