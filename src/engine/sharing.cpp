#include "engine/sharing.hpp"

#include "grid/cost_model.hpp"

namespace hydrajob {

bool shares_segments(Mode mode, const Pass& decode, const AttentionArgs& shape) {
  if (mode != Mode::automatic) return mode != Mode::paged;
  for (std::int64_t i = 0; i < decode.n_segments(); ++i) {
    const std::int64_t sequences = decode.segment_row_end[i] - decode.segment_row_begin[i];
    if (sharing_pays(sequences, decode.segment_length[i], shape.n_heads, shape.n_kv_heads, shape.head_dim,
                     shape.dtype)) {
      return true;
    }
  }
  return false;
}

}  // namespace hydrajob
