#include "workload/attention.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/element.hpp"
#include "base/error.hpp"
#include "base/philox.hpp"
#include "engine/layout.hpp"
#include "engine/sharing.hpp"
#include "grid/cost_model.hpp"
#include "timing/recorder.hpp"
#include "timing/statistics.hpp"
#include "workload/generate.hpp"
#include "workload/iterations.hpp"
#include "workload/metrics.hpp"
#include "workload/model_cache.hpp"

namespace hydrajob {
namespace {

// What is read between iterations where a cold cache is asked for: rows, so that every thread reads some and
// its own caches are emptied too.
constexpr std::int64_t flush_rows = 256;
// Random values are repeated after this many: a prime, so that no row or head repeats another.
constexpr std::int64_t pattern_elements = 1048583;

class Attention final : public Workload {
 public:
  Attention(const PlannedRun& run, const WorkloadContext& context)
      : run_(run), context_(context), device_(*context.engine.device) {}

  void prepare() override {
    const RunSpec& spec = run_.spec;
    context_.models->drop();
    layout_ = make_layout(shape_of(spec), {spec.mode == Mode::noshared, spec.prefill_chunk});
    // The layout's decode step adds a token of its own; here `suffix` is what stands in the cache.
    for (std::int32_t& length : layout_.decode.own_length) --length;
    args_.n_heads = spec.n_heads / spec.tensor_parallel;
    args_.n_kv_heads = std::max<std::int64_t>(1, spec.n_kv_heads / spec.tensor_parallel);
    args_.head_dim = spec.head_dim;
    args_.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(spec.head_dim)));
    args_.dtype = spec.dtype;
    args_.n_rows = layout_.decode.n_rows();
    args_.share = shares_segments(spec.mode, layout_.decode, args_);
    allocate_tensors();
    place_tree();
    plan_attention();
    if (spec.l2 == L2State::cold) allocate_flush();
    device_.synchronize();
  }

  RunRecord measure() override {
    Recorder recorder(device_, *context_.engine.group);
    const auto judged = [](const std::vector<PhaseSample>& s) { return slowest_rank(s, "attention", false); };
    const auto samples = repeat(
        run_.spec, recorder, [&](std::int32_t i, bool warmup) { iterate(recorder, i, warmup); }, judged);
    RunRecord record;
    if (context_.engine.group->rank() != 0) return record;
    add_statistics(record, "attention", "one attention operation", judged(samples));
    add_samples(record, samples);
    add_convergence(record, judged(samples), run_.spec.target_ci);
    add_plan(record, run_, context_.ceilings);
    add_roofline(record, "attention", run_.cost.decode_step.roofline_s, median(judged(samples)));
    add_memory_used(record, context_.ceilings.kernels_bytes + static_cast<double>(bytes_));
    return record;
  }

 private:
  // The tree with its lengths; the tokens themselves do not matter here.
  static Batch shape_of(const RunSpec& spec) {
    RunSpec shape = spec;
    shape.architecture.vocab = 1;
    shape.new_tokens = 1;
    return make_batch(shape);
  }

  // From the layout's own arrays, which stand in host memory.
  void plan_attention() {
    if (run_.spec.mode == Mode::noattention) return;
    const Pass& pass = layout_.decode;
    AttentionArgs host = args_;
    host.n_streams = pass.n_streams();
    host.n_segments = pass.n_segments();
    host.stream_row = pass.stream_row.data();
    host.own_first = pass.own_first.data();
    host.own_length = pass.own_length.data();
    host.segment_first = pass.segment_first.data();
    host.segment_length = pass.segment_length.data();
    host.segment_row_begin = pass.segment_row_begin.data();
    host.segment_row_end = pass.segment_row_end.data();
    plan_ = context_.engine.kernels->plan_attention(host, 0);
    bytes_ += plan_->bytes();
    args_.workspace_bytes = plan_->workspace_bytes();
    args_.workspace = hold(std::max<std::size_t>(args_.workspace_bytes, 1)).data();
  }

  void allocate_tensors() {
    const std::int64_t head_elements = layout_.cache_tokens * args_.head_dim;
    const std::int64_t q_elements = args_.n_rows * args_.n_heads * args_.head_dim;
    args_.kv.k = keep(random_buffer(args_.n_kv_heads * head_elements, args_.dtype)).data();
    args_.kv.v = keep(random_buffer(args_.n_kv_heads * head_elements, args_.dtype)).data();
    args_.kv.head_stride = head_elements;
    args_.kv.token_stride = args_.head_dim;
    args_.kv.tokens = layout_.cache_tokens;
    args_.q = keep(random_buffer(q_elements, args_.dtype)).data();
    args_.out = hold(static_cast<std::size_t>(q_elements) * size_of(args_.dtype)).data();
  }

  void allocate_flush() {
    constexpr std::int64_t row_bytes = flush_rows * static_cast<std::int64_t>(sizeof(float));
    flush_floats_ = l2_flush_bytes(context_.ceilings) / row_bytes;
    flush_ = random_buffer(flush_rows * flush_floats_, DType::f32);
    flushed_ = device_.allocate(flush_rows * sizeof(float));
  }

  void place_tree() {
    const Pass& pass = layout_.decode;
    args_.n_streams = pass.n_streams();
    args_.n_segments = pass.n_segments();
    args_.stream_row = upload(pass.stream_row);
    args_.own_first = upload(pass.own_first);
    args_.own_length = upload(pass.own_length);
    args_.segment_first = upload(pass.segment_first);
    args_.segment_length = upload(pass.segment_length);
    args_.segment_row_begin = upload(pass.segment_row_begin);
    args_.segment_row_end = upload(pass.segment_row_end);
  }

  void iterate(Recorder& recorder, std::int32_t iteration, bool warmup) {
    context_.check_time();
    device_.synchronize();
    context_.engine.group->barrier();
    settle_caches();
    const std::size_t interval = recorder.begin("attention", iteration, 0, warmup);
    operate();
    recorder.end(interval);
    recorder.observe(interval);
  }

  // Nothing waits for it: while it runs the operation is launched, and its time is the device's alone.
  void settle_caches() {
    if (flush_) {
      context_.engine.kernels->row_max(flush_->as<float>(), flushed_->as<float>(), flush_rows, flush_floats_,
                                       device_.stream());
    } else if (device_.kind() == DeviceKind::cuda) {
      operate();
    }
  }

  void operate() {
    if (run_.spec.mode == Mode::noattention) {
      device_.copy_on_device(args_.out, args_.q, q_bytes());
    } else {
      context_.engine.kernels->attention(*plan_, args_, device_.stream());
    }
  }

  std::size_t q_bytes() const {
    return static_cast<std::size_t>(args_.n_rows * args_.n_heads * args_.head_dim) * size_of(args_.dtype);
  }

  // Uniform in (-sqrt 3, sqrt 3): variance 1, as the paper's normal values.
  std::unique_ptr<Buffer> random_buffer(std::int64_t elements, DType dtype) {
    const std::vector<std::byte> pattern = random_pattern(dtype);
    const std::size_t bytes = static_cast<std::size_t>(elements) * size_of(dtype);
    auto buffer = device_.allocate(std::max<std::size_t>(bytes, 1));
    for (std::size_t at = 0; at < bytes; at += pattern.size()) {
      device_.copy_to_device(buffer->as<std::byte>() + at, pattern.data(),
                             std::min(pattern.size(), bytes - at));
    }
    device_.synchronize();  // the pattern leaves with this function
    bytes_ += bytes;
    return buffer;
  }

  std::vector<std::byte> random_pattern(DType dtype) {
    std::vector<std::byte> pattern(static_cast<std::size_t>(pattern_elements) * size_of(dtype));
    const PhiloxKey key = philox_key(run_.spec.seed);
    ++patterns_;
    for (std::int64_t i = 0; i < pattern_elements; ++i) {
      const auto word = philox4x32({static_cast<std::uint32_t>(i), patterns_, 0, 0}, key)[0];
      const float value = (2.0f * uniform_open(word) - 1.0f) * 1.7320508f;
      with_element(dtype, [&](auto element) {
        using T = decltype(element);
        reinterpret_cast<T*>(pattern.data())[i] = T(value);
      });
    }
    return pattern;
  }

  Buffer& keep(std::unique_ptr<Buffer> buffer) {
    buffers_.push_back(std::move(buffer));
    return *buffers_.back();
  }

  Buffer& hold(std::size_t bytes) {
    bytes_ += bytes;
    return keep(device_.allocate(bytes));
  }

  template <class T>
  const T* upload(const std::vector<T>& host) {
    Buffer& buffer = hold(std::max<std::size_t>(host.size(), 1) * sizeof(T));
    device_.copy_to_device(buffer.data(), host.data(), host.size() * sizeof(T));
    return buffer.as<T>();
  }

  PlannedRun run_;
  WorkloadContext context_;
  Device& device_;
  BatchLayout layout_;
  AttentionArgs args_;
  std::unique_ptr<AttentionPlan> plan_;  // null without attention
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::int64_t flush_floats_ = 0;    // a row
  std::unique_ptr<Buffer> flush_;    // (flush_rows, flush_floats_); absent where the cache stays warm
  std::unique_ptr<Buffer> flushed_;  // (flush_rows)
  std::uint32_t patterns_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<Workload> make_attention_workload(const PlannedRun& run, const WorkloadContext& context) {
  return std::make_unique<Attention>(run, context);
}

}  // namespace hydrajob
