// Random attention problems over trees, and running them through the reference and through the kernels under
// test.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/attention.hpp"
#include "kernels/cpu/isa.hpp"
#include "kernels/tensor.hpp"

namespace hydrajob::test {

struct TreeShape {
  std::int64_t n_kv_heads = 1;
  std::int64_t group = 1;
  std::int64_t head_dim = 64;
  DType dtype = DType::f32;
  int depth = 1;                        // segments above each stream
  int fan_out = 3;                      // children of a segment at most, and streams of a leaf
  std::int64_t most_rows = 1;           // of a stream
  std::vector<std::int32_t> lengths{};  // that segments and own parts are drawn from
  std::int64_t token_padding = 8;       // elements between tokens, NaN: nothing may read past a head
};

// Streams and segments in depth-first order; the cache has gaps between them, filled with NaN.
class TreeProblem {
 public:
  TreeProblem(const TreeShape& shape, std::uint64_t seed);
  // No segments: streams of the given rows and own lengths.
  TreeProblem(const TreeShape& shape, const std::vector<std::int64_t>& rows,
              const std::vector<std::int32_t>& own_lengths, std::uint64_t seed);

  // Adds a segment for rows [begin, end), with keys of its own. Before fill().
  void add_segment(std::int32_t length, std::int64_t begin, std::int64_t end);
  // Draws q, k and v.
  void fill();
  // After q, k or v were changed; they must stay exact in the shape's dtype.
  void use_values();

  // Everything but out, lse and the workspace; f32 whatever the shape says, for the reference.
  AttentionArgs args_f32() const;
  AttentionArgs args() const;

  const TreeShape& shape() const { return shape_; }
  std::int64_t n_rows() const { return stream_row.back(); }
  std::int64_t out_elements() const { return n_rows() * shape_.n_kv_heads * shape_.group * shape_.head_dim; }

  std::vector<float> q, k, v;  // values that are exact in the shape's dtype
  std::vector<std::int64_t> stream_row{0};
  std::vector<std::int64_t> own_first;
  std::vector<std::int32_t> own_length;
  std::vector<std::int64_t> segment_first;
  std::vector<std::int32_t> segment_length;
  std::vector<std::int64_t> segment_row_begin;
  std::vector<std::int64_t> segment_row_end;

 private:
  void add_node(int depth);
  void add_stream(std::int64_t rows, std::int32_t own);
  std::int64_t take_tokens(std::int64_t n);
  void draw(std::vector<float>& values, std::size_t n);
  std::int32_t any_length();
  std::int64_t below(std::int64_t n);

  TreeShape shape_;
  std::mt19937_64 random_;
  std::int64_t cache_tokens_ = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> used_;              // runs of cache tokens
  Tensor q_{0, shape_.dtype}, k_{0, shape_.dtype}, v_{0, shape_.dtype};  // the same values
};

struct AttentionResult {
  std::vector<double> out;  // (n_rows, n_heads, head_dim)
  std::vector<float> lse;   // (n_rows, n_heads)
};

AttentionResult run_reference(const TreeProblem& problem);

// One way to compute: on the CPU, or on the GPU that HYDRAJOB_TEST_DEVICE asks for.
struct KernelRun {
  int threads = 1;
  bool share = true;
  cpu::Isa isa = cpu::Isa::portable;
  bool cuda = false;
  std::int32_t growth = 0;  // tokens that a GPU's plan has room for beyond the own ones that there are

  std::string name() const;
};

// Every instruction set of this processor with each number of threads; or the GPU, last with a plan for these
// lengths alone.
std::vector<KernelRun> all_runs(bool share, const std::vector<int>& threads);

// Output and workspace are poisoned before; a write outside the workspace is a test failure.
AttentionResult run_kernels(const TreeProblem& problem, const KernelRun& run);

// Skips the test, with the reason, where it asks for a GPU that is not there.
class AttentionTest : public ::testing::TestWithParam<DType> {
 protected:
  void SetUp() override;
};

// Fails the test where `result` is further from `reference` than its dtype may be.
void expect_close(const AttentionResult& result, const AttentionResult& reference, const TreeShape& shape);

}  // namespace hydrajob::test
