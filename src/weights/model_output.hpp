// One file of a model that is being written: the head first, so that there is a place for everything; the
// tensors; the head again, with their checksums. HDF5 makes heads only, in a file of their own
// (model_head.hpp): this one is never open in HDF5, whose changes in place do not survive a kill.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "weights/model_head.hpp"
#include "weights/output_file.hpp"
#include "weights/tensor_copy.hpp"

namespace hydrajob::weights {

class ModelOutput {
 public:
  // `slabs`: which rows of the model's tensors it holds. `file`: where it is written, `scratch`: where its
  // head is made; errors name `path`. Nothing is written yet. Throws UsageError, as all below.
  ModelOutput(HeadContent content, std::vector<RowRange> slabs, std::filesystem::path file,
              std::filesystem::path scratch, std::string path);

  std::uint64_t bytes_of_tensor(std::size_t tensor) const;
  std::size_t ranges_of_tensor(std::size_t tensor) const;
  // Another content, layout or type: another text.
  std::string layout_digest() const;

  bool is_begun() const;  // a file of the right length stands there
  void begin();           // anew
  void go_on();           // with what stands there
  // The tensor, whose name and rows are the whole model's; the checksums of its ranges here.
  std::vector<std::uint64_t> copy(TensorCopy& copy, const TensorInfo& tensor, std::size_t index) const;
  void sync() const { opened_->sync(); }
  void finish(std::vector<std::vector<std::uint64_t>> checksums, const std::string& model_digest);
  void close() { opened_.reset(); }

 private:
  Head make_head() const { return weights::make_head(content_, scratch_, path_); }
  void check_length() const;

  HeadContent content_;
  std::vector<RowRange> slabs_;
  std::filesystem::path file_;
  std::filesystem::path scratch_;
  std::string path_;
  Head head_;  // without checksums
  std::unique_ptr<OutputFile> opened_;
};

}  // namespace hydrajob::weights
