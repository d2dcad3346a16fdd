// The entry that libFuzzer calls.
#include "fuzz/weights/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hydrajob::test::is_read(data, size);
  return 0;
}
