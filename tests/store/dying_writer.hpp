// A process that keeps results as a job does, and tells through a pipe what it has been promised: the parent
// kills it, and looks whether the promises were kept.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>

#include "store/store.hpp"

namespace hydrajob::test {

// The record of a run's attempt: the same arguments, the same record. Some first attempts fail.
RunRecord make_record(int number, std::int32_t attempt);
std::string run_id(int number);

// Sent when the store's call has returned; `abandoned` before it is made.
struct Promise {
  enum class Kind : std::int32_t { started, committed, abandoned };
  Kind kind = Kind::started;
  std::int32_t number = 0;  // of the run
  std::int32_t attempt = 0;
};

// The child's end of the pipe.
class Promises {
 public:
  explicit Promises(int fd) : fd_(fd) {}
  void tell(Promise::Kind kind, int number, std::int32_t attempt) const;

 private:
  int fd_;
};

class DyingWriter {
 public:
  // Forks; the child does `work` and exits with 0, or with 1 and a message when it throws.
  explicit DyingWriter(const std::function<void(const Promises&)>& work);
  ~DyingWriter();
  DyingWriter(const DyingWriter&) = delete;
  DyingWriter& operator=(const DyingWriter&) = delete;

  // The next promise; nothing once the child is dead and all were read. Throws when none comes for a minute.
  std::optional<Promise> next();
  void kill();
  // waitpid's status.
  int wait();

 private:
  pid_t pid_ = -1;
  int fd_ = -1;
};

// One run as the scheduler does it: started, committed, finished. False where it is done already.
bool do_run(Store& store, const std::filesystem::path& path, const Promises& promises, int number);
void abandon_run(Store& store, const Promises& promises, int number);

}  // namespace hydrajob::test
