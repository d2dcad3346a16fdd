// Whether the recall model (docs/recall.md) answers, and by how much the answer leads any other token: the
// tables of docs/recall.md, by prefix, mode and type. Alone or under mpirun, the model split over the ranks.
//   bench/recall ARCHITECTURE.yaml [PREFIX,PREFIX,… [MODE,MODE,… [f32|bf16|f16[,…] [SEED]]]]
#include <chrono>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "comm/mpi_session.hpp"
#include "comm/threads.hpp"
#include "engine/engine.hpp"
#include "tests/support/needles.hpp"

using namespace hydrajob;

namespace {

constexpr std::int64_t sequences = 8;

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

Mode parse_mode(const std::string& name) {
  for (const Mode mode : {Mode::hydragen, Mode::noshared, Mode::paged, Mode::noattention, Mode::automatic}) {
    if (to_string(mode) == name) return mode;
  }
  throw UsageError("unknown mode " + name);
}

struct Asked {
  std::string architecture;
  std::vector<std::string> prefixes{"1024", "16384"};
  std::vector<std::string> modes{"hydragen", "noshared", "paged", "auto", "noattention"};
  std::vector<std::string> dtypes{"f32", "bf16"};
  std::uint64_t seed = std::random_device{}();
};

Asked parse(const std::vector<std::string>& arguments) {
  Asked asked;
  if (arguments.empty()) throw UsageError("recall ARCHITECTURE.yaml [PREFIX,… [MODE,… [DTYPE,… [SEED]]]]");
  asked.architecture = arguments[0];
  if (arguments.size() > 1) asked.prefixes = split(arguments[1]);
  if (arguments.size() > 2) asked.modes = split(arguments[2]);
  if (arguments.size() > 3) asked.dtypes = split(arguments[3]);
  if (arguments.size() > 4) asked.seed = std::stoull(arguments[4]);
  return asked;
}

void measure(Engine& engine, const test::NeedleBatch& needles, const std::string& row, Mode mode,
             bool speaks) {
  const auto begin = std::chrono::steady_clock::now();
  GenerateOptions options;
  options.mode = mode;
  engine.prepare(needles.batch, options);
  engine.connect();
  engine.prefill();
  const double lead = test::margin(needles, engine.logits());
  for (std::int64_t step = 1; step < needles.batch.new_tokens; ++step) engine.decode();
  const double accuracy = test::accuracy(needles, engine.tokens());
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  if (!speaks) return;
  fmt::print("| {} | {} | {:.3f} | {:.3f} | {:.1f} |\n", row, to_string(mode), accuracy, lead, taken.count());
  std::cout << std::flush;
}

void run(const Asked& asked, Communicator& world) {
  const int threads = threads_per_rank(world, 0);
  const auto device = make_device({DeviceKind::cpu, world.rank(), world.size(), threads});
  const auto kernels = make_kernels(*device, threads);
  const EngineContext context{device.get(), kernels.get(), &world};
  const auto source = make_recall_weights(load_architecture(asked.architecture));
  const auto vocab = static_cast<std::int32_t>(source->architecture().vocab);
  std::uint64_t seed = asked.seed;
  world.broadcast(&seed, sizeof seed, 0);
  const bool speaks = world.rank() == 0;
  if (speaks) fmt::print("seed {}\n| prefix | dtype | ranks | mode | accuracy | least margin | s |\n", seed);
  for (const std::string& prefix : asked.prefixes) {
    const auto needles = test::NeedleMaker(vocab, sequences + 2, seed).make(std::stoll(prefix), sequences);
    for (const std::string& dtype : asked.dtypes) {
      Engine engine(load_model(*source, parse_dtype(dtype), sequences, context), context);
      for (const std::string& mode : asked.modes) {
        measure(engine, needles, fmt::format("{} | {} | {}", prefix, dtype, world.size()), parse_mode(mode),
                speaks);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    MpiSession session;
    run(parse({argv + 1, argv + argc}), session.world());
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
    return static_cast<int>(error.code());
  }
  return 0;
}
