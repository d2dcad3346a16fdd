// Python's module `random`: the same values from the same seed, so that what the reference drew with it can
// be drawn again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace hydrajob {

constexpr std::uint64_t reference_seed = 9;  // of all that the reference draws

// MT19937 (Matsumoto and Nishimura 1998), seeded and read as CPython does.
class PythonRandom {
 public:
  explicit PythonRandom(std::uint64_t seed);  // random.seed(seed)

  std::uint32_t below(std::uint32_t n);  // random.randrange(n); n > 0

  template <class T>
  void shuffle(std::vector<T>& items) {  // random.shuffle(items)
    for (std::size_t i = items.size(); i > 1; --i) {
      std::swap(items[i - 1], items[below(static_cast<std::uint32_t>(i))]);
    }
  }

 private:
  static constexpr std::size_t words = 624;

  void fill(std::uint32_t seed);                    // init_genrand
  void mix(const std::vector<std::uint32_t>& key);  // init_by_array
  void twist();
  std::uint32_t next();

  std::array<std::uint32_t, words> state_{};
  std::size_t at_ = words;  // of the next word; words: all are used
};

}  // namespace hydrajob
