// Text from outside in a message.
#pragma once

#include <string>

namespace hydrajob {

// In one line, not longer than a line or two, and UTF-8.
std::string printable(std::string text);

}  // namespace hydrajob
