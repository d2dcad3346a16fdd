// Reads a model file. HDF5 tells where each tensor lies; the data itself is mapped, or read with plain
// requests straight into the caller's memory, by several threads, and every checksum range is hashed on the
// way.
#include "weights/model_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <omp.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "weights/convert.hpp"
#include "weights/file_descriptor.hpp"
#include "weights/file_mapping.hpp"
#include "weights/model_format.hpp"
#include "weights/model_metadata.hpp"
#include "weights/read_ahead.hpp"

namespace hydrajob {
namespace {

using weights::checksum_range;
using weights::FileDescriptor;
using weights::FileMapping;
using weights::FileRange;
using weights::ReadAhead;
using weights::TensorEntry;

// One request, where ranges are smaller: it stays in a core's L2 until it is hashed.
constexpr std::size_t request_bytes = 512 * 1024;
// Of what is mapped, which no copy brings into a cache: fewer calls.
constexpr std::size_t mapped_request_bytes = 2 << 20;

// Page-aligned: reads into other buffers run at half the speed where source and target alias modulo 4096.
class Scratch {
 public:
  std::byte* at_least(std::size_t bytes) {
    if (bytes > bytes_) {
      data_.reset(static_cast<std::byte*>(::operator new(bytes, page)));
      bytes_ = bytes;
    }
    return data_.get();
  }
  std::byte* data() const { return data_.get(); }

 private:
  static constexpr std::align_val_t page{4096};
  struct Free {
    void operator()(std::byte* p) const { ::operator delete(p, page); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t bytes_ = 0;
};

// Of one tensor, into one place.
struct Job {
  const TensorEntry& entry;
  RowRange rows;      // wanted
  std::byte* target;  // (rows.count(), cols) of `to`
  DType from;
  DType to;
  std::size_t source_row;  // bytes
  std::size_t target_row;
};

// Ranges [first, last) of a job's tensor: one request.
struct Piece {
  std::size_t job_index = 0;
  std::int64_t first = 0;
  std::int64_t last = 0;
  RowRange rows(const Job& job) const {
    const std::int64_t n = job.entry.info.rows;
    return {checksum_range(n, first).begin, checksum_range(n, last - 1).end};
  }
};

class MappedView final : public WeightView {
 public:
  explicit MappedView(FileMapping mapping) : mapping_(std::move(mapping)) {}
  const void* data() const override { return mapping_.data(); }

 private:
  FileMapping mapping_;
};

struct Failure {
  enum class Kind { none, reading, end_of_file, checksum };
  Kind kind = Kind::none;
  int error = 0;           // errno
  std::int64_t range = 0;  // that does not match
};

// Consecutive ranges of job `index`, cut into requests and added to `pieces`.
void add_pieces(const Job& job, std::size_t index, std::size_t bytes, std::vector<Piece>& pieces) {
  const std::int64_t rows = job.entry.info.rows;
  const std::int64_t begin = weights::range_of_row(rows, job.rows.begin);
  const std::int64_t end = weights::range_of_row(rows, job.rows.end - 1) + 1;
  const std::size_t range_bytes =
      static_cast<std::size_t>(checksum_range(rows, begin).count()) * job.source_row;
  const auto step = static_cast<std::int64_t>(std::max<std::size_t>(1, bytes / range_bytes));
  for (std::int64_t i = begin; i < end; i += step) pieces.push_back({index, i, std::min(i + step, end)});
}

// Whether what is wanted begins and ends with checksum ranges.
bool whole_ranges(const TensorEntry& entry, RowRange rows) {
  const std::int64_t n = entry.info.rows;
  if (rows.count() == 0) return false;
  const RowRange first = checksum_range(n, weights::range_of_row(n, rows.begin));
  const RowRange last = checksum_range(n, weights::range_of_row(n, rows.end - 1));
  return first.begin == rows.begin && last.end == rows.end;
}

// Whether a piece is read to where it is wanted, without a detour.
bool straight(const Job& job, RowRange piece) {
  return job.from == job.to && piece.begin >= job.rows.begin && piece.end <= job.rows.end;
}

Failure read_whole(int fd, std::uint64_t offset, std::byte* place, std::size_t bytes) {
  const weights::ReadBytes read = weights::read_bytes(fd, offset, place, bytes);
  if (read.got == bytes) return {};
  if (read.error != 0) return {Failure::Kind::reading, read.error, 0};
  return {Failure::Kind::end_of_file, 0, 0};
}

Failure verify(const Job& job, const Piece& piece, const std::byte* data) {
  for (std::int64_t i = piece.first; i < piece.last; ++i) {
    const std::size_t bytes =
        static_cast<std::size_t>(checksum_range(job.entry.info.rows, i).count()) * job.source_row;
    if (digest64(data, bytes) != job.entry.checksums[static_cast<std::size_t>(i)])
      return {Failure::Kind::checksum, 0, i};
    data += bytes;
  }
  return {};
}

Failure read_piece(int fd, const Job& job, const Piece& piece, std::byte* scratch) {
  const RowRange all = piece.rows(job);
  const RowRange wanted{std::max(all.begin, job.rows.begin), std::min(all.end, job.rows.end)};
  std::byte* out = job.target + static_cast<std::size_t>(wanted.begin - job.rows.begin) * job.target_row;
  std::byte* place = straight(job, all) ? out : scratch;
  Failure failure = read_whole(fd, job.entry.offset + static_cast<std::size_t>(all.begin) * job.source_row,
                               place, static_cast<std::size_t>(all.count()) * job.source_row);
  if (failure.kind == Failure::Kind::none) failure = verify(job, piece, place);
  if (failure.kind == Failure::Kind::none && place != out) {
    convert(place + static_cast<std::size_t>(wanted.begin - all.begin) * job.source_row, job.from, out,
            job.to, wanted.count() * job.entry.info.cols);
  }
  return failure;
}

// Of a job whose rows are mapped from `rows_begin` on.
Failure check_piece(const Job& job, const Piece& piece, const std::byte* rows_begin) {
  const RowRange rows = piece.rows(job);
  const std::byte* data = rows_begin + static_cast<std::size_t>(rows.begin - job.rows.begin) * job.source_row;
  const std::size_t bytes = static_cast<std::size_t>(rows.count()) * job.source_row;
  if (const int error = FileMapping::populate(data, bytes)) return {Failure::Kind::reading, error, 0};
  return verify(job, piece, data);
}

class ModelFile final : public WeightSource {
 public:
  ModelFile(const std::string& path, weights::ModelMetadata metadata, int threads)
      : path_(path),
        metadata_(std::move(metadata)),
        file_(path),
        scratch_(static_cast<std::size_t>(std::max(threads, 1))) {}

  const Architecture& architecture() const override { return metadata_.architecture; }
  std::string digest() const override { return metadata_.digest; }
  ModelText text() const override { return read_model_text(path_); }

  void expect(const std::vector<WeightRows>& parts) override {
    std::vector<FileRange> ranges;
    for (const WeightRows& part : parts)
      ranges.push_back(range_of(entry_of(part.tensor, part.rows), part.rows));
    read_ahead_.emplace(file_.fd(), std::move(ranges));
  }

  void read(const TensorInfo& tensor, RowRange rows, DType dtype, void* target) override {
    const TensorEntry& entry = entry_of(tensor, rows);
    if (rows.count() == 0) return;
    const std::vector<Job> jobs{job_of(entry, rows, dtype, static_cast<std::byte*>(target))};
    std::vector<Piece> pieces;
    add_pieces(jobs[0], 0, request_bytes, pieces);
    reserve_scratch(jobs[0], pieces);
    for_pieces(jobs, pieces, [&](const Piece& piece, std::size_t thread) {
      return read_piece(file_.fd(), jobs[0], piece, scratch_[thread].data());
    });
    was_read(range_of(entry, rows).bytes);
  }

  std::unique_ptr<WeightView> view(const std::vector<WeightRows>& parts, DType dtype) override {
    if (dtype != metadata_.dtype) return nullptr;
    std::vector<FileRange> ranges;
    for (const auto& [tensor, rows] : parts) {
      const TensorEntry& entry = entry_of(tensor, rows);
      if (!whole_ranges(entry, rows)) return nullptr;
      ranges.push_back(range_of(entry, rows));
    }
    auto mapping = FileMapping::make(file_.fd(), ranges);
    // A system that does not know the call refuses an empty request too.
    if (!mapping || FileMapping::populate(mapping->data(), 0) != 0) return nullptr;
    check(parts, mapping->data());
    for (const FileRange& range : ranges) was_read(range.bytes);
    return std::make_unique<MappedView>(std::move(*mapping));
  }

 private:
  const TensorEntry& entry_of(const TensorInfo& tensor, RowRange rows) const {
    const auto& all = metadata_.tensors;
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const TensorEntry& e) { return e.info.name == tensor.name; });
    if (found == all.end()) throw UsageError(path_ + ": tensor '" + tensor.name + "' is missing");
    if (rows.begin < 0 || rows.end > found->info.rows || rows.begin > rows.end) {
      throw UsageError(fmt::format("{}: tensor '{}' has {} rows, not [{}, {})", path_, tensor.name,
                                   found->info.rows, rows.begin, rows.end));
    }
    return *found;
  }

  FileRange range_of(const TensorEntry& entry, RowRange rows) const {
    const std::size_t row = static_cast<std::size_t>(entry.info.cols) * size_of(metadata_.dtype);
    return {entry.offset + static_cast<std::size_t>(rows.begin) * row,
            static_cast<std::size_t>(rows.count()) * row};
  }

  Job job_of(const TensorEntry& entry, RowRange rows, DType dtype, std::byte* target) const {
    const auto cols = static_cast<std::size_t>(entry.info.cols);
    return {
        entry, rows, target, metadata_.dtype, dtype, cols * size_of(metadata_.dtype), cols * size_of(dtype)};
  }

  void was_read(std::size_t bytes) {
    if (read_ahead_) read_ahead_->consumed(bytes);
  }

  // Parts that are mapped one behind the other: whole checksum ranges.
  void check(const std::vector<WeightRows>& parts, const std::byte* data) const {
    std::vector<Job> jobs;
    std::vector<const std::byte*> places;
    std::vector<Piece> pieces;
    for (const WeightRows& part : parts) {
      const TensorEntry& entry = entry_of(part.tensor, part.rows);
      jobs.push_back(job_of(entry, part.rows, metadata_.dtype, nullptr));
      places.push_back(data);
      add_pieces(jobs.back(), jobs.size() - 1, mapped_request_bytes, pieces);
      data += range_of(entry, part.rows).bytes;
    }
    for_pieces(jobs, pieces, [&](const Piece& piece, std::size_t) {
      return check_piece(jobs[piece.job_index], piece, places[piece.job_index]);
    });
  }

  // work(piece, thread) of all pieces; throws the first failure.
  template <class Work>
  void for_pieces(const std::vector<Job>& jobs, const std::vector<Piece>& pieces, const Work& work) const {
    std::vector<Failure> failures(pieces.size());
    const auto n = static_cast<std::int64_t>(pieces.size());
    const int threads = static_cast<int>(std::min(scratch_.size(), pieces.size()));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (std::int64_t i = 0; i < n; ++i) {
      failures[static_cast<std::size_t>(i)] =
          work(pieces[static_cast<std::size_t>(i)], static_cast<std::size_t>(omp_get_thread_num()));
    }
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      if (failures[i].kind != Failure::Kind::none) fail(jobs[pieces[i].job_index].entry, failures[i]);
    }
  }

  // Before the threads start: no exception may leave them.
  void reserve_scratch(const Job& job, const std::vector<Piece>& pieces) {
    std::size_t bytes = 0;
    for (const Piece& piece : pieces) {
      const RowRange rows = piece.rows(job);
      if (!straight(job, rows))
        bytes = std::max(bytes, static_cast<std::size_t>(rows.count()) * job.source_row);
    }
    for (Scratch& scratch : scratch_) scratch.at_least(bytes);
  }

  [[noreturn]] void fail(const TensorEntry& entry, const Failure& failure) const {
    const std::string where = fmt::format("{}: tensor '{}'", path_, entry.info.name);
    switch (failure.kind) {
      case Failure::Kind::reading:
        throw UsageError(where + " cannot be read: " +
                         (failure.error == EFAULT ? "the file became shorter, or its storage fails"
                                                  : std::strerror(failure.error)));
      case Failure::Kind::end_of_file:
        throw UsageError(where + " is cut: the file became shorter");
      default:
        break;
    }
    const RowRange rows = checksum_range(entry.info.rows, failure.range);
    throw UsageError(fmt::format("{} is damaged: rows {} to {} do not match their checksum", where,
                                 rows.begin, rows.end - 1));
  }

  std::string path_;
  weights::ModelMetadata metadata_;
  FileDescriptor file_;
  std::vector<Scratch> scratch_;  // of each thread
  std::optional<ReadAhead> read_ahead_;
};

}  // namespace

std::unique_ptr<WeightSource> weights::open_single_file(const std::string& path, ModelMetadata metadata,
                                                        int threads) {
  return std::make_unique<ModelFile>(path, std::move(metadata), threads);
}

}  // namespace hydrajob
