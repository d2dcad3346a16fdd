#include "kernels/reference/attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/reference/element.hpp"

namespace hydrajob::reference {
namespace {

// The tokens of the cache that row `row` of stream `stream` sees: the segments above it, then its own.
std::vector<std::int64_t> visible_tokens(const AttentionArgs& args, std::int64_t stream, std::int64_t row) {
  std::vector<std::int64_t> tokens;
  for (std::int64_t s = 0; s < args.n_segments; ++s) {
    if (row < args.segment_row_begin[s] || row >= args.segment_row_end[s]) continue;
    for (std::int64_t t = 0; t < args.segment_length[s]; ++t) tokens.push_back(args.segment_first[s] + t);
  }
  const std::int64_t rows_after = args.stream_row[stream + 1] - 1 - row;
  for (std::int64_t t = 0; t < args.own_length[stream] - rows_after; ++t) {
    tokens.push_back(args.own_first[stream] + t);
  }
  return tokens;
}

void attend(const AttentionArgs& args, std::int64_t row, std::int64_t head,
            const std::vector<std::int64_t>& tokens) {
  const std::int64_t group = args.n_heads / args.n_kv_heads;
  const std::int64_t q = (row * args.n_heads + head) * args.head_dim;
  const auto place = [&](std::int64_t token) {
    return head / group * args.kv.head_stride + token * args.kv.token_stride;
  };

  std::vector<double> weights(tokens.size());
  double maximum = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    double dot = 0;
    for (std::int64_t d = 0; d < args.head_dim; ++d) {
      dot += static_cast<double>(load(args.q, q + d, args.dtype)) *
             load(args.kv.k, place(tokens[i]) + d, args.dtype);
    }
    weights[i] = dot * args.scale;
    maximum = std::max(maximum, weights[i]);
  }
  double sum = 0;
  for (double& weight : weights) {
    weight = std::exp(weight - maximum);
    sum += weight;
  }

  for (std::int64_t d = 0; d < args.head_dim; ++d) {
    double out = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      out += weights[i] * load(args.kv.v, place(tokens[i]) + d, args.dtype);
    }
    store(args.out, q + d, args.dtype, tokens.empty() ? 0 : out / sum);
  }
  if (args.lse != nullptr) {
    args.lse[row * args.n_heads + head] =
        static_cast<float>(tokens.empty() ? maximum : maximum + std::log(sum));
  }
}

}  // namespace

void attention(const AttentionArgs& args) {
  for (std::int64_t stream = 0; stream < args.n_streams; ++stream) {
    for (std::int64_t row = args.stream_row[stream]; row < args.stream_row[stream + 1]; ++row) {
      const std::vector<std::int64_t> tokens = visible_tokens(args, stream, row);
      for (std::int64_t head = 0; head < args.n_heads; ++head) attend(args, row, head, tokens);
    }
  }
}

}  // namespace hydrajob::reference
