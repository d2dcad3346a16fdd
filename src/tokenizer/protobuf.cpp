#include "tokenizer/protobuf.hpp"

#include <bit>

#include <fmt/format.h>

#include "base/error.hpp"

namespace hydrajob::tokenizer {

bool ProtobufFields::next() {
  field_ = position_;
  if (position_ == message_.size()) return false;
  const std::uint64_t tag = read_varint();
  number_ = static_cast<int>(tag >> 3 & 0x1fffffff);
  wire_ = static_cast<Wire>(tag & 7);
  switch (wire_) {
    case Wire::varint:
      value_ = read_varint();
      return true;
    case Wire::fixed64:
      bytes_ = read_bytes(8);
      return true;
    case Wire::fixed32:
      bytes_ = read_bytes(4);
      return true;
    case Wire::bytes: {
      const std::uint64_t length = read_varint();
      field_ = position_;
      bytes_ = read_bytes(length);
      return true;
    }
  }
  wrong(fmt::format("wire type {}, expected a sentencepiece model", static_cast<int>(tag & 7)));
}

std::uint64_t ProtobufFields::varint() const {
  expect(Wire::varint, "a whole number");
  return value_;
}

float ProtobufFields::number32() const {
  expect(Wire::fixed32, "a 32-bit number");
  std::uint32_t bits = 0;
  for (int i = 3; i >= 0; --i)
    bits = bits << 8 | static_cast<unsigned char>(bytes_[static_cast<std::size_t>(i)]);
  return std::bit_cast<float>(bits);
}

std::string_view ProtobufFields::bytes() const {
  expect(Wire::bytes, "text or a message");
  return bytes_;
}

void ProtobufFields::wrong(const std::string& what) const {
  throw UsageError(fmt::format("{}: at byte {}: {}", place_, at(), what));
}

std::uint64_t ProtobufFields::read_varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (position_ == message_.size()) wrong("the file ends within a number");
    const auto byte = static_cast<unsigned char>(message_[position_++]);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  wrong("a number of more than 64 bits");
}

std::string_view ProtobufFields::read_bytes(std::uint64_t length) {
  const std::size_t left = message_.size() - position_;
  if (length > left) wrong(fmt::format("a field of {} bytes where {} are left", length, left));
  const std::string_view bytes = message_.substr(position_, length);
  position_ += length;
  return bytes;
}

void ProtobufFields::expect(Wire wire, const char* name) const {
  if (wire_ != wire) wrong(fmt::format("field {}: expected {}", number_, name));
}

}  // namespace hydrajob::tokenizer
