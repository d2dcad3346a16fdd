#include "device/host_memory.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <sys/mman.h>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/units.hpp"
#include "device/available_memory.hpp"

namespace hydrajob {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t largest_size = std::numeric_limits<std::size_t>::max();

std::atomic<std::size_t> used{0};
std::atomic<std::size_t> limit{largest_size};

std::string as_text(std::size_t bytes) {
  return format_bytes(static_cast<double>(bytes));
}

// Counts `bytes`, or throws without counting.
void reserve(std::size_t bytes) {
  const std::size_t before = used.fetch_add(bytes);
  const std::size_t most = limit.load();
  std::string reason;
  if (bytes > most - std::min(most, before)) {
    reason = fmt::format("this rank holds {} of its {}", as_text(before), as_text(most));
  } else if (bytes >= huge_page) {
    const std::size_t available = available_memory();
    if (bytes > available) reason = fmt::format("{} are available", as_text(available));
  }
  if (reason.empty()) return;
  used.fetch_sub(bytes);
  throw OutOfMemory(fmt::format("out of memory: {} asked for, {}", as_text(bytes), reason));
}

// Aligned to a huge page, so that the kernel can use them from the first byte on. Null when it cannot be had.
void* map_huge(std::size_t bytes) {
  const std::size_t padded = bytes + huge_page;
  void* raw =
      ::mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<std::uintptr_t>(raw);
  const std::uintptr_t aligned = (begin + huge_page - 1) / huge_page * huge_page;
  if (aligned > begin) ::munmap(raw, aligned - begin);
  const std::uintptr_t end = aligned + bytes;
  if (begin + padded > end) ::munmap(reinterpret_cast<void*>(end), begin + padded - end);
  void* data = reinterpret_cast<void*>(aligned);
  ::madvise(data, bytes, MADV_HUGEPAGE);  // advice: a kernel without huge pages may refuse it
  return data;
}

std::size_t rounded(std::size_t bytes, std::size_t unit) {
  return (std::max<std::size_t>(bytes, 1) + unit - 1) / unit * unit;
}

}  // namespace

std::size_t host_memory_used() {
  return used.load();
}
std::size_t host_memory_limit() {
  return limit.load();
}
void set_host_memory_limit(std::size_t bytes) {
  limit.store(bytes);
}

HostMemory::HostMemory(std::size_t bytes) : bytes_(bytes) {
  if (bytes > largest_size - 2 * huge_page) {
    throw OutOfMemory(fmt::format("out of memory: {} asked for", as_text(bytes)));
  }
  reserve(bytes);
  if (bytes >= huge_page) {
    mapped_ = rounded(bytes, page);
    data_ = map_huge(mapped_);
  } else {
    data_ = std::aligned_alloc(page, rounded(bytes, page));
  }
  if (data_ != nullptr) return;
  used.fetch_sub(bytes);
  throw OutOfMemory(fmt::format("out of memory: the system refused {}", as_text(bytes)));
}

HostMemory::~HostMemory() {
  if (data_ == nullptr) return;
  used.fetch_sub(bytes_);
  if (mapped_ != 0) {
    ::munmap(data_, mapped_);
  } else {
    std::free(data_);
  }
}

HostMemory::HostMemory(HostMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      mapped_(std::exchange(other.mapped_, 0)) {}

HostMemory& HostMemory::operator=(HostMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

}  // namespace hydrajob
