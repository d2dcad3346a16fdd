// While one lives, files are opened as a user who owns none: root could read any.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace hydrajob::test {

class Nobody {
 public:
  Nobody() : before_(::geteuid()) { changed_ = before_ == 0 && ::seteuid(65534) == 0; }
  ~Nobody() {
    if (changed_ && ::seteuid(before_) != 0) std::abort();
  }
  Nobody(const Nobody&) = delete;
  Nobody& operator=(const Nobody&) = delete;

 private:
  uid_t before_;
  bool changed_ = false;
};

// A file that nobody may open, in a folder that everybody may enter.
inline void forbid(const std::filesystem::path& file) {
  using std::filesystem::perms;
  std::filesystem::permissions(file.parent_path(), perms::owner_all | perms::group_exec | perms::others_exec);
  std::filesystem::permissions(file, perms::none);
}

}  // namespace hydrajob::test
