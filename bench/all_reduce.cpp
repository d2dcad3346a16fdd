// The sum over GPUs between a sublayer and the next, in a recorded step: NCCL's all-reduce alone, NCCL's with
// the normalisation behind it, and the normalisation that reads its peers' parts itself. In turn, in one run;
// the time of the slowest rank.
//   mpirun -np 2 bench/all_reduce [HIDDEN [ROWS,ROWS,…]]
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/bf16.hpp"
#include "base/error.hpp"
#include "comm/device_group.hpp"
#include "comm/mpi_session.hpp"
#include "engine/peer_sums.hpp"
#include "kernels/kernels.hpp"
#include "timing/statistics.hpp"

using namespace hydrajob;

namespace {

constexpr int sums = 64;    // of a recorded step: two a layer of 32
constexpr int rounds = 31;  // of every way
constexpr float eps = 1e-5F;

struct Ways {
  std::unique_ptr<Replay> nccl, nccl_and_norm, peers;
};

class AllReduce {
 public:
  AllReduce(Device& device, Kernels& kernels, Communicator& group, std::int64_t rows, std::int64_t hidden)
      : device_(device), kernels_(kernels), group_(group), rows_(rows), hidden_(hidden) {
    peers_ = PeerSums::make(group, rows, hidden, DType::bf16);
    // What NCCL adds up in place is soon infinite; its time does not depend on it.
    const std::vector<Bf16> part(static_cast<std::size_t>(rows * hidden), Bf16(1e-30F));
    const std::vector<float> residual(part.size(), 1.0F);
    const std::vector<Bf16> gain(static_cast<std::size_t>(hidden), Bf16(1.0F));
    part_ = upload(part);
    normed_ = upload(part);
    residual_ = upload(residual);
    gain_ = upload(gain);
    if (peers_) {
      for (int place = 0; place < 2; ++place) {
        device_.copy_on_device(peers_->next(), part_->data(), part_->bytes());
      }
    }
    device_.synchronize();
  }

  Ways ways() {
    Ways ways;
    ways.nccl = record([this] { reduce(); });
    ways.nccl_and_norm = record([this] {
      reduce();
      PartialSums summed;
      summed.parts[0] = part_->data();
      summed.n = 1;
      summed.dtype = DType::bf16;
      norm(summed);
    });
    if (peers_) {
      ways.peers = record([this] {
        peers_->next();
        norm(peers_->sums());
      });
    }
    return ways;
  }

 private:
  template <class T>
  std::unique_ptr<Buffer> upload(const std::vector<T>& host) {
    auto buffer = device_.allocate(host.size() * sizeof(T));
    device_.copy_to_device(buffer->data(), host.data(), buffer->bytes());
    device_.synchronize();
    return buffer;
  }

  std::unique_ptr<Replay> record(const std::function<void()>& one) {
    return device_.record([one] {
      for (int i = 0; i < sums; ++i) one();
    });
  }

  void reduce() { group_.all_reduce_sum(part_->data(), rows_ * hidden_, DType::bf16, device_.stream()); }
  void norm(const PartialSums& added) {
    kernels_.add_rmsnorm(residual_->as<float>(), added, gain_->data(), normed_->data(), rows_, hidden_, eps,
                         DType::bf16, device_.stream());
  }

  Device& device_;
  Kernels& kernels_;
  Communicator& group_;
  std::int64_t rows_, hidden_;
  std::optional<PeerSums> peers_;
  std::unique_ptr<Buffer> part_, residual_, normed_, gain_;
};

// Microseconds of one sum.
double time_of(Replay* step, Device& device, Communicator& group) {
  if (step == nullptr) return 0;
  group.barrier();
  const auto begin = device.mark();
  step->launch();
  const auto end = device.mark();
  device.synchronize();
  return group.all_reduce_max(device.seconds_between(*begin, *end)) / sums * 1e6;
}

void measure(Device& device, Kernels& kernels, Communicator& group, std::int64_t rows, std::int64_t hidden) {
  AllReduce all_reduce(device, kernels, group, rows, hidden);
  const Ways ways = all_reduce.ways();
  std::vector<double> us[3];
  for (int round = 0; round < rounds; ++round) {
    us[0].push_back(time_of(ways.nccl.get(), device, group));
    us[1].push_back(time_of(ways.nccl_and_norm.get(), device, group));
    us[2].push_back(time_of(ways.peers.get(), device, group));
  }
  if (group.rank() != 0) return;
  const double kb = static_cast<double>(rows * hidden) * 2 / 1024;
  const double nccl = median(us[0]), with_norm = median(us[1]), peers = median(us[2]);
  std::cout << fmt::format("| {} | {:.0f} | {:.1f} | {:.1f} | {:.1f} | {:.2f} | {:.2f} |", rows, kb, nccl,
                           with_norm, peers, peers / nccl, peers / with_norm)
            << std::endl;
}

std::vector<std::int64_t> list_of(const std::string& text) {
  std::vector<std::int64_t> values;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) values.push_back(std::stoll(word));
  return values;
}

void run(int argc, char** argv, Communicator& world) {
  const std::int64_t hidden = argc > 1 ? std::stoll(argv[1]) : 4096;
  const auto rows = list_of(argc > 2 ? argv[2] : "8,32,64,128,256,512,1024");
  DeviceRequest request;
  request.kind = DeviceKind::cuda;
  request.local_rank = world.rank();
  request.local_size = world.size();
  const auto device = make_device(request);
  const auto kernels = make_kernels(*device, 1);
  DeviceGroup group(world.split(0));
  Communicator& on_gpus = group.on(*device);
  if (world.rank() == 0) {
    std::cout << "us a sum, medians of " << rounds << ", " << world.size() << " x "
              << device->describe().at("gpu") << ", " << gpu_collectives_version() << "\n"
              << "| rows | KB | NCCL | NCCL, norm | peers and norm | / NCCL | / NCCL, norm |\n"
              << "|---|---|---|---|---|---|---|" << std::endl;
  }
  for (const std::int64_t n : rows) measure(*device, *kernels, on_gpus, n, hidden);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    MpiSession session;
    run(argc, argv, session.world());
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
    return static_cast<int>(error.code());
  }
  return 0;
}
