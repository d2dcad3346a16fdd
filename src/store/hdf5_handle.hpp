// HDF5 identifiers that close themselves, and its errors as text.
#pragma once

#include <string>
#include <utility>

#include <hdf5.h>

namespace hydrajob::hdf5 {

class Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Handle() = default;
  Handle(hid_t id, Close closer) : id_(id), close_(closer) {}
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    reset();
    id_ = std::exchange(other.id_, -1);
    close_ = other.close_;
    return *this;
  }

  operator hid_t() const { return id_; }
  bool valid() const { return id_ >= 0; }
  void reset() { close(); }
  // Negative when closing failed, as for a file whose data could not be written.
  herr_t close() {
    const hid_t id = std::exchange(id_, -1);
    return id >= 0 ? close_(id) : 0;
  }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

// HDF5 prints its error stack by itself unless told not to; messages here are ours.
inline void silence_hdf5() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

// What HDF5 says of its last error, innermost cause first.
inline std::string hdf5_error() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* data) -> herr_t {
        auto& out = *static_cast<std::string*>(data);
        if (out.empty() && error->desc != nullptr) out = error->desc;
        return 0;
      },
      &text);
  return text.empty() ? "no details from HDF5" : text;
}

}  // namespace hydrajob::hdf5
