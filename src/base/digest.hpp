// Digests (XXH3): of parameters for a run's identity, of tensors for the model file, of journal records.
// They find accidents, not attacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hydrajob {

std::uint64_t digest64(const void* data, std::size_t bytes);

// 32 lower-case hexadecimal characters (XXH3-128).
std::string digest128(std::string_view text);

std::string hex(std::uint64_t value);

}  // namespace hydrajob
