#include "needles/accuracy.hpp"

#include <cstddef>
#include <span>

namespace hydrajob {
namespace {

struct Count {
  double asked = 0;
  double right = 0;

  void add(bool is_right) {
    ++asked;
    if (is_right) ++right;
  }
};

}  // namespace

NeedleAccuracy accuracy_of(const NeedleTask& task, const std::vector<TokenId>& generated,
                           std::int64_t new_tokens) {
  const auto length = static_cast<std::size_t>(new_tokens);
  Count all;
  std::array<Count, 10> decile;
  for (std::size_t i = 0; i < generated.size() / length; ++i) {
    const std::size_t question = task.asked(i);
    const bool is_right = task.is_right(question, std::span(generated).subspan(i * length, length));
    const std::int64_t needle = task.questions[question].needle;
    all.add(is_right);
    decile[static_cast<std::size_t>(10 * needle / task.n_needles)].add(is_right);
  }
  NeedleAccuracy accuracy;
  if (all.asked > 0) accuracy.all = all.right / all.asked;
  for (std::size_t i = 0; i < decile.size(); ++i) {
    if (decile[i].asked > 0) accuracy.decile[i] = decile[i].right / decile[i].asked;
  }
  return accuracy;
}

}  // namespace hydrajob
