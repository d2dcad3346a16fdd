// Weights from a source to a device that copies beside the host: threads read and check them, the next while
// the last are copied.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/dtype.hpp"
#include "device/device.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {

struct UploadPart {
  WeightRows rows;
  void* target = nullptr;  // device memory, (rows.count(), cols) of the upload's dtype
};

// What is copied at once: long enough for the bus to run at nearly its full rate, short enough that all slots
// of a node's ranks fit a last-level cache together, so that what was read is still there when it is copied.
// Two GPUs on 32 cores were loaded at 70 % of their buses' rate, with half as much too, with twice as much at
// 51 %.
constexpr std::size_t upload_slot_bytes = std::size_t{2} << 20;

// Staging memory for a source, a few slots a reader. Null: the device has none, or the source no readers.
std::unique_ptr<Buffer> allocate_upload_staging(WeightSource& source, Device& device,
                                                std::size_t slot_bytes = upload_slot_bytes);

// Reads the parts, converted to `dtype`, with as many threads as the source has readers, through `staging` to
// their targets. It returns when all of it is there and nothing uses `staging` any more. Throws as
// WeightSource::read() does, and what the device throws; then the targets' values are undefined.
void upload(WeightSource& source, const std::vector<UploadPart>& parts, DType dtype, Device& device,
            Buffer& staging, std::size_t slot_bytes = upload_slot_bytes);

}  // namespace hydrajob
