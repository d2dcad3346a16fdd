// Digests (XXH3): of parameters for a run's identity, of tensors for the model file, of journal records.
// They find accidents, not attacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct XXH3_state_s;  // xxHash's

namespace hydrajob {

std::uint64_t digest64(const void* data, std::size_t bytes);

// The same of data that comes piece by piece.
class Digest64 {
 public:
  Digest64();
  void reset();
  void add(const void* data, std::size_t bytes);
  std::uint64_t value() const;  // of all since the last reset

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

// 32 lower-case hexadecimal characters (XXH3-128).
std::string digest128(std::string_view text);

std::string hex(std::uint64_t value);

}  // namespace hydrajob
