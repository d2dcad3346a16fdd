// Large host memory, counted: page-aligned, on transparent huge pages where it is large enough to gain, and
// refused before it is touched when this process may not have it. Tensors and packed weights live here.
#pragma once

#include <cstddef>

namespace hydrajob {

// What this process (one rank) holds and may hold of such memory. Any thread may ask.
std::size_t host_memory_used();
std::size_t host_memory_limit();
// The largest std::size_t: as much as the machine has. A process that makes several CPU devices has the last
// one's.
void set_host_memory_limit(std::size_t bytes);

class HostMemory {
 public:
  // 4096-byte aligned, uninitialised. Throws OutOfMemory with the size when it would pass the limit or the
  // available memory.
  explicit HostMemory(std::size_t bytes);
  HostMemory() = default;
  ~HostMemory();
  HostMemory(HostMemory&& other) noexcept;
  HostMemory& operator=(HostMemory&& other) noexcept;

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t mapped_ = 0;  // 0: from the heap
};

}  // namespace hydrajob
