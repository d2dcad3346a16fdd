// A device's kernels behind host pointers, so that one test serves every backend: each call takes copies of
// exactly its arrays to the device, runs, and brings back what it wrote.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/kernels.hpp"

namespace hydrajob::test {

class HostSide final : public Kernels {
 public:
  HostSide(std::unique_ptr<Device> device, std::unique_ptr<Kernels> kernels)
      : device_(std::move(device)), kernels_(std::move(kernels)) {}

  void embed(const std::int32_t* ids, const void* table, std::int64_t first_id, std::int64_t n_ids,
             float* residual, std::int64_t rows, std::int64_t hidden, DType dtype, Stream&) override {
    Call call(*device_);
    kernels_->embed(call.in(ids, rows), call.in_bytes(table, n_ids * hidden * bytes(dtype)), first_id, n_ids,
                    call.out(residual, rows * hidden), rows, hidden, dtype, device_->stream());
  }
  void add_rmsnorm(float* residual, const PartialSums& added, const void* weight, void* out,
                   std::int64_t rows, std::int64_t hidden, float eps, DType dtype, Stream&) override {
    Call call(*device_);
    PartialSums there = added;
    for (int p = 0; p < added.n; ++p) {
      there.parts[p] = call.in_bytes(added.parts[p], rows * hidden * bytes(added.dtype));
    }
    kernels_->add_rmsnorm(
        call.out(residual, rows * hidden), there, call.in_bytes(weight, hidden * bytes(dtype)),
        call.out_bytes(out, rows * hidden * bytes(dtype)), rows, hidden, eps, dtype, device_->stream());
  }
  std::unique_ptr<PackedWeight> pack(const void* weight, WeightLayout layout, std::int64_t out,
                                     std::int64_t in, std::int64_t expected_rows, DType dtype) override {
    return kernels_->pack(weight, layout, out, in, expected_rows, dtype);
  }
  void linear(const void* x, const PackedWeight& weight, void* y, DType y_dtype, std::int64_t rows,
              DType dtype, Stream&) override {
    Call call(*device_);
    kernels_->linear(call.in_bytes(x, rows * weight.in() * bytes(dtype)), weight,
                     call.out_bytes(y, rows * weight.out() * bytes(y_dtype)), y_dtype, rows, dtype,
                     device_->stream());
  }
  void add_linear(const void* x, const PackedWeight& weight, float* y, std::int64_t rows, DType dtype,
                  Stream&) override {
    Call call(*device_);
    kernels_->add_linear(call.in_bytes(x, rows * weight.in() * bytes(dtype)), weight,
                         call.out(y, rows * weight.out()), rows, dtype, device_->stream());
  }
  void tune_linear(const void* x, std::span<const PackedWeight* const> weights, void* y, DType y_dtype,
                   std::int64_t rows, DType dtype, Stream&) override {
    Call call(*device_);
    const PackedWeight& first = *weights.front();
    kernels_->tune_linear(call.in_bytes(x, rows * first.in() * bytes(dtype)), weights,
                          call.out_bytes(y, rows * first.out() * bytes(y_dtype)), y_dtype, rows, dtype,
                          device_->stream());
  }
  void rope_and_cache(const void* qkv, const std::int32_t* positions, const std::int64_t* slots,
                      const float* cosine, const float* sine, void* q_out, const KvView& kv,
                      std::int64_t rows, std::int64_t n_heads, std::int64_t n_kv_heads, std::int64_t head_dim,
                      DType dtype, Stream&) override {
    Call call(*device_);
    std::int64_t last_position = 0, last_slot = -1;
    for (std::int64_t r = 0; r < rows; ++r) {
      last_position = std::max<std::int64_t>(last_position, positions[r]);
      last_slot = std::max(last_slot, slots[r]);
    }
    const std::int64_t angles = (last_position + 1) * head_dim / 2;
    const std::int64_t row_elements = (n_heads + 2 * n_kv_heads) * head_dim;
    const KvView there = call.kv(kv, n_kv_heads, last_slot + 1, head_dim, dtype);
    kernels_->rope_and_cache(call.in_bytes(qkv, rows * row_elements * bytes(dtype)), call.in(positions, rows),
                             call.in(slots, rows), call.in(cosine, angles), call.in(sine, angles),
                             call.out_bytes(q_out, rows * n_heads * head_dim * bytes(dtype)), there, rows,
                             n_heads, n_kv_heads, head_dim, dtype, device_->stream());
  }
  std::unique_ptr<AttentionPlan> plan_attention(const AttentionArgs& args, std::int32_t growth) override {
    return kernels_->plan_attention(args, growth);
  }
  // The workspace is made here, of the size that the plan says.
  void attention(const AttentionPlan& plan, const AttentionArgs& args, Stream&) override {
    Call call(*device_);
    AttentionArgs there = args;
    const std::int64_t results = args.n_rows * args.n_heads;
    there.q = call.in_bytes(args.q, results * args.head_dim * bytes(args.dtype));
    there.out = call.out_bytes(args.out, results * args.head_dim * bytes(args.dtype));
    there.lse = call.out(args.lse, results);
    there.kv = call.kv(args.kv, args.n_kv_heads, tokens_of(args), args.head_dim, args.dtype);
    there.stream_row = call.in(args.stream_row, args.n_streams + 1);
    there.own_first = call.in(args.own_first, args.n_streams);
    there.own_length = call.in(args.own_length, args.n_streams);
    there.segment_first = call.in(args.segment_first, args.n_segments);
    there.segment_length = call.in(args.segment_length, args.n_segments);
    there.segment_row_begin = call.in(args.segment_row_begin, args.n_segments);
    there.segment_row_end = call.in(args.segment_row_end, args.n_segments);
    const std::vector<unsigned char> poison(plan.workspace_bytes(), 0xff);
    there.workspace = call.in_bytes(poison.data(), static_cast<std::int64_t>(poison.size()));
    there.workspace_bytes = poison.size();
    kernels_->attention(plan, there, device_->stream());
  }
  void swiglu(const void* gate_up, void* out, std::int64_t rows, std::int64_t width, DType dtype,
              Stream&) override {
    Call call(*device_);
    kernels_->swiglu(call.in_bytes(gate_up, rows * 2 * width * bytes(dtype)),
                     call.out_bytes(out, rows * width * bytes(dtype)), rows, width, dtype, device_->stream());
  }
  void row_max(const float* logits, float* maximum, std::int64_t rows, std::int64_t n_ids, Stream&) override {
    Call call(*device_);
    kernels_->row_max(call.in(logits, rows * n_ids), call.out(maximum, rows), rows, n_ids, device_->stream());
  }
  void nucleus_histogram(const float* logits, const float* maximum, const std::uint32_t* prefix, int pass,
                         float temperature, std::uint64_t* histogram, std::int64_t rows, std::int64_t n_ids,
                         Stream&) override {
    Call call(*device_);
    kernels_->nucleus_histogram(call.in(logits, rows * n_ids), call.in(maximum, rows), call.in(prefix, rows),
                                pass, temperature, call.out(histogram, rows * 2048), rows, n_ids,
                                device_->stream());
  }
  void nucleus_select(const std::uint64_t* histogram, std::uint32_t* prefix, std::uint64_t* remaining,
                      int pass, float top_p, std::int64_t rows, Stream&) override {
    Call call(*device_);
    kernels_->nucleus_select(call.in(histogram, rows * 2048), call.out(prefix, rows),
                             call.out(remaining, rows), pass, top_p, rows, device_->stream());
  }
  void sample(const float* logits, const SamplingArgs& sampling, const std::uint32_t* smallest_key,
              const std::int32_t* sequence, const std::int32_t* step, std::int64_t first_id,
              float* best_value, std::int32_t* best_id, std::int64_t rows, std::int64_t n_ids,
              Stream&) override {
    Call call(*device_);
    kernels_->sample(call.in(logits, rows * n_ids), sampling, call.in(smallest_key, rows),
                     call.in(sequence, rows), call.in(step, rows), first_id, call.out(best_value, rows),
                     call.out(best_id, rows), rows, n_ids, device_->stream());
  }
  void choose(const void* best, std::int64_t n_shards, std::int32_t* ids, std::int64_t rows,
              Stream&) override {
    Call call(*device_);
    kernels_->choose(call.in_bytes(best, n_shards * 2 * rows * 4), n_shards, call.out(ids, rows), rows,
                     device_->stream());
  }
  void end_step(const std::int32_t* ids, std::int32_t* history, std::int32_t* step, std::int32_t* positions,
                std::int64_t* slots, std::int32_t* own_length, std::int64_t rows, Stream&) override {
    Call call(*device_);
    const std::int32_t steps = rows == 0 ? 0 : *std::max_element(step, step + rows) + 1;
    kernels_->end_step(call.in(ids, rows), call.out(history, steps * rows), call.out(step, rows),
                       call.out(positions, rows), call.out(slots, rows), call.out(own_length, rows), rows,
                       device_->stream());
  }

 private:
  // The arrays of one call; brought back when it ends. Null stays null.
  class Call {
   public:
    explicit Call(Device& device) : device_(device) {}
    ~Call() noexcept(false) {
      for (const Written& w : written_) device_.copy_to_host(w.host, w.there, w.bytes);
      device_.synchronize();
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    void* in_bytes(const void* host, std::int64_t n) {
      if (host == nullptr) return nullptr;
      buffers_.push_back(device_.allocate(static_cast<std::size_t>(n)));
      device_.copy_to_device(buffers_.back()->data(), host, static_cast<std::size_t>(n));
      return buffers_.back()->data();
    }
    void* out_bytes(void* host, std::int64_t n) {
      void* there = in_bytes(host, n);
      if (there != nullptr) written_.push_back({host, there, static_cast<std::size_t>(n)});
      return there;
    }
    template <class T>
    const T* in(const T* host, std::int64_t n) {
      return static_cast<const T*>(in_bytes(host, n * static_cast<std::int64_t>(sizeof(T))));
    }
    template <class T>
    T* out(T* host, std::int64_t n) {
      return static_cast<T*>(out_bytes(host, n * static_cast<std::int64_t>(sizeof(T))));
    }
    // As far as `tokens` of the last head reach.
    KvView kv(const KvView& host, std::int64_t heads, std::int64_t tokens, std::int64_t head_dim,
              DType dtype) {
      const std::int64_t elements = (heads - 1) * host.head_stride +
                                    std::max<std::int64_t>(tokens - 1, 0) * host.token_stride + head_dim;
      const std::int64_t n = tokens == 0 ? 0 : elements * bytes(dtype);
      return {out_bytes(host.k, n), out_bytes(host.v, n), host.head_stride, host.token_stride, tokens};
    }

   private:
    struct Written {
      void* host;
      void* there;
      std::size_t bytes;
    };
    Device& device_;
    std::vector<std::unique_ptr<Buffer>> buffers_;
    std::vector<Written> written_;
  };

  static std::int64_t bytes(DType dtype) { return static_cast<std::int64_t>(size_of(dtype)); }

  static std::int64_t tokens_of(const AttentionArgs& args) {
    std::int64_t last = 0;
    for (std::int64_t s = 0; s < args.n_streams; ++s) {
      last = std::max(last, args.own_first[s] + args.own_length[s]);
    }
    for (std::int64_t i = 0; i < args.n_segments; ++i) {
      last = std::max(last, args.segment_first[i] + args.segment_length[i]);
    }
    return last;
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Kernels> kernels_;
};

// Which device the tests of this process are for: HYDRAJOB_TEST_DEVICE=cuda, or the CPU.
inline bool tests_cuda() {
  const char* device = std::getenv("HYDRAJOB_TEST_DEVICE");
  return device != nullptr && std::string(device) == "cuda";
}

// The kernels under test behind host pointers: the CPU's with `threads` threads, or the GPU's. Throws
// UsageError where there is no GPU.
inline std::unique_ptr<Kernels> make_tested_kernels(int threads) {
  if (!tests_cuda()) return make_cpu_kernels(threads);
  auto device = make_device({DeviceKind::cuda});
  auto kernels = make_kernels(*device, threads);
  return std::make_unique<HostSide>(std::move(device), std::move(kernels));
}

}  // namespace hydrajob::test
