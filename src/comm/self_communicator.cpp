// One rank alone, without MPI: collectives are copies, messages to itself wait in a queue (the scheduler's
// dispatcher and its leader are two threads of this process).
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

#include "comm/communicator.hpp"

namespace hydrajob {
namespace {

class Mailbox {
 public:
  void put(int tag, const std::string& bytes) {
    {
      const std::lock_guard lock(mutex_);
      messages_[tag].push_back(bytes);
    }
    arrived_.notify_all();
  }

  std::string take(int tag) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return !messages_[tag].empty(); });
    return pop(messages_[tag]);
  }

  std::optional<std::string> try_take(int tag) {
    const std::lock_guard lock(mutex_);
    if (messages_[tag].empty()) return std::nullopt;
    return pop(messages_[tag]);
  }

 private:
  static std::string pop(std::deque<std::string>& queue) {
    std::string bytes = std::move(queue.front());
    queue.pop_front();
    return bytes;
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<int, std::deque<std::string>> messages_;  // by tag
};

class SelfCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void barrier() override {}
  void broadcast(void*, std::size_t, int) override {}
  double all_reduce_max(double value) override { return value; }
  double all_reduce_min(double value) override { return value; }
  double all_reduce_sum(double value) override { return value; }
  std::vector<std::string> all_gather(const std::string& bytes) override { return {bytes}; }
  std::unique_ptr<Communicator> split(int) override { return std::make_unique<SelfCommunicator>(); }
  std::unique_ptr<Communicator> split_node() override { return std::make_unique<SelfCommunicator>(); }

  void send(const std::string& bytes, int, int tag) override { mailbox_.put(tag, bytes); }
  std::string receive(int, int tag) override { return mailbox_.take(tag); }
  std::optional<std::pair<int, std::string>> try_receive(int tag) override {
    auto bytes = mailbox_.try_take(tag);
    if (!bytes) return std::nullopt;
    return std::pair{0, std::move(*bytes)};
  }

  void all_reduce_sum(void*, std::int64_t, DType, Stream&) override {}
  void all_reduce_sum(std::uint64_t*, std::int64_t, Stream&) override {}
  void all_reduce_max(float*, std::int64_t, Stream&) override {}
  void all_gather(const void* in, void* out, std::size_t bytes, Stream&) override {
    std::memcpy(out, in, bytes);
  }

  [[noreturn]] void abort(int exit_code) override { std::_Exit(exit_code); }

 private:
  Mailbox mailbox_;
};

}  // namespace

std::unique_ptr<Communicator> make_self_communicator() {
  return std::make_unique<SelfCommunicator>();
}

}  // namespace hydrajob
