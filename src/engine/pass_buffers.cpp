#include "engine/pass_buffers.hpp"

#include <algorithm>
#include <vector>

namespace hydrajob {
namespace {

template <class T>
void put(Device& device, Buffer& buffer, const std::vector<T>& host) {
  if (!host.empty()) device.copy_to_device(buffer.data(), host.data(), host.size() * sizeof(T));
}

}  // namespace

void PassLimits::include(const Pass& pass) {
  rows = std::max(rows, pass.n_rows());
  streams = std::max(streams, pass.n_streams());
  segments = std::max(segments, pass.n_segments());
}

PassBuffers::PassBuffers(const PassLimits& limits, Device& device)
    : ids_(allocate(limits.rows, sizeof(std::int32_t), device)),
      positions_(allocate(limits.rows, sizeof(std::int32_t), device)),
      slots_(allocate(limits.rows, sizeof(std::int64_t), device)),
      stream_row_(allocate(limits.streams + 1, sizeof(std::int64_t), device)),
      own_first_(allocate(limits.streams, sizeof(std::int64_t), device)),
      own_length_(allocate(limits.streams, sizeof(std::int32_t), device)),
      segment_first_(allocate(limits.segments, sizeof(std::int64_t), device)),
      segment_length_(allocate(limits.segments, sizeof(std::int32_t), device)),
      segment_row_begin_(allocate(limits.segments, sizeof(std::int64_t), device)),
      segment_row_end_(allocate(limits.segments, sizeof(std::int64_t), device)) {}

std::unique_ptr<Buffer> PassBuffers::allocate(std::int64_t elements, std::size_t element_bytes,
                                              Device& device) {
  const std::size_t bytes = static_cast<std::size_t>(std::max<std::int64_t>(elements, 1)) * element_bytes;
  bytes_ += bytes;
  return device.allocate(bytes);
}

void PassBuffers::upload(const Pass& pass, Device& device) {
  put(device, *ids_, pass.ids);
  put(device, *positions_, pass.positions);
  put(device, *slots_, pass.slots);
  put(device, *stream_row_, pass.stream_row);
  put(device, *own_first_, pass.own_first);
  put(device, *own_length_, pass.own_length);
  put(device, *segment_first_, pass.segment_first);
  put(device, *segment_length_, pass.segment_length);
  put(device, *segment_row_begin_, pass.segment_row_begin);
  put(device, *segment_row_end_, pass.segment_row_end);
}

void PassBuffers::place(AttentionArgs& args) const {
  args.stream_row = stream_row_->as<std::int64_t>();
  args.own_first = own_first_->as<std::int64_t>();
  args.own_length = own_length_->as<std::int32_t>();
  args.segment_first = segment_first_->as<std::int64_t>();
  args.segment_length = segment_length_->as<std::int32_t>();
  args.segment_row_begin = segment_row_begin_->as<std::int64_t>();
  args.segment_row_end = segment_row_end_->as<std::int64_t>();
}

}  // namespace hydrajob
