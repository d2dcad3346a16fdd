// The decode step of the engine against its matrix products alone: the weights' and attention's two, the same
// shapes through oneDNN in bf16, interleaved step by step. TinyLlama-1.1B's shape, random weights, one rank.
//   bench/decode_step [THREADS [BATCH [PREFIX,PREFIX,… [MODE]]]]
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <omp.h>

#include "bench/onednn_matmul.hpp"
#include "comm/communicator.hpp"
#include "engine/engine.hpp"
#include "timing/statistics.hpp"
#include "workload/generate.hpp"

using namespace hydrajob;
using bench::MatmulShape;
using bench::OneDnnMatmul;

namespace {

constexpr std::int64_t new_tokens = 32;

double seconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Architecture tinyllama() {
  Architecture a;
  a.name = "tinyllama-1.1b";
  a.n_layers = 22;
  a.hidden = 2048;
  a.n_heads = 32;
  a.n_kv_heads = 4;
  a.head_dim = 64;
  a.intermediate = 5632;
  a.vocab = 32000;
  a.max_positions = 16384;  // more than the model's own 2048: only the shapes matter here
  return a;
}

using Products = std::vector<std::unique_ptr<OneDnnMatmul>>;

void add(Products& products, const MatmulShape& shape) {
  products.push_back(std::make_unique<OneDnnMatmul>(shape, dnnl::memory::data_type::bf16));
}

// Each layer has matrices of its own, so that they come from memory as the engine's do.
Products weight_products(const Architecture& a, std::int64_t batch) {
  Products products;
  for (std::int64_t layer = 0; layer < a.n_layers; ++layer) {
    add(products, {1, batch, a.hidden, (a.n_heads + 2 * a.n_kv_heads) * a.head_dim});
    add(products, {1, batch, a.n_heads * a.head_dim, a.hidden});
    add(products, {1, batch, a.hidden, 2 * a.intermediate});
    add(products, {1, batch, a.intermediate, a.hidden});
  }
  add(products, {1, batch, a.hidden, a.vocab});
  return products;
}

// Queries of a KV head's group against the prefix, and the scores against its values.
Products attention_products(const Architecture& a, std::int64_t batch, std::int64_t prefix) {
  Products products;
  const std::int64_t rows = batch * a.group_size();
  for (std::int64_t layer = 0; layer < a.n_layers; ++layer) {
    add(products, {a.n_kv_heads, rows, a.head_dim, prefix, false, true});
    add(products, {a.n_kv_heads, rows, prefix, a.head_dim, false, false});
  }
  return products;
}

double time_of(const Products& products) {
  return seconds([&] {
    for (const auto& product : products) product->run();
  });
}

RunSpec spec_of(const Architecture& a, std::int64_t batch, std::int64_t prefix) {
  RunSpec spec;
  spec.architecture = a;
  spec.batch = batch;
  spec.prefix = prefix;
  spec.tree = {{1, prefix}};
  spec.new_tokens = new_tokens;
  return spec;
}

struct Row {
  double prefill_s = 0;
  double step_s = 0;
  double weights_s = 0;
  double attention_s = 0;
};

Row measure(Engine& engine, const Architecture& a, std::int64_t batch, std::int64_t prefix, Mode mode,
            const Products& weights) {
  GenerateOptions options;
  options.mode = mode;
  engine.prepare(make_batch(spec_of(a, batch, prefix)), options);
  engine.connect();
  const Products attention = attention_products(a, batch, prefix);
  Row row;
  row.prefill_s = seconds([&] { engine.prefill(); });
  std::vector<double> step, weight, attend;
  for (std::int64_t i = 1; i < new_tokens; ++i) {
    step.push_back(seconds([&] { engine.decode(); }));
    weight.push_back(time_of(weights));
    attend.push_back(time_of(attention));
  }
  row.step_s = median(step);
  row.weights_s = median(weight);
  row.attention_s = median(attend);
  return row;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  const std::int64_t batch = argc > 2 ? std::atoll(argv[2]) : 64;
  std::istringstream prefixes(argc > 3 ? argv[3] : "512,2048,8192");
  const std::string mode_name = argc > 4 ? argv[4] : "hydragen";
  const Mode mode = mode_name == "paged"         ? Mode::paged
                    : mode_name == "noattention" ? Mode::noattention
                                                 : Mode::hydragen;

  const Architecture a = tinyllama();
  const auto device = make_device({DeviceKind::cpu, 0, 1, threads});
  const auto kernels = make_cpu_kernels(threads);
  const auto self = make_self_communicator();
  const EngineContext context{device.get(), kernels.get(), self.get()};
  const auto source = make_random_weights(a, 1, threads);
  Engine engine(load_model(*source, DType::bf16, batch, context), context);
  omp_set_num_threads(threads);
  const Products weights = weight_products(a, batch);

  std::cout
      << fmt::format("TinyLlama-1.1B shape, bf16, batch {}, {} threads, mode {}, {} steps; medians\n\n",
                     batch, threads, to_string(mode), new_tokens - 1)
      << "| prefix | prefill tok/s | decode tok/s | step ms | products ms (weights + attention) | ratio |\n"
      << "|---|---|---|---|---|---|\n";
  for (std::string word; std::getline(prefixes, word, ',');) {
    const std::int64_t prefix = std::stoll(word);
    const Row row = measure(engine, a, batch, prefix, mode, weights);
    const double products = row.weights_s + row.attention_s;
    std::cout << fmt::format("| {} | {:.0f} | {:.1f} | {:.1f} | {:.1f} ({:.1f} + {:.1f}) | {:.3f} |\n",
                             prefix, static_cast<double>(prefix) / row.prefill_s,
                             static_cast<double>(batch) / row.step_s, row.step_s * 1e3, products * 1e3,
                             row.weights_s * 1e3, row.attention_s * 1e3, row.step_s / products)
              << std::flush;
  }
  return 0;
}
