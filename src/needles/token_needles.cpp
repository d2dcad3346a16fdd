#include "needles/token_needles.hpp"

#include <cstddef>
#include <numeric>
#include <utility>

#include "needles/python_random.hpp"

namespace hydrajob {
namespace {

constexpr std::int64_t tokens_of_needle = 2;  // a key, its value
constexpr std::int64_t first_needle = 1;      // a key that no token stands before is not looked back to

std::vector<TokenId> shuffled_ids(std::int64_t first, std::int64_t n, PythonRandom& random) {
  std::vector<TokenId> ids(static_cast<std::size_t>(n));
  std::iota(ids.begin(), ids.end(), static_cast<TokenId>(first));
  random.shuffle(ids);
  return ids;
}

std::vector<TokenId> filler(std::int64_t n, std::int64_t ids, PythonRandom& random) {
  std::vector<TokenId> tokens(static_cast<std::size_t>(n));
  for (TokenId& token : tokens) token = static_cast<TokenId>(random.below(static_cast<std::uint32_t>(ids)));
  return tokens;
}

}  // namespace

std::int64_t least_vocabulary(std::int64_t needles) {
  return tokens_of_needle * needles + 1;
}
std::int64_t least_length(std::int64_t needles) {
  return first_needle + tokens_of_needle * needles;
}

NeedleTask make_token_needles(const TokenNeedles& request) {
  PythonRandom random(request.seed);
  const std::int64_t n = request.needles;
  const std::int64_t fillers = request.vocab - tokens_of_needle * n;
  const std::vector<TokenId> keys = shuffled_ids(fillers, n, random);
  std::vector<TokenId> values = shuffled_ids(fillers + n, n, random);
  NeedleTask task;
  task.n_needles = n;
  task.document = filler(request.length, fillers, random);
  for (std::int64_t i = 0; i < n; ++i) {
    TokenId* needle = task.document.data() + first_needle + i * (request.length - first_needle) / n;
    needle[0] = keys[static_cast<std::size_t>(i)];
    needle[1] = values[static_cast<std::size_t>(i)];
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  random.shuffle(order);
  for (const std::int64_t needle : order) {
    std::vector<TokenId> tokens = filler(request.question_length - 1, fillers, random);
    tokens.push_back(keys[static_cast<std::size_t>(needle)]);
    task.questions.push_back({std::move(tokens), needle});
  }
  task.is_right = [values = std::move(values), order = std::move(order)](std::size_t question,
                                                                         std::span<const TokenId> generated) {
    return generated.front() == values[static_cast<std::size_t>(order[question])];
  };
  return task;
}

}  // namespace hydrajob
