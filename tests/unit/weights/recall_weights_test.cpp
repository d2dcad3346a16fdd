// The recall model's weights against what docs/recall.md says of them: the scores in bf16, at any position.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/bf16.hpp"
#include "base/error.hpp"
#include "config/rope_frequencies.hpp"
#include "unit/weights/models.hpp"
#include "weights/recall_scores.hpp"

namespace hydrajob {
namespace {

using test::find_tensor;
using test::read_rows;
using test::read_whole;

Architecture recall_architecture(std::int64_t head_dim) {
  Architecture a;
  a.name = "small";
  a.n_layers = 3;
  a.hidden = 80;
  a.n_heads = 8;
  a.n_kv_heads = 2;
  a.head_dim = head_dim;
  a.intermediate = 40;
  a.vocab = 3000;
  a.max_positions = 262144;
  a.rope_theta = 1e9;
  return a;
}

std::string refusal(const Architecture& a) {
  try {
    make_recall_weights(a);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "accepted";
}

double in_bf16(double value) {
  return static_cast<float>(Bf16(static_cast<float>(value)));
}

// A pair of dimensions of a query or key.
struct Pair {
  double a = 0, b = 0;
};

// As the engine does: the projection is rounded, turned to its position, rounded again.
Pair turned(Pair value, double angle) {
  const Pair v{in_bf16(value.a), in_bf16(value.b)};
  const double c = std::cos(angle);
  const double s = std::sin(angle);
  return {in_bf16(v.a * c - v.b * s), in_bf16(v.b * c + v.a * s)};
}

class RecallScoresOf : public testing::TestWithParam<std::int64_t> {
 protected:
  std::uint32_t seed_ = std::random_device{}();
  std::mt19937 random_{seed_};
  Architecture a_ = recall_architecture(GetParam());
  std::vector<double> frequency_ = rope_frequencies(a_);
  RecallScores scores_ = recall_scores(a_, 12);

  double position() { return static_cast<double>(random_() % static_cast<unsigned>(a_.max_positions)); }
};

// At the end of the longest document and anywhere in it.
TEST_P(RecallScoresOf, LookOneTokenBack) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  const double length = std::sqrt(scores_.look_back_nats);
  for (const double at : {static_cast<double>(a_.max_positions - 1), 1.0, position()}) {
    for (const auto& pairs : scores_.look_back) {
      std::vector<Pair> queries;
      for (const std::int64_t pair : pairs) {
        const double f = frequency_[pair];
        queries.push_back(turned({length * std::cos(f), -length * std::sin(f)}, at * f));
      }
      const auto score = [&](double key) {
        double sum = 0;
        for (std::size_t i = 0; i < pairs.size(); ++i) {
          const Pair k = turned({length, 0}, key * frequency_[pairs[i]]);
          sum += queries[i].a * k.a + queries[i].b * k.b;
        }
        return sum;
      };
      const double right = score(at - 1);
      double others = 0;
      for (double key = 0; key <= at; ++key) {
        if (key != at - 1) others += std::exp(score(key) - right);
      }
      EXPECT_LT(others, std::exp(-recall_nats)) << "position " << at << ", pair " << pairs.at(1);
    }
  }
}

// None can be turned wrongly without a head that needs it.
TEST_P(RecallScoresOf, UseEveryPairThatTurns) {
  std::vector<int> used(frequency_.size(), 0);
  for (const auto& pairs : scores_.look_back) {
    for (const std::int64_t pair : pairs) used[pair] = 1;
  }
  for (std::size_t i = 0; i < used.size(); ++i) {
    EXPECT_EQ(used[i] == 1, frequency_[i] * static_cast<double>(a_.max_positions) > 1) << i;
  }
}

// Any two tokens, however far the one and near the other.
TEST_P(RecallScoresOf, TellEveryTwoTokensApart) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  const double length = std::sqrt(scores_.bit_nats);
  const auto score = [&](unsigned query, double at, unsigned key, double from) {
    double sum = 0;
    for (int bit = 0; bit < 12; ++bit) {
      const double f = frequency_[frequency_.size() - 12 + bit];
      const Pair q = turned({(query >> bit & 1) != 0 ? length : -length, 0}, at * f);
      const Pair k = turned({(key >> bit & 1) != 0 ? length : -length, 0}, from * f);
      sum += q.a * k.a + q.b * k.b;
    }
    return sum;
  };
  const auto last = static_cast<double>(a_.max_positions - 1);
  const double needed = std::log(last) + recall_nats;
  for (int i = 0; i < 20000; ++i) {
    const unsigned asked = random_() % 4096;
    const unsigned other = asked ^ (1u << random_() % 12);
    const double at = i % 2 == 0 ? last : position();
    const double near = std::min(at, position());
    const double far = std::min(at, position());
    ASSERT_GT(score(asked, at, asked, i % 4 == 0 ? 0 : far) - score(asked, at, other, near), needed) << asked;
  }
}

INSTANTIATE_TEST_SUITE_P(, RecallScoresOf, testing::Values(64, 128),
                         [](const auto& instance) { return fmt::format("Heads{}", instance.param); });

TEST(RecallWeights, AreTheSameForAnyRows) {
  const Architecture a = recall_architecture(64);
  const auto source = make_recall_weights(a);
  for (const DType dtype : every_dtype) {
    for (const TensorInfo& tensor : tensors_of(a)) {
      const auto whole = read_whole(*source, tensor, dtype);
      test::Bytes parts;
      for (int rank = 0; rank < 8; ++rank) {
        const RowRange rows{tensor.rows * rank / 8, tensor.rows * (rank + 1) / 8};
        const auto part = read_rows(*source, tensor, rows, dtype);
        parts.insert(parts.end(), part.begin(), part.end());
      }
      EXPECT_EQ(parts, whole) << tensor.name;
    }
  }
}

// Layers between the first and the last add nothing.
TEST(RecallWeights, LeaveInnerLayersEmpty) {
  const Architecture a = recall_architecture(64);
  const auto source = make_recall_weights(a);
  for (const TensorInfo& tensor : tensors_of(a)) {
    const auto bytes = read_whole(*source, tensor, DType::f32);
    const bool zeros = std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
    EXPECT_EQ(zeros, tensor.name.starts_with("layers.1.") && !tensor.name.ends_with("norm")) << tensor.name;
  }
}

TEST(RecallWeights, RefuseWhatDoesNotFit) {
  const Architecture fits = recall_architecture(64);
  EXPECT_EQ(refusal(fits), "accepted");
  Architecture a = fits;
  a.tied_embeddings = true;
  EXPECT_EQ(refusal(a), "small: the recall model needs an lm_head of its own: tied_embeddings false");
  a = fits;
  a.n_layers = 1;
  EXPECT_EQ(refusal(a), "small: the recall model needs 2 layers or more, not n_layers 1");
  a = fits;
  a.hidden = 60;
  EXPECT_EQ(refusal(a), "small: the recall model needs hidden 61 or more for vocab 3000, not 60");
  a = fits;
  a.intermediate = 11;
  EXPECT_EQ(refusal(a), "small: the recall model needs intermediate 12 or more for vocab 3000, not 11");
  a = fits;
  a.head_dim = 22;
  EXPECT_EQ(refusal(a), "small: head_dim 22: the recall model needs twice the 12 bits of vocab 3000");
  a = fits;
  a.rope_theta = 1e4;
  EXPECT_EQ(
      refusal(a),
      "small: rope_theta 10000 turns the 12 pairs for the bits of vocab 3000 too far within max_positions "
      "262144: the recall model needs a larger rope_theta, or less of the others");
  a = fits;
  a.rope_theta = 1e40;
  EXPECT_EQ(refusal(a),
            "small: head_dim 64 with rope_theta 1e+40 cannot tell all of max_positions 262144 apart, as the "
            "recall model must");
}

}  // namespace
}  // namespace hydrajob
