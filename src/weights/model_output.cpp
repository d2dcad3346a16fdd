#include "weights/model_output.hpp"

#include <system_error>
#include <utility>

#include "base/digest.hpp"
#include "weights/model_format.hpp"
#include "weights/model_metadata.hpp"

namespace hydrajob::weights {

ModelOutput::ModelOutput(HeadContent content, std::vector<RowRange> slabs, std::filesystem::path file,
                         std::filesystem::path scratch, std::string path)
    : content_(std::move(content)),
      slabs_(std::move(slabs)),
      file_(std::move(file)),
      scratch_(std::move(scratch)),
      path_(std::move(path)) {
  check_length();
  head_ = make_head();
}

// A file of that length can be made here: found out before HDF5, which crashes at the process's end over a
// file that it could not write and close.
void ModelOutput::check_length() const {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < slabs_.size(); ++i) bytes += bytes_of_tensor(i);
  std::error_code ignored;
  try {
    OutputFile(scratch_, path_).resize(bytes);
  } catch (...) {
    std::filesystem::remove(scratch_, ignored);
    throw;
  }
}

std::uint64_t ModelOutput::bytes_of_tensor(std::size_t tensor) const {
  return bytes_of(content_.tensors[tensor], content_.dtype);
}

std::size_t ModelOutput::ranges_of_tensor(std::size_t tensor) const {
  return static_cast<std::size_t>(range_count(content_.tensors[tensor].rows));
}

std::string ModelOutput::layout_digest() const {
  return digest128(head_.bytes + std::to_string(head_.file_bytes));
}

bool ModelOutput::is_begun() const {
  std::error_code error;
  return std::filesystem::file_size(file_, error) == head_.file_bytes && !error;
}

void ModelOutput::begin() {
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
  go_on();
  opened_->resize(head_.file_bytes);
  opened_->write(head_.bytes.data(), head_.bytes.size(), 0);
  if (const auto& tokenizer = content_.text.tokenizer)
    opened_->write(tokenizer->bytes.data(), tokenizer->bytes.size(), head_.tokenizer_offset);
}

void ModelOutput::go_on() {
  opened_ = std::make_unique<OutputFile>(file_, path_);
}

std::vector<std::uint64_t> ModelOutput::copy(TensorCopy& copy, const TensorInfo& tensor,
                                             std::size_t index) const {
  return copy.copy(tensor, slabs_[index], *opened_, head_.offsets[index]);
}

void ModelOutput::finish(std::vector<std::vector<std::uint64_t>> checksums, const std::string& model_digest) {
  content_.checksums = std::move(checksums);
  if (content_.part) content_.part->model_digest = model_digest;
  const Head head = make_head();
  opened_->write(head.bytes.data(), head.bytes.size(), 0);
  opened_->sync();
  close();
  read_model_metadata(file_.string());  // that the head stands where it was laid
}

}  // namespace hydrajob::weights
