// How large the attention scores of the recall model are, so that a softmax picks one token of all that there
// can be, bf16 or not (docs/recall.md derives both).
#pragma once

#include <cstdint>
#include <vector>

#include "config/architecture.hpp"

namespace hydrajob {

// A softmax that is to pick one token gives all others together e^-recall_nats at most.
inline constexpr double recall_nats = 16;

struct RecallScores {
  // The rotary pairs by which a head finds the token before: head h has those of look_back[h mod size].
  std::vector<std::vector<std::int64_t>> look_back;
  double look_back_nats = 0;  // what a pair adds to the score of the token before
  // What a bit that agrees adds to a score; it stands in the first dimension of pair head_dim / 2 - bits +
  // bit.
  double bit_nats = 0;
};

// For tokens of `bits` bits. Throws UsageError that names what of the architecture does not fit.
RecallScores recall_scores(const Architecture& architecture, std::int64_t bits);

}  // namespace hydrajob
