// Documents of random tokens with needles in them, a key and the two tokens that follow it, and sequences
// that each ask for one: what the recall model (docs/recall.md) must answer is known.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "engine/batch.hpp"

namespace hydrajob::test {

struct NeedleBatch {
  Batch batch;
  std::vector<std::vector<std::int32_t>> answers;  // of each sequence, new_tokens of them
};

class NeedleMaker {
 public:
  // needles: two more than sequences.
  NeedleMaker(std::int32_t vocab, std::int64_t needles, std::uint64_t seed) : random_(seed), ids_(vocab) {
    std::iota(ids_.begin(), ids_.end(), 0);
    std::shuffle(ids_.begin(), ids_.end(), random_);
    for (std::int64_t i = 0; i < needles; ++i) needles_.push_back({take(), take(), 0});
    for (Needle& needle : needles_) needle.second = filler();
  }

  // A root of 7/8 of `prefix` tokens with two nodes of the rest below it. Sequences ask in turn for a needle
  // of the root, of their node, of both (the key ends the root, its value begins the node), of their own.
  NeedleBatch make(std::int64_t prefix, std::int64_t sequences) {
    NeedleBatch result;
    result.batch.new_tokens = 2;
    const std::int64_t root = prefix - prefix / 8;
    result.batch.nodes = {{-1, fillers(root)}, {0, fillers(prefix / 8)}, {0, fillers(prefix / 8)}};
    const Needle split_of[] = {needle(sequences),
                               {needle(sequences).key, needle(sequences + 1).first, filler()}};
    result.batch.nodes[0].tokens.back() = split_of[0].key;
    for (const std::size_t n : {0, 1}) put(split_of[n], result.batch.nodes[n + 1].tokens, -1);
    for (std::int64_t i = 0; i < sequences; ++i) {
      const int node = 1 + static_cast<int>(i % 2);
      const Needle& own = needle(i);
      std::vector<std::int32_t> prompt;
      Needle asked = own;
      switch (i / 2 % 4) {
        case 0:  // at a depth of its own: behind the first token, …, as far down as it fits
          put(own, result.batch.nodes[0].tokens, 1 + i * (root - 5) / sequences);
          break;
        case 1:
          put(own, result.batch.nodes[node].tokens, 2 + i * (prefix / 8 - 5) / sequences);
          break;
        case 2:
          asked = split_of[node - 1];
          break;
        default:
          prompt = {filler(), own.key, own.first, own.second, filler()};
      }
      prompt.push_back(asked.key);
      result.batch.sequences.push_back({node, prompt});
      result.answers.push_back({asked.first, asked.second});
    }
    return result;
  }

 private:
  struct Needle {
    std::int32_t key = 0, first = 0, second = 0;
  };

  const Needle& needle(std::int64_t i) const { return needles_.at(static_cast<std::size_t>(i)); }

  std::int32_t take() {
    const std::int32_t id = ids_.back();
    ids_.pop_back();
    return id;
  }

  // Half of them differ from a key or a value in one bit, as far as those are free: what is hardest to tell
  // apart.
  std::int32_t filler() {
    const Needle& needle = needles_[random_() % needles_.size()];
    const std::int32_t near = (random_() % 2 != 0 ? needle.key : needle.first) ^ (1 << random_() % 12);
    const bool free = std::none_of(needles_.begin(), needles_.end(),
                                   [&](const Needle& n) { return n.key == near || n.first == near; });
    const bool known = near < static_cast<std::int32_t>(ids_.size() + 2 * needles_.size());
    return random_() % 2 != 0 && free && known ? near : ids_[random_() % ids_.size()];
  }
  std::vector<std::int32_t> fillers(std::int64_t n) {
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(n));
    std::generate(tokens.begin(), tokens.end(), [this] { return filler(); });
    return tokens;
  }

  // The key at `place`, what follows it behind. Place -1: its value begins the text.
  static void put(const Needle& needle, std::vector<std::int32_t>& text, std::int64_t place) {
    if (place >= 0) text[static_cast<std::size_t>(place)] = needle.key;
    text[static_cast<std::size_t>(place + 1)] = needle.first;
    text[static_cast<std::size_t>(place + 2)] = needle.second;
  }

  std::mt19937_64 random_;
  std::vector<std::int32_t> ids_;  // that no needle has
  std::vector<Needle> needles_;
};

// The part of the answers that `tokens` (sequences, new_tokens) has.
inline double accuracy(const NeedleBatch& needles, const std::vector<std::int32_t>& tokens) {
  std::size_t right = 0;
  std::size_t i = 0;
  for (const auto& answer : needles.answers) {
    for (const std::int32_t id : answer) right += tokens[i++] == id ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(tokens.size());
}

// By how much the first answers lead any other token, the least of all sequences. logits: (sequences, vocab).
inline double margin(const NeedleBatch& needles, const std::vector<float>& logits) {
  const std::size_t vocab = logits.size() / needles.answers.size();
  double least = INFINITY;
  for (std::size_t s = 0; s < needles.answers.size(); ++s) {
    const float* row = logits.data() + s * vocab;
    const auto answer = static_cast<std::size_t>(needles.answers[s][0]);
    for (std::size_t id = 0; id < vocab; ++id) {
      if (id != answer) least = std::min(least, static_cast<double>(row[answer]) - row[id]);
    }
  }
  return least;
}

}  // namespace hydrajob::test
