// Writes a model beside its final place, tensor by tensor, and gives it its name when it is whole: one file,
// or a folder with one a rank. A journal beside it says which tensors are on the disk, so that a write that
// was broken off can be continued.
#include <algorithm>
#include <filesystem>
#include <future>
#include <memory>
#include <numeric>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/units.hpp"
#include "store/sealed_file.hpp"
#include "weights/convert.hpp"
#include "weights/model_format.hpp"
#include "weights/model_metadata.hpp"
#include "weights/model_output.hpp"
#include "weights/tensor_copy.hpp"
#include "weights/write_journal.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;
using weights::HeadContent;
using weights::ModelOutput;
using weights::ModelPart;
using weights::TensorCopy;
using weights::WriteJournal;

void check_space(const fs::path& folder, double bytes) {
  std::error_code error;
  const auto space = fs::space(folder, error);
  if (error) throw UsageError(folder.string() + ": " + error.message());
  if (static_cast<double>(space.available) < bytes) {
    throw UsageError(fmt::format("{}: the model needs {}, {} are free", folder.string(), format_bytes(bytes),
                                 format_bytes(static_cast<double>(space.available))));
  }
}

// The folder that `path` is to stand in.
fs::path prepare_folder(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw UsageError(folder.string() + ": cannot be created: " + error.message());
  return folder;
}

// Without what a trailing slash leaves open: names beside it are made of it.
fs::path without_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

double blocks_of(const fs::path& file) {
  struct stat status {};
  return ::stat(file.c_str(), &status) == 0 ? 512.0 * static_cast<double>(status.st_blocks) : 0;
}

// What a part that was written before, a file or a folder of files, has taken already.
double bytes_on_disk(const fs::path& path) {
  double bytes = blocks_of(path);
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(path, none)) bytes += blocks_of(entry.path());
  return bytes;
}

class ModelWriter {
 public:
  ModelWriter(const fs::path& path, WeightSource& source, DType dtype, const WriteOptions& options)
      : path_(without_slash(path)),
        options_(options),
        temporary_(path_.string() +
                   (options.identity.empty() ? ".tmp." + std::to_string(::getpid()) : ".partial")),
        source_(source),
        dtype_(dtype),
        tensors_(tensors_of(source.architecture())),
        copy_(source, dtype, [this](std::size_t bytes) { was_copied(bytes); }) {}

  void write() {
    const fs::path folder = prepare_folder(path_);
    is_split() ? expect_new() : expect_file();
    check_space(folder, least_bytes() - bytes_on_disk(temporary_));
    if (!options_.identity.empty()) journal_ = std::make_unique<WriteJournal>(journal_path(), path_.string());
    try {
      plan_outputs();
      begin();
      for (std::size_t i = 0; i < tensors_.size(); ++i) write_tensor(i);
      finish();
    } catch (const BeyondRange&) {
      leave(false);
      throw;
    } catch (...) {
      leave(true);
      throw;
    }
  }

 private:
  bool is_split() const { return options_.split > 0; }

  fs::path journal_path() const { return temporary_.string() + ".journal"; }

  void expect_file() const {
    if (const std::string kind = other_than_file(path_); !kind.empty())
      throw UsageError(fmt::format("{}: is {}, expected a file", path_.string(), kind));
    std::error_code none;
    if (fs::exists(path_, none) && !weights::is_model_file(path_.string())) {
      throw UsageError(path_.string() +
                       ": is there already and is no model file: expected a new name, or a model to "
                       "replace");
    }
  }

  // A file is replaced; a folder cannot be, at one blow.
  void expect_new() const {
    std::error_code error;
    if (!fs::exists(path_, error)) return;
    // Left by one who was killed when the folder had just got its name.
    if (!fs::exists(temporary_, error)) fs::remove(journal_path(), error);
    throw UsageError(path_.string() + ": is there already, expected the name of a new folder");
  }

  // Of the whole model, in one file.
  double least_bytes() const {
    double bytes = 0;
    for (const TensorInfo& tensor : tensors_) bytes += static_cast<double>(weights::bytes_of(tensor, dtype_));
    return bytes;
  }

  void plan_outputs() {
    const Architecture& a = source_.architecture();
    const fs::path scratch = temporary_.string() + ".head";
    HeadContent content{a, dtype_, source_.text(), {}, tensors_, {}};
    std::vector<RowRange> slabs;
    for (int rank = 0; rank < std::max(options_.split, 1); ++rank) {
      slabs.clear();
      for (const TensorInfo& tensor : tensors_)
        slabs.push_back(shard_of(tensor, a, rank, std::max(options_.split, 1)));
      if (is_split()) {
        content.part = ModelPart{rank, options_.split, std::string(32, '0')};
        content.tensors = weights::tensors_of_part(a, rank, options_.split);
      }
      const fs::path file = is_split() ? temporary_ / weights::rank_file_name(rank) : temporary_;
      outputs_.push_back(std::make_unique<ModelOutput>(content, slabs, file, scratch, path_.string()));
    }
    for (std::size_t i = 0; i < tensors_.size(); ++i) total_bytes_ += bytes_of(i);
    commit_bytes_ = options_.commit_bytes > 0
                        ? options_.commit_bytes
                        : std::clamp(total_bytes_ / 16, std::uint64_t{1} << 20, std::uint64_t{256} << 20);
  }

  // Of a tensor in all files.
  std::uint64_t bytes_of(std::size_t tensor) const {
    return std::accumulate(
        outputs_.begin(), outputs_.end(), std::uint64_t{0},
        [&](std::uint64_t sum, const auto& output) { return sum + output->bytes_of_tensor(tensor); });
  }

  void begin() {
    std::string text = options_.identity;
    for (const auto& output : outputs_) text += output->layout_digest();
    const std::string identity = digest128(text);
    if (continues(identity)) {
      for (const auto& output : outputs_) output->go_on();
      say_where();
      return;
    }
    if (journal_) journal_->clear();  // before anything else is in the files that it speaks of
    std::error_code ignored;
    fs::remove_all(temporary_, ignored);
    if (is_split()) make_lasting_folder(temporary_);
    for (const auto& output : outputs_) output->begin();
    if (!journal_) return;
    sync();
    journal_->begin(identity);
  }

  // Whether what stands there is the beginning of the same.
  bool continues(const std::string& identity) const {
    if (!journal_ || journal_->identity().empty() || bytes_on_disk(temporary_) == 0) return false;
    const bool all_there =
        std::all_of(outputs_.begin(), outputs_.end(), [](const auto& output) { return output->is_begun(); });
    if (journal_->identity() == identity && all_there) return true;
    log::info(path_.string() +
              ": what is written of it is of another source or other options, or was changed: begins again");
    return false;
  }

  void say_where() const {
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      if (journal_->find(tensors_[i].name) != nullptr) bytes += bytes_of(i);
    log::info(fmt::format("{}: {} of {} are written, goes on from there", path_.string(),
                          format_bytes(static_cast<double>(bytes)),
                          format_bytes(static_cast<double>(total_bytes_))));
  }

  void write_tensor(std::size_t index) {
    const TensorInfo& tensor = tensors_[index];
    if (journal_) {
      if (const auto* checksums = journal_->find(tensor.name)) {
        checksums_.push_back(*checksums);
        done_bytes_ += bytes_of(index);
        return;
      }
    }
    checksums_.push_back(copy_to_all(tensor, index));
    if (!journal_) return;
    journal_->note(tensor.name, checksums_.back());
    if (uncommitted_bytes_ >= commit_bytes_ / 2) begin_commit();
  }

  // The checksums in every file, one file's behind the other's; of a split model those of the whole tensor
  // last.
  std::vector<std::uint64_t> copy_to_all(const TensorInfo& tensor, std::size_t index) {
    std::vector<std::uint64_t> all;
    for (const auto& output : outputs_) {
      const std::vector<std::uint64_t> own = output->copy(copy_, tensor, index);
      all.insert(all.end(), own.begin(), own.end());
    }
    if (!is_split()) return all;
    const std::vector<std::uint64_t> whole = copy_.checksums_of(tensor);
    all.insert(all.end(), whole.begin(), whole.end());
    return all;
  }

  void was_copied(std::size_t bytes) {
    done_bytes_ += bytes;
    uncommitted_bytes_ += bytes;
    if (options_.progress) options_.progress(done_bytes_, total_bytes_);
  }

  void sync() const {
    for (const auto& output : outputs_) output->sync();
    if (is_split()) sync_folder(temporary_);
  }

  // The disk is waited for while the next tensors are copied. One at a time, so that a kill loses two at
  // most.
  void begin_commit() {
    wait_for_commit();
    commit_ = std::async(std::launch::async, [this, lines = journal_->take_noted()] {
      sync();
      journal_->append(lines);
    });
    uncommitted_bytes_ = 0;
  }

  void wait_for_commit() {
    if (commit_.valid()) commit_.get();
  }

  void finish() {
    if (journal_) begin_commit();
    wait_for_commit();
    const std::string whole_digest = is_split() ? digest_of_whole() : "";
    std::vector<std::size_t> used(tensors_.size(), 0);  // of each tensor's checksums
    for (const auto& output : outputs_) {
      std::vector<std::vector<std::uint64_t>> own;
      for (std::size_t i = 0; i < tensors_.size(); ++i) {
        const auto first = checksums_[i].begin() + static_cast<std::ptrdiff_t>(used[i]);
        used[i] += output->ranges_of_tensor(i);
        own.emplace_back(first, checksums_[i].begin() + static_cast<std::ptrdiff_t>(used[i]));
      }
      output->finish(std::move(own), whole_digest);
    }
    publish_file(temporary_, path_);
    if (journal_) journal_->remove();
  }

  // As of the same model in one file.
  std::string digest_of_whole() const {
    std::vector<std::uint64_t> whole;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const auto n = static_cast<std::ptrdiff_t>(weights::range_count(tensors_[i].rows));
      whole.push_back(weights::tensor_checksum({checksums_[i].end() - n, checksums_[i].end()}));
    }
    return weights::model_digest(to_yaml(source_.architecture()), dtype_, tensors_, whole);
  }

  // After a failure: what is on the disk for sure is kept, where a next start may get further.
  void leave(bool keeps) {
    if (commit_.valid()) commit_.wait();
    outputs_.clear();
    if (keeps && journal_ && journal_->keeps_tensors()) {
      log::info(path_.string() + ": what is written of it is kept, the same command goes on from there");
      return;
    }
    std::error_code ignored;  // the failure itself is to be told
    fs::remove_all(temporary_, ignored);
    if (journal_) fs::remove(journal_path(), ignored);
  }

  fs::path path_;
  const WriteOptions& options_;
  fs::path temporary_;
  WeightSource& source_;
  DType dtype_;
  std::vector<TensorInfo> tensors_;  // of the whole model
  TensorCopy copy_;
  std::unique_ptr<WriteJournal> journal_;  // null where nothing is kept of a write that fails
  std::vector<std::unique_ptr<ModelOutput>> outputs_;
  std::vector<std::vector<std::uint64_t>> checksums_;  // of each tensor that is written
  std::uint64_t total_bytes_ = 0;                      // of all tensors in all files
  std::uint64_t commit_bytes_ = 0;                     // that may not be on the disk yet, beside two tensors
  std::uint64_t done_bytes_ = 0;
  std::uint64_t uncommitted_bytes_ = 0;
  std::future<void> commit_;  // the last that was begun
};

}  // namespace

void write_model_file(const fs::path& path, WeightSource& source, DType dtype, const WriteOptions& options) {
  ModelWriter(path, source, dtype, options).write();
}

}  // namespace hydrajob
