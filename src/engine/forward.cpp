#include "engine/forward.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace hydrajob {
namespace {

template <class T>
void put(Device& device, Buffer& buffer, const std::vector<T>& host) {
  if (!host.empty()) device.copy_to_device(buffer.data(), host.data(), host.size() * sizeof(T));
}

}  // namespace

KvCache::KvCache(const Model& model, std::int64_t tokens, bool present, Device& device)
    : n_layers_(model.architecture.n_layers),
      n_kv_heads_(model.n_kv_heads),
      tokens_(tokens),
      head_dim_(model.architecture.head_dim),
      element_(size_of(model.dtype)) {
  if (!present) return;
  const std::int64_t elements = n_layers_ * 2 * n_kv_heads_ * tokens_ * head_dim_;
  buffer_ = device.allocate(static_cast<std::size_t>(elements) * element_);
}

KvView KvCache::layer(std::int64_t index) const {
  if (!buffer_) return {};
  const std::size_t half = static_cast<std::size_t>(n_kv_heads_ * tokens_ * head_dim_) * element_;
  auto* base = buffer_->as<std::byte>() + static_cast<std::size_t>(index) * 2 * half;
  return {base, base + half, tokens_ * head_dim_, head_dim_, tokens_};
}

void KvCache::copy(const CacheCopy& copy, Device& device) const {
  if (!buffer_) return;
  const std::size_t token_bytes = static_cast<std::size_t>(head_dim_) * element_;
  auto* base = buffer_->as<std::byte>();
  device.copy_pieces_on_device(base + static_cast<std::size_t>(copy.to) * token_bytes,
                               base + static_cast<std::size_t>(copy.from) * token_bytes,
                               static_cast<std::size_t>(copy.tokens) * token_bytes,
                               static_cast<std::size_t>(n_layers_ * 2 * n_kv_heads_),
                               static_cast<std::size_t>(tokens_) * token_bytes);
}

Forward::Forward(const Model& model, const EngineContext& context, const ForwardLimits& limits)
    : model_(model), context_(context), sum_dtype_(context.group->sum_dtype(model.dtype)) {
  const Architecture& a = model.architecture;
  const std::size_t element = size_of(model.dtype);
  residual_ = allocate(limits.rows * a.hidden, sizeof(float));
  if (context_.group->size() > 1) delta_ = allocate(limits.rows * a.hidden, size_of(sum_dtype_));
  normed_ = allocate(std::max(limits.rows, limits.logits_rows) * a.hidden, element);
  qkv_ = allocate(limits.rows * (model.n_heads + 2 * model.n_kv_heads) * a.head_dim, element);
  q_ = allocate(limits.rows * model.n_heads * a.head_dim, element);
  attended_ = allocate(limits.rows * model.n_heads * a.head_dim, element);
  gate_up_ = allocate(limits.rows * 2 * model.intermediate, element);
  gated_ = allocate(limits.rows * model.intermediate, element);
  kept_residual_ = allocate(limits.logits_rows * a.hidden, sizeof(float));
  if (delta_) kept_delta_ = allocate(limits.logits_rows * a.hidden, size_of(sum_dtype_));
  logits_ = allocate(limits.logits_rows * model.vocabulary.count(), sizeof(float));
  workspace_ = allocate(static_cast<std::int64_t>(limits.attention_workspace), 1);

  const RopeTable table = make_rope_table(a, limits.positions);
  cosine_ = allocate(static_cast<std::int64_t>(table.cosine.size()), sizeof(float));
  sine_ = allocate(static_cast<std::int64_t>(table.sine.size()), sizeof(float));
  put(*context_.device, *cosine_, table.cosine);
  put(*context_.device, *sine_, table.sine);
  context_.device->synchronize();
}

std::unique_ptr<Buffer> Forward::allocate(std::int64_t elements, std::size_t element_bytes) {
  const std::size_t bytes = static_cast<std::size_t>(std::max<std::int64_t>(elements, 1)) * element_bytes;
  bytes_ += bytes;
  return context_.device->allocate(bytes);
}

std::size_t Forward::connect(std::int64_t rows) {
  peers_ = PeerSums::make(*context_.group, rows, model_.architecture.hidden, model_.dtype);
  return peers_ ? peers_->bytes() : 0;
}

AttentionArgs attention_shape(const Model& model, const Pass& pass, bool share) {
  AttentionArgs args;
  args.n_rows = pass.n_rows();
  args.n_heads = model.n_heads;
  args.n_kv_heads = model.n_kv_heads;
  args.head_dim = model.architecture.head_dim;
  args.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(args.head_dim)));
  args.dtype = model.dtype;
  args.n_streams = pass.n_streams();
  args.stream_row = pass.stream_row.data();
  args.own_first = pass.own_first.data();
  args.own_length = pass.own_length.data();
  args.n_segments = pass.n_segments();
  args.segment_first = pass.segment_first.data();
  args.segment_length = pass.segment_length.data();
  args.segment_row_begin = pass.segment_row_begin.data();
  args.segment_row_end = pass.segment_row_end.data();
  args.share = share;
  return args;
}

AttentionArgs Forward::placed(const DevicePass& pass) const {
  AttentionArgs args = pass.attention;
  pass.rows->place(args);
  args.q = q_->data();
  args.out = attended_->data();
  args.workspace = workspace_->data();
  args.workspace_bytes = workspace_->bytes();
  return args;
}

// How long a product takes depends a little on its values: they are the embedding's, where it has enough.
void Forward::tune_one(Buffer& x, std::vector<const PackedWeight*> weights, Buffer& y, DType y_dtype,
                       std::int64_t rows) {
  // Smaller products differ by less than the noise of timing them: the choice would differ from run to run.
  constexpr std::size_t least_weight = std::size_t{16} << 20;
  if (weights.front()->bytes() < least_weight) return;
  const auto wanted = static_cast<std::size_t>(rows * weights.front()->in()) * size_of(model_.dtype);
  Buffer& values = model_.embedding->bytes() >= wanted ? *model_.embedding : x;
  context_.kernels->tune_linear(values.data(), weights, y.data(), y_dtype, rows, model_.dtype,
                                context_.device->stream());
}

// A few layers' weights stand for all: they have the same shapes.
void Forward::tune(std::int64_t rows) {
  constexpr std::size_t most_layers = 8;
  const std::size_t layers = std::min(model_.layers.size(), most_layers);
  if (layers == 0) return;
  const auto of_layers = [&](std::unique_ptr<PackedWeight> Layer::*weight) {
    std::vector<const PackedWeight*> weights;
    for (std::size_t i = 0; i < layers; ++i) weights.push_back((model_.layers[i].*weight).get());
    return weights;
  };
  tune_one(*normed_, of_layers(&Layer::qkv), *qkv_, model_.dtype, rows);
  // What a sublayer adds goes to the residual stream itself where no other rank has a part of it.
  Buffer& added = delta_ ? *delta_ : *residual_;
  const DType added_dtype = delta_ ? sum_dtype_ : DType::f32;
  tune_one(*attended_, of_layers(&Layer::o), added, added_dtype, rows);
  tune_one(*normed_, of_layers(&Layer::gate_up), *gate_up_, model_.dtype, rows);
  tune_one(*gated_, of_layers(&Layer::down), added, added_dtype, rows);
}

void Forward::tune_logits(std::int64_t rows) {
  tune_one(*normed_, {model_.lm_head.get()}, *logits_, DType::f32, rows);
}

void Forward::run(const DevicePass& pass, const KvCache& cache) {
  const std::int64_t rows = pass.attention.n_rows;
  context_.kernels->embed(pass.rows->ids(), model_.embedding->data(), model_.vocabulary.begin,
                          model_.vocabulary.count(), residual_->as<float>(), rows, model_.architecture.hidden,
                          model_.dtype, context_.device->stream());
  if (context_.group->size() > 1) {
    context_.group->all_reduce_sum(residual_->data(), rows * model_.architecture.hidden, DType::f32,
                                   context_.device->stream());
  }
  added_ = {};
  for (std::size_t i = 0; i < model_.layers.size(); ++i) {
    layer(model_.layers[i], cache.layer(static_cast<std::int64_t>(i)), pass);
  }
}

void Forward::layer(const Layer& layer, const KvView& kv, const DevicePass& pass) {
  Kernels& kernels = *context_.kernels;
  Stream& stream = context_.device->stream();
  const Architecture& a = model_.architecture;
  const DType dtype = model_.dtype;
  const std::int64_t rows = pass.attention.n_rows;
  const auto eps = static_cast<float>(a.rms_eps);
  auto* residual = residual_->as<float>();

  kernels.add_rmsnorm(residual, added_, layer.attention_norm->data(), normed_->data(), rows, a.hidden, eps,
                      dtype, stream);
  kernels.linear(normed_->data(), *layer.qkv, qkv_->data(), dtype, rows, dtype, stream);
  // Without attention its output is the rotated query: the paper's ceiling.
  void* rotated = pass.plan != nullptr ? q_->data() : attended_->data();
  kernels.rope_and_cache(qkv_->data(), pass.rows->positions(), pass.rows->slots(), cosine_->as<float>(),
                         sine_->as<float>(), rotated, kv, rows, model_.n_heads, model_.n_kv_heads, a.head_dim,
                         dtype, stream);
  if (pass.plan != nullptr) {
    AttentionArgs args = placed(pass);
    args.kv = kv;
    kernels.attention(*pass.plan, args, stream);
  }
  added_ = add_sublayer(*attended_, *layer.o, pass);
  kernels.add_rmsnorm(residual, added_, layer.mlp_norm->data(), normed_->data(), rows, a.hidden, eps, dtype,
                      stream);
  kernels.linear(normed_->data(), *layer.gate_up, gate_up_->data(), dtype, rows, dtype, stream);
  kernels.swiglu(gate_up_->data(), gated_->data(), rows, model_.intermediate, dtype, stream);
  added_ = add_sublayer(*gated_, *layer.down, pass);
}

// What a sublayer adds to the residual stream: at once where this rank has all of it, and else by the next
// normalisation, which gets what there is to add.
PartialSums Forward::add_sublayer(Buffer& x, const PackedWeight& weight, const DevicePass& pass) {
  Kernels& kernels = *context_.kernels;
  Stream& stream = context_.device->stream();
  const std::int64_t rows = pass.attention.n_rows;
  if (!delta_) {
    kernels.add_linear(x.data(), weight, residual_->as<float>(), rows, model_.dtype, stream);
    return {};
  }
  if (pass.step && peers_) {
    kernels.linear(x.data(), weight, peers_->next(), model_.dtype, rows, model_.dtype, stream);
    return peers_->sums();
  }
  kernels.linear(x.data(), weight, delta_->data(), sum_dtype_, rows, model_.dtype, stream);
  context_.group->all_reduce_sum(delta_->data(), rows * model_.architecture.hidden, sum_dtype_, stream);
  return summed(delta_.get());
}

// `delta` has the sums already.
PartialSums Forward::summed(Buffer* delta) const {
  PartialSums sums;
  if (delta == nullptr) return sums;
  sums.parts[0] = delta->data();
  sums.n = 1;
  sums.dtype = sum_dtype_;
  return sums;
}

void Forward::keep_wanted(const Pass& pass) {
  const std::int64_t hidden = model_.architecture.hidden;
  const std::size_t bytes = static_cast<std::size_t>(hidden) * sizeof(float);
  for (const Pass::Wanted& row : pass.wanted) {
    context_.device->copy_on_device(kept_residual_->as<float>() + row.target * hidden,
                                    residual_->as<float>() + row.source * hidden, bytes);
    if (!delta_) continue;
    const std::size_t delta_bytes = static_cast<std::size_t>(hidden) * size_of(sum_dtype_);
    context_.device->copy_on_device(
        kept_delta_->as<std::byte>() + static_cast<std::size_t>(row.target) * delta_bytes,
        delta_->as<std::byte>() + static_cast<std::size_t>(row.source) * delta_bytes, delta_bytes);
  }
}

float* Forward::logits_of_kept(std::int64_t rows) {
  return compute_logits(*kept_residual_, summed(kept_delta_.get()), rows);
}

float* Forward::logits_of_step(std::int64_t rows) {
  return compute_logits(*residual_, added_, rows);
}

float* Forward::compute_logits(Buffer& residual, const PartialSums& added, std::int64_t rows) {
  Stream& stream = context_.device->stream();
  context_.kernels->add_rmsnorm(residual.as<float>(), added, model_.final_norm->data(), normed_->data(), rows,
                                model_.architecture.hidden, static_cast<float>(model_.architecture.rms_eps),
                                model_.dtype, stream);
  context_.kernels->linear(normed_->data(), *model_.lm_head, logits_->data(), DType::f32, rows, model_.dtype,
                           stream);
  return logits();
}

}  // namespace hydrajob
