// Where weights come from: a model file, a seed, a construction, or a checkpoint of another format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "base/seeded.hpp"
#include "config/architecture.hpp"
#include "weights/model_text.hpp"

namespace hydrajob {

// How a tensor is split over the ranks of a group.
enum class Split {
  none,  // every rank holds all of it
  rows,  // even contiguous row ranges: vocabulary, columns (out, in) and rows (in, out) of the projections
  kv_heads,  // rows by KV head; replicated where there are fewer KV heads than ranks
};

struct TensorInfo {
  std::string name;       // "layers.0.attention.q", see tensors_of
  std::int64_t rows = 0;  // of the whole tensor; a vector has rows = 1
  std::int64_t cols = 0;
  Split split = Split::none;
};

// All tensors of an architecture, in file order:
//   embedding (vocab, hidden) rows;  final_norm (1, hidden);  lm_head (vocab, hidden) rows, absent when tied;
//   layers.N.attention_norm (1, hidden);  layers.N.attention.q (n_heads head_dim, hidden) rows;
//   layers.N.attention.k, .v (n_kv_heads head_dim, hidden) kv_heads;
//   layers.N.attention.o (n_heads head_dim, hidden) rows, stored (in, out);  layers.N.mlp_norm (1, hidden);
//   layers.N.mlp.gate, .up (intermediate, hidden) rows;  layers.N.mlp.down (intermediate, hidden) rows,
//   stored (in, out)
std::vector<TensorInfo> tensors_of(const Architecture& architecture);

// Rows [begin, end) of a tensor that a rank of a degree holds.
struct RowRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t count() const { return end - begin; }
};
RowRange shard_of(const TensorInfo& tensor, const Architecture& architecture, int rank, int degree);

// Rows of a tensor.
struct WeightRows {
  TensorInfo tensor;
  RowRange rows;
};

// Weights where a source holds them; gone with it.
class WeightView {
 public:
  virtual ~WeightView() = default;
  virtual const void* data() const = 0;
};

// Host memory that a reader fills with rows, one room behind the other.
class WeightSink {
 public:
  virtual ~WeightSink() = default;
  struct Room {
    std::byte* data = nullptr;  // best 4096-byte aligned
    std::size_t bytes = 0;      // whole elements
  };
  // For the next of `bytes` that are still to come, more than none: as many of them as it likes. May wait.
  virtual Room room(std::size_t bytes) = 0;
  // The last room is filled to its end.
  virtual void full() = 0;
};

// One of several that read a source at once, each in a thread of its own.
class WeightReader {
 public:
  virtual ~WeightReader() = default;
  // As WeightSource::read(). Where it throws, what the sink has of these rows is undefined.
  virtual void read(const WeightRows& piece, DType dtype, WeightSink& sink) = 0;
};

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual const Architecture& architecture() const = 0;
  // Identifies the values: the model file's digest, "random:<seed>" or "recall".
  virtual std::string digest() const = 0;
  // The tokenizer, if it holds one, and special tokens. Throws UsageError.
  virtual ModelText text() const { return text_of(architecture()); }
  // Reads rows of a tensor into host memory, (rows.count(), cols) of `dtype`, converting where the source
  // holds another type. `target` is best 4096-byte aligned. Throws UsageError that names the file and the
  // tensor when it is missing, misshapen or corrupted.
  virtual void read(const TensorInfo& tensor, RowRange rows, DType dtype, void* target) = 0;
  // The same without a copy, of several parts one behind the other. Null where the source does not hold them
  // so: read() them. Throws as read() does.
  virtual std::unique_ptr<WeightView> view(const std::vector<WeightRows>& /*parts*/, DType /*dtype*/) {
    return nullptr;
  }
  // How many readers it is read by fastest; 0: it has none, only read() and view().
  virtual int readers() const { return 0; }
  virtual std::unique_ptr<WeightReader> reader() { return nullptr; }
  // A part as pieces of about `bytes`, one behind the other, for whichever reader is free. Their rows are
  // numbered as readers do.
  virtual std::vector<WeightRows> pieces(const WeightRows& part, std::size_t /*bytes*/) const {
    return {part};
  }
  // The rows as a description from which a backend may compute them. None where they are not seeded.
  virtual std::optional<SeededPart> seeded(const WeightRows& /*part*/) const { return std::nullopt; }
  // What will be asked for, in this order: a source on slow storage begins with it.
  virtual void expect(const std::vector<WeightRows>& /*parts*/) {}
};

// A model file (docs/model-file.md), or a folder of one a rank, of which that of `rank` is read. Throws
// UsageError when it is none, truncated, of another version, or split for another degree.
std::unique_ptr<WeightSource> open_model_file(const std::filesystem::path& path, int threads, int rank = 0,
                                              int degree = 1);

struct ModelDescription {
  Architecture architecture;
  std::string digest;        // the same in one file and split
  int split = 0;             // the one degree that it can be read at; 0: any
  DType dtype = DType::f32;  // of its tensors
};

// Of either, from its head alone. Throws UsageError.
ModelDescription describe_model(const std::filesystem::path& path);

// Seeded values, the same at every degree: element (row, col) of a tensor depends on the seed, the tensor's
// name and its index only. Projections are uniform with standard deviation 1/sqrt(in), the embedding 1, norms
// 1 ± 0.1.
std::unique_ptr<WeightSource> make_random_weights(const Architecture& architecture, std::uint64_t seed,
                                                  int threads);

// A model that, after a token that has stood once before, says what followed it there (docs/recall.md); exact
// in every mode, at every degree and in every type. Throws UsageError where the architecture does not fit.
std::unique_ptr<WeightSource> make_recall_weights(const Architecture& architecture);

struct Checkpoint {
  std::unique_ptr<WeightSource> source;
  DType dtype = DType::f32;  // that holds its values exactly
  std::string identity;      // other files, or other content as far as sizes, times and headers tell: another
};

// A folder as Hugging Face publishes models: config.json of a LlamaForCausalLM, and its tensors in
// model.safetensors, or in several files with model.safetensors.index.json. `name`: the architecture's.
// Throws UsageError that names the file, the key or the tensor, what was found and what was expected.
Checkpoint open_hugging_face(const std::filesystem::path& folder, const std::string& name);

// How a model file is written.
struct WriteOptions {
  // Of the source's values. Where there is one, a write that ends early leaves what it has done, and the next
  // of the same identity goes on from there; else nothing is left.
  std::string identity;
  // Told of the bytes of tensors that are written, of all there are, after every few.
  std::function<void(std::uint64_t written, std::uint64_t total)> progress;
  // So many at most, and two tensors, are written again after a kill. 0: a sixteenth, from 1 MiB to 256 MiB.
  std::uint64_t commit_bytes = 0;
  // 0: one file. Else a new folder of so many, each with what a rank of that degree holds.
  int split = 0;
};

// Writes a model file from any source, tensor by tensor; temporary name, fsync, rename. Throws UsageError.
void write_model_file(const std::filesystem::path& path, WeightSource& source, DType dtype,
                      const WriteOptions& options = {});

}  // namespace hydrajob
