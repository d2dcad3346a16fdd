#include "base/digest.hpp"

#include <new>

#include <fmt/format.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // the same functions by the widest vectors that the processor has
#else
#include <xxhash.h>
#endif

namespace hydrajob {

std::uint64_t digest64(const void* data, std::size_t bytes) {
  return XXH3_64bits(data, bytes);
}

void Digest64::Free::operator()(XXH3_state_s* state) const {
  XXH3_freeState(state);
}

Digest64::Digest64() : state_(XXH3_createState()) {
  if (!state_) throw std::bad_alloc();
  reset();
}
void Digest64::reset() {
  XXH3_64bits_reset(state_.get());
}
void Digest64::add(const void* data, std::size_t bytes) {
  XXH3_64bits_update(state_.get(), data, bytes);
}
std::uint64_t Digest64::value() const {
  return XXH3_64bits_digest(state_.get());
}

std::string digest128(std::string_view text) {
  const XXH128_hash_t h = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", h.high64, h.low64);
}

std::string hex(std::uint64_t value) {
  return fmt::format("{:016x}", value);
}

}  // namespace hydrajob
