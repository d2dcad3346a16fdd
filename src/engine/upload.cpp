#include "engine/upload.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

namespace hydrajob {
namespace {

// Of each reader: one that is filled, the others wait for the bus or are copied.
constexpr std::size_t slots_of_reader = 3;

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

// A reader's pieces on their way, slot by slot.
class SlotSink final : public WeightSink {
 public:
  SlotSink(std::unique_ptr<CopyQueue> copies, std::byte* slots, std::size_t slot_bytes)
      : copies_(std::move(copies)), slots_(slots), slot_bytes_(slot_bytes) {}

  void begin(std::byte* target) { target_ = target; }
  void end() { copies_->wait_for_all_but(0); }

  Room room(std::size_t bytes) override {
    copies_->wait_for_all_but(slots_of_reader - 1);
    room_ = {slots_ + next_ * slot_bytes_, std::min(bytes, slot_bytes_)};
    next_ = (next_ + 1) % slots_of_reader;
    return room_;
  }
  void full() override {
    copies_->copy(target_, room_.data, room_.bytes);
    target_ += room_.bytes;
  }

 private:
  std::unique_ptr<CopyQueue> copies_;
  std::byte* slots_;
  std::size_t slot_bytes_;
  std::size_t next_ = 0;
  std::byte* target_ = nullptr;
  Room room_;
};

// The threads that read, each the next piece that none has begun.
class Readers {
 public:
  Readers(WeightSource& source, std::vector<Piece> pieces, DType dtype, Device& device, Buffer& staging,
          std::size_t slot_bytes)
      : pieces_(std::move(pieces)), dtype_(dtype), first_failed_(pieces_.size()) {
    auto* slots = staging.as<std::byte>();
    for (int i = 0; i < source.readers(); ++i, slots += slots_of_reader * slot_bytes) {
      readers_.push_back(source.reader());
      sinks_.emplace_back(device.copy_queue(), slots, slot_bytes);
    }
    try {
      for (std::size_t i = 0; i < readers_.size(); ++i)
        threads_.emplace_back([this, i] { work(*readers_[i], sinks_[i]); });
    } catch (...) {  // the system has no more threads
      next_ = pieces_.size();
      join();
      throw;
    }
  }
  ~Readers() { join(); }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  // Throws what the first piece in order threw that failed.
  void finish() {
    join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void work(WeightReader& reader, SlotSink& sink) {
    std::size_t i = next_++;
    try {
      for (; i < pieces_.size(); i = next_++) {
        sink.begin(pieces_[i].target);
        reader.read(pieces_[i].rows, dtype_, sink);
      }
      sink.end();
    } catch (...) {
      keep(i, std::current_exception());
      next_ = pieces_.size();  // those that were begun are read to their end: one before may fail too
    }
  }

  void keep(std::size_t piece, std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (failure_ && piece >= first_failed_) return;
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
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::size_t first_failed_;    // under mutex_
  std::exception_ptr failure_;  // under mutex_
  std::vector<std::unique_ptr<WeightReader>> readers_;
  std::deque<SlotSink> sinks_;  // however it ends, nothing reads the staging memory after them
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Buffer> allocate_upload_staging(WeightSource& source, Device& device,
                                                std::size_t slot_bytes) {
  const auto readers = static_cast<std::size_t>(source.readers());
  return readers > 0 ? device.allocate_staging(readers * slots_of_reader * slot_bytes) : nullptr;
}

void upload(WeightSource& source, const std::vector<UploadPart>& parts, DType dtype, Device& device,
            Buffer& staging, std::size_t slot_bytes) {
  device.synchronize();  // the targets' memory may be in use
  Readers(source, pieces_of(source, parts, dtype, slot_bytes), dtype, device, staging, slot_bytes).finish();
}

}  // namespace hydrajob
