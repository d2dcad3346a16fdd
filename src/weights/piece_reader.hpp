// Reads rows of one tensor of a model file in one thread: plain requests, each small enough to stay in a
// core's cache until it is hashed and converted; every checksum range that is touched is verified.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/dtype.hpp"
#include "weights/model_metadata.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob::weights {

// Why rows were not read. No exception: threads that may not throw bring it back.
struct ReadFailure {
  enum class Kind { none, reading, end_of_file, overflow, checksum };
  Kind kind = Kind::none;
  int error = 0;           // errno
  std::int64_t range = 0;  // whose checksum does not match
  DType to = DType::f32;   // whose numbers end before a value
};

// As the UsageError that names the file, the tensor and, of a checksum, its rows.
[[noreturn]] void throw_failure(const std::string& path, const TensorEntry& entry,
                                const ReadFailure& failure);

// Rows cut where checksum ranges meet, into as many ranges as `bytes` hold, one at least; each is read
// without a look at the others' bytes. `row_bytes`: of a row in the file.
std::vector<RowRange> cut_at_ranges(const TensorEntry& entry, RowRange rows, std::size_t row_bytes,
                                    std::size_t bytes);

class PieceReader {
 public:
  // `fd` holds elements of `from`, and outlives the reader.
  PieceReader(int fd, DType from);

  // Of the ranges that the rows are in, all is read. What the sink has of a failed piece is undefined.
  ReadFailure read(const TensorEntry& entry, RowRange rows, DType to, WeightSink& sink);

 private:
  struct Target;
  ReadFailure read_range(const TensorEntry& entry, std::int64_t index, Target& target);
  ReadFailure read_run(const TensorEntry& entry, std::int64_t first, std::int64_t count, Target* target);

  // Page-aligned: reads into other buffers run at half the speed where source and target alias modulo 4096.
  static constexpr std::align_val_t page{4096};
  struct Free {
    void operator()(std::byte* p) const { ::operator delete(p, page); }
  };

  int fd_;
  DType from_;
  Digest64 digest_;
  std::unique_ptr<std::byte, Free> scratch_;  // one request
};

}  // namespace hydrajob::weights
