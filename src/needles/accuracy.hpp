// How many questions are answered rightly, in all and by how deep in the document their needles are.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "needles/needle_task.hpp"

namespace hydrajob {

struct NeedleAccuracy {
  double all = 0;                                // right answers over questions
  std::array<std::optional<double>, 10> decile;  // of the document; none where no question asks for it
};

// `generated`: (asked, new_tokens) ids, asked in the order of task.asked().
NeedleAccuracy accuracy_of(const NeedleTask& task, const std::vector<TokenId>& generated,
                           std::int64_t new_tokens);

}  // namespace hydrajob
