// Reads a model file. HDF5 tells where each tensor lies; the data itself is mapped, or read with plain
// requests straight into the caller's memory, by several threads, and every checksum range is hashed on the
// way.
#include "weights/model_file.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <omp.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "weights/file_descriptor.hpp"
#include "weights/file_mapping.hpp"
#include "weights/model_format.hpp"
#include "weights/model_metadata.hpp"
#include "weights/piece_reader.hpp"
#include "weights/read_ahead.hpp"

namespace hydrajob {
namespace {

using weights::checksum_range;
using weights::FileDescriptor;
using weights::FileMapping;
using weights::FileRange;
using weights::PieceReader;
using weights::ReadAhead;
using weights::ReadFailure;
using weights::TensorEntry;

// What a thread reads of one tensor at a time.
constexpr std::size_t piece_bytes = 512 * 1024;
// Of what is mapped, which no copy brings into a cache: fewer calls.
constexpr std::size_t mapped_piece_bytes = 2 << 20;

// Rows of a tensor, mapped.
struct Mapped {
  const TensorEntry& entry;
  RowRange rows;  // whole checksum ranges
  const std::byte* data;
};

// Rows of one of several tensors: what a thread does at a time.
struct Piece {
  std::size_t tensor = 0;
  RowRange rows;
};

class MappedView final : public WeightView {
 public:
  explicit MappedView(FileMapping mapping) : mapping_(std::move(mapping)) {}
  const void* data() const override { return mapping_.data(); }

 private:
  FileMapping mapping_;
};

// Whether what is wanted begins and ends with checksum ranges.
bool whole_ranges(const TensorEntry& entry, RowRange rows) {
  const std::int64_t n = entry.info.rows;
  if (rows.count() == 0) return false;
  const RowRange first = checksum_range(n, weights::range_of_row(n, rows.begin));
  const RowRange last = checksum_range(n, weights::range_of_row(n, rows.end - 1));
  return first.begin == rows.begin && last.end == rows.end;
}

ReadFailure check_mapped(const Mapped& tensor, RowRange rows, std::size_t row_bytes) {
  const std::byte* data = tensor.data + static_cast<std::size_t>(rows.begin - tensor.rows.begin) * row_bytes;
  if (const int error = FileMapping::populate(data, static_cast<std::size_t>(rows.count()) * row_bytes))
    return {ReadFailure::Kind::reading, error, 0};
  const std::int64_t n = tensor.entry.info.rows;
  const std::int64_t end = weights::range_of_row(n, rows.end - 1) + 1;
  for (std::int64_t i = weights::range_of_row(n, rows.begin); i < end; ++i) {
    const std::size_t bytes = static_cast<std::size_t>(checksum_range(n, i).count()) * row_bytes;
    if (digest64(data, bytes) != tensor.entry.checksums[static_cast<std::size_t>(i)])
      return {ReadFailure::Kind::checksum, 0, i};
    data += bytes;
  }
  return {};
}

// One place that is large enough.
class Place final : public WeightSink {
 public:
  explicit Place(std::byte* data) : data_(data) {}
  Room room(std::size_t bytes) override { return {data_, bytes}; }
  void full() override {}

 private:
  std::byte* data_;
};

class ModelFile final : public WeightSource {
 public:
  ModelFile(const std::string& path, weights::ModelMetadata metadata, int threads)
      : path_(path), metadata_(std::move(metadata)), file_(path), threads_(std::max(threads, 1)) {}

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
    const std::size_t row = static_cast<std::size_t>(entry.info.cols) * size_of(dtype);
    const std::vector<Piece> pieces = pieces_of(entry, rows, 0, piece_bytes);
    const std::vector<const TensorEntry*> entries{&entry};
    while (readers_.size() < static_cast<std::size_t>(threads_))
      readers_.push_back(std::make_unique<PieceReader>(file_.fd(), metadata_.dtype));
    for_pieces(entries, pieces, [&](const Piece& piece, std::size_t thread) {
      Place place(static_cast<std::byte*>(target) +
                  static_cast<std::size_t>(piece.rows.begin - rows.begin) * row);
      return readers_[thread]->read(entry, piece.rows, dtype, place);
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

  int readers() const override { return threads_; }
  std::unique_ptr<WeightReader> reader() override;
  std::vector<WeightRows> pieces(const WeightRows& part, std::size_t bytes) const override {
    std::vector<WeightRows> all;
    for (const Piece& piece : pieces_of(entry_of(part.tensor, part.rows), part.rows, 0, bytes))
      all.push_back({part.tensor, piece.rows});
    return all;
  }

 private:
  class Reader;

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

  std::size_t row_bytes(const TensorEntry& entry) const {
    return static_cast<std::size_t>(entry.info.cols) * size_of(metadata_.dtype);
  }

  FileRange range_of(const TensorEntry& entry, RowRange rows) const {
    const std::size_t row = row_bytes(entry);
    return {entry.offset + static_cast<std::size_t>(rows.begin) * row,
            static_cast<std::size_t>(rows.count()) * row};
  }

  // Of the tensor with this index among those that are read together.
  std::vector<Piece> pieces_of(const TensorEntry& entry, RowRange rows, std::size_t index,
                               std::size_t bytes) const {
    std::vector<Piece> pieces;
    for (const RowRange& piece : weights::cut_at_ranges(entry, rows, row_bytes(entry), bytes))
      pieces.push_back({index, piece});
    return pieces;
  }

  void was_read(std::size_t bytes) {
    if (read_ahead_) read_ahead_->consumed(bytes);
  }

  // Parts that are mapped one behind the other: whole checksum ranges.
  void check(const std::vector<WeightRows>& parts, const std::byte* data) const {
    std::vector<Mapped> mapped;
    std::vector<const TensorEntry*> entries;
    std::vector<Piece> pieces;
    for (const WeightRows& part : parts) {
      const TensorEntry& entry = entry_of(part.tensor, part.rows);
      for (const Piece& piece : pieces_of(entry, part.rows, mapped.size(), mapped_piece_bytes))
        pieces.push_back(piece);
      mapped.push_back({entry, part.rows, data});
      entries.push_back(&entry);
      data += range_of(entry, part.rows).bytes;
    }
    for_pieces(entries, pieces, [&](const Piece& piece, std::size_t) {
      const Mapped& tensor = mapped[piece.tensor];
      return check_mapped(tensor, piece.rows, row_bytes(tensor.entry));
    });
  }

  // work(piece, thread) of all pieces; throws the first failure.
  template <class Work>
  void for_pieces(const std::vector<const TensorEntry*>& entries, const std::vector<Piece>& pieces,
                  const Work& work) const {
    std::vector<ReadFailure> failures(pieces.size());
    const auto n = static_cast<std::int64_t>(pieces.size());
    const int threads = static_cast<int>(std::min<std::int64_t>(threads_, std::max<std::int64_t>(n, 1)));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (std::int64_t i = 0; i < n; ++i) {
      failures[static_cast<std::size_t>(i)] =
          work(pieces[static_cast<std::size_t>(i)], static_cast<std::size_t>(omp_get_thread_num()));
    }
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      if (failures[i].kind != ReadFailure::Kind::none)
        weights::throw_failure(path_, *entries[pieces[i].tensor], failures[i]);
    }
  }

  std::string path_;
  weights::ModelMetadata metadata_;
  FileDescriptor file_;
  int threads_;
  std::vector<std::unique_ptr<PieceReader>> readers_;  // of read()'s threads
  std::optional<ReadAhead> read_ahead_;
};

class ModelFile::Reader final : public WeightReader {
 public:
  explicit Reader(ModelFile& file) : file_(file), reader_(file.file_.fd(), file.metadata_.dtype) {}

  void read(const WeightRows& piece, DType dtype, WeightSink& sink) override {
    const TensorEntry& entry = file_.entry_of(piece.tensor, piece.rows);
    const ReadFailure failure = reader_.read(entry, piece.rows, dtype, sink);
    if (failure.kind != ReadFailure::Kind::none) weights::throw_failure(file_.path_, entry, failure);
    file_.was_read(file_.range_of(entry, piece.rows).bytes);
  }

 private:
  ModelFile& file_;
  PieceReader reader_;
};

std::unique_ptr<WeightReader> ModelFile::reader() {
  return std::make_unique<Reader>(*this);
}

}  // namespace

std::unique_ptr<WeightSource> weights::open_single_file(const std::string& path, ModelMetadata metadata,
                                                        int threads) {
  return std::make_unique<ModelFile>(path, std::move(metadata), threads);
}

}  // namespace hydrajob
