// Numbers as people read them. SI inside; these are for messages and tables only.
#pragma once

#include <string>

namespace hydrajob {

std::string format_bytes(double bytes);      // "212 GiB", "1.5 MiB", "96 B"
std::string format_seconds(double seconds);  // "1 h 02 min", "3.2 s", "45.1 ms", "7.0 us"
std::string format_count(double count);      // "1.2 G", "640 M", "12"

}  // namespace hydrajob
