// One draw of the sampling tests: logits of a shard, and what is drawn from them.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/tensor.hpp"

namespace hydrajob::test {

struct Drawn {
  std::vector<float> value;
  std::vector<std::int32_t> id;
  bool operator==(const Drawn&) const = default;
};

struct Rows {
  std::int64_t rows = 1;
  std::int64_t n_ids = 1;
  std::int64_t first_id = 0;
  std::vector<float> logits;
  std::vector<std::int32_t> sequence, step;

  static Rows random(std::int64_t rows, std::int64_t n_ids, std::int64_t first_id, float spread,
                     std::mt19937_64& random) {
    Rows r{rows, n_ids, first_id, {}, {}, {}};
    std::normal_distribution<float> normal(0, spread);
    std::uniform_int_distribution<std::int32_t> any(0, 1 << 30);
    for (std::int64_t i = 0; i < rows * n_ids; ++i) r.logits.push_back(normal(random));
    for (std::int64_t i = 0; i < rows; ++i) {
      r.sequence.push_back(any(random));
      r.step.push_back(any(random));
    }
    return r;
  }

  // Ids [begin, end) of every row, counted from the first.
  Rows shard(std::int64_t begin, std::int64_t end) const {
    Rows part{rows, end - begin, first_id + begin, {}, sequence, step};
    for (std::int64_t r = 0; r < rows; ++r) {
      part.logits.insert(part.logits.end(), logits.begin() + r * n_ids + begin,
                         logits.begin() + r * n_ids + end);
    }
    return part;
  }
};

inline Drawn draw(Kernels& kernels, const Rows& rows, const SamplingArgs& sampling,
                  const std::uint32_t* smallest_key = nullptr) {
  NoStream stream;
  Drawn drawn{std::vector<float>(static_cast<std::size_t>(rows.rows), -12345),
              std::vector<std::int32_t>(static_cast<std::size_t>(rows.rows), -1)};
  kernels.sample(rows.logits.data(), sampling, smallest_key, rows.sequence.data(), rows.step.data(),
                 rows.first_id, drawn.value.data(), drawn.id.data(), rows.rows, rows.n_ids, stream);
  return drawn;
}

// As the engine does over ranks: the larger value, of equal ones the smaller id.
inline Drawn better_of(const Drawn& a, const Drawn& b) {
  Drawn best = a;
  for (std::size_t r = 0; r < a.id.size(); ++r) {
    if (b.value[r] > a.value[r]) {
      best.value[r] = b.value[r];
      best.id[r] = b.id[r];
    }
  }
  return best;
}

}  // namespace hydrajob::test
