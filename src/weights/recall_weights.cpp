// A model that is written down, not trained: it says what followed the last token where that stood before
// (docs/recall.md). The two layers of an induction circuit (Elhage et al., "A Mathematical Framework for
// Transformer Circuits", 2021): the first notes at every token which one stood before it, the last finds the
// token with that note and copies it.
#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "config/rope_frequencies.hpp"
#include "weights/convert.hpp"
#include "weights/recall_scores.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {
namespace {

// What the residual stream holds beside a constant 1 in dimension 0: the bits of five tokens, each ±1.
enum Subspace : std::int64_t {
  current,   // the token itself, from the embedding
  previous,  // the one before, from the first layer's attention
  key,       // the same, from its MLP: what the last layer's keys are made of
  found,     // the one that followed, from the last layer's attention
  answer,    // the same, from its MLP: what the head reads
  n_subspaces
};

constexpr double gate = 4;  // of the MLPs' units; any number will do

struct Entry {
  std::int64_t row = 0;
  std::int64_t col = 0;
  float value = 0;
};

class RecallWeights final : public WeightSource {
 public:
  explicit RecallWeights(const Architecture& architecture)
      : architecture_(architecture),
        bits_(std::bit_width(static_cast<std::uint64_t>(architecture.vocab - 1))) {
    check();
    scores_ = recall_scores(architecture_, bits_);
    add_tokens("embedding", current, 1);
    for (std::int64_t id = 0; id < architecture_.vocab; ++id) add("embedding", id, 0, 1);
    add_look_back();
    add_copies("layers.0.attention", current, previous, 1);
    add_mlp(0, previous, key, 2);
    const std::int64_t last = architecture_.n_layers - 1;
    add_find(prefix_of(last));
    add_copies(prefix_of(last) + "attention", current, found, 3);
    add_mlp(last, found, answer, 4);
    add_tokens("lm_head", answer, recall_nats / 2 / normed(n_subspaces));
    for (auto& [name, entries] : entries_) {
      std::stable_sort(entries.begin(), entries.end(),
                       [](const Entry& a, const Entry& b) { return a.row < b.row; });
    }
  }

  const Architecture& architecture() const override { return architecture_; }
  std::string digest() const override { return "recall"; }

  void read(const TensorInfo& tensor, RowRange rows, DType dtype, void* target) override {
    const float rest = tensor.name.ends_with("norm") ? 1.0f : 0.0f;
    const auto found_entries = entries_.find(tensor.name);
    const std::vector<Entry>& entries = found_entries == entries_.end() ? none_ : found_entries->second;
    auto entry = std::lower_bound(entries.begin(), entries.end(), rows.begin,
                                  [](const Entry& e, std::int64_t row) { return e.row < row; });
    std::vector<float> values(static_cast<std::size_t>(tensor.cols));
    auto* out = static_cast<std::byte*>(target);
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      std::fill(values.begin(), values.end(), rest);
      for (; entry != entries.end() && entry->row == row; ++entry) {
        values[static_cast<std::size_t>(entry->col)] = entry->value;
      }
      convert(values.data(), DType::f32, out, dtype, tensor.cols);
      out += values.size() * size_of(dtype);
    }
  }

 private:
  void check() const {
    const Architecture& a = architecture_;
    const auto refuse = [&](const std::string& what) {
      throw UsageError(fmt::format("{}: the recall model needs {}", a.name, what));
    };
    if (a.tied_embeddings) refuse("an lm_head of its own: tied_embeddings false");
    if (a.n_layers < 2) refuse(fmt::format("2 layers or more, not n_layers {}", a.n_layers));
    if (a.vocab < 2) refuse(fmt::format("vocab 2 or more, not {}", a.vocab));
    const std::int64_t dimensions = 1 + n_subspaces * bits_;
    if (a.hidden < dimensions)
      refuse(fmt::format("hidden {} or more for vocab {}, not {}", dimensions, a.vocab, a.hidden));
    if (a.intermediate < bits_)
      refuse(fmt::format("intermediate {} or more for vocab {}, not {}", bits_, a.vocab, a.intermediate));
  }

  static std::string prefix_of(std::int64_t layer) { return fmt::format("layers.{}.", layer); }
  std::int64_t at(Subspace subspace, std::int64_t bit) const { return 1 + subspace * bits_ + bit; }
  static double sign(std::int64_t id, std::int64_t bit) { return ((id >> bit) & 1) != 0 ? 1 : -1; }

  void add(const std::string& tensor, std::int64_t row, std::int64_t col, double value) {
    entries_[tensor].push_back({row, col, static_cast<float>(value)});
  }

  // What RMSNorm makes of a 1 where the constant and `filled` subspaces are all that there is: the same at
  // every token.
  double normed(std::int64_t filled) const {
    const double squares = static_cast<double>(1 + filled * bits_);
    return 1 / std::sqrt(squares / static_cast<double>(architecture_.hidden) + architecture_.rms_eps);
  }

  // Of query and key in a dimension where their product is to add so much to the score.
  double amplitude(double nats) const {
    return std::sqrt(nats * std::sqrt(static_cast<double>(architecture_.head_dim)));
  }

  void add_tokens(const std::string& tensor, Subspace subspace, double value) {
    for (std::int64_t id = 0; id < architecture_.vocab; ++id) {
      for (std::int64_t bit = 0; bit < bits_; ++bit)
        add(tensor, id, at(subspace, bit), value * sign(id, bit));
    }
  }

  // Queries and keys of the constant alone, a query's turned back by one position.
  void add_look_back() {
    const Architecture& a = architecture_;
    const std::vector<double> frequency = rope_frequencies(a);
    const double value = amplitude(scores_.look_back_nats) / normed(1);
    const std::int64_t half = a.head_dim / 2;
    for (std::int64_t head = 0; head < a.n_heads; ++head) {
      const auto n = static_cast<std::int64_t>(scores_.look_back.size());
      for (const std::int64_t pair : scores_.look_back[static_cast<std::size_t>(head % n)]) {
        const double angle = -frequency[static_cast<std::size_t>(pair)];
        add("layers.0.attention.q", head * a.head_dim + pair, 0, value * std::cos(angle));
        add("layers.0.attention.q", head * a.head_dim + half + pair, 0, value * std::sin(angle));
      }
    }
    for (std::int64_t head = 0; head < a.n_kv_heads; ++head) {
      for (std::int64_t pair = 0; pair < half; ++pair)
        add("layers.0.attention.k", head * a.head_dim + pair, 0, value);
    }
  }

  // Queries of the token's bits, keys of those of the token before, on the pairs that turn least.
  void add_find(const std::string& layer) {
    const Architecture& a = architecture_;
    const double value = amplitude(scores_.bit_nats) / normed(3);
    const auto add_bits = [&](const std::string& tensor, std::int64_t heads, Subspace source) {
      for (std::int64_t head = 0; head < heads; ++head) {
        for (std::int64_t bit = 0; bit < bits_; ++bit) {
          const std::int64_t pair = a.head_dim / 2 - bits_ + bit;
          add(tensor, head * a.head_dim + pair, at(source, bit), value);
        }
      }
    };
    add_bits(layer + "attention.q", a.n_heads, current);
    add_bits(layer + "attention.k", a.n_kv_heads, key);
  }

  // Every KV head's values are all bits; of each query head's output only some are used, so that none can be
  // missed.
  void add_copies(const std::string& attention, Subspace source, Subspace target, std::int64_t filled) {
    const Architecture& a = architecture_;
    for (std::int64_t head = 0; head < a.n_kv_heads; ++head) {
      for (std::int64_t bit = 0; bit < bits_; ++bit)
        add(attention + ".v", head * a.head_dim + bit, at(source, bit), 1 / normed(filled));
    }
    for (std::int64_t bit = 0; bit < bits_; ++bit) {
      const double heads = static_cast<double>(copies_of(bit));
      for (std::int64_t head = 0; head < a.n_heads; ++head) {
        if (copies(head, bit)) add(attention + ".o", head * a.head_dim + bit, at(target, bit), 1 / heads);
      }
    }
  }

  bool copies(std::int64_t head, std::int64_t bit) const {
    return bit % architecture_.n_heads == head % bits_;
  }
  std::int64_t copies_of(std::int64_t bit) const {
    std::int64_t n = 0;
    for (std::int64_t head = 0; head < architecture_.n_heads; ++head) n += copies(head, bit) ? 1 : 0;
    return n;
  }

  // A unit a bit, spread over the width and so over the ranks.
  void add_mlp(std::int64_t layer, Subspace source, Subspace target, std::int64_t filled) {
    const std::string mlp = prefix_of(layer) + "mlp";
    const double silu = gate / (1 + std::exp(-gate));
    for (std::int64_t bit = 0; bit < bits_; ++bit) {
      const std::int64_t unit = bit * architecture_.intermediate / bits_;
      add(mlp + ".gate", unit, 0, gate / normed(filled));
      add(mlp + ".up", unit, at(source, bit), 1 / normed(filled));
      add(mlp + ".down", unit, at(target, bit), 1 / silu);
    }
  }

  Architecture architecture_;
  std::int64_t bits_;
  RecallScores scores_;
  std::map<std::string, std::vector<Entry>> entries_;  // of the tensors that are not all zeros, or ones
  std::vector<Entry> none_;
};

}  // namespace

std::unique_ptr<WeightSource> make_recall_weights(const Architecture& architecture) {
  return std::make_unique<RecallWeights>(architecture);
}

}  // namespace hydrajob
