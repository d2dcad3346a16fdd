// Work shared out over this rank's threads.
#pragma once

#include <cstdint>

namespace hydrajob::cpu {

// work(i) for i in [0, n), in any order; consecutive i on one thread. Nothing may be thrown.
template <class Work>
void parallel_for(int threads, std::int64_t n, const Work& work) {
#pragma omp parallel for num_threads(threads) schedule(static) if (n > 1 && threads > 1)
  for (std::int64_t i = 0; i < n; ++i) work(i);
}

// [begin, end) of piece `index` of `pieces` almost equal ones of n, cut at multiples of `unit`.
struct Piece {
  std::int64_t begin;
  std::int64_t end;
};
inline Piece piece_of(std::int64_t n, std::int64_t index, std::int64_t pieces, std::int64_t unit) {
  const std::int64_t units = (n + unit - 1) / unit;
  const auto cut = [&](std::int64_t k) { return k == pieces ? n : units * k / pieces * unit; };
  return {cut(index), cut(index + 1)};
}

}  // namespace hydrajob::cpu
