#include "weights/recall_scores.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "base/error.hpp"
#include "config/rope_frequencies.hpp"

namespace hydrajob {
namespace {

// Between two scores, as a part of what a pair adds to one: keys are rounded after they are turned, to within
// 2^-8 of a pair's length in bf16, for each of the two scores; queries before and after, but both scores have
// the same query, and its error counts with the distance of the keys, twice their length at most.
constexpr double rounding_of_a_pair = 6.0 / 256;

// Smaller gaps would need scores so large that rounding decides.
constexpr double least_gap = 0.15;  // of a pair

// What all others may weigh against the one: e^-recall_nats, were they all as close as the closest.
double nats_needed(const Architecture& a) {
  return std::log(static_cast<double>(a.max_positions)) + recall_nats;
}

// By how much the token before leads any other through these pairs, in what one pair adds: the least of
// sum (1 - cos(d f)) over distances d from it. Where that is below `enough`, some value below.
double look_back_gap(const std::vector<std::int64_t>& pairs, const std::vector<double>& frequency,
                     std::int64_t positions, double enough) {
  double least = 2 * static_cast<double>(pairs.size());
  for (std::int64_t distance = 1; distance < positions && least >= enough; ++distance) {
    double lead = 0;
    for (const std::int64_t pair : pairs) {
      lead += 1 - std::cos(static_cast<double>(distance) * frequency[static_cast<std::size_t>(pair)]);
    }
    least = std::min(least, lead);
  }
  return least - rounding_of_a_pair * static_cast<double>(pairs.size());
}

// Pair 0, which alone tells neighbours apart, and every `stride`-th of those that turn.
std::vector<std::vector<std::int64_t>> strided_pairs(std::int64_t turning, std::int64_t stride) {
  std::vector<std::vector<std::int64_t>> result;
  for (std::int64_t first = 0; first < stride; ++first) {
    std::vector<std::int64_t> pairs;
    if (first > 0) pairs.push_back(0);
    for (std::int64_t pair = first; pair < turning; pair += stride) pairs.push_back(pair);
    result.push_back(pairs);
  }
  return result;
}

// The sparsest that suffice: the fewer pairs a head has, the less it can do without one.
void choose_look_back(const Architecture& a, const std::vector<double>& frequency, RecallScores& scores) {
  const auto turns = [&](double f) { return f * static_cast<double>(a.max_positions) > 1; };
  const std::int64_t turning = std::count_if(frequency.begin(), frequency.end(), turns);
  for (std::int64_t stride = std::min(turning, a.n_heads); stride > 0; --stride) {
    scores.look_back = strided_pairs(turning, stride);
    double gap = 2 * static_cast<double>(turning);
    for (const auto& pairs : scores.look_back) {
      gap = std::min(gap, look_back_gap(pairs, frequency, a.max_positions, least_gap));
      if (gap < least_gap) break;
    }
    if (gap < least_gap) continue;
    scores.look_back_nats = nats_needed(a) / gap;
    return;
  }
  throw UsageError(
      fmt::format("{}: head_dim {} with rope_theta {} cannot tell all of max_positions {} apart, as the "
                  "recall model must",
                  a.name, a.head_dim, a.rope_theta, a.max_positions));
}

// The bits stand on the pairs that turn least. Of two scores, the right one loses what the turning takes from
// all bits, and one with a bit wrong is the higher for what it takes from that.
void choose_bits(const Architecture& a, const std::vector<double>& frequency, std::int64_t bits,
                 RecallScores& scores) {
  const auto pairs = static_cast<std::int64_t>(frequency.size());
  if (bits > pairs) {
    throw UsageError(fmt::format("{}: head_dim {}: the recall model needs twice the {} bits of vocab {}",
                                 a.name, a.head_dim, bits, a.vocab));
  }
  double lost = 0;
  double most_lost = 0;
  for (std::int64_t pair = pairs - bits; pair < pairs; ++pair) {
    const double angle = static_cast<double>(a.max_positions) * frequency[static_cast<std::size_t>(pair)];
    const double loss = angle < std::numbers::pi ? 1 - std::cos(angle) : 2;
    lost += loss;
    most_lost = std::max(most_lost, loss);
  }
  const double gap = 2 - lost - most_lost - rounding_of_a_pair * static_cast<double>(bits);
  if (gap < least_gap) {
    throw UsageError(
        fmt::format("{}: rope_theta {} turns the {} pairs for the bits of vocab {} too far within "
                    "max_positions {}: the recall model needs a larger rope_theta, or less of the others",
                    a.name, a.rope_theta, bits, a.vocab, a.max_positions));
  }
  scores.bit_nats = nats_needed(a) / gap;
}

}  // namespace

RecallScores recall_scores(const Architecture& a, std::int64_t bits) {
  const std::vector<double> frequency = rope_frequencies(a);
  RecallScores scores;
  choose_bits(a, frequency, bits, scores);
  choose_look_back(a, frequency, scores);
  return scores;
}

}  // namespace hydrajob
