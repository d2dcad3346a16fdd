// A model in one file, or in a folder with one a rank.
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "weights/model_file.hpp"
#include "weights/model_format.hpp"
#include "weights/model_metadata.hpp"
#include "weights/plain_read.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;
using weights::ModelMetadata;
using weights::rank_file_name;

bool is_split(const fs::path& path) {
  std::error_code none;
  return fs::exists(path / rank_file_name(0), none);
}

ModelMetadata read_whole(const fs::path& path) {
  ModelMetadata metadata = weights::read_model_metadata(path.string());
  if (const auto& part = metadata.part) {
    throw UsageError(fmt::format("{}: is the part of rank {} of {}, expected the folder that it is in",
                                 path.string(), part->rank, part->degree));
  }
  return metadata;
}

ModelMetadata read_part(const fs::path& folder, int rank) {
  const fs::path file = folder / rank_file_name(rank);
  ModelMetadata metadata = weights::read_model_metadata(file.string());
  const auto& part = metadata.part;
  if (part && part->rank == rank) return metadata;
  throw UsageError(fmt::format("{}: holds {}, expected the part of rank {}", file.string(),
                               part ? fmt::format("the part of rank {}", part->rank) : "a whole model",
                               rank));
}

// What one rank holds of a split model. Rows are counted as in the whole model.
class SplitModel final : public WeightSource {
 public:
  SplitModel(std::unique_ptr<WeightSource> file, int rank, int degree, std::string digest)
      : file_(std::move(file)), rank_(rank), degree_(degree), digest_(std::move(digest)) {}

  const Architecture& architecture() const override { return file_->architecture(); }
  std::string digest() const override { return digest_; }
  ModelText text() const override { return file_->text(); }

  void read(const TensorInfo& tensor, RowRange rows, DType dtype, void* target) override {
    file_->read(tensor, own({tensor, rows}).rows, dtype, target);
  }
  std::unique_ptr<WeightView> view(const std::vector<WeightRows>& parts, DType dtype) override {
    return file_->view(own(parts), dtype);
  }
  int readers() const override { return file_->readers(); }
  std::unique_ptr<WeightReader> reader() override { return file_->reader(); }
  std::vector<WeightRows> pieces(const WeightRows& part, std::size_t bytes) const override {
    return file_->pieces(own(part), bytes);
  }
  void expect(const std::vector<WeightRows>& parts) override { file_->expect(own(parts)); }

 private:
  WeightRows own(const WeightRows& part) const {
    const std::int64_t first = shard_of(part.tensor, architecture(), rank_, degree_).begin;
    return {part.tensor, {part.rows.begin - first, part.rows.end - first}};
  }
  std::vector<WeightRows> own(std::vector<WeightRows> parts) const {
    for (WeightRows& part : parts) part = own(part);
    return parts;
  }

  std::unique_ptr<WeightSource> file_;
  int rank_;
  int degree_;
  std::string digest_;
};

std::unique_ptr<WeightSource> open_split(const fs::path& folder, int threads, int rank, int degree) {
  const weights::ModelPart first = *read_part(folder, 0).part;
  if (first.degree != degree) {
    throw UsageError(
        fmt::format("{}: is split for tensor_parallel {}, not {}", folder.string(), first.degree, degree));
  }
  ModelMetadata metadata = read_part(folder, rank);
  const weights::ModelPart part = *metadata.part;
  if (part.degree != degree || part.model_digest != first.model_digest) {
    throw UsageError(fmt::format("{}: {} and {} are of different models", folder.string(), rank_file_name(0),
                                 rank_file_name(rank)));
  }
  const std::string file = (folder / rank_file_name(rank)).string();
  return std::make_unique<SplitModel>(weights::open_single_file(file, std::move(metadata), threads), rank,
                                      degree, part.model_digest);
}

}  // namespace

std::unique_ptr<WeightSource> open_model_file(const fs::path& path, int threads, int rank, int degree) {
  if (is_split(path)) return open_split(path, threads, rank, degree);
  return weights::open_single_file(path.string(), read_whole(path), threads);
}

ShardRanges shard_ranges(const fs::path& path, int rank, int degree) {
  const bool split = is_split(path);
  const ModelMetadata metadata = split ? read_part(path, rank) : read_whole(path);
  ShardRanges shard;
  shard.file = (split ? path / rank_file_name(rank) : path).string();
  shard.dtype = metadata.dtype;
  for (const weights::TensorEntry& entry : metadata.tensors) {
    const RowRange rows =
        split ? RowRange{0, entry.info.rows} : shard_of(entry.info, metadata.architecture, rank, degree);
    const std::size_t row = static_cast<std::size_t>(entry.info.cols) * size_of(metadata.dtype);
    shard.ranges.push_back({entry.offset + static_cast<std::size_t>(rows.begin) * row,
                            static_cast<std::size_t>(rows.count()) * row});
    shard.bytes += shard.ranges.back().bytes;
  }
  return shard;
}

ModelDescription describe_model(const fs::path& path) {
  if (!is_split(path)) {
    const ModelMetadata metadata = read_whole(path);
    return {metadata.architecture, metadata.digest, 0, metadata.dtype};
  }
  const ModelMetadata first = read_part(path, 0);
  for (int rank = 1; rank < first.part->degree; ++rank) {
    std::error_code none;
    if (fs::exists(path / rank_file_name(rank), none)) continue;
    throw UsageError(fmt::format("{}: {} is missing, expected one for each of {} ranks", path.string(),
                                 rank_file_name(rank), first.part->degree));
  }
  return {first.architecture, first.part->model_digest, first.part->degree, first.dtype};
}

}  // namespace hydrajob
