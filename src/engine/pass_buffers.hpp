// The rows of a pass on the device.
#pragma once

#include <cstdint>
#include <memory>

#include "device/device.hpp"
#include "engine/layout.hpp"
#include "kernels/attention.hpp"

namespace hydrajob {

// The most that any pass held here has.
struct PassLimits {
  std::int64_t rows = 0;
  std::int64_t streams = 0;
  std::int64_t segments = 0;

  void include(const Pass& pass);
};

class PassBuffers {
 public:
  PassBuffers(const PassLimits& limits, Device& device);

  // Asynchronous; the pass may go at once.
  void upload(const Pass& pass, Device& device);
  // Points the arrays of `args` here.
  void place(AttentionArgs& args) const;

  std::int32_t* ids() const { return ids_->as<std::int32_t>(); }                // (rows)
  std::int32_t* positions() const { return positions_->as<std::int32_t>(); }    // (rows)
  std::int64_t* slots() const { return slots_->as<std::int64_t>(); }            // (rows)
  std::int32_t* own_length() const { return own_length_->as<std::int32_t>(); }  // (streams)
  std::size_t bytes() const { return bytes_; }

 private:
  std::unique_ptr<Buffer> allocate(std::int64_t elements, std::size_t element_bytes, Device& device);

  std::size_t bytes_ = 0;
  // As in Pass.
  std::unique_ptr<Buffer> ids_, positions_, slots_, stream_row_, own_first_, own_length_;
  std::unique_ptr<Buffer> segment_first_, segment_length_, segment_row_begin_, segment_row_end_;
};

}  // namespace hydrajob
