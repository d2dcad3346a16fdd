// Runs the engine on a batch given as text and writes what it computed, for engine_test.py to compare:
//   engine_probe MODEL f32|bf16|f16 MODE CHUNK TEMPERATURE TOP_P SEED BATCH.txt OUT.bin      (alone or under
//   mpirun)
// BATCH.txt: "new_tokens N", then "node PARENT id…" and "sequence NODE id…" lines.
// HYDRAJOB_TEST_DEVICE=cuda: on the GPU; HYDRAJOB_TEST_RECORD=no: without a graph of the decode step.
// OUT.bin: for each step (sequences, vocab) f32 logits, then (sequences) int32 tokens.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "comm/device_group.hpp"
#include "comm/mpi_session.hpp"
#include "comm/threads.hpp"
#include "engine/engine.hpp"

using namespace hydrajob;

namespace {

Batch read_batch(const std::string& path) {
  Batch batch;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string kind;
    std::int64_t first = 0;
    words >> kind >> first;
    std::vector<std::int32_t> tokens;
    for (std::int32_t id; words >> id;) tokens.push_back(id);
    if (kind == "new_tokens") batch.new_tokens = first;
    if (kind == "node") batch.nodes.push_back({static_cast<int>(first), tokens});
    if (kind == "sequence") batch.sequences.push_back({static_cast<int>(first), tokens});
  }
  return batch;
}

Mode parse_mode(const std::string& name) {
  for (const Mode mode : {Mode::hydragen, Mode::noshared, Mode::paged, Mode::noattention, Mode::automatic}) {
    if (to_string(mode) == name) return mode;
  }
  throw UsageError("unknown mode " + name);
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

template <class T>
void append(std::ofstream& out, const std::vector<T>& values) {
  out.write(reinterpret_cast<const char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(T)));
}

void probe(const std::vector<std::string>& arguments, Communicator& world) {
  const DType dtype = parse_dtype(arguments[1]);
  const int threads = threads_per_rank(world, 0);
  const DeviceKind kind = variable("HYDRAJOB_TEST_DEVICE") == "cuda" ? DeviceKind::cuda : DeviceKind::cpu;
  const auto device = make_device({kind, world.rank(), world.size(), threads});
  const auto kernels = make_kernels(*device, threads);
  DeviceGroup group(world.split(0));
  EngineContext context{device.get(), kernels.get(), &group.on(*device)};
  const auto source = open_model_file(arguments[0], threads, world.rank(), world.size());
  Engine engine(load_model(*source, dtype, 16, context), context);

  const Batch batch = read_batch(arguments[7]);
  GenerateOptions options;
  options.mode = parse_mode(arguments[2]);
  options.prefill_chunk = std::stoll(arguments[3]);
  options.sampling = {std::stof(arguments[4]), std::stof(arguments[5]), std::stoull(arguments[6])};
  options.record_decode = variable("HYDRAJOB_TEST_RECORD") != "no";
  engine.prepare(batch, options);
  engine.connect();

  std::ofstream out;
  if (world.rank() == 0) out.open(arguments[8], std::ios::binary);
  for (int repeat = 0; repeat < 2; ++repeat) {  // the second time from reset(): it must be the same
    engine.reset();
    engine.prefill();
    for (std::int64_t step = 0; step < batch.new_tokens; ++step) {
      if (step > 0) engine.decode();
      const auto logits = engine.logits();
      if (world.rank() == 0) append(out, logits);
    }
    if (world.rank() == 0) append(out, engine.tokens());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() != 9) {
    std::cerr << "engine_probe: 9 arguments, see the top of engine_probe.cpp\n";
    return 2;
  }
  try {
    MpiSession session;
    probe(arguments, session.world());
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
    return static_cast<int>(error.code());
  }
  return 0;
}
