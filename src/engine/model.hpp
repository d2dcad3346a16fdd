// A rank's shard of a Llama-family model, its matrices packed for the backend.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/dtype.hpp"
#include "config/architecture.hpp"
#include "device/device.hpp"
#include "kernels/kernels.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {

struct Layer {
  std::unique_ptr<Buffer> attention_norm;  // (hidden) dtype
  std::unique_ptr<PackedWeight> qkv;       // hidden -> (n_heads + 2 n_kv_heads) head_dim, q first
  std::unique_ptr<PackedWeight> o;         // n_heads head_dim -> hidden
  std::unique_ptr<Buffer> mlp_norm;        // (hidden) dtype
  std::unique_ptr<PackedWeight> gate_up;   // hidden -> 2 intermediate, gate first
  std::unique_ptr<PackedWeight> down;      // intermediate -> hidden
};

class Model {
 public:
  Architecture architecture;  // of the whole model
  DType dtype = DType::f32;
  std::int64_t n_heads = 0;  // of this rank, as the three below
  std::int64_t n_kv_heads = 0;
  std::int64_t intermediate = 0;
  RowRange vocabulary;  // ids whose embedding and logits this rank holds

  std::unique_ptr<Buffer> embedding;      // (vocabulary.count(), hidden) dtype
  std::unique_ptr<Buffer> final_norm;     // (hidden) dtype
  std::unique_ptr<PackedWeight> lm_head;  // hidden -> vocabulary.count()
  std::vector<Layer> layers;
};

}  // namespace hydrajob
