// Writes a model file beside its final place: the head, then tensor by tensor, a block of rows at a time,
// then the head again, with the checksums; renamed when it is whole. HDF5 makes heads only, in a file of
// their own (model_head.hpp): the one that is written is never open in HDF5, whose changes in place do not
// survive a kill. So it can be continued: a journal beside it says which tensors are on the disk.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
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
#include "weights/model_format.hpp"
#include "weights/model_head.hpp"
#include "weights/model_metadata.hpp"
#include "weights/output_file.hpp"
#include "weights/tensor_copy.hpp"
#include "weights/write_journal.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;
using weights::Head;
using weights::HeadContent;
using weights::OutputFile;
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

fs::path prepare_folder(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw UsageError(folder.string() + ": cannot be created: " + error.message());
  if (const std::string kind = other_than_file(path); !kind.empty())
    throw UsageError(fmt::format("{}: is {}, expected a file", path.string(), kind));
  return folder;
}

// What a part that was written before has taken already; 0 where none is.
double bytes_on_disk(const fs::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? 512.0 * static_cast<double>(status.st_blocks) : 0;
}

void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

class ModelWriter {
 public:
  ModelWriter(const fs::path& path, WeightSource& source, DType dtype, const WriteOptions& options)
      : path_(path),
        options_(options),
        temporary_(path.string() +
                   (options.identity.empty() ? ".tmp." + std::to_string(::getpid()) : ".partial")),
        content_{source.architecture(), dtype, source.text(), tensors_of(source.architecture()), {}},
        copy_(source, dtype, [this](std::size_t bytes) { was_copied(bytes); }) {
    for (const TensorInfo& tensor : content_.tensors) total_bytes_ += weights::bytes_of(tensor, dtype);
    commit_bytes_ = options.commit_bytes > 0
                        ? options.commit_bytes
                        : std::clamp(total_bytes_ / 16, std::uint64_t{1} << 20, std::uint64_t{256} << 20);
  }

  void write() {
    const fs::path folder = prepare_folder(path_);
    if (!options_.identity.empty())
      journal_ = std::make_unique<WriteJournal>(temporary_.string() + ".journal", path_.string());
    try {
      begin(folder);
      for (std::size_t i = 0; i < content_.tensors.size(); ++i) write_tensor(i);
      finish();
    } catch (...) {
      if (!journal_ || !journal_->has_tensors())
        discard();
      else
        log::info(path_.string() + ": what is written of it is kept, the same command goes on from there");
      throw;
    }
  }

 private:
  void begin(const fs::path& folder) {
    check_space(folder, static_cast<double>(total_bytes_) - bytes_on_disk(temporary_));
    check_length();
    const Head head = make_head();
    offsets_ = head.offsets;
    const std::string identity = digest128(options_.identity + head.bytes + std::to_string(head.file_bytes));
    const bool continued = continues(identity, head.file_bytes);
    if (!continued) remove_quietly(temporary_);
    file_ = std::make_unique<OutputFile>(temporary_, path_.string());
    if (continued) {
      say_where();
      return;
    }
    if (journal_) journal_->clear();  // before anything else is in the file that it speaks of
    file_->resize(head.file_bytes);
    write_head(head);
    if (const auto& tokenizer = content_.text.tokenizer)
      file_->write(tokenizer->bytes.data(), tokenizer->bytes.size(), head.tokenizer_offset);
    if (journal_) {
      file_->sync();
      journal_->begin(identity);
    }
  }

  // Whether what stands there is the beginning of the same file.
  bool continues(const std::string& identity, std::uint64_t file_bytes) const {
    if (!journal_ || journal_->identity().empty()) return false;
    std::error_code error;
    const auto bytes = fs::file_size(temporary_, error);
    if (error) return false;
    if (journal_->identity() == identity && bytes == file_bytes) return true;
    log::info(path_.string() +
              ": what is written of it is of another source or other options, or was changed: begins again");
    return false;
  }

  void say_where() const {
    std::uint64_t bytes = 0;
    for (const TensorInfo& tensor : content_.tensors)
      if (journal_->find(tensor.name) != nullptr) bytes += weights::bytes_of(tensor, content_.dtype);
    log::info(fmt::format("{}: {} of {} are written, goes on from there", path_.string(),
                          format_bytes(static_cast<double>(bytes)),
                          format_bytes(static_cast<double>(total_bytes_))));
  }

  // A file of that length can be made here: found out before HDF5, which crashes at the process's end over a
  // file that it could not write and close.
  void check_length() const {
    const fs::path scratch = scratch_path();
    try {
      OutputFile(scratch, path_.string()).resize(total_bytes_);
    } catch (...) {
      remove_quietly(scratch);
      throw;
    }
  }

  fs::path scratch_path() const { return temporary_.string() + ".head"; }
  Head make_head() const { return weights::make_head(content_, scratch_path(), path_.string()); }
  void write_head(const Head& head) const { file_->write(head.bytes.data(), head.bytes.size(), 0); }

  void write_tensor(std::size_t index) {
    const TensorInfo& tensor = content_.tensors[index];
    if (journal_) {
      if (const auto* checksums = journal_->find(tensor.name)) {
        checksums_.push_back(*checksums);
        done_bytes_ += weights::bytes_of(tensor, content_.dtype);
        return;
      }
    }
    checksums_.push_back(copy_.copy(tensor, {0, tensor.rows}, *file_, offsets_[index]));
    if (!journal_) return;
    journal_->note(tensor.name, checksums_.back());
    if (uncommitted_bytes_ >= commit_bytes_) commit();
  }

  void was_copied(std::size_t bytes) {
    done_bytes_ += bytes;
    uncommitted_bytes_ += bytes;
    if (options_.progress) options_.progress(done_bytes_, total_bytes_);
  }

  void commit() {
    file_->sync();
    journal_->commit();
    uncommitted_bytes_ = 0;
  }

  void finish() {
    if (journal_) commit();
    content_.checksums = std::move(checksums_);
    write_head(make_head());
    file_.reset();
    weights::read_model_metadata(temporary_.string());  // that the head stands where it was laid
    publish_file(temporary_, path_);
    if (journal_) journal_->remove();
  }

  void discard() {
    file_.reset();
    remove_quietly(temporary_);
    if (journal_) journal_->remove();
  }

  fs::path path_;
  const WriteOptions& options_;
  fs::path temporary_;
  HeadContent content_;
  TensorCopy copy_;
  std::unique_ptr<WriteJournal> journal_;  // null where nothing is kept of a write that fails
  std::unique_ptr<OutputFile> file_;
  std::vector<std::uint64_t> offsets_;                 // of each tensor in the file
  std::vector<std::vector<std::uint64_t>> checksums_;  // of those that are written
  std::uint64_t total_bytes_ = 0;                      // of all tensors
  std::uint64_t commit_bytes_ = 0;                     // on the disk after each so many
  std::uint64_t done_bytes_ = 0;
  std::uint64_t uncommitted_bytes_ = 0;
};

}  // namespace

void write_model_file(const fs::path& path, WeightSource& source, DType dtype, const WriteOptions& options) {
  ModelWriter(path, source, dtype, options).write();
}

}  // namespace hydrajob
