#include "base/process.hpp"

#include <array>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace hydrajob {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "unknown";
}

std::string process_space() {
  struct stat status {};
  const bool known = ::stat("/proc/self/ns/pid", &status) == 0;
  return host_name() + '.' + (known ? std::to_string(status.st_ino) : "0");
}

std::string process_start(long pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(in, text)) return {};
  const std::size_t name_end = text.rfind(')');  // the name may hold blanks
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return {};
  std::istringstream words(text.substr(name_end + 2));
  std::string word;
  words >> word;  // field 3, the state
  if (word == "Z" || word == "X") return {};
  for (int field = 4; field <= 22; ++field) words >> word;
  return word;
}

}  // namespace hydrajob
