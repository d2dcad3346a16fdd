#include "engine/upload.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "engine/staging_ring.hpp"

namespace hydrajob {
namespace {

// The thread that copies is wanted as soon as a slot is full: where there are cores, one is its own. On 16 of
// them a GPU was loaded at 88 % of its bus's rate instead of 85.
int reading_threads(const WeightSource& source) {
  constexpr int few = 4;
  const int threads = source.readers();
  return threads > few ? threads - 1 : threads;
}

// One is filled by each reader, the others wait for the bus or are copied: with 4 of these it was 82 %.
std::size_t slot_count(int readers) {
  constexpr std::size_t besides = 12;
  return static_cast<std::size_t>(readers) + besides;
}

struct Piece {
  WeightRows rows;
  std::byte* target;
};

std::vector<Piece> pieces_of(const WeightSource& source, const std::vector<UploadPart>& parts, DType dtype,
                             std::size_t bytes) {
  std::vector<Piece> pieces;
  for (const UploadPart& part : parts) {
    auto* target = static_cast<std::byte*>(part.target);
    for (const WeightRows& rows : source.pieces(part.rows, bytes)) {
      pieces.push_back({rows, target});
      target += static_cast<std::size_t>(rows.rows.count() * rows.tensor.cols) * size_of(dtype);
    }
  }
  return pieces;
}

// A piece on its way, slot by slot.
class SlotSink final : public WeightSink {
 public:
  SlotSink(StagingRing& ring, std::byte* target) : ring_(ring), target_(target) {}

  Room room(std::size_t bytes) override {
    room_ = {ring_.take(), std::min(bytes, ring_.slot_bytes())};
    return room_;
  }
  void full() override {
    ring_.fill(room_.data, target_, room_.bytes);
    target_ += room_.bytes;
  }

 private:
  StagingRing& ring_;
  std::byte* target_;
  Room room_;
};

// The threads that read, each the next piece that none has begun.
class Readers {
 public:
  Readers(WeightSource& source, std::vector<Piece> pieces, DType dtype, StagingRing& ring, int threads)
      : pieces_(std::move(pieces)), dtype_(dtype), ring_(ring), first_failed_(pieces_.size()) {
    for (int i = 0; i < threads; ++i) readers_.push_back(source.reader());
    try {
      for (const auto& reader : readers_) threads_.emplace_back([this, &reader] { work(*reader); });
    } catch (...) {  // the system has no more threads
      give_up();
      throw;
    }
  }
  ~Readers() { give_up(); }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  // Throws what the first piece in order threw that failed.
  void finish() {
    join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void give_up() {
    ring_.stop();
    join();
  }

  void work(WeightReader& reader) {
    for (std::size_t i = next_++; i < pieces_.size(); i = next_++) {
      try {
        SlotSink sink(ring_, pieces_[i].target);
        reader.read(pieces_[i].rows, dtype_, sink);
      } catch (const StagingRing::Stopped&) {
        break;
      } catch (...) {
        keep(i, std::current_exception());
        next_ = pieces_.size();  // those that were begun are read to their end: one before may fail too
        break;
      }
    }
    ring_.end_reader();
  }

  void keep(std::size_t piece, std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (piece >= first_failed_) return;
    first_failed_ = piece;
    failure_ = std::move(failure);
  }

  void join() {
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  std::vector<Piece> pieces_;
  DType dtype_;
  StagingRing& ring_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::size_t first_failed_;    // under mutex_
  std::exception_ptr failure_;  // under mutex_
  std::vector<std::unique_ptr<WeightReader>> readers_;
  std::vector<std::thread> threads_;
};

// However it ends, nothing reads the staging memory afterwards.
class CopiesEnd {
 public:
  explicit CopiesEnd(Device& device) : device_(device) {}
  ~CopiesEnd() {
    try {
      device_.synchronize();
    } catch (...) {  // a device that is dead copies nothing; who uses it next is told
    }
  }
  CopiesEnd(const CopiesEnd&) = delete;
  CopiesEnd& operator=(const CopiesEnd&) = delete;

 private:
  Device& device_;
};

}  // namespace

std::unique_ptr<Buffer> allocate_upload_staging(WeightSource& source, Device& device,
                                                std::size_t slot_bytes) {
  const int readers = reading_threads(source);
  return readers > 0 ? device.allocate_staging(slot_count(readers) * slot_bytes) : nullptr;
}

void upload(WeightSource& source, const std::vector<UploadPart>& parts, DType dtype, Device& device,
            Buffer& staging, std::size_t slot_bytes) {
  const int threads = reading_threads(source);
  const CopiesEnd end(device);
  StagingRing ring(device, staging, slot_bytes, threads);
  Readers readers(source, pieces_of(source, parts, dtype, slot_bytes), dtype, ring, threads);
  ring.copy_all();
  readers.finish();
  device.synchronize();
}

}  // namespace hydrajob
