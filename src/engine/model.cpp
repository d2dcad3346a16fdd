#include "engine/model.hpp"

#include <map>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "engine/engine.hpp"
#include "engine/upload.hpp"
#include "grid/constraints.hpp"

namespace hydrajob {
namespace {

// Reads this rank's shards and hands them to the backend, in the order of the file.
class Loader {
 public:
  Loader(WeightSource& source, DType dtype, std::int64_t expected_rows, const EngineContext& context)
      : source_(source), dtype_(dtype), expected_rows_(expected_rows), context_(context) {
    for (auto& tensor : tensors_of(source.architecture())) tensors_.emplace(tensor.name, tensor);
  }

  std::shared_ptr<Model> load() {
    const Architecture& a = source_.architecture();
    const std::string problem =
        heads_split_problem(a.n_heads, a.n_kv_heads, a.intermediate, context_.group->size());
    if (!problem.empty()) throw UsageError(a.name + ": " + problem);
    auto model = std::make_shared<Model>();
    model->architecture = a;
    model->dtype = dtype_;
    model->n_heads = shard("layers.0.attention.q").count() / a.head_dim;
    model->n_kv_heads = shard("layers.0.attention.k").count() / a.head_dim;
    model->intermediate = shard("layers.0.mlp.gate").count();
    model->vocabulary = shard("embedding");
    expect_all();
    staging_for_upload_ = allocate_upload_staging(source_, *context_.device);
    model->embedding = load_plain("embedding");
    for (std::int64_t i = 0; i < a.n_layers; ++i) model->layers.push_back(load_layer(i));
    model->final_norm = load_plain("final_norm");
    model->lm_head = load_columns({a.tied_embeddings ? "embedding" : "lm_head"});
    if (!uploads_.empty()) upload(source_, uploads_, dtype_, *context_.device, *staging_for_upload_);
    context_.device->synchronize();
    return model;
  }

 private:
  Layer load_layer(std::int64_t index) {
    const std::string p = "layers." + std::to_string(index) + ".";
    Layer layer;
    layer.attention_norm = load_plain(p + "attention_norm");
    layer.qkv = load_columns({p + "attention.q", p + "attention.k", p + "attention.v"});
    layer.o = load_rows(p + "attention.o");
    layer.mlp_norm = load_plain(p + "mlp_norm");
    layer.gate_up = load_columns({p + "mlp.gate", p + "mlp.up"});
    layer.down = load_rows(p + "mlp.down");
    return layer;
  }

  const TensorInfo& info(const std::string& name) const { return tensors_.at(name); }

  RowRange shard(const std::string& name) const {
    return shard_of(info(name), source_.architecture(), context_.group->rank(), context_.group->size());
  }

  void expect_all() {
    std::vector<WeightRows> parts;
    for (const auto& tensor : tensors_of(source_.architecture()))
      parts.push_back({tensor, shard(tensor.name)});
    source_.expect(parts);
  }

  // Rows in host memory: the source's own, or the staging buffer until the next are fetched.
  struct Fetched {
    std::unique_ptr<WeightView> view;
    const void* data = nullptr;
  };

  // Rows of the same width, one behind the other.
  Fetched fetch(const std::vector<WeightRows>& parts) {
    if (auto view = source_.view(parts, dtype_)) {
      const void* data = view->data();
      return {std::move(view), data};
    }
    std::size_t bytes = 0;
    for (const auto& part : parts) bytes += bytes_of(part);
    std::byte* target = staging(bytes);
    for (const auto& part : parts) {
      source_.read(part.tensor, part.rows, dtype_, target);
      target += bytes_of(part);
    }
    return {nullptr, staging_.get()};
  }

  std::size_t bytes_of(const WeightRows& part) const {
    return static_cast<std::size_t>(part.rows.count() * part.tensor.cols) * size_of(dtype_);
  }

  std::byte* staging(std::size_t bytes) {
    if (bytes > staging_bytes_) {
      staging_.reset(static_cast<std::byte*>(::operator new(bytes, page)));
      staging_bytes_ = bytes;
    }
    return staging_.get();
  }

  std::unique_ptr<Buffer> load_plain(const std::string& name) {
    const WeightRows part{info(name), shard(name)};
    const std::size_t bytes = bytes_of(part);
    auto buffer = context_.device->allocate(bytes);
    const std::optional<SeededPart> seeded = source_.seeded(part);
    if (seeded && context_.kernels->fill_seeded(*seeded, buffer->data(), dtype_, context_.device->stream())) {
      return buffer;
    }
    if (staging_for_upload_) {
      uploads_.push_back({part, buffer->data()});
      return buffer;
    }
    const Fetched rows = fetch({part});
    context_.device->copy_to_device(buffer->data(), rows.data, bytes);
    context_.device->synchronize();  // before the rows go
    return buffer;
  }

  // Column-parallel matrices of one input, one after another: their product is computed at once.
  std::unique_ptr<PackedWeight> load_columns(const std::vector<std::string>& names) {
    std::vector<WeightRows> parts;
    std::int64_t out = 0;
    for (const auto& name : names) {
      parts.push_back({info(name), shard(name)});
      out += parts.back().rows.count();
    }
    return load_matrix(parts, WeightLayout::out_in, out, parts.front().tensor.cols);
  }

  std::unique_ptr<PackedWeight> load_rows(const std::string& name) {
    const WeightRows part{info(name), shard(name)};
    return load_matrix({part}, WeightLayout::in_out, part.tensor.cols, part.rows.count());
  }

  std::unique_ptr<PackedWeight> load_matrix(const std::vector<WeightRows>& parts, WeightLayout layout,
                                            std::int64_t out, std::int64_t in) {
    Kernels& kernels = *context_.kernels;
    if (const std::vector<SeededPart> seeded = seeded_parts(parts); !seeded.empty()) {
      if (auto weight = kernels.pack_seeded(seeded, layout, out, in, expected_rows_, dtype_)) return weight;
    }
    if (staging_for_upload_) {
      if (auto [weight, data] = kernels.allocate_weight(layout, out, in, dtype_); weight) {
        add_uploads(parts, static_cast<std::byte*>(data));
        return std::move(weight);
      }
    }
    const Fetched rows = fetch(parts);
    return kernels.pack(rows.data, layout, out, in, expected_rows_, dtype_);
  }

  // One behind the other.
  void add_uploads(const std::vector<WeightRows>& parts, std::byte* target) {
    for (const WeightRows& part : parts) {
      uploads_.push_back({part, target});
      target += bytes_of(part);
    }
  }

  // None unless all are seeded.
  std::vector<SeededPart> seeded_parts(const std::vector<WeightRows>& parts) const {
    std::vector<SeededPart> seeded;
    for (const auto& part : parts) {
      const std::optional<SeededPart> values = source_.seeded(part);
      if (!values) return {};
      seeded.push_back(*values);
    }
    return seeded;
  }

  // Page-aligned and not filled with zeros first: reads into other buffers run at half speed.
  struct FreePages {
    void operator()(std::byte* p) const { ::operator delete(p, page); }
  };
  static constexpr std::align_val_t page{4096};

  WeightSource& source_;
  DType dtype_;
  std::int64_t expected_rows_;
  EngineContext context_;
  std::map<std::string, TensorInfo> tensors_;
  std::unique_ptr<Buffer> staging_for_upload_;  // null: each tensor is taken from the host as it comes
  std::vector<UploadPart> uploads_;             // read together when all have their places
  std::unique_ptr<std::byte, FreePages> staging_;
  std::size_t staging_bytes_ = 0;
};

}  // namespace

std::size_t bytes_of(const Model& model) {
  std::size_t sum = model.embedding->bytes() + model.final_norm->bytes() + model.lm_head->bytes();
  for (const Layer& layer : model.layers) {
    sum += layer.attention_norm->bytes() + layer.mlp_norm->bytes() + layer.qkv->bytes() + layer.o->bytes() +
           layer.gate_up->bytes() + layer.down->bytes();
  }
  return sum;
}

std::shared_ptr<const Model> load_model(WeightSource& source, DType dtype, std::int64_t expected_rows,
                                        const EngineContext& context) {
  return Loader(source, dtype, expected_rows, context).load();
}

}  // namespace hydrajob
