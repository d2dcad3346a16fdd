// The wire format of protocol buffers, read strictly: as much of it as a sentencepiece model needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hydrajob::tokenizer {

// The fields of one message, in turn.
class ProtobufFields {
 public:
  enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

  // `place` begins every message; `at`: where the message stands in the file.
  ProtobufFields(std::string_view message, std::string place, std::size_t at = 0)
      : message_(message), place_(std::move(place)), at_(at) {}

  // False at the end. Throws UsageError where the message ends within a field or is none.
  bool next();

  int number() const { return number_; }
  // Each throws UsageError where the field has another wire type.
  std::uint64_t varint() const;
  bool boolean() const { return varint() != 0; }
  float number32() const;
  std::string_view bytes() const;
  // Of the field's bytes in the file.
  std::size_t at() const { return at_ + field_; }

  [[noreturn]] void wrong(const std::string& what) const;

 private:
  std::uint64_t read_varint();
  std::string_view read_bytes(std::uint64_t length);
  void expect(Wire wire, const char* name) const;

  std::string_view message_;
  std::string place_;
  std::size_t at_;
  std::size_t position_ = 0, field_ = 0;
  int number_ = 0;
  Wire wire_ = Wire::varint;
  std::uint64_t value_ = 0;
  std::string_view bytes_;
};

}  // namespace hydrajob::tokenizer
