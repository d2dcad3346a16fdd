// Kernels that meet and read each other's memory, as those of several GPUs do: here in as many streams of
// one.
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "kernels/partial_sums.hpp"
#include "kernels/tensor.hpp"

namespace hydrajob::test {
namespace {

constexpr float eps = 1e-5F;

std::size_t bytes_of(const Tensor& tensor) {
  return static_cast<std::size_t>(tensor.size()) * size_of(tensor.dtype());
}

// What a rank has on the GPU.
struct Peer {
  std::unique_ptr<Device> device = make_device({DeviceKind::cuda});
  std::unique_ptr<Kernels> kernels = make_kernels(*device, 1);
  std::unique_ptr<Buffer> part, summed, residual, weight, out, arrived, turn;

  std::unique_ptr<Buffer> upload(const void* host, std::size_t bytes) {
    auto buffer = device->allocate(bytes);
    device->copy_to_device(buffer->data(), host, bytes);
    device->synchronize();
    return buffer;
  }
  std::unique_ptr<Buffer> upload(const Tensor& tensor) { return upload(tensor.data(), bytes_of(tensor)); }
  std::unique_ptr<Buffer> counts(int n) {
    const std::vector<std::uint32_t> zeros(static_cast<std::size_t>(n));
    return upload(zeros.data(), zeros.size() * sizeof(std::uint32_t));
  }
  Tensor download(Buffer& buffer, std::int64_t elements, DType dtype) {
    Tensor tensor(elements, dtype);
    device->copy_to_host(tensor.data(), buffer.data(), bytes_of(tensor));
    device->synchronize();
    return tensor;
  }
};

class PeersTest : public KernelTest, public ::testing::WithParamInterface<DType> {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!tests_cuda()) GTEST_SKIP() << "of GPUs";
  }

  // Of weights and parts.
  const DType dtype_ = GetParam();

  // `rounds` sums, one after another, of the same parts.
  void check(int n, bool shares, std::int64_t rows, std::int64_t hidden, int rounds) {
    SCOPED_TRACE(fmt::format("{} ranks{}, {} rows of {}", n, shares ? " that share" : "", rows, hidden));
    const Tensor weight = Tensor::random(hidden, dtype_, random_);
    Tensor residual = Tensor::random(rows * hidden, DType::f32, random_, 3);
    std::vector<Tensor> parts;
    for (int p = 0; p < n; ++p) parts.push_back(Tensor::random(rows * hidden, dtype_, random_));
    std::vector<Peer> peers(static_cast<std::size_t>(n));
    for (std::size_t p = 0; p < peers.size(); ++p) {
      peers[p].part = peers[p].upload(parts[p]);
      peers[p].summed = peers[p].upload(Tensor(rows * hidden, dtype_));
      peers[p].residual = peers[p].upload(residual);
      peers[p].weight = peers[p].upload(weight);
      peers[p].out = peers[p].upload(Tensor(rows * hidden, dtype_));
      peers[p].arrived = peers[p].counts(meeting_blocks * most_peers);
      peers[p].turn = peers[p].counts(meeting_blocks);
    }
    PartialSums added;
    added.n = n;
    added.dtype = dtype_;
    for (std::size_t p = 0; p < peers.size(); ++p) {
      added.parts[p] = peers[p].part->data();
      added.meeting.arrived[p] = peers[p].arrived->as<std::uint32_t>();
      if (shares) added.summed[p] = peers[p].summed->data();
    }
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t p = 0; p < peers.size(); ++p) {
        PartialSums mine = added;
        mine.meeting.rank = static_cast<int>(p);
        mine.meeting.turn = peers[p].turn->as<std::uint32_t>();
        peers[p].kernels->add_rmsnorm(peers[p].residual->as<float>(), mine, peers[p].weight->data(),
                                      peers[p].out->data(), rows, hidden, eps, dtype_,
                                      peers[p].device->stream());
      }
      for (Peer& peer : peers) peer.device->synchronize();
    }
    expect_sums(peers, parts, shares, residual, weight, rows, hidden, rounds);
  }

 private:
  // Shared sums are rounded to the parts' type before they are added.
  void expect_sums(std::vector<Peer>& peers, const std::vector<Tensor>& parts, bool shares, Tensor residual,
                   const Tensor& weight, std::int64_t rows, std::int64_t hidden, int rounds) {
    Tensor sum(rows * hidden, shares ? dtype_ : DType::f32);
    for (std::int64_t i = 0; i < rows * hidden; ++i) {
      float total = 0;
      for (const Tensor& part : parts) total += part.at(i);
      sum.set(i, total);
    }
    PartialSums one;
    one.parts[0] = sum.data();
    one.n = 1;
    one.dtype = sum.dtype();
    Tensor expected(rows * hidden, dtype_);
    for (int round = 0; round < rounds; ++round) {
      reference_->add_rmsnorm(residual.floats(), one, weight.data(), expected.data(), rows, hidden, eps,
                              dtype_, stream_);
    }
    for (std::size_t p = 0; p < peers.size(); ++p) {
      Peer& peer = peers[p];
      const Tensor actual_residual = peer.download(*peer.residual, rows * hidden, DType::f32);
      const Tensor actual = peer.download(*peer.out, rows * hidden, dtype_);
      EXPECT_EQ(actual_residual, residual) << "rank " << p;
      expect_near(actual, expected, 1e-7, "rank " + std::to_string(p));
    }
  }
};

TEST_P(PeersTest, EachAddsUpAllParts) {
  for (const int n : {2, 3, 4}) {
    for (const std::int64_t rows : {1, 7, 40}) check(n, false, rows, 1536, 3);
  }
}

TEST_P(PeersTest, EachAddsUpItsColumnsForAll) {
  for (const int n : {2, 3, 4}) {
    for (const std::int64_t rows : {1, 7, 40}) check(n, true, rows, 1536, 3);
  }
}

// Rows of more packs than a block has threads.
TEST_P(PeersTest, RowsThatDoNotFitIntoABlock) {
  check(2, false, 3, 16384, 2);
  check(2, true, 3, 16384, 2);
}

INSTANTIATE_TEST_SUITE_P(, PeersTest, ::testing::Values(DType::bf16, DType::f16),
                         [](const auto& instance) { return std::string(name_of(instance.param)); });

}  // namespace
}  // namespace hydrajob::test
