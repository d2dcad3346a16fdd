// A small copy of /proc and /sys, as a test needs it.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "unit/base/temporary_folder.hpp"

namespace hydrajob::test {

class Tree {
 public:
  void write(const std::filesystem::path& relative, const std::string& text) {
    const auto path = folder_.path() / relative;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::filesystem::path root() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

}  // namespace hydrajob::test
