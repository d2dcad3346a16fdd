// Attention beside its two products alone through oneDNN (bf16): what the matrix units of this machine give
// for the same shapes, with no softmax, no causality, no merging. Both run in turn, each after reading a
// buffer larger than the last-level cache, as layers of a model find it. Medians.
//
//   attention [threads] [substring of the cases wanted] [iterations]
#include "kernels/cpu/attention.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <dnnl.hpp>
#include <fmt/format.h>
#include <omp.h>

#include "base/bf16.hpp"
#include "device/device.hpp"

namespace {

using hydrajob::AttentionArgs;
using hydrajob::Bf16;
using hydrajob::DType;

struct Case {
  std::string name;
  std::int64_t n_heads, n_kv_heads, head_dim;
  std::int64_t streams, rows;  // rows of each stream
  std::int64_t prefix;         // tokens of the one segment
  std::int64_t own;            // tokens of each stream
  bool share = true;
};

std::vector<Case> cases() {
  std::vector<Case> list;
  for (const std::int64_t prefix : {512, 2048, 8192}) {
    list.push_back(
        {fmt::format("TinyLlama decode hydragen, prefix {}", prefix), 32, 4, 64, 64, 1, prefix, 32});
  }
  for (const std::int64_t prefix : {512, 2048}) {
    list.push_back(
        {fmt::format("TinyLlama decode paged, prefix {}", prefix), 32, 4, 64, 64, 1, prefix, 32, false});
    list.push_back(
        {fmt::format("TinyLlama decode noshared, prefix {}", prefix), 32, 4, 64, 64, 1, 0, prefix + 32});
  }
  list.push_back({"7B decode hydragen, prefix 4096", 32, 32, 128, 64, 1, 4096, 0});
  list.push_back({"7B decode hydragen, prefix 4096, suffix 128", 32, 32, 128, 64, 1, 4096, 128});
  list.push_back({"7B decode paged, prefix 4096", 32, 32, 128, 64, 1, 4096, 0, false});
  list.push_back({"7B decode noshared, prefix 4096", 32, 32, 128, 64, 1, 0, 4096});
  list.push_back({"TinyLlama decode batch 1, prefix 8192", 32, 4, 64, 1, 1, 8192, 32});
  for (const std::int64_t before : {0, 1536, 7680}) {
    list.push_back(
        {fmt::format("TinyLlama prefill 512 rows, {} before", before), 32, 4, 64, 1, 512, 0, before + 512});
  }
  list.push_back({"7B prefill 512 rows, 3584 before", 32, 32, 128, 1, 512, 0, 4096});
  list.push_back({"8B prefill 16 x 32 rows, prefix 4096", 32, 8, 128, 16, 32, 4096, 32});
  return list;
}

// The engine's own memory: huge pages where the system gives them.
hydrajob::Device& device() {
  static const auto cpu = hydrajob::make_device({});
  return *cpu;
}

// --- ours --------------------------------------------------------------------------------------------------

// One layer's tensors and the arguments that point at them.
class Problem {
 public:
  Problem(const Case& c, DType dtype, int threads) : threads_(threads) {
    const std::int64_t tokens = c.prefix + c.streams * c.own;
    const std::int64_t rows = c.streams * c.rows;
    q_ = random_values(rows * c.n_heads * c.head_dim, dtype);
    k_ = random_values(c.n_kv_heads * tokens * c.head_dim, dtype);
    v_ = random_values(c.n_kv_heads * tokens * c.head_dim, dtype);
    out_ = device().allocate(q_->bytes());
    for (std::int64_t s = 0; s <= c.streams; ++s) stream_row_.push_back(s * c.rows);
    for (std::int64_t s = 0; s < c.streams; ++s) own_first_.push_back(c.prefix + s * c.own);
    own_length_.assign(static_cast<std::size_t>(c.streams), static_cast<std::int32_t>(c.own));
    segment_length_ = {static_cast<std::int32_t>(c.prefix)};
    segment_row_end_ = {rows};
    describe(c, dtype, tokens);
    args_.workspace_bytes = hydrajob::cpu::attention_workspace(args_, threads);
    workspace_ = device().allocate(args_.workspace_bytes);
    args_.workspace = workspace_->data();
  }

  void run() const { hydrajob::cpu::attention(args_, threads_); }
  const void* k() const { return args_.kv.k; }
  const void* v() const { return args_.kv.v; }

 private:
  static std::unique_ptr<hydrajob::Buffer> random_values(std::int64_t n, DType dtype) {
    static std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<float> pattern(4099);
    for (float& x : pattern) x = uniform(random);
    auto buffer = device().allocate(static_cast<std::size_t>(n) * size_of(dtype));
    for (std::int64_t i = 0; i < n; ++i) {
      const float x = pattern[static_cast<std::size_t>(i) % pattern.size()];
      if (dtype == DType::f32) {
        buffer->as<float>()[i] = x;
      } else {
        buffer->as<Bf16>()[i] = Bf16(x);
      }
    }
    return buffer;
  }

  void describe(const Case& c, DType dtype, std::int64_t tokens) {
    args_.q = q_->data();
    args_.out = out_->data();
    args_.kv = {k_->data(), v_->data(), tokens * c.head_dim, c.head_dim};
    args_.n_rows = c.streams * c.rows;
    args_.n_heads = c.n_heads;
    args_.n_kv_heads = c.n_kv_heads;
    args_.head_dim = c.head_dim;
    args_.scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
    args_.dtype = dtype;
    args_.n_streams = c.streams;
    args_.stream_row = stream_row_.data();
    args_.own_first = own_first_.data();
    args_.own_length = own_length_.data();
    args_.n_segments = c.prefix > 0 ? 1 : 0;
    args_.segment_first = &zero_;
    args_.segment_length = segment_length_.data();
    args_.segment_row_begin = &zero_;
    args_.segment_row_end = segment_row_end_.data();
    args_.share = c.share;
  }

  const std::int64_t zero_ = 0;
  const int threads_;
  std::unique_ptr<hydrajob::Buffer> q_, k_, v_, out_, workspace_;
  std::vector<std::int64_t> stream_row_, own_first_, segment_row_end_;
  std::vector<std::int32_t> own_length_, segment_length_;
  AttentionArgs args_;
};

// --- the products through oneDNN ---------------------------------------------------------------------------

// scores = q k^T and out = scores v for `batch` heads at once: q (batch, m, d), k and v (batch, n, d), all
// bf16.
class Products {
 public:
  Products(std::int64_t batch, std::int64_t m, std::int64_t n, std::int64_t d, const void* k, const void* v)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using Tag = dnnl::memory::format_tag;
    const auto desc = [](std::int64_t a, std::int64_t b, std::int64_t c, Tag tag) {
      return dnnl::memory::desc({a, b, c}, dnnl::memory::data_type::bf16, tag);
    };
    const auto q = desc(batch, m, d, Tag::abc);
    const auto keys = desc(batch, d, n, Tag::acb);
    const auto scores = desc(batch, m, n, Tag::abc);
    const auto values = desc(batch, n, d, Tag::abc);
    q_ = dnnl::memory(q, engine_);
    scores_ = dnnl::memory(scores, engine_);
    out_ = dnnl::memory(q, engine_);
    keys_ = dnnl::memory(keys, engine_, const_cast<void*>(k));
    values_ = dnnl::memory(values, engine_, const_cast<void*>(v));
    scores_of_ = matmul(q, keys, scores);
    out_of_ = matmul(scores, values, q);
  }

  void run() {
    scores_of_.execute(stream_, {{DNNL_ARG_SRC, q_}, {DNNL_ARG_WEIGHTS, keys_}, {DNNL_ARG_DST, scores_}});
    out_of_.execute(stream_, {{DNNL_ARG_SRC, scores_}, {DNNL_ARG_WEIGHTS, values_}, {DNNL_ARG_DST, out_}});
    stream_.wait();
  }

 private:
  dnnl::matmul matmul(const dnnl::memory::desc& a, const dnnl::memory::desc& b,
                      const dnnl::memory::desc& c) const {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl::matmul(dnnl::matmul::primitive_desc(engine_, a, b, c));
#else
    return dnnl::matmul(dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, c), engine_));
#endif
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::memory q_, keys_, scores_, values_, out_;
  dnnl::matmul scores_of_, out_of_;
};

// The same rows and keys as rectangles: shared keys for all rows, or each stream's own.
std::vector<std::unique_ptr<Products>> products_of(const Case& c, const Problem& problem) {
  const std::int64_t group = c.n_heads / c.n_kv_heads;
  std::vector<std::unique_ptr<Products>> list;
  const std::int64_t times = c.share ? 1 : c.streams;  // paged: the one copy is read once for each stream
  for (std::int64_t i = 0; c.prefix > 0 && i < times; ++i) {
    list.push_back(std::make_unique<Products>(c.n_kv_heads, c.streams / times * c.rows * group, c.prefix,
                                              c.head_dim, problem.k(), problem.v()));
  }
  if (c.own > 0) {
    list.push_back(std::make_unique<Products>(c.streams * c.n_kv_heads, c.rows * group, c.own, c.head_dim,
                                              problem.k(), problem.v()));
  }
  return list;
}

// --- measuring ---------------------------------------------------------------------------------------------

void flush_caches() {
  static const std::vector<std::int64_t> large((128 << 20) / sizeof(std::int64_t), 1);
  [[maybe_unused]] static volatile std::int64_t sink = 0;
  std::int64_t sum = 0;
#pragma omp parallel for reduction(+ : sum)
  for (std::size_t i = 0; i < large.size(); i += 8) sum += large[i];
  sink = sum;
}

double seconds(const std::function<void()>& work) {
  flush_caches();
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// Of both products, the causal triangle of several rows counted as it is.
double flops(const Case& c) {
  const double keys =
      static_cast<double>(c.prefix) + static_cast<double>(c.own) - static_cast<double>(c.rows - 1) / 2;
  return 4 * keys * static_cast<double>(c.streams * c.rows * c.n_heads * c.head_dim);
}

double kv_bytes(const Case& c) {
  const std::int64_t tokens = c.prefix * (c.share ? 1 : c.streams) + c.streams * c.own;
  return static_cast<double>(tokens * c.n_kv_heads * c.head_dim) * 4;
}

void measure(const Case& c, int threads, int iterations) {
  const Problem bf16(c, DType::bf16, threads);
  const Problem f32(c, DType::f32, threads);
  const auto products = products_of(c, bf16);
  std::vector<double> ours;
  std::vector<double> ours_f32;
  std::vector<double> theirs;
  for (int i = -1; i < iterations; ++i) {
    const double a = seconds([&] { bf16.run(); });
    const double b = seconds([&] {
      for (const auto& p : products) p->run();
    });
    const double d = seconds([&] { f32.run(); });
    if (i < 0) continue;
    ours.push_back(a);
    theirs.push_back(b);
    ours_f32.push_back(d);
  }
  const double t = median(ours);
  fmt::print("{:46} {:9.3f} {:8.0f} {:7.1f} {:9.3f} {:7.2f} {:9.3f} {:8.0f}\n", c.name, t * 1e3,
             flops(c) / t * 1e-9, kv_bytes(c) / t * 1e-9, median(theirs) * 1e3, t / median(theirs),
             median(ours_f32) * 1e3, flops(c) / median(ours_f32) * 1e-9);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : omp_get_max_threads();
  const std::string_view wanted = argc > 2 ? argv[2] : "";
  const int iterations = argc > 3 ? std::atoi(argv[3]) : 11;
  omp_set_num_threads(threads);
  fmt::print("{} threads, {}\n", threads, hydrajob::cpu::name_of(hydrajob::cpu::isa()));
  fmt::print("{:46} {:>9} {:>8} {:>7} {:>9} {:>7} {:>9} {:>8}\n", "", "bf16 ms", "GFLOP/s", "KV GB/s",
             "oneDNN ms", "ratio", "f32 ms", "GFLOP/s");
  for (const Case& c : cases()) {
    if (c.name.find(wanted) != std::string::npos) measure(c, threads, iterations);
  }
  return 0;
}
