#include "kernels/attention/tree_problem.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <new>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/cpu/attention.hpp"
#include "kernels/host_side.hpp"
#include "kernels/reference/attention.hpp"
#include "kernels/tensor.hpp"

namespace hydrajob::test {
namespace {

// Long enough that own parts are cut, and that some of their parts have no tokens yet.
constexpr std::int32_t grown = 1000;
constexpr std::align_val_t page{4096};

Tensor tensor_of(const std::vector<float>& values, DType dtype) {
  Tensor tensor(static_cast<std::int64_t>(values.size()), dtype);
  for (std::size_t i = 0; i < values.size(); ++i) tensor.set(static_cast<std::int64_t>(i), values[i]);
  return tensor;
}

struct AlignedDelete {
  void operator()(unsigned char* p) const { ::operator delete(p, page); }
};

double relative_error(const double* a, const double* b, std::int64_t n) {
  double difference = 0;
  double norm = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return difference == 0 ? 0 : std::sqrt(difference / norm);
}

// Made once: a context takes a second.
Kernels& gpu() {
  static const std::unique_ptr<Kernels> kernels = make_tested_kernels(1);
  return *kernels;
}

// With a workspace between guards.
void run_cpu(AttentionArgs args, const KernelRun& run) {
  args.workspace_bytes = cpu::attention_workspace(args, run.threads);
  constexpr std::size_t guard = 256;
  const std::unique_ptr<unsigned char, AlignedDelete> workspace(
      static_cast<unsigned char*>(::operator new(args.workspace_bytes + guard, page)));
  std::memset(workspace.get(), 0xff, args.workspace_bytes);
  std::memset(workspace.get() + args.workspace_bytes, 0x5a, guard);
  args.workspace = workspace.get();
  cpu::attention(args, run.threads, run.isa);
  for (std::size_t i = 0; i < guard; ++i)
    EXPECT_EQ(workspace.get()[args.workspace_bytes + i], 0x5a) << run.name();
}

}  // namespace

TreeProblem::TreeProblem(const TreeShape& shape, std::uint64_t seed) : shape_(shape), random_(seed) {
  const std::int64_t roots = 1 + below(2);
  for (std::int64_t i = 0; i < roots; ++i) add_node(0);
}

TreeProblem::TreeProblem(const TreeShape& shape, const std::vector<std::int64_t>& rows,
                         const std::vector<std::int32_t>& own_lengths, std::uint64_t seed)
    : shape_(shape), random_(seed) {
  for (std::size_t i = 0; i < rows.size(); ++i) add_stream(rows[i], own_lengths[i]);
}

void TreeProblem::add_node(int depth) {
  if (depth == shape_.depth) {
    for (std::int64_t streams = 1 + below(shape_.fan_out); streams > 0; --streams) {
      const std::int64_t rows = 1 + below(shape_.most_rows);
      const std::int32_t history = any_length();
      const bool empty = below(5) == 0;
      add_stream(rows, empty ? 0 : history + static_cast<std::int32_t>(rows));
    }
    return;
  }
  const std::size_t segment = segment_first.size();
  const std::int32_t length = any_length();
  add_segment(length, stream_row.back(), 0);
  for (std::int64_t children = 1 + below(shape_.fan_out); children > 0; --children) add_node(depth + 1);
  segment_row_end[segment] = stream_row.back();
}

void TreeProblem::add_segment(std::int32_t length, std::int64_t begin, std::int64_t end) {
  segment_first.push_back(take_tokens(length));
  segment_length.push_back(length);
  segment_row_begin.push_back(begin);
  segment_row_end.push_back(end);
}

void TreeProblem::add_stream(std::int64_t rows, std::int32_t own) {
  stream_row.push_back(stream_row.back() + rows);
  own_first.push_back(take_tokens(own));
  own_length.push_back(own);
}

std::int64_t TreeProblem::take_tokens(std::int64_t n) {
  const std::int64_t first = cache_tokens_ + below(3);
  used_.emplace_back(first, n);
  cache_tokens_ = first + n;
  return first;
}

void TreeProblem::fill() {
  const std::int64_t stride = shape_.head_dim + shape_.token_padding;
  draw(q, static_cast<std::size_t>(out_elements()));
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  const auto elements = static_cast<std::size_t>(shape_.n_kv_heads * (cache_tokens_ + 1) * stride);
  k.assign(elements, nan);
  v.assign(elements, nan);
  std::vector<float> token;
  for (std::int64_t head = 0; head < shape_.n_kv_heads; ++head) {
    for (const auto& [first, n] : used_) {
      for (std::int64_t t = first; t < first + n; ++t) {
        const auto at = static_cast<std::size_t>((head * (cache_tokens_ + 1) + t) * stride);
        draw(token, static_cast<std::size_t>(2 * shape_.head_dim));
        std::copy_n(token.begin(), shape_.head_dim, k.begin() + static_cast<std::ptrdiff_t>(at));
        std::copy_n(token.begin() + shape_.head_dim, shape_.head_dim,
                    v.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
  }
  use_values();
}

void TreeProblem::use_values() {
  q_ = tensor_of(q, shape_.dtype);
  k_ = tensor_of(k, shape_.dtype);
  v_ = tensor_of(v, shape_.dtype);
}

// Scores of a standard deviation of 2: peaked softmaxes, and maxima that rise from block to block.
void TreeProblem::draw(std::vector<float>& values, std::size_t n) {
  std::normal_distribution<float> normal(0.1F, 1.4F);
  values.resize(n);
  for (float& x : values) {
    x = with_element(shape_.dtype,
                     [&](auto element) { return static_cast<float>(decltype(element)(normal(random_))); });
  }
}

std::int32_t TreeProblem::any_length() {
  return shape_.lengths[static_cast<std::size_t>(below(static_cast<std::int64_t>(shape_.lengths.size())))];
}

std::int64_t TreeProblem::below(std::int64_t n) {
  return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n));
}

AttentionArgs TreeProblem::args_f32() const {
  AttentionArgs args;
  args.q = q.data();
  args.kv.k = const_cast<float*>(k.data());
  args.kv.v = const_cast<float*>(v.data());
  args.kv.token_stride = shape_.head_dim + shape_.token_padding;
  args.kv.head_stride = (cache_tokens_ + 1) * args.kv.token_stride;
  args.n_rows = n_rows();
  args.n_heads = shape_.n_kv_heads * shape_.group;
  args.n_kv_heads = shape_.n_kv_heads;
  args.head_dim = shape_.head_dim;
  args.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(shape_.head_dim)));
  args.dtype = DType::f32;
  args.n_streams = static_cast<std::int64_t>(own_first.size());
  args.stream_row = stream_row.data();
  args.own_first = own_first.data();
  args.own_length = own_length.data();
  args.n_segments = static_cast<std::int64_t>(segment_first.size());
  args.segment_first = segment_first.data();
  args.segment_length = segment_length.data();
  args.segment_row_begin = segment_row_begin.data();
  args.segment_row_end = segment_row_end.data();
  return args;
}

AttentionArgs TreeProblem::args() const {
  AttentionArgs args = args_f32();
  args.dtype = shape_.dtype;
  args.q = q_.data();
  args.kv.k = const_cast<void*>(k_.data());
  args.kv.v = const_cast<void*>(v_.data());
  return args;
}

AttentionResult run_reference(const TreeProblem& problem) {
  const auto n = static_cast<std::size_t>(problem.out_elements());
  std::vector<float> out(n);
  AttentionResult result;
  result.lse.resize(n / static_cast<std::size_t>(problem.shape().head_dim));
  AttentionArgs args = problem.args_f32();
  args.out = out.data();
  args.lse = result.lse.data();
  reference::attention(args);
  result.out.assign(out.begin(), out.end());
  return result;
}

std::string KernelRun::name() const {
  if (cuda) return fmt::format("cuda, {}, growth {}", share ? "shared" : "paged", growth);
  return fmt::format("{}, {} threads, {}", cpu::name_of(isa), threads, share ? "shared" : "paged");
}

std::vector<KernelRun> all_runs(bool share, const std::vector<int>& threads) {
  if (tests_cuda()) return {{.share = share, .cuda = true, .growth = grown}, {.share = share, .cuda = true}};
  std::vector<KernelRun> runs;
  for (int i = 0; i <= static_cast<int>(cpu::detected_isa()); ++i) {
    for (const int n : threads)
      runs.push_back({.threads = n, .share = share, .isa = static_cast<cpu::Isa>(i)});
  }
  return runs;
}

void AttentionTest::SetUp() {
  try {
    if (tests_cuda()) gpu();
  } catch (const UsageError& e) {
    GTEST_SKIP() << e.what();
  }
}

AttentionResult run_kernels(const TreeProblem& problem, const KernelRun& run) {
  const auto n = static_cast<std::size_t>(problem.out_elements());
  Tensor out(problem.out_elements(), problem.shape().dtype);
  AttentionResult result;
  result.lse.assign(n / static_cast<std::size_t>(problem.shape().head_dim),
                    std::numeric_limits<float>::quiet_NaN());

  AttentionArgs args = problem.args();
  args.share = run.share;
  args.out = out.data();
  args.lse = result.lse.data();
  if (run.cuda) {
    NoStream stream;
    gpu().attention(*gpu().plan_attention(args, run.growth), args, stream);
  } else {
    run_cpu(args, run);
  }
  for (std::int64_t i = 0; i < out.size(); ++i) result.out.push_back(out.at(i));
  return result;
}

void expect_close(const AttentionResult& result, const AttentionResult& reference, const TreeShape& shape) {
  // In bf16 twice what rounding the weights and the output takes, in f16 too little for either of them in
  // bf16.
  const double bar = shape.dtype == DType::f32 ? 1e-5 : shape.dtype == DType::bf16 ? 1e-2 : 1e-3;
  const double lse_bar = shape.dtype == DType::f32 ? 1e-5 : bar / 10;
  ASSERT_EQ(result.out.size(), reference.out.size());
  const auto elements = static_cast<std::int64_t>(result.out.size());
  EXPECT_LT(relative_error(result.out.data(), reference.out.data(), elements), bar);
  for (std::size_t row = 0; row < result.lse.size(); ++row) {
    const std::size_t at = row * static_cast<std::size_t>(shape.head_dim);
    // No row hides behind the others; a row of small outputs may be relatively worse.
    ASSERT_LT(relative_error(&result.out[at], &reference.out[at], shape.head_dim), 4 * bar)
        << "row and head " << row;
    const float expected = reference.lse[row];
    if (std::isinf(expected)) {
      ASSERT_EQ(result.lse[row], expected) << "row and head " << row;
    } else {
      ASSERT_NEAR(result.lse[row], expected, lse_bar * (1 + std::abs(expected))) << "row and head " << row;
    }
  }
}

}  // namespace hydrajob::test
