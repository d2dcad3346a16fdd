// Ends this process at the nth call that changes a file, as a kill or a loss of power would. The calls are
// those of open(O_CREAT), write, writev, pwrite, ftruncate, fsync, fdatasync, rename, link, unlink, remove
// and mkdir, which stop_at_call.cpp defines in place of the C library's.
#pragma once

#include <filesystem>

namespace hydrajob::test {

enum class Death {
  killed,     // before the call; all earlier ones have happened
  torn,       // a write gets through half; other calls as `killed`
  data_lost,  // power fails before the call: what was written and not synced is gone, names stay
  all_lost,   // the same, and names made, moved and removed since their folder was synced are as before
};

// From now on calls are counted; at the `nth`, from 1, the process dies. `spare`: an empty folder on the same
// file system, outside what is written.
void die_at_call(int nth, Death death, const std::filesystem::path& spare);

}  // namespace hydrajob::test
