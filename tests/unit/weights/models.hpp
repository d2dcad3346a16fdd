// Small models for the tests, and whole tensors of a source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob::test {

using Bytes = std::vector<std::byte>;

// Heads for degrees up to 8, fewer KV heads than that, a vocabulary that no degree but 1 divides.
inline Architecture grouped_model() {
  Architecture a;
  a.name = "grouped";
  a.n_layers = 2;
  a.hidden = 48;
  a.n_heads = 8;
  a.n_kv_heads = 2;
  a.head_dim = 6;
  a.intermediate = 120;
  a.vocab = 301;
  a.max_positions = 64;
  return a;
}

// For degrees 3 and 5, tied.
inline Architecture odd_model() {
  Architecture a = grouped_model();
  a.name = "odd";
  a.n_layers = 1;
  a.n_heads = 15;
  a.n_kv_heads = 15;
  a.head_dim = 4;
  a.intermediate = 75;
  a.tied_embeddings = true;
  return a;
}

// Rows of many bytes: the checksum ranges of its matrices need several requests.
inline Architecture wide_model() {
  Architecture a = grouped_model();
  a.name = "wide";
  a.n_layers = 1;
  a.hidden = 1024;
  a.head_dim = 128;
  a.intermediate = 1000;
  a.vocab = 517;
  return a;
}

inline Bytes read_rows(WeightSource& source, const TensorInfo& tensor, RowRange rows, DType dtype) {
  Bytes bytes(static_cast<std::size_t>(rows.count() * tensor.cols) * size_of(dtype));
  source.read(tensor, rows, dtype, bytes.data());
  return bytes;
}

inline Bytes read_whole(WeightSource& source, const TensorInfo& tensor, DType dtype) {
  return read_rows(source, tensor, {0, tensor.rows}, dtype);
}

inline TensorInfo find_tensor(const Architecture& architecture, const std::string& name) {
  for (const TensorInfo& tensor : tensors_of(architecture))
    if (tensor.name == name) return tensor;
  return {};
}

}  // namespace hydrajob::test
