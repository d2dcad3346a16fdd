// Which tensors a model has, and which rows of them a rank holds.
#include <string>

#include "weights/weight_source.hpp"

namespace hydrajob {
namespace {

void add_layer(std::vector<TensorInfo>& tensors, const Architecture& a, std::int64_t index) {
  const std::string p = "layers." + std::to_string(index) + ".";
  const std::int64_t q = a.n_heads * a.head_dim;
  const std::int64_t kv = a.n_kv_heads * a.head_dim;
  tensors.push_back({p + "attention_norm", 1, a.hidden, Split::none});
  tensors.push_back({p + "attention.q", q, a.hidden, Split::rows});
  tensors.push_back({p + "attention.k", kv, a.hidden, Split::kv_heads});
  tensors.push_back({p + "attention.v", kv, a.hidden, Split::kv_heads});
  tensors.push_back({p + "attention.o", q, a.hidden, Split::rows});
  tensors.push_back({p + "mlp_norm", 1, a.hidden, Split::none});
  tensors.push_back({p + "mlp.gate", a.intermediate, a.hidden, Split::rows});
  tensors.push_back({p + "mlp.up", a.intermediate, a.hidden, Split::rows});
  tensors.push_back({p + "mlp.down", a.intermediate, a.hidden, Split::rows});
}

RowRange part(std::int64_t rows, int index, int parts) {
  return {rows * index / parts, rows * (index + 1) / parts};
}

}  // namespace

std::vector<TensorInfo> tensors_of(const Architecture& a) {
  std::vector<TensorInfo> tensors{{"embedding", a.vocab, a.hidden, Split::rows}};
  for (std::int64_t i = 0; i < a.n_layers; ++i) add_layer(tensors, a, i);
  tensors.push_back({"final_norm", 1, a.hidden, Split::none});
  if (!a.tied_embeddings) tensors.push_back({"lm_head", a.vocab, a.hidden, Split::rows});
  return tensors;
}

RowRange shard_of(const TensorInfo& tensor, const Architecture& architecture, int rank, int degree) {
  switch (tensor.split) {
    case Split::none:
      return {0, tensor.rows};
    case Split::rows:
      return part(tensor.rows, rank, degree);
    case Split::kv_heads:
      break;
  }
  const std::int64_t heads = architecture.n_kv_heads;
  if (heads >= degree) return part(tensor.rows, rank, degree);
  const std::int64_t head = rank * heads / degree;  // several ranks hold the same head
  return {head * architecture.head_dim, (head + 1) * architecture.head_dim};
}

}  // namespace hydrajob
