// Which process on which machine: what tells two jobs apart, and whether one of them still lives.
#pragma once

#include <string>

namespace hydrajob {

std::string host_name();

// Where process ids mean the same: "<host>.<inode of the pid namespace>". Containers of one machine may share
// its name and still not see each other's processes.
std::string process_space();

// Clock ticks from boot to a process's start (field 22 of /proc/PID/stat): with the number it names a process
// for good. Empty when there is none of this number in this space, or it is dead and only waits for its
// parent to ask how it ended.
std::string process_start(long pid);

}  // namespace hydrajob
